"""How long each stage takes: always on, in constant memory, at the cost of a few microseconds a frame."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["STAGES", "FrameKey", "StageTimings", "Stopwatch", "TimingsTable"]

STAGES = ("decode", "preprocess", "engine", "smoothing", "postprocess", "situation", "overlay")
"""The stages in the order of the data flow; sinks follow under their own names."""

TimingsTable = dict[str, dict[str, float]]
"""``{stage: {"p50": ms, "p95": ms, "p99": ms, "max": ms, "mean": ms}}``."""

FrameKey = tuple[str, int]
"""Whose lap it is: the frame's camera and its index."""

# Logarithmic bins, as in HdrHistogram: 1 µs to 1,000 s, each 1 % wider than the one before.
_SMALLEST_MS = 1e-3
_GROWTH = math.log(1.01)
_BINS = int(math.log(1e9) / _GROWTH) + 2


class _Histogram:
    """Counts of durations. Quantiles are right to within 0.5 % of their value."""

    __slots__ = ("bins", "count", "largest_ms", "total_ms")

    def __init__(self) -> None:
        self.bins = np.zeros(_BINS, np.int64)
        self.count = 0
        self.total_ms = 0.0
        self.largest_ms = 0.0

    def add(self, duration_ms: float) -> None:
        position = int(math.log(max(duration_ms, _SMALLEST_MS) / _SMALLEST_MS) / _GROWTH)
        self.bins[min(position, _BINS - 1)] += 1
        self.count += 1
        self.total_ms += duration_ms
        self.largest_ms = max(self.largest_ms, duration_ms)

    def quantile(self, share: float) -> float:
        rank = max(1, math.ceil(share * self.count))
        position = int(np.searchsorted(np.cumsum(self.bins), rank))
        return min(_SMALLEST_MS * math.exp((position + 0.5) * _GROWTH), self.largest_ms)


class StageTimings:
    """Durations of every stage of a run. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms: dict[str, _Histogram] = {}

    def add(self, stage: str, duration_ms: float, frame: FrameKey | None = None) -> None:  # noqa: ARG002 (for profiles)
        """Count one duration in milliseconds, of that frame where it is of one alone."""
        with self._lock:
            histogram = self._histograms.get(stage)
            if histogram is None:
                histogram = self._histograms[stage] = _Histogram()
            histogram.add(duration_ms)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time a block of code. A block that raises is not counted."""
        started_s = time.perf_counter()
        yield
        self.add(stage, (time.perf_counter() - started_s) * 1e3)

    def quantile_ms(self, stage: str, share: float) -> float:
        """That quantile of a stage's durations in milliseconds; NaN before its first."""
        with self._lock:
            histogram = self._histograms.get(stage)
            return histogram.quantile(share) if histogram is not None else math.nan

    def table(self) -> TimingsTable:
        """Quantiles, largest and mean of every stage in milliseconds, in the order of the data flow."""
        with self._lock:
            order = sorted(self._histograms, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))
            return {name: _figures(self._histograms[name]) for name in order}


def _figures(histogram: _Histogram) -> dict[str, float]:
    quantiles = {f"p{share}": histogram.quantile(share / 100) for share in (50, 95, 99)}
    figures = quantiles | {"max": histogram.largest_ms, "mean": histogram.total_ms / histogram.count}
    return {name: round(value, 4) for name, value in figures.items()}


class Stopwatch:
    """Laps of one frame's way through consecutive stages, each also counted in a `StageTimings`.

    Args:
        timings: Where every lap is counted.
        share: How many frames go the way together: a lap counts as that share of its time, once for each.
        frame: Which frame goes there, where others are under way at the same time.
    """

    __slots__ = ("_frame", "_last_s", "_share", "_timings", "laps_ms")

    def __init__(self, timings: StageTimings, share: int = 1, frame: FrameKey | None = None) -> None:
        self._timings = timings
        self._share = share
        self._frame = frame
        self._last_s = time.perf_counter()
        self.laps_ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage; the next begins."""
        now_s = time.perf_counter()
        self.laps_ms[stage] = (now_s - self._last_s) * 1e3 / self._share
        for _ in range(self._share):
            self._timings.add(stage, self.laps_ms[stage], self._frame)
        self._last_s = now_s
