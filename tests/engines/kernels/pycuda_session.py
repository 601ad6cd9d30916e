"""The kernels through real PyCUDA on a driver in memory: `python -m tests.engines.kernels.pycuda_session DRIVER NAME`.

Everything but the GPU is what runs in a vehicle: `PyCudaDevice`, `DeviceKernels`, `PicturePath`, the built modules.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import numpy as np

from engines.artifact import find_model, load_artifact
from engines.base import DeviceLaps, Engine
from engines.classes import CITYSCAPES
from engines.cuda import pycuda_device
from engines.cuda.device import Stream
from engines.cuda.pycuda_device import PyCudaDevice, open_device
from engines.factory import open_engine
from engines.kernels import ClassMapper, DeviceKernels, Launch, PictureFormat, PicturePath, Tint
from engines.kernels.device import BUILT_FOLDER
from pipeline.perception import Perception
from pipeline.timings import StageTimings
from tests.engines.cuda.pycuda_session import Driver, refusal
from tests.engines.kernels.test_class_map import assert_winners, random_logits
from tests.engines.kernels.test_letterbox import assert_close, cpu_tensor, kernel_tensor, random_planes, spec, yuv_frame
from tests.engines.kernels.test_picture_path import drive, feed_of
from tests.gpu.conftest import GpuKernels


class NetworkAtOnce:
    """A network that runs when it is queued, as everything does on this driver."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._input = np.empty(engine.spec.input_shape, np.float32)
        self._output = np.empty(engine.spec.output_shape, np.float32)
        self.input_address, self.output_address = self._input.ctypes.data, self._output.ctypes.data

    def enqueue(self, stream: Stream) -> None:
        self._output[:] = self._engine.infer(self._input)


def kernels_compute(driver: Driver, gpu: PyCudaDevice) -> None:
    kernels = GpuKernels(gpu, BUILT_FOLDER)
    planes, model = random_planes(1, (90, 160), "bt709", False), spec((48, 64))
    for half in (False, True):
        picture = PictureFormat("nv12", (90, 160))
        buffer = np.zeros(picture.nbytes, np.uint8)
        picture.pack((planes.y, planes.u, planes.v), buffer)
        tensor = kernel_tensor(kernels, picture, buffer, model, half)  # type: ignore[arg-type]
        assert_close(tensor, cpu_tensor(yuv_frame(planes), model))
        logits = random_logits(2, (11, 9, 16), half)
        class_ids, _ = kernels.class_map(ClassMapper(logits.shape, (9, 16), (37, 53), half), logits, (37, 53))
        assert_winners(class_ids, logits, (37, 53))
    image = np.full((5, 7, 3), 100, np.uint8)
    tinted = kernels.tint(Tint(CITYSCAPES, [0.5] * len(CITYSCAPES), (5, 7)), image, np.zeros((5, 7), np.uint8))
    assert (tinted == [(100 * 128 + channel * 128) >> 8 for channel in (128, 64, 128)]).all()
    assert driver["kernel_launches"] == 2 * 3 + 1


def ptx_where_machine_code_is_refused(driver: Driver, gpu: PyCudaDevice) -> None:
    driver["refuse_machine_code"] = 1
    kernels_compute(driver, gpu)


def wrong_structures_are_refused(driver: Driver, gpu: PyCudaDevice) -> None:
    with gpu.active():
        kernels, stream = DeviceKernels(gpu), gpu.stream()
        for kernel, size in (("tint_classes", 55), ("no_such_kernel", 56)):
            said = refusal(kernels.run, Launch("tint", kernel, (1, 1), (32, 8, 1), bytes(size)), stream)
            assert said.startswith("the GPU failed: cu")
    assert driver["kernel_launches"] == 0


def every_part_is_timed(driver: Driver, gpu: PyCudaDevice) -> None:
    """Each event that is set takes this driver's clock on by a millisecond."""
    (frame,), found = drive(1), list[DeviceLaps]()
    artifact = load_artifact(find_model("clearway-lite"))
    with open_engine(artifact, "onnxruntime", size_hw=(176, 320), threads=1) as engine:
        feed = feed_of(engine, frame, "bgr")
        with PicturePath(gpu, NetworkAtOnce(engine), engine.spec, [feed], found.append) as path:
            for _ in range(5):
                path.classify([(frame.image,)])
            for laps in found:
                assert [lap.stage for lap in laps.laps] == ["upload", "letterbox", "inference", "class map", "download"]
                assert [lap.duration_ms for lap in laps.laps] == [1.0] * 5
                assert laps.total_ms == 11.0, laps  # ten events of its own, two that keep streams in step
            driver["fail_elapsed"] = 700
            assert "illegal memory access" in refusal(path.classify, [(frame.image,)])
    assert len(found) == 5
    del path
    gc.collect()
    assert driver["events"] == 0


def pictures_up_class_maps_down(driver: Driver, gpu: PyCudaDevice) -> None:
    artifact = load_artifact(find_model("clearway-lite"))
    frames = drive(3)
    with open_engine(artifact, "onnxruntime", size_hw=(176, 320), threads=1) as engine:
        perception = Perception(engine, StageTimings())
        expected = [perception.see(frame).segmentation.class_ids for frame in frames]
        found = []
        with PicturePath(gpu, NetworkAtOnce(engine), engine.spec, [feed_of(engine, frames[0], "bgr")]) as path:
            for frame in frames:
                (result,) = path.classify([(frame.image,)])
                found.append(result.class_ids.copy())
                del result
        assert driver["kernel_launches"] == 3 * len(frames)
    for class_ids, truth in zip(found, expected, strict=True):
        assert (class_ids == truth).mean() >= 0.9999
    assert driver["allocations"] <= 6  # page-locked arrays go when PyCUDA's pools let them; the GPU's memory is back


SCENARIOS = {
    function.__name__: function
    for function in (
        kernels_compute,
        ptx_where_machine_code_is_refused,
        wrong_structures_are_refused,
        every_part_is_timed,
        pictures_up_class_maps_down,
    )
}

if __name__ == "__main__":
    pycuda_device.why_no_gpu = lambda: None
    the_driver = Driver(str(Path(sys.argv[1])))
    SCENARIOS[sys.argv[2]](the_driver, open_device())
