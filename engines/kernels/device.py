"""The kernels on a GPU: what was built, loaded and launched."""

from __future__ import annotations

from pathlib import Path

from engines.cuda.device import Device, LoadedModule, Stream
from engines.errors import EngineError
from engines.kernels.launch import Launch

__all__ = ["BUILT_FOLDER", "DeviceKernels"]

BUILT_FOLDER = Path(__file__).resolve().parent / "built"
"""What `scripts/build_kernels` made of each module: a ``.fatbin`` (machine code), a ``.ptx`` (for any other GPU)."""


class DeviceKernels:
    """Loads and launches kernels, each inside ``with device.active()``, like everything on a GPU.

    A module is loaded on its first launch, or by `load`: first its machine code; where the driver has no use for that
    (an older driver, a GPU that was not thought of), its PTX, which the driver compiles and caches.

    ::

        kernels, letterbox = DeviceKernels(device), Letterbox(picture, ...)
        launch = letterbox.launch(picture_memory.address, tables_memory.address, input_address)   # once
        kernels.run(launch, stream)                                                               # every frame

    `run` only queues; it may be captured into a CUDA graph, which then keeps the addresses it was given.

    Args:
        device: The GPU.
        folder: Where the built modules lie.
    """

    def __init__(self, device: Device, folder: Path = BUILT_FOLDER) -> None:
        self._device = device
        self._folder = folder
        self._modules: dict[str, LoadedModule] = {}

    def load(self, *names: str) -> None:
        """Load modules now, so that no first frame waits for it, or fails.

        Raises:
            EngineError: One cannot be loaded on this GPU and driver.
        """
        for name in names:
            if name not in self._modules:
                self._modules[name] = self._load(name)

    def run(self, launch: Launch, stream: Stream) -> None:
        """Queue one launch.

        Raises:
            EngineError: The module cannot be loaded on this GPU and driver, or the GPU failed.
        """
        self.load(launch.module)
        self._modules[launch.module].launch(launch.kernel, launch.grid, launch.block, launch.parameters, stream)

    def _load(self, name: str) -> LoadedModule:
        refusals = []
        for suffix in ("fatbin", "ptx"):
            path = self._folder / f"{name}.{suffix}"
            try:
                # The driver reads PTX as a C string.
                return self._device.load(path.read_bytes() + (b"\0" if suffix == "ptx" else b""))
            except OSError as error:
                refusals.append(f"{path}: {error.strerror}")
            except EngineError as error:
                refusals.append(f"{path.name}: {error}")
        raise EngineError(
            f"the {name} kernels cannot be loaded on this GPU ({'; '.join(refusals)}): "
            "build them here with scripts/build_kernels"
        )
