"""Who is in the vehicle's way, who will be, and when the vehicle is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metric import Corridor, VehicleMotion

__all__ = ["Encounters", "PathRules", "foresee"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PathRules:
    """What counts as in the way.

    Attributes:
        margin_m: Who is nearer than that to the corridor is in it.
        ahead_s: How far one looks ahead in time.
        step_s: And in what steps.
        approach_mps: Who comes nearer more slowly does not approach.
    """

    margin_m: float = 0.3
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
    """

    in_path: Flags
    enters_s: Floats
    reach_s: Floats


def foresee(places: Floats, corridor: Corridor | None, motion: VehicleMotion | None, rules: PathRules) -> Encounters:
    """Look ahead, everybody going on as they do.

    Args:
        places: (N, 4) x, y in metres and their rates, relative to the vehicle.
        corridor: The strip that the vehicle will drive over; straight ahead and nobody in it where it is not known.
        motion: How the vehicle moves; where that is not known, nobody is foreseen to enter.
        rules: What counts.
    """
    x, y, across_rate = places[:, 0], places[:, 1], places[:, 3]
    closing = -places[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where((x > 0.0) & (closing > rules.approach_mps), x / closing, np.nan)
    if corridor is None:
        return Encounters(np.zeros(len(x), np.bool_), np.full(len(x), np.nan), reach)
    half_width = corridor.half_width_m + rules.margin_m
    in_path = (x > 0.0) & (np.abs(_beside(corridor, x, y)) <= half_width)
    enters = np.where(in_path, 0.0, np.nan)
    if motion is not None:
        later = np.arange(rules.step_s, rules.ahead_s + 1e-9, rules.step_s)
        # Over the ground, as the corridor is; the vehicle comes after.
        ahead = x[:, None] + (places[:, 2] + motion.speed_mps)[:, None] * later
        across = y[:, None] + across_rate[:, None] * later
        inside = np.abs(_beside(corridor, ahead, across)) <= half_width
        inside &= ahead > motion.speed_mps * later
        first = np.where(inside.any(axis=1), later[inside.argmax(axis=1)], np.nan)
        enters = np.where(in_path, 0.0, first)
    return Encounters(in_path, enters, reach)


def _beside(corridor: Corridor, x: Floats, y: Floats) -> Floats:
    """How far to the left of the corridor's middle places are, across it."""
    slope = corridor.slope + corridor.curvature_1_m * x
    return np.asarray((y - corridor.lateral_m(x)) / np.sqrt(1.0 + slope**2))
