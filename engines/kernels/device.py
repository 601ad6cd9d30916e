"""The kernels on a GPU: built modules loaded into the current CUDA context, and launched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.checked import import_library, reason
from engines.errors import EngineError
from engines.kernels.launch import Launch

__all__ = ["BUILT_FOLDER", "DeviceKernels"]

BUILT_FOLDER = Path(__file__).resolve().parent / "built"
"""What `scripts/build_kernels` made of each module: a ``.fatbin`` (machine code), a ``.ptx`` (for any other GPU)."""


class DeviceKernels:
    """Loads and launches kernels. Belongs to the thread that owns the CUDA context, like everything made in it.

    A module is loaded on its first launch: first its machine code; where the driver has no use for that (an older
    driver, a GPU that was not thought of), its PTX, which the driver compiles and caches.

    ::

        kernels = DeviceKernels()                       # the context is current
        letterbox = Letterbox(picture, ...)
        tables = driver.to_device(letterbox.tables)     # once
        kernels.run(letterbox.launch(int(picture), int(tables), int(tensor)), stream)

    `run` only queues; it may be captured into a CUDA graph, which then keeps the addresses it was given.

    Args:
        folder: Where the built modules lie.

    Raises:
        EngineError: PyCUDA is missing or cannot be loaded.
    """

    def __init__(self, folder: Path = BUILT_FOLDER) -> None:
        self._driver = import_library("pycuda.driver", "PyCUDA", "pycuda")
        self._folder = folder
        self._modules: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}

    def run(self, launch: Launch, stream: Any = None) -> None:
        """Queue one launch on a `pycuda.driver.Stream` (None: the default stream).

        Raises:
            EngineError: The module cannot be loaded on this GPU and driver.
        """
        function = self._functions.get(launch.kernel)
        if function is None:
            function = self._module(launch.module).get_function(launch.kernel)
            function.prepare([f"{len(launch.parameters)}s"])
            self._functions[launch.kernel] = function
        function.prepared_async_call(launch.grid, launch.block, stream, launch.parameters)

    def close(self) -> None:
        """Let go of the modules, while the context is still current. May be called more than once."""
        self._functions.clear()
        self._modules.clear()

    def _module(self, name: str) -> Any:
        if name not in self._modules:
            self._modules[name] = self._load(name)
        return self._modules[name]

    def _load(self, name: str) -> Any:
        reasons = []
        for suffix in ("fatbin", "ptx"):
            path = self._folder / f"{name}.{suffix}"
            try:
                # The driver reads PTX as a C string.
                return self._driver.module_from_buffer(path.read_bytes() + (b"\0" if suffix == "ptx" else b""))
            except OSError as error:
                reasons.append(f"{path}: {error.strerror}")
            except self._driver.Error as error:
                reasons.append(f"{path.name}: {reason(error)}")
        raise EngineError(
            f"the {name} kernels cannot be loaded on this GPU ({'; '.join(reasons)}): "
            "build them here with scripts/build_kernels"
        )
