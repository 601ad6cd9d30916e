"""Where a batch's time on the GPU goes: a pair of events with a clock around each part of its work.

An event is written by the GPU when its stream comes to it, so that setting one waits for nothing. They are read after
the wait for the results, which is there anyway: the last event lies before the mark that is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from engines.base import DeviceLap, DeviceLaps
from engines.cuda.device import Device, Event, Stream

__all__ = ["DeviceClock"]

_UNTIMED = nullcontext()


class DeviceClock:
    """Times one batch after the other. While it is off, no event is made or set.

    Args:
        device: The GPU.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._events: list[tuple[Event, Event]] = []
        self._stages: list[str] = []
        self._submitted_s = 0.0
        self._is_on = False

    def restart(self, *, on: bool) -> None:
        """Another batch begins; what was not read of the last one is forgotten."""
        self._is_on = on
        self._stages.clear()
        if on:
            self._submitted_s = time.perf_counter()

    def lap(self, stage: str, stream: Stream) -> AbstractContextManager[None]:
        """Time what the stream is given within a block. The stream has waited for the part before by then."""
        return self._timed(stage, stream) if self._is_on else _UNTIMED

    @contextmanager
    def _timed(self, stage: str, stream: Stream) -> Iterator[None]:
        if len(self._events) == len(self._stages):
            self._events.append((self._device.event(timed=True), self._device.event(timed=True)))
        begun, ended = self._events[len(self._stages)]
        begun.record(stream)
        yield
        ended.record(stream)
        self._stages.append(stage)

    def read(self, pictures: int) -> DeviceLaps | None:
        """What was measured; None while it is off. All of it must be done, and the GPU active.

        Args:
            pictures: How many went together.

        Raises:
            EngineError: An event was not reached, or the GPU failed.
        """
        if not self._stages:
            return None
        timed = list(zip(self._stages, self._events, strict=False))
        first, last = timed[0][1][0], timed[-1][1][1]
        laps = tuple(DeviceLap(stage, begun.ms_since(first), ended.ms_since(begun)) for stage, (begun, ended) in timed)
        return DeviceLaps(laps, last.ms_since(first), pictures, self._submitted_s)
