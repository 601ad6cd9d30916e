"""Pictures up, class maps down, with a real network in between (ONNX Runtime on host memory), against `Perception`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.base import DeviceLaps, Engine
from engines.cuda.device import Stream
from engines.errors import EngineError
from engines.factory import open_engine
from engines.kernels import Feed, PictureFormat, PicturePath
from pipeline.perception import Perception
from pipeline.postprocess import Postprocessor
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame
from pipeline.sources import open_source
from pipeline.timings import StageTimings
from tests.engines.kernels.host import HostKernels
from tests.engines.kernels.host_device import HostDevice

AGREEMENT = 0.9999
"""Tensors differ by rounding in the seventh digit, so that a pixel on a border of classes may tip."""


class HostNetwork:
    """An engine of ours that reads and writes where a GPU's would."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._input = np.empty(engine.spec.input_shape, np.float32)
        self._output = np.empty(engine.spec.output_shape, np.float32)
        self.input_address, self.output_address = self._input.ctypes.data, self._output.ctypes.data

    def enqueue(self, stream: Stream) -> None:
        def infer() -> None:
            self._output[:] = self._engine.infer(self._input)

        stream.add(infer)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def open_network() -> Any:
    """Opens the shipped network at some size and batch; closes all in the end."""
    opened: list[Engine] = []

    def open_at(size_hw: tuple[int, int], batch: int = 1) -> Engine:
        artifact = load_artifact(find_model("clearway-lite"))
        opened.append(open_engine(artifact, "onnxruntime", size_hw=size_hw, batch=batch, precision="fp32", threads=2))
        return opened[-1]

    yield open_at
    for engine in opened:
        engine.close()


def feed_of(engine: Engine, frame: Frame, layout: str) -> Feed:
    preprocessor = Preprocessor(engine.spec)
    matrix, full_range = ("bt709", False) if frame.planes is None else (frame.planes.matrix, frame.planes.full_range)
    picture = PictureFormat(layout, frame.size_hw, 0, 0, matrix, full_range)  # type: ignore[arg-type]
    return Feed(picture, preprocessor.content_size_hw(frame.size_hw), preprocessor.grid_size_hw(frame.size_hw))


def samples_of(frame: Frame, layout: str) -> tuple[np.ndarray, ...]:
    if layout == "bgr":
        return (frame.image,)
    assert frame.planes is not None
    return frame.planes.y, frame.planes.u, frame.planes.v


def drive(count: int, size: str = "320x180") -> Sequence[Frame]:
    source = open_source(f"synthetic://drive?frames={count}&seed=4&size={size}")
    frames = list(source.frames())
    source.close()
    return frames


@pytest.mark.parametrize("seed", range(3))
def test_double_buffered_pictures_come_out_in_order_and_as_on_the_cpu(
    host_kernels: HostKernels, open_network: Callable[..., Engine], seed: int
):
    engine = open_network((176, 320))
    frames = drive(6)
    device = HostDevice(host_kernels, seed)
    perception = Perception(engine, StageTimings())
    expected = [perception.see(frame).segmentation for frame in frames]
    results = []
    with PicturePath(device, HostNetwork(engine), engine.spec, [feed_of(engine, frames[0], "bgr")]) as path:
        for frame in frames:
            if path.in_flight == 2:
                results.append([np.copy(part.class_ids) for part in path.collect()])
            image = frame.image.copy()
            path.submit([(image,)])
            image[:] = 0  # the caller's array is its own again
        while path.in_flight:
            results.append([np.copy(part.class_ids) for part in path.collect()])
    assert len(results) == len(frames)
    for (class_ids,), segmentation in zip(results, expected, strict=True):
        assert (class_ids == segmentation.class_ids).mean() >= AGREEMENT
    assert not device.held


@pytest.mark.parametrize("seed", range(3))
def test_every_part_is_timed_and_two_in_flight_keep_their_own_times(
    host_kernels: HostKernels, open_network: Callable[..., Engine], seed: int
):
    """One millisecond a copy, a kernel and a network, on each stream's own clock."""
    engine = open_network((176, 320), 2)
    device, frames, found = HostDevice(host_kernels, seed), drive(6), list[DeviceLaps]()
    feed = feed_of(engine, frames[0], "bgr")
    with PicturePath(device, HostNetwork(engine), engine.spec, [feed, feed], found.append) as path:
        for pair in zip(frames[::2], frames[1::2], strict=True):
            if path.in_flight == 2:
                path.collect()
            path.submit([(frame.image,) for frame in pair])
        while path.in_flight:
            path.collect()
    assert len(found) == 3
    for laps in found:
        assert laps.pictures == 2
        assert {lap.stage: lap.duration_ms for lap in laps.laps} == {
            "upload": 2, "letterbox": 2, "inference": 1, "class map": 4, "download": 2,
        }  # fmt: skip
        assert sum(lap.duration_ms for lap in laps.laps) <= laps.total_ms
        for lap, following in pairwise(laps.laps):
            assert lap.began_ms + lap.duration_ms <= following.began_ms
    assert found[0].total_ms == 11
    assert found[1].total_ms > 11, "it went up while the one before was computed, and waited"
    assert not device.held


