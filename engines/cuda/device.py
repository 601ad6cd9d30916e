"""What a GPU is to the code above: memory, streams, copies, events, graphs. Nothing of PyCUDA shows.

Every call is made inside ``with device.active()``, which makes the GPU's context current in the calling thread and
takes it away again whatever happens. So any thread may own an engine, none is left with a context when it ends (PyCUDA
would abort the process), and nobody else's current context is disturbed.

Whatever fails on the GPU is an `EngineError`, at the call that fails or at the next one that waits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

__all__ = ["CapturedGraph", "Device", "Event", "LoadedModule", "Memory", "Stream"]


class Memory(Protocol):
    """A piece of the GPU's memory."""

    @property
    def address(self) -> int:
        """Where it is."""

    @property
    def nbytes(self) -> int:
        """How large it is."""

    def free(self) -> None:
        """Give it back; called once."""


class Event(Protocol):
    """A mark in a stream that others can wait for."""

    def record(self, stream: Stream) -> None:
        """Set the mark after everything that the stream was given so far."""

    def synchronize(self) -> None:
        """Wait until the mark was reached. Errors of work before it surface here."""

    def ms_since(self, earlier: Event) -> float:
        """Milliseconds by the GPU's clock from another mark to this one, half a microsecond fine. Does not wait.

        Raises:
            EngineError: One of the two has no clock, or was not reached yet.
        """


class Stream(Protocol):
    """A queue of work for the GPU; what is in it is done in order, beside that of other streams."""

    @property
    def handle(self) -> int:
        """The ``CUstream``, as libraries take it."""

    def wait(self, event: Event) -> None:
        """Do nothing further before that event's mark was reached."""

    def synchronize(self) -> None:
        """Wait until everything is done."""


class CapturedGraph(Protocol):
    """Work that was recorded once and is launched as a whole, without the processor's work for each kernel."""

    def launch(self, stream: Stream) -> None:
        """Do it again, in that stream."""

    def close(self) -> None:
        """Free it; called once."""


class LoadedModule(Protocol):
    """Kernels that were loaded; see `engines.kernels`."""

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int],
        block: tuple[int, int, int],
        parameters: bytes,
        stream: Stream,
    ) -> None:
        """Give a stream one call of a kernel, whose one argument is a structure by value; returns at once."""


class Device(Protocol):
    """One GPU."""

    @property
    def name(self) -> str:
        """For instance ``"NVIDIA GeForce RTX 4090"``."""

    @property
    def compute_capability(self) -> tuple[int, int]:
        """For instance (8, 9)."""

    @property
    def driver(self) -> str:
        """Driver and the CUDA version that it knows, for instance ``"580.65.06, CUDA 13.0"``."""

    def active(self) -> AbstractContextManager[None]:
        """Make the GPU's context current in this thread for the length of a block."""

    def allocate(self, nbytes: int) -> Memory:
        """Memory of the GPU.

        Raises:
            EngineError: There is not enough; says how much is free.
        """

    def page_locked(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array in memory of the host that the GPU copies from and to on its own. It lives as long as its views."""

    def stream(self) -> Stream:
        """A new stream, which does not wait for the default one."""

    def event(self, *, timed: bool = False) -> Event:
        """A new event; one with a clock costs the GPU more, so that it is only for measuring."""

    def upload(self, address: int, array: NDArray[Any], stream: Stream) -> None:
        """Copy a page-locked, C-contiguous array to the GPU; returns at once."""

    def download(self, array: NDArray[Any], address: int, stream: Stream) -> None:
        """Copy from the GPU to a page-locked, C-contiguous array; returns at once."""

    def copy(self, target: int, source: int, nbytes: int, stream: Stream) -> None:
        """Copy within the GPU's memory; returns at once."""

    def load(self, image: bytes) -> LoadedModule:
        """Load kernels: machine code, or PTX that the driver compiles. They go with the context.

        Raises:
            EngineError: It is nothing for this GPU and driver.
        """

    def capture(self, stream: Stream, work: Callable[[], None]) -> CapturedGraph:
        """Record what `work` gives the stream, without doing it.

        Raises:
            EngineError: It cannot be captured; the stream is as before.
        """
