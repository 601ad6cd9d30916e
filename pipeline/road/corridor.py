"""The strip of road that the vehicle will drive over.

It follows the road: both borders of the drivable area are fitted by parallel curves, y = a + b x + c x² in the
road frame (Dickmanns 1988: short pieces of road are clothoids, and those parabolas), whatever stands before them left
out. Where the mask shows too little of them the strip becomes straight, and says how unsure it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.geometry.median import median
from pipeline.geometry.projection import pixel_of_road, road_of_pixel
from pipeline.jit import kernel
from pipeline.metric import Corridor
from pipeline.scene import Scene

__all__ = ["find_corridor"]

FloatArray = NDArray[np.float64]

_BORDER_AHEAD_M = np.geomspace(5.0, 40.0, 32)
"""Where the borders are looked for: in the rows of the picture that show these places."""

_SLOPE_STD = 0.03
_BEND_STD_1_M = 1.0 / 120.0
"""What is expected of the road before it is seen: it runs within some degrees of the heading, with radii of more than
some 60 m."""

_PRIOR = np.diag([1e-4, 1e-4, _SLOPE_STD**-2, _BEND_STD_1_M**-2])

_BORDER_STD_M = 0.25
"""How straight borders are: parked cars, driveways, the mask's own mistakes."""

_LOOSENESS = np.array([32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0])
"""Borders are fitted loosely first, so that a bend is not taken for mistakes far ahead (graduated non-convexity)."""

_VERGES = ("sidewalk", "terrain")
"""Ground at which the road ends, so that what lies behind it is none of its borders."""

_DEPENDENCE = 8.0
"""Rows see the same car and the same kerb: an eighth of them count as independent."""


def find_corridor(scene: Scene, view: RoadView, half_width_m: float = 1.1) -> Corridor:
    """Fit the strip to the borders of the drivable area.

    Args:
        scene: What was seen.
        view: Camera and road, at the size of the scene's frame.
        half_width_m: Half the width of the vehicle, with a margin.
    """
    values, normal = np.zeros(4), np.empty((4, 4))
    segmentation = scene.segmentation
    is_verge = np.zeros(256, np.bool_)
    is_verge[[index for index, entry in enumerate(segmentation.classes) if entry.name in _VERGES]] = True
    _fit_borders(
        scene.drivable.mask,
        segmentation.class_ids,
        is_verge,
        view.packed,
        _BORDER_AHEAD_M,
        _LOOSENESS,
        _PRIOR,
        values,
        normal,
    )
    covariance = np.linalg.inv((normal - _PRIOR) / _DEPENDENCE + _PRIOR)
    return Corridor(half_width_m, float(values[2]), float(values[3]), np.asarray(covariance[2:, 2:]))


@kernel()
def _fit_borders(
    mask: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    is_verge: NDArray[np.bool_],
    packed: FloatArray,
    ahead_m: FloatArray,
    looseness: FloatArray,
    prior: FloatArray,
    values: FloatArray,
    normal: FloatArray,
) -> None:
    """Find the borders and fit two parallel curves to them.

    Args:
        mask: (H, W), not 0 where drivable.
        class_ids: (H, W).
        is_verge: (256,) classes at which the road ends.
        packed: The view.
        ahead_m: Places ahead in whose rows borders are looked for, ascending.
        looseness: Of the robust fit, step by step.
        prior: (4, 4) what is expected of the road.
        values: (4,) left and right offset, slope, curvature; written.
        normal: (4, 4) the normal equations at the end; written.
    """
    x, y = np.empty(2 * len(ahead_m)), np.empty(2 * len(ahead_m))
    is_left = np.empty(2 * len(ahead_m), np.bool_)
    count = _find_borders(mask, class_ids, is_verge, packed, ahead_m, x, y, is_left)
    # Start from the middle of each side: a border seen once near and once far would else swing the curve.
    for side in range(2):
        values[side] = _middle(y[:count], is_left[:count], side == 0)
    values[2], values[3] = 0.0, 0.0
    for loose in looseness:
        _step(x[:count], y[:count], is_left[:count], loose, prior, values, normal)


