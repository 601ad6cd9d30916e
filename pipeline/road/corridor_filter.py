"""`CorridorFilter`: the strip of road over time, so that masks that are wrong do not throw it about.

Two tell of it that know nothing of each other. Masks show the borders of the road, and are wrong about them for a
second at a time where parked cars hide them: a Kalman filter (1960) carries what they show along with the vehicle. And
vehicles mostly drive along their road and turn as it bends, so their own motion shows it too (Polychronopoulos et al.,
"Sensor fusion for predicting vehicles' path for collision avoidance systems", 2007). The second is believed as far as
it fits the first: who changes lanes or turns off does not drive along the road, and the masks say so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.metric import Corridor, VehicleMotion

__all__ = ["CorridorFilter"]

FloatArray = NDArray[np.float64]

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


class CorridorFilter:
    """Slope and curvature of the strip. Owned by one thread."""

    def __init__(self) -> None:
        self._values = np.zeros(2)
        self._covariance = np.zeros((2, 2))
        self._bend_1_m: float | None = None  # As the vehicle turns.
        self._time_s: float | None = None

    def update(self, found: Corridor, time_s: float, motion: VehicleMotion | None) -> Corridor:
        """Take in what one picture shows.

        Args:
            found: Its strip.
            time_s: When it was taken.
            motion: How the vehicle moves, as known by then.

        Returns:
            The strip as it is believed to be.
        """
        step_s = -1.0 if self._time_s is None else time_s - self._time_s
        self._time_s = time_s
        seen = np.array([found.slope, found.curvature_1_m])
        if not 0.0 <= step_s <= _GAP_S:
            self._values, self._covariance, self._bend_1_m = seen, found.covariance, None
            return found
        if step_s > 0.0:
            self._predict(step_s, motion)
            off = _off(self._values, self._covariance, seen, found.covariance)
            less = max(_LASTING_S / step_s, 1.0) * max(1.0, off / _GATE)
            self._values, self._covariance = _fuse(self._values, self._covariance, seen, found.covariance * less)
        values, covariance = self._with_motion(step_s, motion)
        return Corridor(found.half_width_m, float(values[0]), float(values[1]), covariance)

    def _predict(self, step_s: float, motion: VehicleMotion | None) -> None:
        """The strip as seen from where the vehicle is now: it has driven on and turned."""
        way_m, turn, drift = 0.0, 0.0, _STANDING_DRIFT
        if motion is not None:
            way_m, turn, drift = motion.speed_mps * step_s, motion.yaw_rate_rad_s * step_s, _SLOPE_DRIFT
        moves = np.array([[1.0, way_m], [0.0, 1.0]])
        self._values = moves @ self._values - np.array([turn, 0.0])
        self._covariance = moves @ self._covariance @ moves.T + step_s * np.diag([drift**2, _BEND_DRIFT_1_M**2])

    def _with_motion(self, step_s: float, motion: VehicleMotion | None) -> tuple[FloatArray, FloatArray]:
        """What masks have shown, and the vehicle's motion as far as it fits that; it leaves no trace in the filter."""
        if motion is None or motion.speed_mps < _SLOWEST_MPS:
            self._bend_1_m = None
            return self._values, self._covariance
        bend_1_m = motion.yaw_rate_rad_s / motion.speed_mps
        if self._bend_1_m is not None:
            bend_1_m = self._bend_1_m + (1.0 - math.exp(-step_s / _TURN_S)) * (bend_1_m - self._bend_1_m)
        self._bend_1_m = bend_1_m
        std_1_m = math.hypot(_STEERING_STD_1_M, _TURN_STD_RAD_S / motion.speed_mps)
        driven, noise = np.array([0.0, bend_1_m]), np.diag([_ALONG_STD**2, std_1_m**2])
        off = _off(self._values, self._covariance, driven, noise)
        return _fuse(self._values, self._covariance, driven, noise * max(1.0, off / _FITS) ** 2)


def _off(values: FloatArray, covariance: FloatArray, others: FloatArray, noise: FloatArray) -> float:
    """Squared deviations between the two (Mahalanobis 1936)."""
    difference = others - values
    return float(difference @ np.linalg.solve(covariance + noise, difference))


def _fuse(
    values: FloatArray, covariance: FloatArray, others: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Values (2,) and covariance (2, 2) of both together."""
    gain = covariance @ np.linalg.inv(covariance + noise)
    rest = covariance - gain @ covariance
    return values + gain @ (others - values), 0.5 * (rest + rest.T)
