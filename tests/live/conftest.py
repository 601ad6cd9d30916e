"""The proving ground: real cameras and a real network, broken on demand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.live.cameras import MjpegCamera, RtspCamera, require_gstreamer
from tests.live.network import CorruptingProxy, LossyNetwork
from tests.live.witness import WitnessedRun


@pytest.fixture(scope="session")
def gstreamer() -> None:
    """Skips, saying why, where the RTSP server cannot run."""
    require_gstreamer()


@pytest.fixture
def rtsp_camera(gstreamer: None) -> Iterator[Callable[..., RtspCamera]]:
    """Starts RTSP cameras; they end with the test."""
    with ExitStack() as cameras:
        yield lambda *options, **places: cameras.enter_context(RtspCamera(*options, **places))


@pytest.fixture
def mjpeg_camera() -> Iterator[Callable[..., MjpegCamera]]:
    """Starts HTTP cameras; they end with the test."""
    with ExitStack() as cameras:
        yield lambda **options: cameras.enter_context(MjpegCamera(**options))


@pytest.fixture
def corrupting_proxy() -> Iterator[Callable[[RtspCamera], CorruptingProxy]]:
    """Stands before an RTSP camera and damages what it sends."""
    with ExitStack() as proxies:
        yield lambda camera: proxies.enter_context(CorruptingProxy(camera.port))


@pytest.fixture
def lossy_network() -> Iterator[LossyNetwork]:
    """A network of its own for a camera; a skip that says why where the machine does not allow it."""
    network = LossyNetwork()
    yield network
    network.close()


@pytest.fixture
def witnessed() -> Iterator[Callable[..., WitnessedRun]]:
    """Starts live runs with a witness; they end with the test, and whatever they raised is raised."""
    runs: list[WitnessedRun] = []

    def start(*uris: str, **settings: Any) -> WitnessedRun:
        runs.append(WitnessedRun(uris, **settings))
        return runs[-1]

    yield start
    for run in runs:
        run.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system of 1 MiB; a skip that says why where mounting is not allowed."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Notes what was measured as a line of the file that CLEARWAY_FIGURES names, for docs/reliability.md."""
    path = os.environ.get("CLEARWAY_FIGURES")

    def write(**figures: object) -> None:
        if path:
            with Path(path).open("a") as lines:
                lines.write(json.dumps({"test": request.node.name, **figures}) + "\n")

    return write
