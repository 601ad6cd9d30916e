"""The measuring itself, on a device of host memory: everything is called and comes out in the right place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.nvidia import parity, speed
from engines.artifact import find_model, load_artifact
from engines.cuda.device import Stream
from engines.factory import open_engine
from engines.kernels import Feed, PictureFormat
from tests.engines.kernels.host import HostKernels, compile_kernels
from tests.engines.kernels.host_device import HostDevice
from tests.engines.kernels.test_picture_path import HostNetwork


class WallTimer:
    def measure_ms(self, stream: Stream, work: Callable[[Stream], None]) -> float:
        started_s = time.perf_counter()
        work(stream)
        stream.synchronize()
        return (time.perf_counter() - started_s) * 1e3


@pytest.fixture(scope="module")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> HostKernels:
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the kernels with")
    return HostKernels(compile_kernels(tmp_path_factory.mktemp("kernels")))


def test_every_figure_is_measured(host_kernels: HostKernels, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "_COPY_BYTES", 1 << 20)
    monkeypatch.setattr(speed, "_WARM_UPS", 1)
    device = HostDevice(host_kernels)
    artifact = load_artifact(find_model("clearway-lite"))
    with open_engine(artifact, "onnxruntime", size_hw=(64, 96), threads=1) as engine:
        feed = Feed(PictureFormat("bgr", (128, 192)), (64, 96), engine.spec.output_shape[2:])
        pictures = [(np.full((128, 192, 3), value, np.uint8),) for value in (50, 200)]
        found = speed.measure_speed("it", device, HostNetwork(engine), engine.spec, feed, pictures, WallTimer(), 5)
    assert not device.held
    for durations in (found.bare_engine, found.letterbox, found.class_map, found.latency):
        assert durations.count == 5
        assert 0 < durations.median_ms <= durations.p99_ms
    assert list(found.device_laps) == ["upload", "letterbox", "inference", "class map", "download"]
    laps_ms = [durations.median_ms for durations in found.device_laps.values()]
    assert laps_ms == [1, 1, 1, 2, 1]  # this device's clock: one a copy, a kernel, a network
    assert found.device_total is not None
    assert found.device_total.median_ms == sum(laps_ms)
    assert found.laps_over_total == 1
    assert found.timed_latency is not None
    assert found.timed_latency.count == 5
    assert found.without_decode_fps > 0
    assert found.overlap_efficiency > 0
    moved = (128 * 192 * 3 + 4 * 3 * 64 * 96) / (128 * 192 + 4 * 16 * 24 + 4 * 11 * 16 * 24)
    assert found.letterbox_floor_ms / found.class_map_floor_ms == pytest.approx(moved)


def test_peers_that_cannot_run_here_are_said():
    artifact = load_artifact(find_model("clearway-lite"))
    found, notes = speed.measure_peers(artifact, (64, 96), 3)
    assert len(found) + len(notes) == 3
    assert all("did not run: " in note for note in notes)


def test_parity_tells_a_faithful_engine_from_one_that_cannot_run():
    artifact = load_artifact(find_model("clearway-lite"))
    frames = parity.frames_of(["synthetic://drive?frames=21&seed=2&size=320x184"], 3)
    assert len(frames) == 3
    reference = parity.reference_of(artifact, frames, (184, 320))
    faithful = parity.compare(artifact, "openvino", "fp32", reference)
    assert faithful.ran
    assert faithful.pictures == 3
    assert faithful.agreement >= 0.999
    assert 0 < faithful.mean_error < faithful.max_error < 1e-2
    assert parity.compare(artifact, "onnxruntime", "fp32", reference).max_error == 0
    refused = parity.compare(artifact, "onnxruntime", "bf16", reference)
    assert refused.verdict == "did not run"
    assert "bf16" in refused.description


def test_parity_tells_another_network():
    """The logits of a mirrored picture are those of another picture: far from every target."""
    artifact = load_artifact(find_model("clearway-lite"))
    frames = parity.frames_of(["synthetic://drive?frames=1&seed=2&size=320x184"], 1)
    reference = parity.reference_of(artifact, frames, (184, 320))
    reference.tensors[0] = np.ascontiguousarray(reference.tensors[0][:, :, :, ::-1])
    assert parity.compare(artifact, "onnxruntime", "fp32", reference).verdict == "FAILED"
