"""`CorridorFilter`: the strip of road over time, so that masks that are wrong do not throw it about.

Two tell of it that know nothing of each other. Masks show the borders of the road, and are wrong about them for a
second at a time where parked cars hide them: a Kalman filter (1960) carries what they show along with the vehicle. And
vehicles mostly drive along their road and turn as it bends, so their own motion shows it too (Polychronopoulos et al.,
"Sensor fusion for predicting vehicles' path for collision avoidance systems", 2007). The second is believed as far as
it fits the first: who changes lanes or turns off does not drive along the road, and the masks say so.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.metric import Corridor, VehicleMotion

__all__ = ["CorridorFilter"]

_SLOPE_DRIFT, _BEND_DRIFT_1_M = 0.015, 0.002
"""By how much slope and curvature change within a second by themselves: steering within the lane, bends that begin."""

_STANDING_DRIFT = 0.05
"""The slope's, where nobody knows how the vehicle moves."""

_LASTING_S = 1.0
"""Masks make the same mistakes for so long: each counts for its share of that."""

_GATE = 9.0
"""A strip that is farther off than three deviations counts less and less (Huber 1964)."""

_ALONG_STD = 0.015
"""How far off the direction of their road vehicles head, ..."""

_STEERING_STD_1_M = 0.0015
"""... how far off its curvature they steer while they keep their place on it, ..."""

_TURN_STD_RAD_S = 0.003
"""... and how well their turning is seen, ..."""

_TURN_S = 0.5
"""... taken over so long."""

_FITS = 2.0
"""Squared deviations between masks and motion from which on motion is believed less, and soon not at all."""

_SLOWEST_MPS = 2.0
"""Who drives more slowly manoeuvres: that says nothing of the road."""

_GAP_S = 1.0


class _Strip(NamedTuple):
    """Slope and curvature with their covariance: numbers, since arrays of two cost ten times as much."""

    slope: float
    bend_1_m: float
    slope_variance: float
    both: float
    bend_variance: float

    def off(self, other: _Strip) -> float:
        """Squared deviations between the two (Mahalanobis 1936)."""
        slope, bend = other.slope - self.slope, other.bend_1_m - self.bend_1_m
        aa, ab, bb = (
            self.slope_variance + other.slope_variance,
            self.both + other.both,
            self.bend_variance + other.bend_variance,
        )
        return (slope * slope * bb - 2.0 * slope * bend * ab + bend * bend * aa) / (aa * bb - ab * ab)

    def fused(self, other: _Strip, less: float) -> _Strip:
        """Both together, where the other one counts for `less` times as little as it says."""
        a, b, c = self.slope_variance, self.both, self.bend_variance
        aa, ab, bb = a + less * other.slope_variance, b + less * other.both, c + less * other.bend_variance
        size = aa * bb - ab * ab
        slope_by_slope, slope_by_bend = (a * bb - b * ab) / size, (b * aa - a * ab) / size
        bend_by_slope, bend_by_bend = (b * bb - c * ab) / size, (c * aa - b * ab) / size
        slope, bend = other.slope - self.slope, other.bend_1_m - self.bend_1_m
        return _Strip(
            self.slope + slope_by_slope * slope + slope_by_bend * bend,
            self.bend_1_m + bend_by_slope * slope + bend_by_bend * bend,
            a - slope_by_slope * a - slope_by_bend * b,
            b - slope_by_slope * b - slope_by_bend * c,
            c - bend_by_slope * b - bend_by_bend * c,
        )


class CorridorFilter:
    """Slope and curvature of the strip. Owned by one thread."""

    def __init__(self) -> None:
        self._shown: _Strip | None = None
        self._turned_1_m: float | None = None  # How the road bends as the vehicle turns.
        self._time_s = 0.0

    def update(self, found: Corridor, time_s: float, motion: VehicleMotion | None) -> Corridor:
        """Take in what one picture shows.

        Args:
            found: Its strip.
            time_s: When it was taken.
            motion: How the vehicle moves, as known by then.

        Returns:
            The strip as it is believed to be.
        """
        step_s, self._time_s = time_s - self._time_s, time_s
        (aa, ab), (_, bb) = found.covariance.tolist()
        seen = _Strip(found.slope, found.curvature_1_m, aa, ab, bb)
        if self._shown is None or not 0.0 <= step_s <= _GAP_S:
            self._shown, self._turned_1_m = seen, None
            return found
        if step_s > 0.0:
            expected = _moved(self._shown, step_s, motion)
            less = max(_LASTING_S / step_s, 1.0) * max(1.0, expected.off(seen) / _GATE)
            self._shown = expected.fused(seen, less)
        told = self._with_motion(self._shown, step_s, motion)
        covariance = np.array([[told.slope_variance, told.both], [told.both, told.bend_variance]])
        return Corridor(found.half_width_m, told.slope, told.bend_1_m, covariance)

    def _with_motion(self, shown: _Strip, step_s: float, motion: VehicleMotion | None) -> _Strip:
        """What masks have shown, and the vehicle's motion as far as it fits that; it leaves no trace in the filter."""
        if motion is None or motion.speed_mps < _SLOWEST_MPS:
            self._turned_1_m = None
            return shown
        bend_1_m = motion.yaw_rate_rad_s / motion.speed_mps
        if self._turned_1_m is not None:
            bend_1_m = self._turned_1_m + (1.0 - math.exp(-step_s / _TURN_S)) * (bend_1_m - self._turned_1_m)
        self._turned_1_m = bend_1_m
        variance = _STEERING_STD_1_M**2 + (_TURN_STD_RAD_S / motion.speed_mps) ** 2
        driven = _Strip(0.0, bend_1_m, _ALONG_STD**2, 0.0, variance)
        return shown.fused(driven, max(1.0, shown.off(driven) / _FITS) ** 2)


def _moved(strip: _Strip, step_s: float, motion: VehicleMotion | None) -> _Strip:
    """The strip as seen from where the vehicle is now: it has driven on and turned."""
    way_m, turn, drift = 0.0, 0.0, _STANDING_DRIFT
    if motion is not None:
        way_m, turn, drift = motion.speed_mps * step_s, motion.yaw_rate_rad_s * step_s, _SLOPE_DRIFT
    slope, bend_1_m, a, b, c = strip
    return _Strip(
        slope + way_m * bend_1_m - turn,
        bend_1_m,
        a + 2.0 * way_m * b + way_m * way_m * c + step_s * drift**2,
        b + way_m * c,
        c + step_s * _BEND_DRIFT_1_M**2,
    )
