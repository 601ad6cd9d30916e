"""From a mask to a polygon."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["outline"]


def outline(mask: NDArray[np.uint8], tolerance_px: float = 2.0) -> NDArray[np.int32]:
    """The outline of the largest connected part of a mask.

    Args:
        mask: (H, W) uint8, not 0 inside.
        tolerance_px: How far the outline may pass from the true border (Douglas & Peucker, 1973).

    Returns:
        (P, 2) int32 corners as (x, y), on the centres of border pixels; (0, 2) if the mask is empty.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.empty((0, 2), np.int32)
    y1, y2 = int(rows[0]), int(rows[-1]) + 1
    contours, _ = cv2.findContours(mask[y1:y2], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(0, y1))
    largest = max(contours, key=cv2.contourArea)
    return np.asarray(cv2.approxPolyDP(largest, tolerance_px, closed=True), np.int32).reshape(-1, 2)
