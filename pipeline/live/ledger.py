"""The books of a live run: what became of every frame."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence

from pipeline.timings import StageTimings

__all__ = ["Ledger"]

_RATE_WINDOW_S = 1.0
_ALL = "all cameras"


class Ledger:
    """Counts scenes, their ages, and frames that did not become one, by camera. Safe to use from several threads.

    Args:
        cameras: Their names.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._ages = StageTimings()
        self._scenes: Counter[str] = Counter()
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._last_age_ms = dict.fromkeys(cameras, float("nan"))
        self._moments: dict[str, deque[float]] = {name: deque() for name in cameras}

    def count_scene(self, camera: str, age_ms: float) -> None:
        """A frame became a scene, so long after it was captured."""
        self._ages.add(camera, age_ms)
        self._ages.add(_ALL, age_ms)
        with self._lock:
            self._scenes[camera] += 1
            self._last_age_ms[camera] = age_ms
            self._moments[camera].append(time.monotonic())
            self._forget(camera)

    def count_drop(self, camera: str, cause: str, frames: int = 1) -> None:
        """Frames did not become scenes, for one of `pipeline.live.status.DROP_CAUSES`."""
        with self._lock:
            self._dropped[camera, cause] += frames

    def scenes(self, camera: str) -> int:
        """Frames of that camera that became scenes."""
        with self._lock:
            return self._scenes[camera]

    def dropped(self, camera: str, cause: str) -> int:
        """Frames of that camera that were dropped for that cause here; others are counted where they are dropped."""
        with self._lock:
            return self._dropped[camera, cause]

    def last_age_ms(self, camera: str) -> float:
        """Age of that camera's newest scene; NaN before the first."""
        with self._lock:
            return self._last_age_ms[camera]

    def fps(self, camera: str) -> float:
        """Scenes of that camera within the last second; zero where none came."""
        with self._lock:
            self._forget(camera)
            moments = self._moments[camera]
            if len(moments) < 2:
                return float(len(moments))
            # n moments bound n - 1 periods; counting them as n would tell 26 FPS of a camera of 25.
            return (len(moments) - 1) / max(moments[-1] - moments[0], 1e-3)

    def age_ms(self, camera: str | None = None) -> dict[str, float]:
        """Quantiles of the age of one camera's scenes, or of all; empty before the first."""
        figures = self._ages.table().get(_ALL if camera is None else camera, {})
        return {name: round(figures[name], 2) for name in ("p50", "p95", "p99", "max") if name in figures}

    def _forget(self, camera: str) -> None:
        moments, since_s = self._moments[camera], time.monotonic() - _RATE_WINDOW_S
        while moments and moments[0] < since_s:
            moments.popleft()
