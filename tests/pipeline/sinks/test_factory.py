"""What the user names as an output, and what becomes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ClearwayError, ConfigError, SinkError
from pipeline.sinks import Sink, open_sink

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("output", "kind", "needs_overlay"),
    [
        ("overlay.mp4", "VideoSink", True),
        ("OVERLAY.MKV", "VideoSink", True),
        ("new/folder/overlay.mov", "VideoSink", True),
        ("scenes.jsonl", "JsonlSink", False),
        ("masks/", "MasksSink", False),
        ("masks", "MasksSink", False),
        ("run.1/", "MasksSink", False),
        ("existing.d", "MasksSink", False),
    ],
)
def test_the_name_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, kind: str, needs_overlay: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("existing.d").mkdir()
    sink: Sink = open_sink(output)
    sink.close()
    assert type(sink).__name__ == kind
    assert (sink.name, sink.needs_overlay, sink.on_main_thread) == (output, needs_overlay, False)


@pytest.mark.parametrize("output", ["overlay.avi", "scenes.json", "rtsp://127.0.0.1/live", "screen://", "", " "])
def test_an_unknown_kind_is_answered_with_the_known_ones(output: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.mp4.*x\.jsonl.*masks/.*display://") as raised:
        open_sink(output)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("output", ["file/overlay.mp4", "file/scenes.jsonl", "file/masks/", "file", "folder.mp4"])
def test_an_output_that_cannot_be_written_says_so_at_once(tmp_path: Path, output: str) -> None:
    (tmp_path / "file").write_text("I am no folder")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(SinkError, match=r"cannot (write|create)") as raised:
        open_sink(str(tmp_path / output))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("drive.mp4", "./drive.mp4"),
        ("images", "images/"),
        ("images/*.jpg", "images"),
        ("images/a.png", "images/"),
    ],
)
def test_the_source_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    for file in ("drive.mp4", "images/a.png"):
        Path(file).write_bytes(b"precious")
    with pytest.raises(ConfigError, match="source"):
        open_sink(output, source=source)
    assert Path("drive.mp4").read_bytes() == Path("images/a.png").read_bytes() == b"precious"


def test_outputs_beside_the_source_are_welcome(tmp_path: Path) -> None:
    source = tmp_path / "drive.mp4"
    source.write_bytes(b"precious")
    for output in (f"{tmp_path}/overlay.mp4", f"{tmp_path}/masks/", f"{tmp_path}/"):
        open_sink(output, source=str(source)).close()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["drive.mp4"]


def test_naming_one_file_twice_is_a_mistake(tmp_path: Path) -> None:
    first = open_sink(str(tmp_path / "overlay.mp4"))
    with pytest.raises(ClearwayError, match="another output is writing the same file"):
        open_sink(str(tmp_path / "." / "overlay.mp4"))
    first.close()


def test_importing_the_factory_imports_no_heavy_library() -> None:
    code = "import sys, pipeline.sinks; print([name for name in ('av', 'cv2', 'numba') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout.strip() == "[]"
