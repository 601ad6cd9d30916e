"""The capture thread's work: takes frames from a source and hands them over, losing none."""

from __future__ import annotations

import dataclasses
import threading
import time

from pipeline.errors import SourceError
from pipeline.scene import Frame
from pipeline.sources.base import Source
from pipeline.stage import Channel
from pipeline.timings import StageTimings

__all__ = ["Capture"]

_CAPACITY = 4
"""Frames decoded ahead: enough to ride out a slow one, few enough to stay in the cache."""


class Capture:
    """Reads a recording from beginning to end.

    Args:
        source: Read and closed by the thread that calls `run`.
        timings: Where decoding times are counted, as the stage ``"decode"``.
        start_s: Frames before this time in the recording are passed over.
        end_s: Reading ends at this time; None reads to the end.
        pace: Hand frames over at the recording's own speed instead of as fast as they are taken.
    """

    def __init__(
        self,
        source: Source,
        timings: StageTimings,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        pace: bool = False,
    ) -> None:
        self.frames: Channel[Frame] = Channel(_CAPACITY)
        self.frame_count = 0
        self._source = source
        self._timings = timings
        self._start_s, self._end_s, self._pace = start_s, end_s, pace

    @property
    def size_hw(self) -> tuple[int, int]:
        """(H, W) of the source's frames, as far as it knows before the first."""
        return self._source.info.size_hw

    def run(self, ready: threading.Event, stop: threading.Event) -> None:
        """Read until the source ends, `stop` is set or nobody listens any more.

        Args:
            ready: Set once frames can be taken; the paced clock starts then, not while the engine still opens.
            stop: Set when no more frames are wanted.

        Raises:
            SourceError: The source failed, or holds nothing between `start_s` and `end_s`.
        """
        try:
            self._read(ready, stop)
        finally:
            self.frames.close()
            self._source.close()

    def _read(self, ready: threading.Event, stop: threading.Event) -> None:
        frames = self._source.frames()
        pacer = _Pacer(ready, stop) if self._pace else None
        while not stop.is_set():
            began_s = time.perf_counter()
            frame = next(frames, None)
            if frame is None or (self._end_s is not None and frame.source_time_s >= self._end_s):
                break
            if frame.source_time_s < self._start_s:
                continue
            self._timings.add("decode", (time.perf_counter() - began_s) * 1e3)
            if pacer is not None:
                pacer.wait_until(frame.source_time_s)
            self.frames.put(dataclasses.replace(frame, index=self.frame_count))
            self.frame_count += 1
        if self.frame_count == 0 and not stop.is_set():
            raise SourceError(f"{self._source.info.uri}: holds no frames {self._span()}".rstrip())

    def _span(self) -> str:
        if self._start_s <= 0 and self._end_s is None:
            return ""
        return f"between {self._start_s:g} s and {'its end' if self._end_s is None else f'{self._end_s:g} s'}"

    def close(self) -> None:
        """Close the source, if its thread never started or did not get that far. May be called more than once."""
        self._source.close()


class _Pacer:
    """Lets time pass as it did when the recording was made."""

    def __init__(self, ready: threading.Event, stop: threading.Event) -> None:
        self._ready, self._stop = ready, stop
        self._offset_s: float | None = None

    def wait_until(self, source_time_s: float) -> None:
        """Return at that time of the recording, counted from the first call, or when the run is stopped."""
        while self._offset_s is None and not self._stop.is_set():
            if self._ready.wait(0.1):
                self._offset_s = time.monotonic() - source_time_s
        self._stop.wait(max(0.0, (self._offset_s or 0.0) + source_time_s - time.monotonic()))
