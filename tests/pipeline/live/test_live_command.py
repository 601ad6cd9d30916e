"""`live` as a user meets it: real processes, real files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.pipeline.test_cli import PROJECT, clearway

DRIVE = "synthetic://drive?seed=1&size=320x180"


def test_a_run_of_some_seconds_writes_every_output_and_its_figures(tmp_path: Path):
    overlay, scenes, figures = (tmp_path / name for name in ("o.mp4", "s.jsonl", "f.json"))
    result = clearway("live", DRIVE, overlay, scenes, "--duration", 3, "--json", figures)
    assert result.returncode == 0, result.stderr
    report = json.loads(figures.read_text())
    assert report["frames"] > 0
    assert report["frames"] + sum(report["dropped"].values()) <= report["received"]
    assert report["reconnects"] == 0
    assert report["age_ms"]["p50"] <= report["age_ms"]["p95"] <= report["age_ms"]["p99"]
    assert set(report["timings_ms"]) >= {"decode", "preprocess", "engine", "postprocess", "overlay"}
    assert "cameras" not in report
    lines = [json.loads(line) for line in scenes.read_text().splitlines()]
    assert sum(line["camera"]["state"] == "live" for line in lines) == report["frames"]
    with av.open(str(overlay)) as video:
        assert sum(1 for _ in video.decode(video=0)) >= 1
    assert "age p50" in result.stderr


def test_several_cameras_have_figures_and_videos_of_their_own(tmp_path: Path):
    figures, scenes = tmp_path / "f.json", tmp_path / "s.jsonl"
    cameras = [f"front={DRIVE}", "rear=synthetic://drive?seed=5&size=200x120"]
    result = clearway("live", *cameras, tmp_path / "o.mp4", scenes, "--duration", 3, "--json", figures, "--quiet")
    assert result.returncode == 0, result.stderr
    report = json.loads(figures.read_text())
    assert set(report["cameras"]) == {"front", "rear"}
    assert report["frames"] == sum(camera["frames"] for camera in report["cameras"].values())
    for name, size in (("front", (320, 180)), ("rear", (200, 120))):
        with av.open(str(tmp_path / f"o.{name}.mp4")) as video:
            assert (video.streams.video[0].width, video.streams.video[0].height) == size
    assert {json.loads(line)["camera"]["name"] for line in scenes.read_text().splitlines()} == {"front", "rear"}


def test_cameras_may_be_in_the_configuration_file(tmp_path: Path):
    (tmp_path / "run.toml").write_text(
        'duration = 1.0\n[[cameras]]\nname = "front"\nuri = "synthetic://drive?size=200x120"\nflip = "rotate-180"\n'
    )
    scenes = tmp_path / "s.jsonl"
    result = clearway("live", scenes, "--config", tmp_path / "run.toml", "--quiet")
    assert result.returncode == 0, result.stderr
    assert {json.loads(line)["camera"]["name"] for line in scenes.read_text().splitlines()} == {"front"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no camera is named"),
        (["gopher://camera"], "no camera is known by gopher://"),
        (["nothing.mp4"], "no such file or camera"),
        (["front=0", "front=1"], "two cameras are called 'front'"),
        ([DRIVE, "out.xyz"], "out.xyz"),
        ([DRIVE, "--max-age-ms", "0"], "max_age_ms"),
        ([DRIVE, "--duration", "-1"], "duration"),
        ([DRIVE, "--web", "nonsense:port"], "nonsense:port"),
        ([DRIVE, "--web", "0.0.0.0:8080"], "token"),
        ([DRIVE, "--record", "/proc/nowhere"], "/proc/nowhere"),
        ([DRIVE, "s.jsonl", "--json", "s.jsonl"], "would replace the input or another output"),
        (["drive.mp4?loop", "--json", "drive.mp4"], "would replace the input or another output"),
        ([DRIVE, "--decode", "nvdec"], "NVDEC cannot be used"),
        (["rtsp://127.0.0.1:1/x", "--duration", "1"], "no camera gave a picture: rtsp://127.0.0.1:1/x"),
        (["rtsp://127.0.0.1:1/x", "--give-up-after", "0.5"], "Connection refused"),
    ],
)
def test_bad_input_gives_one_clear_line_and_exit_code_2(arguments: list[str], complaint: str, tmp_path: Path):
    (tmp_path / "drive.mp4").write_bytes(b"kept")
    result = clearway("live", *arguments, "--quiet", cwd=tmp_path)
    assert (tmp_path / "drive.mp4").read_bytes() == b"kept"
    lines = result.stderr.strip().splitlines()
    assert (result.returncode, len(lines)) == (2, 1), result.stderr
    assert lines[0].startswith("clearway: error: ")
    assert complaint in lines[0]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_well(sent: signal.Signals, code: int, tmp_path: Path):
    overlay, scenes, figures = (tmp_path / name for name in ("o.mp4", "s.jsonl", "f.json"))
    command = [sys.executable, PROJECT / "launch.py", "live", DRIVE, overlay, scenes, "--json", figures, "--quiet"]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while '"live"' not in (scenes.read_text() if scenes.exists() else "") and time.monotonic() < deadline_s:
            time.sleep(0.05)
        process.send_signal(sent)
        try:
            _, complaint = process.communicate(timeout=60)
        finally:
            process.kill()  # where Ctrl-C is ignored, as programs inherit it, this would wait without end
    assert process.returncode == code, complaint
    assert "Traceback" not in complaint
    assert json.loads(figures.read_text())["frames"] > 0
    with av.open(str(overlay)) as video:
        assert sum(1 for _ in video.decode(video=0)) > 0
