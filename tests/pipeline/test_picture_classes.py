"""Perception on an engine that takes pictures: the same scenes, from planes and pictures, and nothing left behind.

The GPU is host memory, with kernels compiled by g++; the network is real.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.base import Engine
from engines.kernels import Feed, PicturePath
from engines.ort_engine import OnnxRuntimeEngine
from pipeline.perception import Perception
from pipeline.picture_classes import PictureClasses
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame, Scene, YuvPlanes
from pipeline.sources import open_source
from pipeline.timings import StageTimings
from tests.engines.kernels.host import HostKernels, compile_kernels
from tests.engines.kernels.host_device import HostDevice
from tests.engines.kernels.test_picture_path import HostNetwork

SIZE_HW = (176, 320)


class PictureEngineOnHost(OnnxRuntimeEngine):
    """ONNX Runtime with a picture path on host memory."""

    takes_pictures = True

    def __init__(self, device: HostDevice) -> None:
        super().__init__(load_artifact(find_model("clearway-lite")), SIZE_HW, threads=2)
        self.device = device
        self.opened = 0

    def picture_path(self, feeds: Sequence[Feed]) -> PicturePath:
        self.opened += 1
        return PicturePath(self.device, HostNetwork(self), self.spec, feeds)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> HostKernels:
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the kernels with")
    return HostKernels(compile_kernels(tmp_path_factory.mktemp("kernels")))


@pytest.fixture
def engine(host_kernels: HostKernels) -> Iterator[PictureEngineOnHost]:
    engine = PictureEngineOnHost(HostDevice(host_kernels))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def on_cpu() -> Iterator[Perception]:
    engine: Engine = OnnxRuntimeEngine(load_artifact(find_model("clearway-lite")), SIZE_HW, threads=2)
    with Perception(engine, StageTimings()) as perception:
        yield perception


def drive(count: int, size: str = "320x180") -> list[Frame]:
    source = open_source(f"synthetic://drive?frames={count}&seed=4&size={size}")
    frames = list(source.frames())
    source.close()
    return frames


def with_planes(frame: Frame) -> Frame:
    height, width = frame.size_hw
    i420 = cv2.cvtColor(frame.image, cv2.COLOR_BGR2YUV_I420)
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    planes = YuvPlanes(i420[:height], chroma[0], chroma[1], "bt601", full_range=False)
    return Frame(frame.index, 0.0, 0.0, frame.size_hw, frame.to_bgr, planes=planes)


def assert_same(scene: Scene, expected: Scene) -> None:
    assert (scene.segmentation.class_ids == expected.segmentation.class_ids).mean() >= 0.9999
    np.testing.assert_allclose(scene.segmentation.grid_confidence, expected.segmentation.grid_confidence, atol=1e-3)
    assert scene.drivable.area_px == pytest.approx(expected.drivable.area_px, rel=1e-3)
    assert [user.class_name for user in scene.road_users] == [user.class_name for user in expected.road_users]


@pytest.mark.parametrize("planar", [False, True])
def test_scenes_are_those_of_the_cpu(engine: PictureEngineOnHost, on_cpu: Perception, planar: bool):
    frames = [with_planes(frame) if planar else frame for frame in drive(3)]
    with Perception(engine, StageTimings()) as perception:
        scenes = [perception.see(frame) for frame in frames]
    for scene, frame in zip(scenes, frames, strict=True):  # compared late: earlier scenes own what they hold
        assert_same(scene, on_cpu.see(frame))
    assert engine.opened == 1
    assert not engine.device.held


def test_the_stages_are_counted(engine: PictureEngineOnHost):
    timings = StageTimings()
    with Perception(engine, timings) as perception:
        perception.warm_up((180, 320))
        scene = perception.see(drive(1)[0])
    assert set(scene.timings_ms) == {"engine", "postprocess"}
    assert set(timings.table()) == {"engine", "postprocess"}


def test_pictures_of_many_formats_keep_a_few_paths_open(engine: PictureEngineOnHost, on_cpu: Perception):
    frames = [drive(1, f"{width}x{width * 9 // 16 // 2 * 2}")[0] for width in (160, 192, 224, 256, 288, 320)]
    with Perception(engine, StageTimings()) as perception:
        for frame in (*frames, frames[-1]):
            assert_same(perception.see(frame), on_cpu.see(frame))
        assert engine.opened == len(frames)
        per_path = len(engine.device.held) / 4
        assert per_path == int(per_path)
    assert not engine.device.held


def test_an_engine_whose_kernels_do_not_load_is_used_as_any_other(engine: PictureEngineOnHost, on_cpu: Perception):
    engine.takes_pictures = False
    frame = drive(1)[0]
    with Perception(engine, StageTimings()) as perception:
        assert_same(perception.see(frame), on_cpu.see(frame))
    assert engine.opened == 0


@pytest.mark.data
def test_a_real_drive(engine: PictureEngineOnHost, on_cpu: Perception, driving_data: Path):
    source = open_source(str(driving_data / "clips" / "udacity_solidWhiteRight.mp4"))
    frames = [frame for frame, _ in zip(source.frames(), range(3), strict=False)]
    source.close()
    with Perception(engine, StageTimings()) as perception:
        for frame in frames:
            assert_same(perception.see(frame), on_cpu.see(frame))


def test_fewer_frames_than_the_engine_takes_are_welcome(host_kernels: HostKernels, on_cpu: Perception):
    artifact = load_artifact(find_model("clearway-lite"))
    device = HostDevice(host_kernels)
    with OnnxRuntimeEngine(artifact, SIZE_HW, 3, threads=2) as batched:

        class Batched:
            spec = batched.spec

            def picture_path(self, feeds: Sequence[Feed]) -> PicturePath:
                return PicturePath(device, HostNetwork(batched), batched.spec, feeds)  # type: ignore[arg-type]

        classes = PictureClasses(Batched(), Preprocessor(batched.spec))  # type: ignore[arg-type]
        frames = drive(2)
        found = classes.classify(frames)
        for frame, classified in zip(frames, found, strict=True):
            expected = on_cpu.see(frame).segmentation.class_ids
            assert (classified.class_ids == expected).mean() >= 0.9999
        classes.close()
        classes.close()
    assert not device.held


def test_frames_that_follow_each_other_are_seen_two_at_a_time_and_in_order(
    engine: PictureEngineOnHost, on_cpu: Perception
):
    frames = [*drive(5), *(with_planes(frame) for frame in drive(3)), *drive(2, "256x144")]
    asked: list[int] = []

    def given() -> Iterator[Frame]:
        for number, frame in enumerate(frames):
            asked.append(number)
            yield frame

    with Perception(engine, StageTimings()) as perception:
        scenes = perception.see_each(given())
        first = next(scenes)
        assert asked == [0, 1, 2], "two more frames are under way before the first scene is made"
        seen = [first, *scenes]
    assert [id(scene.frame) for scene in seen] == [id(frame) for frame in frames]
    for scene, frame in zip(seen, frames, strict=True):
        assert_same(scene, on_cpu.see(frame))
    assert not engine.device.held


def test_frames_under_way_are_let_go_when_nobody_wants_their_scenes(engine: PictureEngineOnHost):
    with Perception(engine, StageTimings()) as perception:
        next(perception.see_each(drive(4)))
    assert not engine.device.held
