"""The systemd unit: systemd understands it, and the command that it runs has the options that it uses."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UNIT = PROJECT / "deploy" / "clearway.service"


def settings() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))


def test_systemd_understands_every_line(tmp_path: Path):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze to read the unit with")
    unit = tmp_path / UNIT.name
    # Where nothing is installed the program alone is missing.
    unit.write_text(UNIT.read_text().replace("/opt/clearway/.venv/bin/python", sys.executable))
    done = subprocess.run([tool, "verify", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert not complaints


def test_a_unit_with_a_mistake_would_be_found(tmp_path: Path):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze to read the unit with")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("WatchdogSec=10", "WatchDogSeconds=10"))
    done = subprocess.run([tool, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "WatchDogSeconds" in done.stderr


def test_it_is_watched_and_started_anew():
    found = settings()
    assert found["Type"] == "notify"
    assert int(found["WatchdogSec"]) > 0
    assert found["Restart"] == "on-failure"
    assert int(found["TimeoutStartSec"]) >= 600  # an engine is built on the first start


def test_the_command_has_the_options_that_are_used():
    from pipeline.cli import _COMMANDS

    if "live" not in _COMMANDS:
        pytest.skip("this tree has no live command yet")
    said = subprocess.run(
        [sys.executable, str(PROJECT / "launch.py"), "live", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = (PROJECT / "deploy" / "clearway.env").read_text() + settings()["ExecStart"]
    used = {word for word in shlex.split(options.replace('"', " ")) if word.startswith("--")}
    assert "--exit-on-loss" in used
    assert all(option in said for option in used), used
