"""From repetitions to figures and ratios with an interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Figures", "Pass", "figures_of", "median_interval", "table"]

Interval = tuple[float, float, float]
"""The median, and what holds it with a probability of 95 %."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a peer through the clip, as its witness printed it.

    Attributes:
        engine: What ran the network.
        frames: How many counted.
        size_hw: (H, W) of its class maps.
        fps: Class maps a second.
        cpu_ms: CPU time of its process a frame.
        latencies_ms: From asking for a frame to its class map.
        memory_mb: The most that its process ever had in RAM.
    """

    engine: str
    frames: int
    size_hw: tuple[int, int]
    fps: float
    cpu_ms: float
    latencies_ms: list[float]
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Figures:
    """A peer's figures over all rounds: medians, and ratios to Clearway's of the same round.

    Attributes:
        engine: As of a pass.
        size_hw: As of a pass.
        fps: As of a pass.
        cpu_ms: As of a pass.
        memory_mb: As of a pass.
        latency_p50_ms: With frames at a camera's pace; NaN where that was not measured.
        latency_p99_ms: Likewise.
        fps_ratio: Clearway's FPS / its own.
        cpu_ratio: Its CPU time / Clearway's.
    """

    engine: str
    size_hw: tuple[int, int]
    fps: float
    cpu_ms: float
    memory_mb: float
    latency_p50_ms: float
    latency_p99_ms: float
    fps_ratio: Interval
    cpu_ratio: Interval


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The median of independent repetitions, and an interval that holds the true one with that probability.

    It is that of the sign test, from order statistics: no shape of the distribution is assumed (David and Nagaraja,
    *Order Statistics*, 2003, 7.1). Fewer than six repetitions cannot give 95 %: then it is the whole range.
    """
    ordered, count = sorted(values), len(values)
    cut, tail = 0, 0.0
    for rank in range(count // 2):
        tail += math.comb(count, rank) / 2**count
        if 2 * tail > 1 - confidence:
            break
        cut = rank
    return statistics.median(ordered), ordered[cut], ordered[-1 - cut]


def figures_of(free: Sequence[Pass], paced: Sequence[Pass], ours: Sequence[Pass]) -> Figures:
    """One peer's figures.

    Args:
        free: Its passes as fast as it takes frames, one a round.
        paced: Its passes with frames at a camera's pace.
        ours: Clearway's free passes of the same rounds.
    """
    latencies_ms = sorted(value for one in paced for value in one.latencies_ms)
    return Figures(
        engine=free[0].engine,
        size_hw=free[0].size_hw,
        fps=statistics.median(one.fps for one in free),
        cpu_ms=statistics.median(one.cpu_ms for one in free),
        memory_mb=statistics.median(one.memory_mb for one in free),
        latency_p50_ms=_quantile(latencies_ms, 0.5),
        latency_p99_ms=_quantile(latencies_ms, 0.99),
        fps_ratio=median_interval([mine.fps / peer.fps for mine, peer in zip(ours, free, strict=True)]),
        cpu_ratio=median_interval([peer.cpu_ms / mine.cpu_ms for mine, peer in zip(ours, free, strict=True)]),
    )


def table(figures: dict[str, Figures]) -> str:
    """As Markdown."""
    lines = [
        "| | FPS | latency p50 / p99, ms | CPU ms a frame | memory, MB | Clearway's FPS / its | its CPU / Clearway's |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {title} | {row.fps:.1f} | {row.latency_p50_ms:.0f} / {row.latency_p99_ms:.0f} | {row.cpu_ms:.1f} "
        f"| {row.memory_mb:.0f} | {_text(row.fps_ratio)} | {_text(row.cpu_ratio)} |"
        for title, row in figures.items()
    ]
    return "\n".join(lines)


def _text(interval: Interval) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*interval)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
