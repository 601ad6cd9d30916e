"""From pictures to class maps without leaving the GPU: the picture goes up, only the class map comes down.

    upload    | n+1 ▸ ▸ |         |         one stream each; events keep them in step:
    compute   |    n  ▸ ▸ ▸ ▸ |   |         letterbox, network, class map
    download  | n−1 ▸   |         |

A 1280x720 picture is 1.4 MB as 4:2:0 planes, its class map 0.9 MB and its grid of confidence 0.06 MB; the tensor
(2.8 MB at 640x360) and the logits (0.6 MB) stay where they are. Shapes are fixed, so every launch is made once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engines.base import DeviceLaps, Engine, ModelSpec
from engines.cuda.clock import DeviceClock
from engines.cuda.device import Device, Event, Memory, Stream
from engines.errors import EngineError
from engines.kernels.class_map import ClassMapper
from engines.kernels.device import DeviceKernels
from engines.kernels.launch import Launch
from engines.kernels.letterbox import Letterbox
from engines.kernels.picture import PictureFormat

__all__ = ["DEPTH", "MODULES", "ClassifiedPicture", "DeviceNetwork", "Feed", "PictureEngine", "PicturePath"]

MODULES = ("letterbox", "class_map")
"""Of the kernels: those that a picture path needs."""

DEPTH = 2
"""Batches in flight: one computes while the next goes up or the one before comes down."""


class DeviceNetwork(Protocol):
    """A network on the GPU, with float32 buffers at addresses that never change."""

    @property
    def input_address(self) -> int:
        """Where its input (N, 3, H, W) lies."""

    @property
    def output_address(self) -> int:
        """Where its logits (N, K, h, w) lie."""

    def enqueue(self, stream: Stream) -> None:
        """Queue one run of all N; the context is current."""


@dataclass(frozen=True, slots=True)
class Feed:
    """The pictures of one camera, one after the other into the same entry of the batch.

    Attributes:
        picture: How they lie in memory.
        content_hw: (H, W) of what they fill of the network's input: `Preprocessor.content_size_hw`.
        grid_hw: (h, w) of the logits that stand for them: the shape that `Preprocessor.content_of` gives.
    """

    picture: PictureFormat
    content_hw: tuple[int, int]
    grid_hw: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ClassifiedPicture:
    """What came down for one picture. Views, valid until the next `PicturePath.collect` or `close`.

    Attributes:
        class_ids: (H, W) uint8 at image size.
        confidence: (h, w) float32 on the logits' grid, in [0, 1].
    """

    class_ids: NDArray[np.uint8]
    confidence: NDArray[np.float32]


@dataclass(eq=False)  # told apart by identity: arrays have no single truth
class _Slot:
    """One batch on its way: its pictures going up, its results coming down, and what to launch in between."""

    host_in: list[NDArray[np.uint8]]
    device_in: list[Memory]
    host_out: list[NDArray[np.uint8]]
    device_out: list[Memory]
    letterboxes: list[Launch]
    class_maps: list[Launch]
    uploaded: Event
    computed: Event
    downloaded: Event
    clock: DeviceClock


class PicturePath:
    """Letterbox, network and class map for N cameras, with up to `DEPTH` batches in flight. Called by one thread.

    Args:
        device: The GPU.
        network: The network, opened; it must outlive this.
        spec: Its model: shapes, mean, std, colour order.
        feeds: One for each of its batch's first entries. The network runs all of them all the same.
        on_laps: Called with the GPU's time on every batch; see `engines.base.DeviceTimedEngine`.

    Raises:
        EngineError: Not enough memory, or the kernels cannot be loaded. All that was taken is given back.
    """

    def __init__(
        self,
        device: Device,
        network: DeviceNetwork,
        spec: ModelSpec,
        feeds: Sequence[Feed],
        on_laps: Callable[[DeviceLaps], None] | None = None,
    ) -> None:
        if not 1 <= len(feeds) <= spec.input_shape[0]:
            raise EngineError(f"{spec.name} is open for {spec.input_shape[0]} pictures at once, not for {len(feeds)}")
        self._device, self._network, self._spec, self._feeds = device, network, spec, tuple(feeds)
        self._on_laps = on_laps
        self._kernels = DeviceKernels(device)
        self._memory: list[Memory] = []
        self._slots: list[_Slot] = []
        self._in_flight: deque[_Slot] = deque()
        self._lent: _Slot | None = None
        self._closed = False
        with ExitStack() as undo:
            undo.callback(self.close)
            with device.active():
                self._streams = (device.stream(), device.stream(), device.stream())
                self._prepare()
            undo.pop_all()

    def _prepare(self) -> None:
        spec = self._spec
        self._kernels.load(*MODULES)
        letterboxes = [
            Letterbox(feed.picture, spec.input_size_hw, feed.content_hw, spec.mean, spec.std, spec.color_order)
            for feed in self._feeds
        ]
        mappers = [ClassMapper(spec.output_shape[1:], feed.grid_hw, feed.picture.size_hw) for feed in self._feeds]
        letterbox_tables = [self._upload_once(plan.tables) for plan in letterboxes]
        mapper_tables = [self._upload_once(plan.tables) for plan in mappers]
        labels = [self._allocate(math.prod(feed.grid_hw)).address for feed in self._feeds]
        # One more than is in flight: the one whose class maps the caller looks at.
        for _ in range(DEPTH + 1):
            self._slots.append(self._new_slot(letterboxes, mappers, letterbox_tables, mapper_tables, labels))

    def _new_slot(
        self,
        letterboxes: Sequence[Letterbox],
        mappers: Sequence[ClassMapper],
        letterbox_tables: Sequence[int],
        mapper_tables: Sequence[int],
        labels: Sequence[int],
    ) -> _Slot:
        device = self._device
        in_bytes = [feed.picture.nbytes for feed in self._feeds]
        out_bytes = [4 * math.prod(feed.grid_hw) + math.prod(feed.picture.size_hw) for feed in self._feeds]
        slot = _Slot(
            host_in=[device.page_locked((size,), np.uint8) for size in in_bytes],
            device_in=[self._allocate(size) for size in in_bytes],
            host_out=[device.page_locked((size,), np.uint8) for size in out_bytes],
            device_out=[self._allocate(size) for size in out_bytes],
            letterboxes=[],
            class_maps=[],
            uploaded=device.event(),
            computed=device.event(),
            downloaded=device.event(),
            clock=DeviceClock(device),
        )
        entry_in, entry_out = (4 * math.prod(shape[1:]) for shape in (self._spec.input_shape, self._spec.output_shape))
        for n, feed in enumerate(self._feeds):
            slot.letterboxes.append(
                letterboxes[n].launch(
                    slot.device_in[n].address, letterbox_tables[n], self._network.input_address + n * entry_in
                )
            )
            # The confidence first, since its numbers want to be aligned; so one copy brings both down.
            confidence_at = slot.device_out[n].address
            slot.class_maps += mappers[n].launches(
                self._network.output_address + n * entry_out,
                mapper_tables[n],
                labels[n],
                confidence_at,
                confidence_at + 4 * math.prod(feed.grid_hw),
            )
        return slot

    @property
    def in_flight(self) -> int:
        """How many batches were submitted and not collected yet."""
        return len(self._in_flight)

    def submit(self, pictures: Sequence[tuple[NDArray[np.uint8], ...]]) -> None:
        """Start on one picture of each feed, and return. They are copied first; the caller may overwrite them.

        Args:
            pictures: For each feed the arrays that `PictureFormat.pack` takes: (BGR,) or (Y, U, V).

        Raises:
            EngineError: `DEPTH` are in flight already, this is closed, or the GPU failed.
        """
        if self._closed:
            raise EngineError(f"the picture path of {self._spec.name} is closed")
        if len(self._in_flight) == DEPTH:
            raise EngineError(f"{DEPTH} are in flight already: collect one first")
        slot = next(each for each in self._slots if each is not self._lent and each not in self._in_flight)
        for feed, samples, buffer in zip(self._feeds, pictures, slot.host_in, strict=True):
            feed.picture.pack(samples, buffer)
        with self._device.active():
            self._enqueue(slot)
        self._in_flight.append(slot)

    def _enqueue(self, slot: _Slot) -> None:
        (upload, compute, download), clock = self._streams, slot.clock
        clock.restart(on=self._on_laps is not None)
        with clock.lap("upload", upload):
            for array, memory in zip(slot.host_in, slot.device_in, strict=True):
                self._device.upload(memory.address, array, upload)
        slot.uploaded.record(upload)

        compute.wait(slot.uploaded)
        with clock.lap("letterbox", compute):
            self._run(slot.letterboxes, compute)
        with clock.lap("inference", compute):
            self._network.enqueue(compute)
        with clock.lap("class map", compute):
            self._run(slot.class_maps, compute)
        slot.computed.record(compute)

        download.wait(slot.computed)
        with clock.lap("download", download):
            for array, memory in zip(slot.host_out, slot.device_out, strict=True):
                self._device.download(array, memory.address, download)
        slot.downloaded.record(download)

    def collect(self) -> tuple[ClassifiedPicture, ...]:
        """Wait for the oldest batch; one result for each feed.

        Raises:
            EngineError: Nothing is in flight, this is closed, or the GPU failed.
        """
        if self._closed or not self._in_flight:
            raise EngineError("nothing was submitted that could be collected")
        slot = self._in_flight.popleft()
        self._lent = slot
        with self._device.active():
            slot.downloaded.synchronize()
            laps = slot.clock.read(len(self._feeds))
        if laps is not None and self._on_laps is not None:
            self._on_laps(laps)
        return tuple(_split(feed, array) for feed, array in zip(self._feeds, slot.host_out, strict=True))

    def stages(self) -> dict[str, Callable[[Stream], None]]:
        """The parts of what `submit` has the GPU compute, to be timed: "letterbox", "network", "class map".

        Each gives a stream its part for the pictures submitted first; the GPU is active, nothing is in flight.
        """
        slot = self._slots[0]
        return {
            "letterbox": lambda stream: self._run(slot.letterboxes, stream),
            "network": self._network.enqueue,
            "class map": lambda stream: self._run(slot.class_maps, stream),
        }

    def _run(self, launches: Sequence[Launch], stream: Stream) -> None:
        for launch in launches:
            self._kernels.run(launch, stream)

    def classify(self, pictures: Sequence[tuple[NDArray[np.uint8], ...]]) -> tuple[ClassifiedPicture, ...]:
        """Submit and collect at once: the shortest latency, nothing beside it."""
        if self._in_flight:
            raise EngineError("pictures that were submitted must be collected before classify is called")
        self._lent = None
        self.submit(pictures)
        return self.collect()

    def close(self) -> None:
        """Give everything back, also on a GPU that failed. May be called more than once; the network stays open."""
        if self._closed:
            return
        self._closed = True
        self._in_flight.clear()
        try:
            with self._device.active():
                for stream in getattr(self, "_streams", ()):
                    stream.synchronize()
                while self._memory:
                    self._memory.pop().free()
        except EngineError:  # the GPU failed, was told about where it did, and what was in it is gone with its context
            self._memory.clear()
        self._slots.clear()
        self._lent = None

    def __enter__(self) -> PicturePath:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _allocate(self, nbytes: int) -> Memory:
        memory = self._device.allocate(nbytes)
        self._memory.append(memory)
        return memory

    def _upload_once(self, table: NDArray[np.uint8]) -> int:
        memory = self._allocate(table.nbytes)
        staged = self._device.page_locked(table.shape, np.uint8)
        staged[:] = table
        self._device.upload(memory.address, staged, self._streams[0])
        self._streams[0].synchronize()
        return memory.address


def _split(feed: Feed, came_down: NDArray[np.uint8]) -> ClassifiedPicture:
    border = 4 * math.prod(feed.grid_hw)
    confidence = came_down[:border].view(np.float32).reshape(feed.grid_hw)
    return ClassifiedPicture(came_down[border:].reshape(feed.picture.size_hw), confidence)


@runtime_checkable
class PictureEngine(Engine, Protocol):
    """An engine that can take pictures instead of tensors, and give classes instead of logits."""

    @property
    def takes_pictures(self) -> bool:
        """Whether it can on this machine; where it cannot, it has said why."""

    def picture_path(self, feeds: Sequence[Feed]) -> PicturePath:
        """Open a path around the engine; to be closed before it.

        Raises:
            EngineError: Not enough memory, or the kernels cannot be loaded.
        """
