"""The command line as a user meets it: real processes, real files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import pytest

from tests.pipeline.recordings import numbered_picture, write_video

PROJECT = Path(__file__).resolve().parents[2]


def clearway(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "launch.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [numbered_picture(number) for number in range(40)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", pictures)


def test_replay_writes_every_output_with_one_scene_a_frame(clip: Path, tmp_path: Path):
    overlay, scenes, masks, figures = (tmp_path / name for name in ("o.mp4", "s.jsonl", "masks", "f.json"))
    result = clearway("replay", clip, overlay, scenes, f"{masks}/", "--json", figures)
    assert result.returncode == 0, result.stderr
    assert "40 scenes from 40 frames, 0 dropped" in result.stderr
    with av.open(str(overlay)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 40
    lines = [json.loads(line) for line in scenes.read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(40))
    pictures = sorted(masks.glob("*.png"))
    assert len(pictures) == 40
    assert cv2.imread(str(pictures[0]), cv2.IMREAD_UNCHANGED).shape == (96, 160)
    report = json.loads(figures.read_text())
    assert (report["frames"], report["dropped"], report["model"]) == (40, 0, "clearway-lite")
    assert report["fps"] > 0
    for stage in ("decode", "preprocess", "engine", "postprocess", "overlay"):
        assert set(report["timings_ms"][stage]) >= {"p50", "p95", "p99"}


def test_outputs_may_stand_before_and_after_flags(clip: Path, tmp_path: Path):
    scenes, masks = tmp_path / "s.jsonl", tmp_path / "masks"
    assert clearway("replay", "--quiet", clip, scenes, "--end", 0.2, f"{masks}/").returncode == 0
    assert len(scenes.read_text().splitlines()) == len(list(masks.glob("*.png"))) == 5


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_engine_can_be_chosen(clip: Path, tmp_path: Path, engine: str):
    figures = tmp_path / "figures.json"
    assert clearway("replay", clip, "--engine", engine, "--json", figures, "--quiet").returncode == 0
    assert engine in json.loads(figures.read_text())["engine"].lower().replace(" ", "")


def test_start_and_end_choose_a_span(clip: Path, tmp_path: Path):
    scenes = tmp_path / "scenes.jsonl"
    assert clearway("replay", clip, scenes, "--start", 0.4, "--end", 0.8, "--quiet").returncode == 0
    times_s = [json.loads(line)["source_time_s"] for line in scenes.read_text().splitlines()]
    assert times_s == pytest.approx([0.4 + index / 25 for index in range(10)], abs=1e-3)


def test_pace_takes_as_long_as_the_recording(clip: Path, tmp_path: Path):
    figures = tmp_path / "figures.json"
    assert clearway("replay", clip, "--pace", "--json", figures, "--quiet").returncode == 0
    assert json.loads(figures.read_text())["elapsed_s"] > 1.3  # the last of 40 frames is shown at 1.56 s


def test_flags_override_the_configuration_file(clip: Path, tmp_path: Path):
    (tmp_path / "run.toml").write_text('engine = "onnxruntime"\nend = 0.2\n')
    figures = tmp_path / "figures.json"
    result = clearway("replay", clip, "--config", tmp_path / "run.toml", "--engine", "openvino", "--json", figures)
    assert result.returncode == 0
    report = json.loads(figures.read_text())
    assert report["frames"] == 5
    assert "openvino" in report["engine"].lower()


def bad_inputs(clip: Path, folder: Path) -> dict[str, tuple[list[object], str]]:
    """What users do wrong: arguments, and what the one line must say."""
    (folder / "empty").mkdir()
    (folder / "notes.mp4").write_text("no video\n" * 50)
    (folder / "half.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    (folder / "zero.mp4").write_bytes(b"")
    (folder / "damaged.onnx").write_bytes(b"\x08\x07\x12\x04")
    (folder / "file").write_text("")
    (folder / "bad.toml").write_text("modle = 'x'\n")
    return {
        "missing file": ([folder / "nothing.mp4"], "no such file"),
        "folder without images": ([folder / "empty"], "no images"),
        "text named mp4": ([folder / "notes.mp4"], "not a video"),
        "half an mp4": ([folder / "half.mp4"], "not a video"),
        "empty file": ([folder / "zero.mp4"], "not a video"),
        "unknown scheme": (["gopher://camera"], "not known"),
        "unknown output": ([clip, folder / "out.xyz"], "out.xyz"),
        "output under a file": ([clip, folder / "file" / "out.mp4"], "out.mp4"),
        "output is the input": ([clip, clip], "is the source itself"),
        "same output twice": ([clip, folder / "a.jsonl", folder / "a.jsonl"], "more than once"),
        "damaged model": ([clip, "--model", folder / "damaged.onnx"], "damaged.onnx"),
        "unknown model": ([clip, "--model", "resnet"], "resnet"),
        "unknown key": ([clip, "--config", folder / "bad.toml"], "did you mean 'model'"),
        "nothing in the span": ([clip, "--start", 100], "holds no frames between 100 s and its end"),
        "negative start": ([clip, "--start", -1], "start"),
        "unwritable figures": ([clip, "--json", folder / "file" / "f.json"], "f.json"),
        "figures over the recording": ([clip, "--json", clip], "would replace the input"),
        "figures over an output": ([clip, folder / "b.jsonl", "--json", folder / "b.jsonl"], "would replace the input"),
        "unknown synthetic option": (["synthetic://drive?wheels=3"], "wheels"),
    }


def test_bad_input_gives_one_clear_line_and_exit_code_2(clip: Path, tmp_path: Path):
    for name, (arguments, expected) in bad_inputs(clip, tmp_path).items():
        result = clearway("replay", *arguments, "--quiet")
        lines = result.stderr.strip().splitlines()
        assert result.returncode == 2, f"{name}: {result.returncode} {result.stderr}"
        assert len(lines) == 1, f"{name}: {result.stderr}"
        assert lines[0].startswith("clearway: error: "), name
        assert expected in lines[0], f"{name}: {lines[0]}"


def test_a_recording_cut_short_keeps_every_frame_it_had(tmp_path: Path):
    pictures = [cv2.randu(numbered_picture(0), 0, 255) for _ in range(60)]
    path = write_video(tmp_path / "cut.mp4", pictures, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    overlay, scenes = tmp_path / "overlay.mp4", tmp_path / "scenes.jsonl"
    result = clearway("replay", path, overlay, scenes, "--quiet")
    assert result.returncode == 2
    assert "is cut short" in result.stderr
    written = len(scenes.read_text().splitlines())
    with av.open(str(overlay)) as video:
        assert sum(1 for _ in video.decode(video=0)) == written > 15


def test_a_change_of_size_midway_keeps_the_frames_before(tmp_path: Path):
    small = write_video(tmp_path / "small.ts", [numbered_picture(1)] * 12).read_bytes()
    large = write_video(tmp_path / "large.ts", [numbered_picture(1, (128, 192))] * 12).read_bytes()
    (tmp_path / "joined.ts").write_bytes(small + large)
    overlay, scenes = tmp_path / "overlay.mp4", tmp_path / "scenes.jsonl"
    result = clearway("replay", tmp_path / "joined.ts", overlay, scenes, "--quiet")
    assert result.returncode == 2
    assert "size changes from 160x96 to 192x128 at frame 12" in result.stderr
    assert len(scenes.read_text().splitlines()) == 12
    with av.open(str(overlay)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 12


def test_a_full_disk_keeps_what_fitted_and_the_other_outputs(tiny_disk: Path, tmp_path: Path):
    overlay, scenes = tiny_disk / "overlay.mp4", tmp_path / "scenes.jsonl"
    result = clearway("replay", "synthetic://drive?frames=400&seed=1&size=640x360", overlay, scenes, "--quiet")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "overlay.mp4" in result.stderr
    assert "space" in result.stderr
    lines = [json.loads(line) for line in scenes.read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    with av.open(str(overlay)) as video:
        assert 0 < sum(1 for _ in video.decode(video=0)) <= len(lines) + 8


def test_an_interrupt_leaves_finished_outputs(tmp_path: Path):
    overlay, scenes = tmp_path / "overlay.mp4", tmp_path / "scenes.jsonl"
    command = [sys.executable, PROJECT / "launch.py", "replay", "synthetic://drive?frames=100000", overlay, scenes]
    with subprocess.Popen([*map(str, command), "--quiet"], stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while not (scenes.exists() and scenes.stat().st_size) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in complaint
    assert "Traceback" not in complaint
    written = len([json.loads(line) for line in scenes.read_text().splitlines()])
    with av.open(str(overlay)) as video:
        assert sum(1 for _ in video.decode(video=0)) == written > 0


def test_help_and_version_import_no_heavy_library():
    check = (
        "import sys; sys.argv = ['clearway', '--help']\n"
        "from pipeline.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'cv2', 'av', 'numba', 'openvino', 'onnxruntime', 'rich'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "replay" in result.stdout


def test_a_strangers_package_of_the_same_name_is_refused(tmp_path: Path):
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "__init__.py").touch()
    check = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\nfrom pipeline.cli import main\nsys.exit(main(['replay']))"
    result = subprocess.run([sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "'calibration' was found in" in result.stderr