def test_a_result_stays_until_the_next_is_collected(host_kernels: HostKernels, open_network: Callable[..., Engine]):
    engine = open_network((176, 320))
    frames = drive(4)
    with PicturePath(
        HostDevice(host_kernels), HostNetwork(engine), engine.spec, [feed_of(engine, frames[0], "bgr")]
    ) as path:
        for frame in frames[:2]:
            path.submit([(frame.image,)])
        (first,) = path.collect()
        before = first.class_ids.copy()
        path.submit([(frames[2].image,)])
        np.testing.assert_array_equal(first.class_ids, before)
        with pytest.raises(EngineError, match="2 are in flight"):
            path.submit([(frames[3].image,)])
        assert path.in_flight == 2


@pytest.mark.data
@pytest.mark.parametrize("layout", ["i420", "nv12"])
def test_frames_of_a_real_drive(
    host_kernels: HostKernels, open_network: Callable[..., Engine], driving_data: Path, layout: str
):
    source = open_source(str(driving_data / "clips" / "udacity_solidWhiteRight.mp4"))
    frame = next(iter(source.frames()))
    source.close()
    engine = open_network((360, 640))
    expected = Perception(engine, StageTimings()).see(frame).segmentation
    path = PicturePath(HostDevice(host_kernels), HostNetwork(engine), engine.spec, [feed_of(engine, frame, layout)])
    (result,) = path.classify([samples_of(frame, layout)])
    assert (result.class_ids == expected.class_ids).mean() >= AGREEMENT
    postprocessor = Postprocessor(engine.spec.classes, confidence=engine.spec.confidence)
    segmentation, _, _ = postprocessor.process_classes(frame, result.class_ids, result.confidence)
    np.testing.assert_allclose(segmentation.grid_confidence, expected.grid_confidence, atol=1e-3)
    path.close()


def test_cameras_of_different_sizes_share_a_batch(host_kernels: HostKernels, open_network: Callable[..., Engine]):
    engine = open_network((176, 320), 2)
    alone = open_network((176, 320))
    frames = [drive(1)[0], drive(1, "240x240")[0]]
    feeds = [feed_of(engine, frame, "bgr") for frame in frames]
    assert feeds[1].content_hw == (176, 176)
    path = PicturePath(HostDevice(host_kernels), HostNetwork(engine), engine.spec, feeds)
    results = path.classify([(frame.image,) for frame in frames])
    perception = Perception(alone, StageTimings())
    for frame, result in zip(frames, results, strict=True):
        assert (result.class_ids == perception.see(frame).segmentation.class_ids).mean() >= AGREEMENT
    path.close()
    path.close()


def test_no_pictures_at_all_are_refused(host_kernels: HostKernels, open_network: Callable[..., Engine]):
    engine = open_network((176, 320))
    device = HostDevice(host_kernels)
    with pytest.raises(EngineError, match="1 pictures at once, not for 0"):
        PicturePath(device, HostNetwork(engine), engine.spec, [])
    assert not device.held


def test_kernels_that_do_not_load_are_said_at_once(
    host_kernels: HostKernels, open_network: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
):
    engine = open_network((176, 320))
    device = HostDevice(host_kernels)

    def refuse(image: bytes) -> None:
        raise EngineError("the GPU failed: device kernel image is invalid")

    monkeypatch.setattr(device, "load", refuse)
    with pytest.raises(EngineError, match="letterbox kernels cannot be loaded"):
        PicturePath(device, HostNetwork(engine), engine.spec, [feed_of(engine, drive(1)[0], "bgr")])
    assert not device.held


def test_when_memory_runs_out_half_way_all_is_given_back(
    host_kernels: HostKernels, open_network: Callable[..., Engine]
):
    engine = open_network((176, 320))
    feed = feed_of(engine, drive(1)[0], "bgr")
    device = HostDevice(host_kernels, room_bytes=500_000)
    with pytest.raises(EngineError, match="not enough memory"):
        PicturePath(device, HostNetwork(engine), engine.spec, [feed])
    assert not device.held
    assert not device.is_active


@pytest.mark.parametrize("kernel", ["letterbox_f32", "class_map_f32"])
def test_a_gpu_that_fails_is_said_and_everything_still_closes(
    host_kernels: HostKernels, open_network: Callable[..., Engine], kernel: str
):
    engine = open_network((176, 320))
    frame = drive(1)[0]
    device = HostDevice(host_kernels)
    path = PicturePath(device, HostNetwork(engine), engine.spec, [feed_of(engine, frame, "bgr")])
    device.fails_on = kernel
    with pytest.raises(EngineError, match="illegal memory access"):
        path.classify([(frame.image,)])
    path.close()
    assert not device.is_active
    with pytest.raises(EngineError, match="closed"):
        path.submit([(frame.image,)])


def test_ctypes_writes_where_numpy_reads():
    """What the host device stands on."""
    array, other = np.arange(4, dtype=np.uint8), np.zeros(4, np.uint8)
    ctypes.memmove(other.ctypes.data, array.ctypes.data, 4)
    np.testing.assert_array_equal(other, array)
