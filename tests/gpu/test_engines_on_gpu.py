"""Engines on a GPU: right, in order, from any thread, out of the cache, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nvidia.figures import LAPS_LIMIT
from benchmarks.nvidia.parity import TARGETS, Reference, compare, frames_of, reference_of
from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.base import DeviceLaps, Precision
from engines.cuda.device import Device
from engines.errors import EngineError
from engines.factory import open_engine
from engines.tensorrt.cache import EngineCache
from engines.tensorrt.engine import TensorRtEngine
from engines.tensorrt.library import Library
from pipeline.perception import Perception
from pipeline.scene import Frame
from pipeline.timings import StageTimings
from tests.engines.kernels.test_picture_path import feed_of, samples_of

pytestmark = pytest.mark.gpu

SIZE_HW = (184, 320)
OpenEngine = Callable[..., TensorRtEngine]


@pytest.fixture(scope="module")
def artifact() -> ModelArtifact:
    return load_artifact(find_model("clearway-lite"))


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return frames_of(["synthetic://drive?frames=60&seed=2&size=320x184"], 6)


@pytest.fixture(scope="module")
def reference(artifact: ModelArtifact, frames: list[Frame]) -> Reference:
    return reference_of(artifact, frames, SIZE_HW)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> EngineCache:
    folder = tmp_path_factory.mktemp("engines")
    folder.chmod(0o700)
    return EngineCache(folder)


@pytest.fixture
def open_tensorrt(
    artifact: ModelArtifact, device: Device, tensorrt: Library, cache: EngineCache
) -> Iterator[OpenEngine]:
    """Opens TensorRT engines of the shipped model; closes all of them in the end."""
    opened: list[TensorRtEngine] = []

    def open_in(precision: Precision = "fp16", batch: int = 1, **options: object) -> TensorRtEngine:
        known = {"device": device, "library": tensorrt, "cache": cache}
        opened.append(TensorRtEngine(artifact, SIZE_HW, batch, precision, **(known | options)))  # type: ignore[arg-type]
        return opened[-1]

    yield open_in
    for engine in opened:
        engine.close()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tensorrt_gives_the_classes_of_the_cpu(
    artifact: ModelArtifact, tensorrt: Library, reference: Reference, precision: Precision
):
    row = compare(artifact, "tensorrt", precision, reference)
    if not row.ran and "calibrated graph" in row.description:
        pytest.skip(row.description)
    assert row.ran, row.description
    assert row.agreement >= TARGETS[precision], row


def test_onnxruntime_cuda_gives_the_classes_of_the_cpu(artifact: ModelArtifact, device: Device, reference: Reference):
    row = compare(artifact, "onnxruntime-cuda", "fp32", reference)
    if not row.ran and ("no CUDA" in row.description or "not installed" in row.description):
        pytest.skip(row.description)
    assert row.ran, row.description
    assert row.agreement >= TARGETS["fp32"], row


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_pictures_go_up_and_class_maps_come_down_in_order(
    open_tensorrt: OpenEngine, artifact: ModelArtifact, frames: list[Frame], precision: Precision
):
    with open_engine(artifact, "onnxruntime", size_hw=SIZE_HW, precision="fp32") as cpu:
        perception = Perception(cpu, StageTimings())
        expected = [perception.see(frame).segmentation.class_ids for frame in frames]
        engine = open_tensorrt(precision)
        layout = "bgr" if frames[0].planes is None else "i420"
        results = []
        with engine.picture_path([feed_of(engine, frames[0], layout)]) as path:
            for frame in frames:
                if path.in_flight == 2:
                    results += [np.copy(each.class_ids) for each in path.collect()]
                path.submit([samples_of(frame, layout)])
            while path.in_flight:
                results += [np.copy(each.class_ids) for each in path.collect()]
    for class_ids, truth in zip(results, expected, strict=True):
        assert (class_ids == truth).mean() >= TARGETS[precision]


def test_perception_uses_the_gpu_for_all_pixels(
    open_tensorrt: OpenEngine, artifact: ModelArtifact, frames: list[Frame]
):
    engine = open_tensorrt()
    assert engine.takes_pictures
    with open_engine(artifact, "onnxruntime", size_hw=SIZE_HW, precision="fp32") as cpu:
        expected = [Perception(cpu, StageTimings()).see(frame) for frame in frames]
        with Perception(engine, StageTimings()) as perception:
            scenes = [perception.see(frame) for frame in frames]
    for scene, truth in zip(scenes, expected, strict=True):
        assert "preprocess" not in scene.timings_ms
        assert (scene.segmentation.class_ids == truth.segmentation.class_ids).mean() >= TARGETS["fp16"]
        assert scene.drivable.area_px == pytest.approx(truth.drivable.area_px, rel=0.02)


def test_two_cameras_in_one_batch(open_tensorrt: OpenEngine, frames: list[Frame]):
    alone, pair = open_tensorrt(), open_tensorrt(batch=2)
    layout = "bgr" if frames[0].planes is None else "i420"
    with pair.picture_path([feed_of(pair, frames[0], layout)] * 2) as path:
        together = [
            np.copy(each.class_ids) for each in path.classify([samples_of(frame, layout) for frame in frames[:2]])
        ]
    with alone.picture_path([feed_of(alone, frames[0], layout)]) as path:
        for frame, class_ids in zip(frames, together, strict=False):
            (single,) = path.classify([samples_of(frame, layout)])
            assert (single.class_ids == class_ids).mean() >= TARGETS["fp16"]


def test_the_gpus_own_times_fit_into_the_time_that_was_waited(open_tensorrt: OpenEngine, frames: list[Frame]):
    engine, found = open_tensorrt(batch=2), list[DeviceLaps]()
    engine.time_device(found.append)
    tensors = np.zeros(engine.spec.input_shape, np.float32)
    layout = "bgr" if frames[0].planes is None else "i420"
    with engine.picture_path([feed_of(engine, frames[0], layout)] * 2) as path:
        pair = [samples_of(frame, layout) for frame in frames[:2]]
        for work in (lambda: engine.infer(tensors), lambda: engine.infer(tensors[:1]), lambda: path.classify(pair)):
            work()  # the first of its kind is no measure
            began_s = time.perf_counter()
            work()
            waited_ms, laps = (time.perf_counter() - began_s) * 1e3, found[-1]
            assert all(lap.duration_ms > 0 for lap in laps.laps)
            assert sum(lap.duration_ms for lap in laps.laps) <= laps.total_ms * LAPS_LIMIT
            assert laps.total_ms <= waited_ms
    assert [laps.pictures for laps in found[1::2]] == [2, 1, 2]
    assert [lap.stage for lap in found[-1].laps] == ["upload", "letterbox", "inference", "class map", "download"]


def test_any_thread_may_own_an_engine_and_ends_without_a_context(open_tensorrt: OpenEngine, reference: Reference):
    expected = np.copy(open_tensorrt().infer(reference.tensors[0]))
    found: list[np.ndarray] = []

    def own() -> None:
        engine = open_tensorrt()
        found.append(np.copy(engine.infer(reference.tensors[0])))
        engine.close()
        engine.close()

    thread = threading.Thread(target=own)
    thread.start()
    thread.join(120)
    assert not thread.is_alive()
    np.testing.assert_allclose(found[0], expected, atol=1e-2)


def test_memory_comes_back(open_tensorrt: OpenEngine, device: Device):
    from pycuda import driver

    def free_bytes() -> int:
        with device.active():
            return int(driver.mem_get_info()[0])

    open_tensorrt().close()
    before = free_bytes()
    for _ in range(5):
        open_tensorrt().close()
    assert before - free_bytes() < 32 << 20


def test_a_kept_engine_is_used_again_and_a_damaged_one_is_built_anew(open_tensorrt: OpenEngine, cache: EngineCache):
    notes: list[str] = []
    open_tensorrt(on_note=notes.append).close()
    notes.clear()
    open_tensorrt(on_note=notes.append).close()
    assert not notes
    for path in Path(cache.folder).glob("*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    open_tensorrt(on_note=notes.append).close()
    assert any("is not used" in note for note in notes)
    assert any("built in" in note for note in notes)


def test_torch_and_an_engine_share_the_gpu(open_tensorrt: OpenEngine, reference: Reference):
    torch = pytest.importorskip("torch", reason="no torch beside which to run")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    engine = open_tensorrt()
    expected = np.copy(engine.infer(reference.tensors[0]))
    product = torch.ones(64, 64, device="cuda") @ torch.ones(64, 64, device="cuda")
    np.testing.assert_array_equal(engine.infer(reference.tensors[0]), expected)
    assert float(product.sum()) == 64**3


def test_more_memory_than_there_is_is_said_in_one_line(device: Device):
    with pytest.raises(EngineError, match=r"not enough memory on .* MiB are needed"), device.active():
        device.allocate(1 << 50)
