"""A GPU that is not there: `engines.cuda.device.Device` on host memory, as unordered as a real one.

Nothing that is put into a stream happens at once. It happens when somebody waits, in an order that is drawn by lot
among all that streams and events allow. So a missing wait, a buffer that is overwritten too early, a call without a
current context or a wrong address shows in the results, or as an error.

It keeps time, whatever that order is: each stream is busy for as long as its work lasts, begins none before it was
given it, and waits for events until the moment at which they were reached. Enqueuing takes the host no time.
"""

from __future__ import annotations

import random
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError

Work = Callable[[], None]

MS_PER_BYTE = 1e-6
KERNEL_MS = 0.5


class SimulatedGpu:
    """One GPU. `fail` makes it break; `memory`, `depth` and `log` say what state it is left in."""

    name = "Simulated GPU"
    compute_capability = (8, 9)
    driver = "580.65.06, CUDA 13.0"

    def __init__(self, seed: int = 0, memory_bytes: int = 1 << 30) -> None:
        self.memory: dict[int, NDArray[np.uint8]] = {}
        self.memory_bytes = memory_bytes
        self.depth: dict[int, int] = {}
        self.lost = False
        self.streams: dict[int, SimulatedStream] = {}
        self.counts: dict[str, int] = {}
        self.host_ms = 0.0
        self.events: weakref.WeakSet[SimulatedEvent] = weakref.WeakSet()
        self._faults: dict[str, int] = {}
        self._dice = random.Random(seed)
        self._next_address = 0x7F00_0000_0000

    # What a device is.

    @contextmanager
    def active(self) -> Iterator[None]:
        thread = threading.get_ident()
        self._fault("active")
        self.depth[thread] = self.depth.get(thread, 0) + 1
        try:
            yield
        finally:
            self.depth[thread] -= 1

    def allocate(self, nbytes: int) -> SimulatedMemory:
        self.used("allocate")
        free = self.memory_bytes - sum(piece.nbytes for piece in self.memory.values())
        if nbytes > free:
            raise EngineError(f"not enough memory on {self.name}: {nbytes} bytes needed, {free} free")
        address, self._next_address = self._next_address, self._next_address + nbytes + 4096
        # Garbage, not zeros: whoever reads what was never written shall notice.
        self.memory[address] = np.full(nbytes, 0xA5, np.uint8)
        return SimulatedMemory(self, address, nbytes)

    def page_locked(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        self.used("page_locked")
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0xA5, dtype)

    def stream(self) -> SimulatedStream:
        self.used("stream")
        stream = SimulatedStream(self, handle=0x5000 + len(self.streams))
        self.streams[stream.handle] = stream
        return stream

    def event(self, *, timed: bool = False) -> SimulatedEvent:
        self.used("timed event" if timed else "event")
        return SimulatedEvent(self, timed)

    def upload(self, address: int, array: NDArray[Any], stream: SimulatedStream) -> None:
        self.used("upload")
        assert array.flags.c_contiguous

        def work() -> None:
            self.at(address, array.nbytes)[:] = array.reshape(-1).view(np.uint8)

        stream.put(work, array.nbytes * MS_PER_BYTE)

    def download(self, array: NDArray[Any], address: int, stream: SimulatedStream) -> None:
        self.used("download")
        assert array.flags.c_contiguous

        def work() -> None:
            array.reshape(-1).view(np.uint8)[:] = self.at(address, array.nbytes)

        stream.put(work, array.nbytes * MS_PER_BYTE)

    def copy(self, target: int, source: int, nbytes: int, stream: SimulatedStream) -> None:
        self.used("copy")

        def work() -> None:
            self.at(target, nbytes)[:] = self.at(source, nbytes)

        stream.put(work, 0.0)

    def load(self, image: bytes) -> Any:
        self.used("load")
        raise EngineError("the GPU failed: device kernel image is invalid")  # there is nothing that could run it

    def capture(self, stream: SimulatedStream, work: Work) -> SimulatedGraph:
        self.used("capture")
        recorded: list[tuple[Work, float]] = []
        stream.recording = recorded
        try:
            work()
        finally:
            stream.recording = None
        return SimulatedGraph(self, recorded)

    # What tests ask of it.

    def fail(self, call: str, *, after: int = 0, lost: bool = False) -> None:
        """Break at that call, after so many more that go well; `lost`: and at every call from then on."""
        self._faults[call] = self.counts.get(call, 0) + after
        self._loses = lost

    @property
    def left_active(self) -> int:
        """How many contexts were pushed and not popped, over all threads."""
        return sum(self.depth.values())

    # How it works.

    def at(self, address: int, nbytes: int) -> NDArray[np.uint8]:
        for start, piece in self.memory.items():
            if start <= address and address + nbytes <= start + piece.nbytes:
                return piece[address - start : address - start + nbytes]
        raise EngineError("the GPU failed: an illegal memory access was encountered")

    def used(self, call: str) -> None:
        if not self.depth.get(threading.get_ident()):
            raise EngineError(f"the GPU failed: {call}: invalid device context")
        self._fault(call)

    def _fault(self, call: str) -> None:
        count = self.counts[call] = self.counts.get(call, 0) + 1
        if self.lost:
            raise EngineError("the GPU failed: GPU is lost")
        if call in self._faults and count > self._faults[call]:
            del self._faults[call]
            self.lost = self._loses
            raise EngineError(f"the GPU failed: {call}: unspecified launch failure")

    def run_until(self, done: Callable[[], bool]) -> None:
        while not done():
            ready = [stream for stream in self.streams.values() if stream.can_step()]
            assert ready, "deadlock: every stream waits for an event that nobody will reach"
            self._dice.choice(ready).step()

    def run_some(self) -> None:
        for _ in range(self._dice.randrange(4)):
            ready = [stream for stream in self.streams.values() if stream.can_step()]
            if ready:
                self._dice.choice(ready).step()


