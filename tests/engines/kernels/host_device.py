"""A `Device` of host memory and kernels compiled by g++, whose streams run late and out of step.

Nothing that is given to a stream happens at once. Somebody waits, and then one stream after the other, drawn by lot,
does one thing, as far as events allow: whatever relies on luck instead of events goes wrong here sooner or later.
Each thing lasts a millisecond on its stream's clock, and begins when it was given and its stream came to it.
"""

from __future__ import annotations

import ctypes
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engines.errors import EngineError
from engines.kernels import Launch
from tests.engines.kernels.host import HostKernels


class HostEvent:
    def __init__(self, device: HostDevice, timed: bool) -> None:
        self._device, self._timed = device, timed
        self.recorded = self.reached = 0
        self.at_ms = 0.0

    def record(self, stream: HostStream) -> None:
        self.recorded += 1
        mark = self.recorded

        def reach() -> None:
            self.reached, self.at_ms = mark, stream.at_ms

        stream.add(reach, lasts_ms=0.0)

    def synchronize(self) -> None:
        self._device.run_until(lambda: self.reached == self.recorded)
        self._device.host_ms = max(self._device.host_ms, self.at_ms)

    def ms_since(self, earlier: HostEvent) -> float:
        assert self._device.is_active
        for event in (earlier, self):
            assert event._timed
            assert event.reached == event.recorded > 0
        return self.at_ms - earlier.at_ms


class HostStream:
    handle = 0

    def __init__(self, device: HostDevice) -> None:
        self._device = device
        self.queue: deque[tuple[Callable[[], bool], Callable[[], None]]] = deque()
        self.at_ms = 0.0

    def add(self, action: Callable[[], None], ready: Callable[[], bool] = lambda: True, lasts_ms: float = 1.0) -> None:
        given_ms = self._device.host_ms

        def act() -> None:
            self.at_ms = max(self.at_ms, given_ms) + lasts_ms
            action()

        assert self._device.is_active
        self.queue.append((ready, act))

    def wait(self, event: HostEvent) -> None:
        mark = event.recorded

        def catch_up() -> None:
            self.at_ms = max(self.at_ms, event.at_ms)

        self.add(catch_up, lambda: event.reached >= mark, lasts_ms=0.0)

    def synchronize(self) -> None:
        self._device.run_until(lambda: not self.queue)
        self._device.host_ms = max(self._device.host_ms, self.at_ms)


class HostMemory:
    def __init__(self, device: HostDevice, nbytes: int) -> None:
        self._device = device
        self._bytes = np.random.default_rng(nbytes).integers(0, 256, nbytes, np.uint8)  # never zero by luck
        self.address, self.nbytes = self._bytes.ctypes.data, nbytes

    def free(self) -> None:
        assert self._device.is_active
        self._device.held.remove(self)


class HostDevice:
    name = "this machine"
    compute_capability = (0, 0)
    driver = "none"

    def __init__(self, kernels: HostKernels, seed: int = 0, room_bytes: int = 1 << 30) -> None:
        self._kernels, self._lot, self._room_bytes = kernels, random.Random(seed), room_bytes
        self._streams: list[HostStream] = []
        self.held: list[HostMemory] = []
        self.host_ms = 0.0
        self.is_active = False
        self.fails_on: str | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        assert not self.is_active
        self.is_active = True
        try:
            yield
        finally:
            self.is_active = False

    def allocate(self, nbytes: int) -> HostMemory:
        if sum(memory.nbytes for memory in self.held) + nbytes > self._room_bytes:
            raise EngineError("not enough memory on this machine")
        self.held.append(HostMemory(self, nbytes))
        return self.held[-1]

    def page_locked(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        return np.empty(shape, dtype)

    def stream(self) -> HostStream:
        self._streams.append(HostStream(self))
        return self._streams[-1]

    def event(self, *, timed: bool = False) -> HostEvent:
        return HostEvent(self, timed)

    def upload(self, address: int, array: NDArray[Any], stream: HostStream) -> None:
        stream.add(lambda: void(ctypes.memmove(address, array.ctypes.data, array.nbytes)))

    def download(self, array: NDArray[Any], address: int, stream: HostStream) -> None:
        stream.add(lambda: void(ctypes.memmove(array.ctypes.data, address, array.nbytes)))

    def copy(self, target: int, source: int, nbytes: int, stream: HostStream) -> None:
        stream.add(lambda: void(ctypes.memmove(target, source, nbytes)))

    def load(self, image: bytes) -> HostDevice:
        return self

    def launch(
        self, kernel: str, grid: tuple[int, int], block: tuple[int, int, int], parameters: bytes, stream: HostStream
    ) -> None:
        def run() -> None:
            if kernel == self.fails_on:
                raise EngineError("the GPU failed: an illegal memory access was encountered")
            self._kernels.run(Launch("", kernel, grid, block, parameters))

        stream.add(run)

    def run_until(self, done: Callable[[], bool]) -> None:
        while not done():
            ready = [stream for stream in self._streams if stream.queue and stream.queue[0][0]()]
            assert ready, "every stream waits for an event that nobody will record"
            self._lot.choice(ready).queue.popleft()[1]()


def void(_: object) -> None:
    """ctypes.memmove returns where it wrote."""
