"""The free-space profile: by bearing, how far the road is clear, in metres on the road plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
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
    columns = np.arange(0, len(scene.drivable.free_space_px), every_px) + 0.5
    has_road = rows >= 0
    # The upper edge of the last clear row: half a row from its centre and from that of the first blocked one.
    pixels = np.stack([columns, rows.astype(np.float64)], axis=1)
    ends = np.asarray(np.where(has_road[:, None], view.road_from_image(pixels), np.nan), np.float64)
    deviations = np.asarray(np.where(has_road, view.distance_std_m(pixels, pixel_std_px), np.nan), np.float64)
    distance = np.linalg.norm(ends, axis=1)
    distance = np.where(has_road, np.where(np.isnan(distance), np.inf, distance), 0.0)
    return FreeSpace(np.asarray(columns, np.float64), ends, np.asarray(distance, np.float64), deviations)
