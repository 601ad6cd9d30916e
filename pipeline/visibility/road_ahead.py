"""How sure the mask is where it matters: on the drivable area, and where the own lane should be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.scene import Scene

__all__ = ["confidence_ahead"]

_ZONE_TOP = 0.55
"""The own lane is looked for from the bottom of the picture up to here, as a share of its height."""
_ZONE_HALF_WIDTH = (0.1, 0.25)
"""Half the width of that zone at its top and at the bottom, as shares of the picture's width."""


def confidence_ahead(scene: Scene) -> float:
    """Mean `Segmentation.grid_confidence` over the drivable area and the zone of the own lane."""
    return float(
        _mean_ahead(
            scene.segmentation.grid_confidence,
            scene.drivable.mask,
            _ZONE_TOP,
            _ZONE_HALF_WIDTH[0],
            _ZONE_HALF_WIDTH[1],
        )
    )


@kernel()
def _mean_ahead(
    confidence: NDArray[np.float32], mask: NDArray[np.uint8], zone_top: float, half_top: float, half_bottom: float
) -> float:
    rows, columns = confidence.shape
    height, width = mask.shape
    total, count = 0.0, 0
    for row in range(rows):
        down = (row + 0.5) / rows
        y = min(int(down * height), height - 1)
        along = (down - zone_top) / (1.0 - zone_top)
        half = half_top + (half_bottom - half_top) * along if along >= 0.0 else -1.0
        for column in range(columns):
            across = (column + 0.5) / columns
            if abs(across - 0.5) <= half or mask[y, min(int(across * width), width - 1)] != 0:
                total += confidence[row, column]
                count += 1
    return total / count if count else 0.0
