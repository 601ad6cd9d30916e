"""What systemd is told: a real socket of its kind listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.live.supervisor import Supervisor


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        if request.param == "path":
            listener.bind(str(tmp_path / "notify"))
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        else:
            listener.bind("\0clearway-test-notify")
            monkeypatch.setenv("NOTIFY_SOCKET", "@clearway-test-notify")
        yield listener


def test_it_hears_of_the_beginning_of_every_turn_and_of_the_end(systemd: socket.socket):
    supervisor = Supervisor()
    supervisor.ready()
    supervisor.alive("front live 25 FPS")
    supervisor.alive("front live 25 FPS")
    supervisor.stopping()
    heard = [systemd.recv(1000).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1\nSTATUS=front live 25 FPS", "WATCHDOG=1", "STOPPING=1"]


def test_nobody_listening_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    Supervisor().ready()
    monkeypatch.delenv("NOTIFY_SOCKET")
    Supervisor().alive("fine")
