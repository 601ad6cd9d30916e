"""Is one profile slower than another? An interval for the ratio, from repeated segments, whatever their distribution.

Frames that follow one another are not independent, segments nearly are: they are what is compared. The ratio of B to A
is Hodges and Lehmann's estimate on the logarithms, its interval that of Mann and Whitney's test, exact (Hollander,
Wolfe, Nonparametric Statistical Methods, 1999, 4.2 and 4.3).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import product

import msgspec

from evaluation.profile.figures import ProfileFigures, SegmentFigures

__all__ = ["MARGIN", "Comparison", "Ratio", "compare_profiles", "ratio_of"]

Value = Callable[[SegmentFigures], float]

CONFIDENCE = 0.95
MARGIN = 0.02
"""B is called slower where its whole interval lies beyond this: less than 2 % is nothing that anybody would act on."""


class Ratio(msgspec.Struct, frozen=True):
    """How much longer something takes in B than in A.

    Attributes:
        estimate: B / A.
        low: Lower end of the interval; None where there are too few segments for one.
        high: Its upper end.
    """

    estimate: float
    low: float | None
    high: float | None

    @property
    def is_longer(self) -> bool:
        """Whether the whole interval lies beyond `MARGIN`."""
        return self.low is not None and self.low > 1 + MARGIN

    @property
    def is_shorter(self) -> bool:
        """Likewise, on the other side."""
        return self.high is not None and self.high < 1 / (1 + MARGIN)


class Comparison(msgspec.Struct, frozen=True):
    """The answer.

    Attributes:
        slower: Whether B is slower than A.
        verdict: The answer in a sentence.
        frame: Milliseconds a frame.
        frame_over_engine: Milliseconds a frame, each over those of the bare engine measured beside it: what a machine
            that became slower as a whole does not change.
        engine: Milliseconds a frame in the bare engine.
        cpu: CPU time a frame.
        stages: Medians by stage; single figures, without an interval.
        differences: Settings and machines that are not the same, in words.
        judged_by: Which ratio the verdict is about: "frame_over_engine", or "frame" where settings or machine differ.
        other_load: Cores' worth of time that other programs took while A and while B was measured.
    """

    slower: bool
    verdict: str
    frame: Ratio
    frame_over_engine: Ratio
    engine: Ratio
    cpu: Ratio
    stages: dict[str, float]
    differences: list[str]
    judged_by: str
    other_load: list[float]


def compare_profiles(before: ProfileFigures, after: ProfileFigures) -> Comparison:
    """Compare B, `after`, with A, `before`."""
    differences = _differences(before, after)
    frame = _ratio(before, after, lambda segment: segment.frame_ms)
    relative = _ratio(before, after, lambda segment: segment.frame_ms / segment.engine_ms)
    engine = _ratio(before, after, lambda segment: segment.engine_ms)
    judged_by = "frame" if differences else "frame_over_engine"
    judged = frame if differences else relative
    cpu = _ratio(before, after, lambda segment: segment.cpu_ms)
    return Comparison(
        slower=judged.is_longer,
        verdict=_verdict(judged, frame, engine, judged_by) + _work(cpu),
        frame=frame,
        frame_over_engine=relative,
        engine=engine,
        cpu=cpu,
        stages={
            stage: round(after.timings_ms[stage]["p50"] / figures["p50"], 4)
            for stage, figures in before.timings_ms.items()
            if stage in after.timings_ms and figures["p50"] > 0
        },
        differences=differences,
        judged_by=judged_by,
        other_load=[before.other_load, after.other_load],
    )


def ratio_of(before: Sequence[float], after: Sequence[float]) -> Ratio:
    """How much larger the values of `after` are than those of `before`, with an exact interval of 95 %.

    Args:
        before: Positive values, independent of each other.
        after: Likewise.
    """
    logs = sorted(math.log(late) - math.log(early) for early, late in product(before, after))
    estimate = round(math.exp(statistics.median(logs)), 4)
    rank = _rank(len(before), len(after))
    if rank == 0:
        return Ratio(estimate, None, None)
    return Ratio(estimate, round(math.exp(logs[rank - 1]), 4), round(math.exp(logs[-rank]), 4))


def _rank(first: int, second: int) -> int:
    """Which of the sorted pairwise differences is the interval's end: the largest r with P(U < r) <= 2.5 %; 0: none."""
    ways = _mann_whitney_ways(first, second)
    tail, total = 0, sum(ways)
    for rank, count in enumerate(ways):
        tail += count
        if tail / total > (1 - CONFIDENCE) / 2:
            return rank
    return 0


def _mann_whitney_ways(first: int, second: int) -> list[int]:
    """In how many orders of two samples each value of U, 0 to first · second, occurs: Gauss's binomial coefficients."""
    ways = [1] + [0] * (first * second)
    for step in range(1, first + 1):
        # Multiply by (1 - q^(second + step)), divide by (1 - q^step).
        for place in range(len(ways) - 1, second + step - 1, -1):
            ways[place] -= ways[place - second - step]
        for place in range(step, len(ways)):
            ways[place] += ways[place - step]
    return ways


def _ratio(before: ProfileFigures, after: ProfileFigures, value: Value) -> Ratio:
    return ratio_of([value(segment) for segment in before.segments], [value(segment) for segment in after.segments])


def _differences(before: ProfileFigures, after: ProfileFigures) -> list[str]:
    pairs = {
        name: (getattr(before.settings, name), getattr(after.settings, name))
        for name in before.settings.__struct_fields__
    }
    pairs["machine"] = (before.machine.processor, after.machine.processor)
    pairs["cores"] = (before.machine.cores, after.machine.cores)
    return [f"{name}: {one} → {other}" for name, (one, other) in pairs.items() if one != other]


def _work(cpu: Ratio) -> str:
    """What the CPU time says, which other programs on the machine hardly disturb."""
    if cpu.is_longer or cpu.is_shorter:
        return f"; its frames cost {cpu.estimate:.3f} times the CPU time ({cpu.low:.3f} to {cpu.high:.3f})"
    return ""


def _verdict(judged: Ratio, frame: Ratio, engine: Ratio, judged_by: str) -> str:
    what = "a frame" if judged_by == "frame" else "a frame, in units of the bare engine,"
    if judged.low is None or judged.high is None:
        return f"unknown: {what} takes {judged.estimate:.3f} times as long, from too few segments for an interval"
    times = f"{what} takes {judged.estimate:.3f} times as long ({judged.low:.3f} to {judged.high:.3f})"
    if judged.is_longer:
        return f"slower: {times}"
    if judged_by != "frame" and frame.is_longer and engine.is_longer:
        return f"not slower: {times}; but the bare engine takes {engine.estimate:.3f} times as long: the machine, or it"
    if judged.is_shorter:
        return f"faster: {times}"
    return f"{'not slower' if judged.high <= 1 + MARGIN else 'not shown to be slower'}: {times}"
