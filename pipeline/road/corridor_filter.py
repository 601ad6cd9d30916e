"""`CorridorFilter`: the strip of road over time, so that masks that are wrong do not throw it about.

Two that know nothing of each other tell of it. Masks show the borders of the road, and are wrong about them for a
second at a time where parked cars hide them. The vehicle's own motion shows how the road bends under it, since vehicles
drive along their roads and turn as those bend (the sensors of Polychronopoulos et al., "Sensor fusion for predicting
vehicles' path for collision avoidance systems", 2007, with the camera's own view of the motion for a gyroscope).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.metric import Corridor, VehicleMotion

__all__ = ["CorridorFilter"]

FloatArray = NDArray[np.float64]

_SLOPE_DRIFT, _BEND_DRIFT_1_M = 0.02, 0.003
"""By how much slope and curvature change within a second by themselves: steering within the lane, bends that begin."""

_STANDING_DRIFT = 0.05
"""The slope's, where nobody knows how the vehicle moves."""

_LASTING_S = 1.0
"""What tells of the strip makes the same mistakes for so long: a picture counts for its share of that."""

_ALONG_STD = 0.012
"""How far off the road's direction vehicles head, ..."""

_STEERING_STD_1_M = 0.0007
"""... how far off its curvature they steer while they keep their place, ..."""

_TURN_STD_RAD_S = 0.003
"""... and how well their turning is seen."""

_SLOWEST_MPS = 2.0
"""Who drives more slowly manoeuvres: that says nothing of the road."""

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
        if step_s > 0.0:
            less = max(_LASTING_S / step_s, 1.0)
            self._take_in(seen, found.covariance * less, _GATE)
            if motion is not None and motion.speed_mps >= _SLOWEST_MPS:
                self._take_in(*_driven(motion, less), np.inf)
        return Corridor(found.half_width_m, float(self._values[0]), float(self._values[1]), self._covariance)

    def _take_in(self, seen: FloatArray, noise: FloatArray, gate: float) -> None:
        """Slope and curvature as something tells them, and the covariance of that."""
        off = seen - self._values
        distance = float(off @ np.linalg.solve(self._covariance + noise, off))
        noise = noise * max(1.0, distance / gate)
        gain = self._covariance @ np.linalg.inv(self._covariance + noise)
        self._values = self._values + gain @ off
        rest = self._covariance - gain @ self._covariance
        self._covariance = 0.5 * (rest + rest.T)

    def _predict(self, step_s: float, motion: VehicleMotion | None) -> None:
        """The strip as seen from where the vehicle is now: it has driven on and turned."""
        way_m, turn, drift = 0.0, 0.0, _STANDING_DRIFT
        if motion is not None:
            way_m, turn, drift = motion.speed_mps * step_s, motion.yaw_rate_rad_s * step_s, _SLOPE_DRIFT
        moves = np.array([[1.0, way_m], [0.0, 1.0]])
        self._values = moves @ self._values - np.array([turn, 0.0])
        self._covariance = moves @ self._covariance @ moves.T + step_s * np.diag([drift**2, _BEND_DRIFT_1_M**2])


def _driven(motion: VehicleMotion, less: float) -> tuple[FloatArray, FloatArray]:
    """Slope and curvature of a road along which a vehicle moves like that, and their covariance, `less` times as sure."""
    bend_std_1_m = np.hypot(_STEERING_STD_1_M, _TURN_STD_RAD_S / motion.speed_mps)
    return np.array([0.0, motion.yaw_rate_rad_s / motion.speed_mps]), np.diag([_ALONG_STD**2, bend_std_1_m**2]) * less
