"""A whole live run from a real RTSP server, recorded, killed, and replayed by the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.cameras import RtspCamera, require_gstreamer
from tests.pipeline.recording.streams import videos, wait_until

PROJECT = Path(__file__).resolve().parents[3]
OPTIONS = ["--size", "128x256", "--precision", "fp32", "--threads", "2"]


def lines_of(paths: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_the_replay_of_a_live_run_gives_the_same_scenes(
    tmp_path: Path, driving_data: Path, ending: signal.Signals
) -> None:
    """H.264, then after a failure of the camera HEVC of another size."""
    require_gstreamer()
    clip = str(driving_data / "clips" / "udacity_solidWhiteRight.mp4")
    rides = tmp_path / "rides"
    with RtspCamera("--size", "640x360", "--clip", clip) as camera:
        command = [sys.executable, "launch.py", "live", f"front={camera.uri}", "--record", str(rides), *OPTIONS]
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) as process:
            wait_until(lambda: len(_scenes_seen(rides)) > 40, 120.0)
            camera.start("--size", "480x270", "--codec", "h265", "--clip", clip)
            wait_until(lambda: len(_segments(rides)) > 1 and len(_scenes_in(_segments(rides)[-1])) > 30, 60.0)
            time.sleep(0.3)
            process.send_signal(ending)
            process.wait(30)
    replayed = tmp_path / "again.jsonl"
    command = [sys.executable, "launch.py", "replay", str(rides), str(replayed), *OPTIONS, "--quiet"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = {line["source_time_s"]: line for line in lines_of([replayed])}
    seen = _scenes_seen(rides)
    with_frame = [line for line in seen if line["source_time_s"] in again]
    assert len(with_frame) >= len(seen) - 1, "a kill costs the last picture, and nothing else costs any"
    for line in with_frame:
        for key in ("drivable", "road_users"):
            assert again[line["source_time_s"]][key] == line[key]
    widths = {len(line["drivable"]["free_space_px"]) for line in with_frame}
    assert widths == {640, 480}


def _segments(rides: Path) -> list[Path]:
    return videos(rides) if rides.is_dir() else []


def _scenes_in(video: Path) -> list[dict[str, Any]]:
    path = video.with_name(video.name.replace(".mp4", ".jsonl"))
    return [line for line in lines_of([path]) if line["camera"]["state"] == "live"] if path.exists() else []


def _scenes_seen(rides: Path) -> list[dict[str, Any]]:
    return [line for video in _segments(rides) for line in _scenes_in(video)]
