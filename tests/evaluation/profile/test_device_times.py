"""The GPU's own time in a profile: apart from wall and CPU time, or said to be missing."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engines.base import DeviceLap, DeviceLaps
from engines.cuda.presence import why_no_gpu
from evaluation.profile.recorder import Recorder
from pipeline.cli import main
from tests.engines.tensorrt.simulated_gpu import KERNEL_MS, SimulatedGpu
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt
from tests.pipeline.recordings import numbered_picture, write_video

pytestmark = pytest.mark.skipif(why_no_gpu() is None, reason="the GPU is simulated here, and this machine has one")

STAGES = ["upload", "inference", "download"]


@pytest.fixture
def profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Profiles a short clip on an engine of a GPU that is not there."""
    clip = write_video(tmp_path / "clip.mp4", [numbered_picture(number) for number in range(40)])
    monkeypatch.setenv("CLEARWAY_CACHE", str(tmp_path / "cache"))
    gpu = SimulatedGpu()
    library = SimulatedTensorRt(gpu).library()
    monkeypatch.setattr("engines.tensorrt.engine.gpu_and_library", lambda: (gpu, library))
    monkeypatch.setattr("engines.ort_cuda_engine.why_no_gpu", lambda: None)
    monkeypatch.setattr("engines.ort_cuda_engine._PROVIDER", "CPUExecutionProvider")

    def profile(engine: str, *more: str) -> dict[str, Any]:
        outputs = ("--json", tmp_path / "profile.json", "--trace", tmp_path / "trace.json", "--report", tmp_path)
        options = ("--engine", engine, "--precision", "fp32", "--size", "48x80", "--duration", "0.5", *more)
        assert main(["profile", str(clip), *options, *map(str, outputs)]) == 0
        figures: dict[str, Any] = json.loads((tmp_path / "profile.json").read_text())
        return figures

    return profile


@pytest.mark.parametrize("batch", [1, 2])
def test_it_stands_apart_in_figures_table_page_and_trace(profiled: Any, tmp_path: Path, capsys: Any, batch: int):
    figures = profiled("tensorrt", "--batch", str(batch))
    said = "".join(capsys.readouterr())
    assert list(figures["device_ms"]) == STAGES
    assert not set(figures["timings_ms"]) & set(STAGES)
    assert figures["device_ms"]["inference"]["p50"] == pytest.approx(KERNEL_MS / batch, rel=0.01)
    assert all(row["p50"] <= row["p95"] <= row["p99"] <= row["max"] * 1.01 for row in figures["device_ms"].values())
    assert figures["device_clock"].startswith("CUDA events")
    assert all(f"GPU: {stage}" in said for stage in STAGES)
    page = (tmp_path / "index.html").read_text()
    assert "On the GPU" in page
    assert "inference</td>" in page
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    slices = defaultdict(list)
    for event in events:
        if event["ph"] == "X" and tracks[event["tid"]].startswith("GPU, "):
            slices[tracks[event["tid"]]].append(event)
    assert {track: {event["name"] for event in own} for track, own in slices.items()} == {
        "GPU, upload": {"upload"}, "GPU, compute": {"inference"}, "GPU, download": {"download"},
    }  # fmt: skip
    frames = sum(event["ph"] == "X" and "age_ms" in event["args"] for event in events)
    for own in slices.values():
        assert len(own) * batch == frames, "nothing of the warm-up"
        for event, following in pairwise(own):
            assert event["ts"] + event["dur"] <= following["ts"] + 0.2


@pytest.mark.parametrize(
    ("engine", "clock"), [("onnxruntime-cuda", "not measured: ONNX Runtime does not tell it"), ("onnxruntime", "")]
)
def test_where_no_engine_tells_it_there_is_none(profiled: Any, tmp_path: Path, capsys: Any, engine: str, clock: str):
    """Of a GPU's engine that is said in words; of a processor's there is nothing to say."""
    figures = profiled(engine)
    assert figures["device_ms"] == {}
    assert figures["device_clock"].endswith(clock)
    for text in ("".join(capsys.readouterr()), (tmp_path / "index.html").read_text()):
        assert ("not measured: ONNX" in " ".join(text.split())) is bool(clock)


def test_each_picture_of_a_batch_has_its_share():
    recorder = Recorder()
    recorder.count_device(DeviceLaps((DeviceLap("upload", 0.0, 1.0), DeviceLap("inference", 2.0, 6.0)), 8.0, 3, 100.0))
    table = recorder.device.table()
    assert table["inference"]["p50"] == pytest.approx(2.0, rel=0.01)
    assert recorder.table() == {}
    assert [(span.thread, span.ended_s) for span in recorder.device_spans] == [
        ("GPU, upload", pytest.approx(100.001)), ("GPU, compute", pytest.approx(100.008)),
    ]  # fmt: skip
