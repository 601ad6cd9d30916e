"""Dirt on the lens: what does not change while the rest of the picture goes by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.visibility.light import CELLS_HW, Light

__all__ = ["LensWatch"]

_MEMORY_S = 1.5
"""Time constant of what is remembered of every cell."""
_LOOK_S = 2.0
"""Nothing is said before this."""
_FLAT = 1.6
"""Grey levels from pixel to pixel under which a cell shows nothing: what lies on the lens is out of focus."""
_STILL = 0.25
"""Grey levels by which the mean of a cell may move and still count as unchanged, and ..."""
_STILL_SHARE = 0.08
"""... the share of what the liveliest fifth of the picture moves by, for light that changes on the dirt itself."""
_GOES_BY = 3.0
"""Grey levels by which the liveliest fifth must move: else the vehicle stands, or the road has nothing on it."""
_TOP_ROW = 5
"""Rows of cells above this may be sky, which is flat and still too."""


class LensWatch:
    """Follows the cells of one camera's pictures over time."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._time_s = 0.0
        self._mean: NDArray[np.float32] = np.zeros(CELLS_HW, np.float32)
        self._variance: NDArray[np.float32] = np.zeros(CELLS_HW, np.float32)

    def look(self, light: Light, time_s: float) -> float:
        """Take in the next picture.

        Returns:
            The share of the lower picture that is flat and still while the rest goes by; 0 as long as nothing does, or
            too little was seen.
        """
        if self._began_s is None:
            self._began_s = self._time_s = time_s
            self._mean = light.mean.copy()
            return 0.0
        weight = np.float32(1.0 - np.exp(-(time_s - self._time_s) / _MEMORY_S))
        self._time_s = time_s
        difference = light.mean - self._mean
        self._mean += weight * difference
        self._variance = (1 - weight) * (self._variance + weight * difference**2)
        moved = np.sqrt(self._variance)
        goes_by = float(np.partition(moved.ravel(), moved.size * 4 // 5)[moved.size * 4 // 5])
        if goes_by < _GOES_BY or time_s - self._began_s < _LOOK_S:
            return 0.0
        still = (moved < max(_STILL, _STILL_SHARE * goes_by)) & (light.detail < _FLAT)
        return float(still[_TOP_ROW:].mean())
