"""What the always-on stage timers cost."""

from __future__ import annotations

import time

from pipeline.timings import StageTimings, Stopwatch

__all__ = ["measure_timer_us"]


def measure_timer_us(rounds: int = 5, laps: int = 2000) -> float:
    """Microseconds that one lap of a stage costs, counting included: the best of some rounds, undisturbed.

    Args:
        rounds: How many.
        laps: In each.
    """
    watch = Stopwatch(StageTimings())
    best_s = float("inf")
    for _ in range(rounds):
        began_s = time.perf_counter()
        for _ in range(laps):
            watch.lap("engine")
        best_s = min(best_s, time.perf_counter() - began_s)
    return best_s * 1e6 / laps
