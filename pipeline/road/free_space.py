"""The free-space profile: by bearing, how far the road is clear, in metres on the road plane."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.geometry.projection import distance_and_std
from pipeline.jit import kernel
from pipeline.metric import FreeSpace
from pipeline.scene import Scene

__all__ = ["free_space"]

FloatArray = NDArray[np.float64]


def free_space(scene: Scene, view: RoadView, *, every_px: int = 4, pixel_std_px: float = 1.0) -> FreeSpace:
    """Put the ends of the clear road onto the road plane.

    The end is taken to stand on the road: where a kerb, a wheel or a foot meets it.

    Args:
        scene: What was seen.
        view: Camera and road, at the size of the scene's frame.
        every_px: Spacing of the columns.
        pixel_std_px: How well the mask's edge is known.
    """
    rows = scene.drivable.free_space_px[::every_px]
    columns = np.asarray(np.arange(0, len(scene.drivable.free_space_px), every_px) + 0.5, np.float64)
    ends, distance, deviations = np.empty((len(rows), 2)), np.empty(len(rows)), np.empty(len(rows))
    _put_on_road(view.packed, columns, rows, pixel_std_px, ends, distance, deviations)
    return FreeSpace(columns, ends, distance, deviations)


@kernel()
def _put_on_road(
    packed: FloatArray,
    columns: FloatArray,
    rows: NDArray[np.int32],
    pixel_std_px: float,
    ends: FloatArray,
    distance: FloatArray,
    deviations: FloatArray,
) -> None:
    for place in range(len(rows)):
        if rows[place] < 0:
            ends[place], distance[place], deviations[place] = math.nan, 0.0, math.nan
            continue
        # The upper edge of the last clear row: half a row from its centre and from that of the first blocked one.
        x, y, distance[place], deviations[place] = distance_and_std(
            packed, columns[place], float(rows[place]), pixel_std_px
        )
        ends[place, 0], ends[place, 1] = x, y
        if math.isnan(distance[place]):
            distance[place] = math.inf
