"""`CorridorFilter`: the strip of road over time, so that a single mask that is wrong does not throw it about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.metric import Corridor, VehicleMotion

__all__ = ["CorridorFilter"]

FloatArray = NDArray[np.float64]

_SLOPE_DRIFT, _BEND_DRIFT_1_M = 0.03, 0.004
"""By how much slope and curvature change within a second by themselves: steering within the lane, bends that begin."""

_STANDING_DRIFT = 0.05
"""The slope's, where nobody knows how the vehicle moves."""

_LASTING = 4.0
"""Neighbouring masks make the same mistakes: each counts as so much less."""

_GATE = 9.0
"""A strip that is farther off than three deviations counts less and less (Huber 1964)."""

_GAP_S = 1.0


class CorridorFilter:
    """A Kalman filter (1960) of slope and curvature. Owned by one thread."""

    def __init__(self) -> None:
        self._values = np.zeros(2)
        self._covariance = np.zeros((2, 2))
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
            self._values, self._covariance = seen, found.covariance
            return found
        self._predict(step_s, motion)
        off, noise = seen - self._values, found.covariance * _LASTING
        distance = float(off @ np.linalg.solve(self._covariance + noise, off))
        noise = noise * max(1.0, distance / _GATE)
        gain = self._covariance @ np.linalg.inv(self._covariance + noise)
        self._values = self._values + gain @ off
        rest = self._covariance - gain @ self._covariance
        self._covariance = 0.5 * (rest + rest.T)
        return Corridor(found.half_width_m, float(self._values[0]), float(self._values[1]), self._covariance)

    def _predict(self, step_s: float, motion: VehicleMotion | None) -> None:
        """The strip as seen from where the vehicle is now: it has driven on and turned."""
        way_m, turn, drift = 0.0, 0.0, _STANDING_DRIFT
        if motion is not None:
            way_m, turn, drift = motion.speed_mps * step_s, motion.yaw_rate_rad_s * step_s, _SLOPE_DRIFT
        moves = np.array([[1.0, way_m], [0.0, 1.0]])
        self._values = moves @ self._values - np.array([turn, 0.0])
        self._covariance = moves @ self._covariance @ moves.T + step_s * np.diag([drift**2, _BEND_DRIFT_1_M**2])