@kernel(inner=True)
def _find_borders(
    mask: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    is_verge: NDArray[np.bool_],
    packed: FloatArray,
    ahead_m: FloatArray,
    x: FloatArray,
    y: FloatArray,
    is_left: NDArray[np.bool_],
) -> int:
    """The points of the road where the drivable area ends to the left and to the right; returns their number.

    Seen from straight ahead. What stands in a row is on the road, not beside it; behind a verge is another road.
    """
    height, width = mask.shape
    count, last_row = 0, -1
    for place in ahead_m:
        column_px, row_px = pixel_of_road(packed, place, 0.0)
        if not 0.0 <= row_px < height or int(row_px) == last_row:
            continue
        last_row = int(row_px)
        own = _nearest(mask[last_row], int(min(max(column_px, 0.0), width - 1.0)))
        if own < 0:
            continue
        for side in range(2):
            step = -1 if side == 0 else 1
            edge = end = own
            while 0 <= end < width and not is_verge[class_ids[last_row, end]]:
                edge = end if mask[last_row, end] != 0 else edge
                end += step
            if edge == side * (width - 1):  # The border is outside the picture.
                continue
            ahead, leftward = road_of_pixel(packed, float(edge + side), last_row + 0.5)
            if ahead == ahead:  # noqa: PLR0124 - above the horizon it is NaN
                x[count], y[count], is_left[count] = ahead, leftward, side == 0
                count += 1
    return count


@kernel(inner=True)
def _nearest(row: NDArray[np.uint8], column: int) -> int:
    """The column nearest to that one in which the row is set; -1 where it is nowhere."""
    for off in range(len(row)):
        for place in (column - off, column + off):
            if 0 <= place < len(row) and row[place] != 0:
                return place
    return -1


@kernel(inner=True)
def _middle(y: FloatArray, is_left: NDArray[np.bool_], left: bool) -> float:
    """The median of one side's points; 0 without any."""
    own, count = np.empty(len(y)), 0
    for point in range(len(y)):
        if is_left[point] == left:
            own[count] = y[point]
            count += 1
    return median(own[:count]) if count > 0 else 0.0


@kernel(inner=True)
def _step(
    x: FloatArray,
    y: FloatArray,
    is_left: NDArray[np.bool_],
    looseness: float,
    prior: FloatArray,
    values: FloatArray,
    normal: FloatArray,
) -> None:
    """One step of iteratively reweighted least squares; Cauchy's loss leaves out what stands before a border.

    Element by element: whole rows of arrays compile ten times as long, and are no faster when they are so short.
    """
    table, row = np.empty((4, 5)), np.empty(4)
    for i in range(4):
        for j in range(4):
            table[i, j] = prior[i, j]
        table[i, 4] = 0.0
    for point in range(len(x)):
        row[0], row[1] = (1.0, 0.0) if is_left[point] else (0.0, 1.0)
        row[2], row[3] = x[point], 0.5 * x[point] ** 2
        std = _BORDER_STD_M * (0.5 + x[point] / 20.0)
        off = (y[point] - (row[0] * values[0] + row[1] * values[1] + row[2] * values[2] + row[3] * values[3])) / (
            std * looseness
        )
        weight = 1.0 / (1.0 + off * off) / (std * std)
        for i in range(4):
            for j in range(4):
                table[i, j] += weight * row[i] * row[j]
            table[i, 4] += weight * row[i] * y[point]
    for i in range(4):
        for j in range(4):
            normal[i, j] = table[i, j]
    _solve(table, values)


@kernel(inner=True)
def _solve(table: FloatArray, values: FloatArray) -> None:
    """Gauss and Jordan's elimination of four equations, (4, 5), which is overwritten; they are positive definite."""
    for i in range(4):
        pivot = table[i, i]
        for k in range(5):
            table[i, k] /= pivot
        for j in range(4):
            factor = table[j, i]
            if j != i:
                for k in range(5):
                    table[j, k] -= table[i, k] * factor
    for i in range(4):
        values[i] = table[i, 4]