class SimulatedMemory:
    def __init__(self, gpu: SimulatedGpu, address: int, nbytes: int) -> None:
        self._gpu, self.address, self.nbytes = gpu, address, nbytes

    def free(self) -> None:
        self._gpu.used("free")
        del self._gpu.memory[self.address]


class SimulatedStream:
    def __init__(self, gpu: SimulatedGpu, handle: int) -> None:
        self.gpu, self.handle = gpu, handle
        self.queue: deque[tuple[str, Any]] = deque()
        self.recording: list[tuple[Work, float]] | None = None
        self.at_ms = 0.0

    def put(self, work: Work, lasts_ms: float = KERNEL_MS) -> None:
        if self.recording is not None:
            self.recording.append((work, lasts_ms))
            return
        self.queue.append(("work", (work, self.gpu.host_ms, lasts_ms)))
        self.gpu.run_some()

    def wait(self, event: SimulatedEvent) -> None:
        self.gpu.used("wait")
        self.queue.append(("wait", (event, event.recorded)))

    def synchronize(self) -> None:
        self.gpu.used("synchronize")
        self.gpu.run_until(lambda: not self.queue)
        self.gpu.host_ms = max(self.gpu.host_ms, self.at_ms)

    def can_step(self) -> bool:
        if not self.queue:
            return False
        kind, what = self.queue[0]
        return kind != "wait" or what[0].reached >= what[1]

    def step(self) -> None:
        kind, what = self.queue.popleft()
        if kind == "work":
            work, given_ms, lasts_ms = what
            work()
            self.at_ms = max(self.at_ms, given_ms) + lasts_ms
        elif kind == "record":
            event, ticket, given_ms = what
            event.reached = max(event.reached, ticket)
            event.at_ms = self.at_ms = max(self.at_ms, given_ms)
        else:
            self.at_ms = max(self.at_ms, what[0].at_ms)


class SimulatedEvent:
    def __init__(self, gpu: SimulatedGpu, timed: bool) -> None:
        self.gpu, self.timed, self.recorded, self.reached, self.at_ms = gpu, timed, 0, 0, 0.0
        gpu.events.add(self)

    def record(self, stream: SimulatedStream) -> None:
        self.gpu.used("timed record" if self.timed else "record")
        self.recorded += 1
        stream.queue.append(("record", (self, self.recorded, self.gpu.host_ms)))

    def synchronize(self) -> None:
        self.gpu.used("synchronize")
        ticket = self.recorded
        self.gpu.run_until(lambda: self.reached >= ticket)
        self.gpu.host_ms = max(self.gpu.host_ms, self.at_ms)

    def ms_since(self, earlier: SimulatedEvent) -> float:
        self.gpu.used("elapsed")
        for event in (earlier, self):
            if not event.timed or not event.recorded:
                raise EngineError("the GPU failed: cuEventElapsedTime failed: invalid resource handle")
            if event.reached < event.recorded:
                raise EngineError("the GPU failed: cuEventElapsedTime failed: device not ready")
        return self.at_ms - earlier.at_ms


class SimulatedGraph:
    def __init__(self, gpu: SimulatedGpu, works: list[tuple[Work, float]]) -> None:
        self.gpu, self.works = gpu, works
        self.closed = False

    def launch(self, stream: SimulatedStream) -> None:
        self.gpu.used("launch")
        assert not self.closed
        for work, lasts_ms in self.works:
            stream.put(work, lasts_ms)

    def close(self) -> None:
        self.gpu.used("close_graph")
        assert not self.closed
        self.closed = True
