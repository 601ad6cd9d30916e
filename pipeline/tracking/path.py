"""Who is in the vehicle's way, who will be, and when the vehicle is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.metric import Corridor, VehicleMotion

__all__ = ["Encounters", "PathRules", "foresee"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PathRules:
    """What counts as in the way.

    Attributes:
        margin_m: Who is nearer than that to the corridor is in it.
        hold_m: Who was in it stays so for as far beyond that, and who was not for as far within.
        ahead_s: How far one looks ahead in time.
        step_s: And in what steps.
        approach_mps: Who comes nearer more slowly does not approach.
    """

    margin_m: float = 0.3
    hold_m: float = 0.03
    ahead_s: float = 3.0
    step_s: float = 0.1
    approach_mps: float = 0.3


@dataclass(frozen=True, eq=False)
class Encounters:
    """What is foreseen of N road users.

    Attributes:
        in_path: (N,) whether they are in the corridor now.
        enters_s: (N,) when they are; 0 now, NaN where they will not be.
        reach_s: (N,) when the vehicle is where they are; NaN where it will not be.
        reach_std_s: (N,) how unsure that is: standard deviations, NaN with it.
    """

    in_path: Flags
    enters_s: Floats
    reach_s: Floats
    reach_std_s: Floats


def foresee(
    places: Floats,
    covariances: Floats,
    feet: Floats,
    before: Longs,
    corridor: Corridor | None,
    motion: VehicleMotion | None,
    rules: PathRules,
) -> Encounters:
    """Look ahead, everybody going on as they do.

    Args:
        places: (N, 4) x, y in metres and their rates, relative to the vehicle.
        covariances: (N, 4, 4) of these.
        feet: (N, 2) where the foot stands that carries them just now.
        before: (N,) whether they were in the corridor: 1, -1, or 0 where nobody knows.
        corridor: The strip that the vehicle will drive over; straight ahead and nobody in it where it is not known.
        motion: How the vehicle moves; where that is not known, nobody is foreseen to enter.
        rules: What counts.
    """
    values = (0.0, 0.0, 0.0) if corridor is None else (corridor.half_width_m, corridor.slope, corridor.curvature_1_m)
    reach_m = values[0] + rules.margin_m if corridor is not None else -1.0
    speed = motion.speed_mps if motion is not None else np.nan
    return Encounters(
        *_foresee(
            places,
            covariances,
            feet,
            np.asarray(reach_m + rules.hold_m * before, np.float64),
            reach_m,
            values[1],
            values[2],
            speed,
            rules.ahead_s,
            rules.step_s,
            rules.approach_mps,
        )
    )


@kernel()
def _foresee(
    places: Floats,
    covariances: Floats,
    feet: Floats,
    now_reach_m: Floats,
    reach_m: float,
    slope: float,
    curvature_1_m: float,
    speed_mps: float,
    ahead_s: float,
    step_s: float,
    approach_mps: float,
) -> tuple[Flags, Floats, Floats, Floats]:
    in_path, enters = np.zeros(len(places), np.bool_), np.full(len(places), np.nan)
    reach, unsure = np.full(len(places), np.nan), np.full(len(places), np.nan)
    for n in range(len(places)):
        x, y, x_rate, y_rate = places[n]
        if x > 0.0 and -x_rate > approach_mps:
            reach[n] = -x / x_rate
            unsure[n] = _deviation(reach[n], x, x_rate, covariances[n])
        in_path[n] = x > 0.0 and abs(_beside(slope, curvature_1_m, feet[n, 0], feet[n, 1])) <= now_reach_m[n]
        if in_path[n]:
            enters[n] = 0.0
            continue
        if np.isnan(speed_mps) or reach_m < 0.0:
            continue
        for step in range(1, int(ahead_s / step_s + 0.5) + 1):
            later = step * step_s
            # Over the ground, as the corridor is; the vehicle comes after.
            ahead, across = x + (x_rate + speed_mps) * later, y + y_rate * later
            if ahead > speed_mps * later and abs(_beside(slope, curvature_1_m, ahead, across)) <= reach_m:
                enters[n] = later
                break
    return in_path, enters, reach, unsure


@kernel(inner=True)
def _deviation(reach_s: float, x: float, x_rate: float, covariance: Floats) -> float:
    """Of a time to reach, to first order. What is wrong with the calibration scales x and its rate alike: no matter."""
    by_place, by_rate = reach_s / x, -reach_s / x_rate
    variance = (
        by_place * by_place * covariance[0, 0]
        + 2.0 * by_place * by_rate * covariance[0, 2]
        + by_rate * by_rate * covariance[2, 2]
    )
    return math.sqrt(max(variance, 0.0))


@kernel(inner=True)
def _beside(slope: float, curvature_1_m: float, x: float, y: float) -> float:
    """How far to the left of the corridor's middle a place is, across it."""
    lean = slope + curvature_1_m * x
    off: float = (y - slope * x - 0.5 * curvature_1_m * x * x) / math.sqrt(1.0 + lean * lean)
    return off
