"""CUDA graphs, which PyCUDA does not offer: seven functions of the driver, called through ctypes.

CUDA Driver API, "Graph Management" and "Stream Management"; all of them exist from CUDA 11.4 (JetPack 5) on.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from engines.errors import EngineError

__all__ = ["DriverGraph", "capture"]

_THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile without spoiling the capture."""

_Handle = ctypes.c_void_p


def capture(stream: int, work: Callable[[], None], library: ctypes.CDLL | None = None) -> DriverGraph:
    """Record what `work` gives the stream, without doing it.

    Args:
        stream: The ``CUstream``.
        work: Enqueues the work, in the calling thread.
        library: The driver; another one in tests.

    Raises:
        EngineError: The driver refused, or the work cannot be captured. The stream is no longer capturing.
    """
    driver = library or _driver()
    _check(driver, "cuStreamBeginCapture_v2", _Handle(stream), ctypes.c_int(_THREAD_LOCAL))
    graph = _Handle()
    try:
        work()
    finally:
        # Ended even when the work raised: a stream left in capture mode refuses everything from then on.
        ended = driver.cuStreamEndCapture(_Handle(stream), ctypes.byref(graph))
    if ended or not graph.value:
        raise EngineError(f"the work cannot be captured as a CUDA graph ({_text(driver, ended)})")
    runnable = _Handle()
    try:
        _check(driver, "cuGraphInstantiateWithFlags", ctypes.byref(runnable), graph, ctypes.c_ulonglong(0))
    finally:
        driver.cuGraphDestroy(graph)
    return DriverGraph(driver, runnable)


class DriverGraph:
    """An instantiated graph (``CUgraphExec``)."""

    def __init__(self, driver: ctypes.CDLL, runnable: ctypes.c_void_p) -> None:
        self._driver = driver
        self._runnable = runnable

    def launch(self, stream: int) -> None:
        """Enqueue the graph in that stream."""
        _check(self._driver, "cuGraphLaunch", self._runnable, _Handle(stream))

    def close(self) -> None:
        """Free it; called once."""
        _check(self._driver, "cuGraphExecDestroy", self._runnable)


@cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _check(driver: ctypes.CDLL, function: str, *arguments: object) -> None:
    code = getattr(driver, function)(*arguments)
    if code:
        raise EngineError(f"{function} failed: {_text(driver, code)}")


def _text(driver: ctypes.CDLL, code: int) -> str:
    said = ctypes.c_char_p()
    driver.cuGetErrorString(ctypes.c_int(code), ctypes.byref(said))
    return said.value.decode(errors="replace") if said.value else f"CUDA error {code}"
