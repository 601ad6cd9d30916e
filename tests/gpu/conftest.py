"""A real GPU, or a skip that says why there is none. `scripts/gpu_check` runs these tests where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.cuda.device import Device, Memory
from engines.errors import EngineError
from engines.kernels import ClassMapper, DeviceKernels, Launch, Letterbox, Tint
from engines.kernels.device import BUILT_FOLDER
from engines.tensorrt.library import Library, load_library


@pytest.fixture(scope="session")
def device() -> Device:
    from engines.cuda.pycuda_device import open_device

    try:
        return open_device()
    except EngineError as error:
        pytest.skip(f"no GPU: {error}")


@pytest.fixture(scope="session")
def tensorrt(device: Device) -> Library:
    try:
        return load_library()
    except EngineError as error:
        pytest.skip(f"no TensorRT: {error}")


@pytest.fixture(params=["fatbin", "ptx"])
def kernels(request: pytest.FixtureRequest, device: Device, tmp_path: Path) -> GpuKernels:
    """The kernels as machine code, and once more as PTX that the driver compiles."""
    for path in BUILT_FOLDER.glob(f"*.{request.param}"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return GpuKernels(device, tmp_path)


class GpuKernels:
    """The same calls as `tests.engines.kernels.host.HostKernels`, on the GPU: arrays go up, results come down."""

    def __init__(self, device: Device, folder: Path) -> None:
        self._device = device
        self._kernels = DeviceKernels(device, folder)
        self._held: list[Memory] = []
        with device.active():
            self._stream = device.stream()

    def letterbox(self, plan: Letterbox, picture: NDArray[np.uint8], out: NDArray[np.floating]) -> None:
        with self._device.active():
            at = self._room(out.nbytes)
            self._run(plan.launch(self._up(picture), self._up(plan.tables), at))
            out[:] = self._down(at, out)
            self._free()

    def class_map(
        self, plan: ClassMapper, logits: NDArray[np.floating], image_size_hw: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        confidence = np.empty(plan.grid_size_hw, np.float32)
        class_ids = np.empty(image_size_hw, np.uint8)
        with self._device.active():
            labels_at, confidence_at = self._room(confidence.size), self._room(confidence.nbytes)
            out_at = self._room(class_ids.nbytes)
            addresses = (self._up(logits), self._up(plan.tables), labels_at, confidence_at, out_at)
            self._run(*plan.launches(*addresses))
            confidence[:], class_ids[:] = self._down(confidence_at, confidence), self._down(out_at, class_ids)
            self._free()
        return class_ids, confidence

    def tint(self, plan: Tint, image: NDArray[np.uint8], class_ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        out = np.empty((*class_ids.shape, 3), np.uint8)
        tight = np.ascontiguousarray(image)
        with self._device.active():
            at = self._room(out.nbytes)
            self._run(plan.launch(self._up(tight), self._up(class_ids), self._up(plan.tables), at))
            out[:] = self._down(at, out)
            self._free()
        return out

    def _run(self, *launches: Launch) -> None:
        for launch in launches:
            self._kernels.run(launch, self._stream)
        self._stream.synchronize()

    def _room(self, nbytes: int) -> int:
        self._held.append(self._device.allocate(nbytes))
        return self._held[-1].address

    def _up(self, array: NDArray[np.generic]) -> int:
        staged = self._device.page_locked(array.shape, array.dtype)
        staged[...] = array
        address = self._room(array.nbytes)
        self._device.upload(address, staged, self._stream)
        self._stream.synchronize()
        return address

    def _down(self, address: int, like: NDArray[np.generic]) -> NDArray[np.generic]:
        staged = self._device.page_locked(like.shape, like.dtype)
        self._device.download(staged, address, self._stream)
        self._stream.synchronize()
        return np.copy(staged)

    def _free(self) -> None:
        while self._held:
            self._held.pop().free()
