"""A GPU through PyCUDA: the primary context, which PyTorch, TensorRT, numba and CuPy share.

`pycuda.autoinit` is never imported: it makes a context of its own, in which nothing of theirs is valid. The primary
context is retained once for the process and released when that ends, as everybody else who uses it does: what an
engine holds in it, the engine frees.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from numpy.typing import DTypeLike, NDArray

from engines.checked import reason
from engines.cuda.capture import DriverGraph, capture
from engines.cuda.device import CapturedGraph, Event, LoadedModule, Memory, Stream
from engines.cuda.presence import driver_version, why_no_gpu
from engines.errors import EngineError

if TYPE_CHECKING:
    from pycuda import driver as cuda

__all__ = ["PyCudaDevice", "open_device"]

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the legacy default stream, which PyTorch may use

_retaining = threading.Lock()
_retained: dict[int, cuda.Context] = {}

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _told(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """What PyCUDA raises becomes an `EngineError`: an illegal address, a lost GPU, a stream of another context."""

    @wraps(call)
    def telling(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return call(*args, **kwargs)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"the GPU failed: {reason(error)}") from error

    return telling


def open_device(ordinal: int = 0) -> PyCudaDevice:
    """The GPU with that number among those that ``CUDA_VISIBLE_DEVICES`` shows.

    Raises:
        EngineError: No GPU, no driver, no PyCUDA, or a driver older than the CUDA that PyCUDA was built with.
    """
    missing = why_no_gpu()
    if missing:
        raise EngineError(missing)
    driver = _import_driver()
    try:
        driver.init()
        device = driver.Device(ordinal)
        with _retaining:
            if ordinal not in _retained:
                _retained[ordinal] = device.retain_primary_context()
                # Left to its destructor, PyCUDA would detach it as if it were a context of its own, and complain.
                atexit.register(_retained[ordinal].detach)
        return PyCudaDevice(driver, device, _retained[ordinal])
    except driver.Error as error:
        raise EngineError(f"the GPU cannot be used: {reason(error)} (see what nvidia-smi says)") from error


def _import_driver() -> Any:
    try:
        from pycuda import driver
    except ModuleNotFoundError as error:
        raise EngineError("PyCUDA is not installed: pip install 'clearway[nvidia]'") from error
    except ImportError as error:
        # PyCUDA is compiled against one CUDA toolkit and asks the driver for that toolkit's functions.
        said = reason(error)
        hint = "the driver is older than the CUDA toolkit that PyCUDA was built with: update the driver"
        raise EngineError(f"{hint if 'undefined symbol' in said else 'PyCUDA cannot be loaded'} ({said})") from error
    return driver


class PyCudaDevice:
    """One GPU; see `engines.cuda.device.Device`."""

    def __init__(self, driver: Any, device: cuda.Device, context: cuda.Context) -> None:
        self._cuda = driver
        self._context = context
        self.name: str = device.name()
        self.compute_capability: tuple[int, int] = device.compute_capability()
        version = driver.get_driver_version()
        self.driver = f"{driver_version()}, CUDA {version // 1000}.{version % 1000 // 10}"

    @contextmanager
    def active(self) -> Iterator[None]:
        """Push the primary context, and pop it whatever happens."""
        self._push()
        try:
            yield
        finally:
            self._pop()

    @_told
    def _push(self) -> None:
        self._context.push()

    @_told
    def _pop(self) -> None:
        self._cuda.Context.pop()

    @_told
    def allocate(self, nbytes: int) -> Memory:
        """Memory of the GPU; see `engines.cuda.device.Device.allocate`."""
        try:
            return _Memory(self._cuda.mem_alloc(nbytes), nbytes)
        except self._cuda.MemoryError as error:
            free, total = self._cuda.mem_get_info()
            raise EngineError(
                f"not enough memory on {self.name}: {_mib(nbytes)} MiB needed, {_mib(free)} of {_mib(total)} MiB free"
            ) from error

    @_told
    def page_locked(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that the GPU copies from and to on its own."""
        array: NDArray[Any] = self._cuda.pagelocked_empty(shape, dtype)
        return array

    @_told
    def stream(self) -> Stream:
        """A new stream."""
        return _Stream(self._cuda.Stream(_NON_BLOCKING))

    @_told
    def event(self, *, timed: bool = False) -> Event:
        """A new event, with or without a clock."""
        return _Event(self._cuda.Event(0 if timed else self._cuda.event_flags.DISABLE_TIMING))

    @_told
    def upload(self, address: int, array: NDArray[Any], stream: Stream) -> None:
        """Copy to the GPU; returns at once."""
        self._cuda.memcpy_htod_async(address, array, _native(stream))

    @_told
    def download(self, array: NDArray[Any], address: int, stream: Stream) -> None:
        """Copy from the GPU; returns at once."""
        self._cuda.memcpy_dtoh_async(array, address, _native(stream))

    @_told
    def copy(self, target: int, source: int, nbytes: int, stream: Stream) -> None:
        """Copy within the GPU's memory; returns at once."""
        self._cuda.memcpy_dtod_async(target, source, nbytes, _native(stream))

    @_told
    def load(self, image: bytes) -> LoadedModule:
        """Load kernels: machine code, or PTX that the driver compiles."""
        return _Module(self._cuda.module_from_buffer(image))

    @_told
    def capture(self, stream: Stream, work: Callable[[], None]) -> CapturedGraph:
        """Record what `work` gives the stream."""
        return _Graph(capture(stream.handle, work))


class _Memory:
    def __init__(self, allocation: cuda.DeviceAllocation, nbytes: int) -> None:
        self._allocation = allocation
        self.address = int(allocation)
        self.nbytes = nbytes

    @_told
    def free(self) -> None:
        self._allocation.free()


class _Stream:
    def __init__(self, native: cuda.Stream) -> None:
        self.native = native
        self.handle: int = native.handle

    @_told
    def wait(self, event: Event) -> None:
        assert isinstance(event, _Event)
        self.native.wait_for_event(event.native)

    @_told
    def synchronize(self) -> None:
        self.native.synchronize()


class _Event:
    def __init__(self, native: cuda.Event) -> None:
        self.native = native

    @_told
    def record(self, stream: Stream) -> None:
        self.native.record(_native(stream))

    @_told
    def synchronize(self) -> None:
        self.native.synchronize()

    @_told
    def ms_since(self, earlier: Event) -> float:
        assert isinstance(earlier, _Event)
        return self.native.time_since(earlier.native)


class _Module:
    def __init__(self, native: cuda.Module) -> None:
        self._native = native
        self._functions: dict[str, cuda.Function] = {}

    @_told
    def launch(
        self, kernel: str, grid: tuple[int, int], block: tuple[int, int, int], parameters: bytes, stream: Stream
    ) -> None:
        function = self._functions.get(kernel)
        if function is None:
            function = self._native.get_function(kernel)
            function.prepare([f"{len(parameters)}s"])
            self._functions[kernel] = function
        function.prepared_async_call(grid, block, _native(stream), parameters)


class _Graph:
    def __init__(self, graph: DriverGraph) -> None:
        self._graph = graph

    def launch(self, stream: Stream) -> None:
        self._graph.launch(stream.handle)

    def close(self) -> None:
        self._graph.close()


def _native(stream: Stream) -> cuda.Stream:
    assert isinstance(stream, _Stream)
    return stream.native


def _mib(nbytes: int) -> int:
    return -(-nbytes // 2**20)
