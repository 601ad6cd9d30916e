"""Faults around a live run, met by the command line: wrong addresses, full disks, power cuts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.sources import open_source
from tests.live import clock
from tests.live.cameras import RtspCamera, free_port
from tests.live.processes import LiveProcess, wait_until

RtspCameras = Callable[..., RtspCamera]
SMALL = ("--size", "96x160", "--threads", "1")


def has_live_scenes(run: LiveProcess, count: int = 1) -> bool:
    return sum(scene["camera"]["state"] == "live" for scene in run.scenes) >= count


def test_an_address_without_a_camera_is_one_line_and_exit_code_2(rtsp_camera: RtspCameras, tmp_path: Path):
    protected = rtsp_camera("--user", "driver:secret", "--gop", "5")
    cases = {
        "refused": (f"rtsp://127.0.0.1:{free_port()}/camera", "efused"),
        "wrong path": (protected.uri.replace("//", "//driver:secret@").replace("camera", "other"), "404"),
        "no password": (protected.uri, "name and a password"),
        "wrong password": (protected.uri.replace("//", "//driver:wrong@"), "name and a password"),
    }
    runs = {}
    for name, (uri, _) in cases.items():
        (tmp_path / name).mkdir()
        runs[name] = LiveProcess([uri], *SMALL, "--give-up-after", 1, "--quiet", folder=tmp_path / name)
    for name, run in runs.items():
        with run:
            assert run.wait(60) == 2, f"{name}: {run.messages}"
            lines = run.messages.strip().splitlines()
            assert len(lines) == 1, f"{name}: {run.messages}"
            assert lines[0].startswith("clearway: error: "), name
            assert cases[name][1] in lines[0], f"{name}: {lines[0]}"
            assert "secret" not in lines[0]
            assert "wrong@" not in lines[0]
            assert not any(scene["road_users"] or scene["drivable"]["area_px"] for scene in run.scenes)


def test_a_disk_that_fills_up_while_recording_stops_the_recording_and_not_the_run(
    rtsp_camera: RtspCameras, small_disk: Path, tmp_path: Path, driving_data: Path, note: Callable[..., None]
):
    clip = driving_data / "clips" / "udacity_solidWhiteRight.mp4"
    camera = rtsp_camera("--gop", "12", "--clip", str(clip), "--kbps", "6000")
    with LiveProcess([camera.uri], "--record", small_disk / "drive", *SMALL, "--quiet", folder=tmp_path) as run:
        wait_until(lambda: has_live_scenes(run, 10), 60, "scenes")
        time.sleep(3.0)  # 2 MB came in the meantime
        before = len(run.scenes)
        wait_until(lambda: len(run.scenes) > before + 10, 20, "scenes with a full disk")
        code = run.end()
        outputs = run.figures["outputs"]
    assert code in {2, 130}, run.messages
    failed = [reason for name, reason in outputs.items() if "drive" in name and reason]
    note(outputs=outputs, scenes_after=len(run.scenes) - before)
    kept = sum(path.stat().st_size for path in (small_disk / "drive").rglob("*.mp4"))
    assert failed, outputs
    assert "space" in failed[0], failed
    assert 0 < kept <= 2**20
    assert outputs[str(run.scenes_path)] == ""
    (folder,) = (path for path in (small_disk / "drive").iterdir() if path.is_dir())
    assert sum(1 for _ in open_source(str(folder / "camera")).frames()) > 5


@pytest.mark.parametrize("codec", ["h264", pytest.param("mjpeg", marks=pytest.mark.slow)])
def test_after_a_power_cut_all_but_the_last_second_is_playable(
    rtsp_camera: RtspCameras, tmp_path: Path, note: Callable[..., None], codec: str
):
    camera = rtsp_camera("--codec", codec, "--gop", "12")
    with LiveProcess([camera.uri], "--record", tmp_path / "drive", *SMALL, "--quiet", folder=tmp_path) as run:
        wait_until(lambda: has_live_scenes(run, 30), 60, "scenes")
        time.sleep(1.0)
        run.kill()
        cut_ms = clock.now_ms()
    (folder,) = (path for path in (tmp_path / "drive").iterdir() if path.is_dir())
    times_ms = [clock.read(frame.image) for frame in open_source(str(folder / "camera")).frames()]
    assert None not in times_ms
    assert times_ms == sorted(times_ms)  # type: ignore[type-var]
    lost_ms = cut_ms - (times_ms[-1] or 0)
    note(pictures=len(times_ms), lost_ms=lost_ms)
    assert lost_ms < 1000 + 300  # and what the last picture took to arrive
    scenes = [line for path in sorted((folder / "camera").glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert all(json.loads(line)["schema"] for line in scenes)
    assert len(scenes) > 20
