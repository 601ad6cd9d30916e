"""How far ahead the vehicle's strip of road is clear."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.geometry.projection import distance_and_std, pixel_of_road
from pipeline.jit import kernel
from pipeline.metric import ClearDistance, Corridor
from pipeline.scene import Scene

__all__ = ["clear_distance"]

FloatArray = NDArray[np.float64]

_ACROSS = 29
"""How many points across the strip are looked at; one blocks it, since a foot is hardly wider than
their spacing."""

_KNOTS = 5
"""How many of them are projected. A lens bends so short a line so little that these tell the others."""

_AHEAD_M = np.geomspace(1.0, 100.0, 320)
"""How far one looks, and in how many steps, each 1.5 % longer than the last."""

_ROW_NEAR_PX, _ROW_FAR_PX = 0.5, 2.0
"""What is blocked must be so in the row behind it too: a single row is noise."""


def clear_distance(
    scene: Scene, view: RoadView, corridor: Corridor, *, from_m: float = 0.0, pixel_std_px: float = 1.0
) -> ClearDistance:
    """Go along the strip until something is in the way.

    Args:
        scene: What was seen.
        view: Camera and road, at the size of the scene's frame.
        corridor: The strip.
        from_m: Nearer than that nothing is looked at: where the own bonnet hides the road.
        pixel_std_px: How well the mask's edge is known.
    """
    packed = view.packed
    hit, before, column, row = _go_along(
        scene.drivable.mask,
        packed,
        _AHEAD_M,
        corridor.half_width_m,
        corridor.slope,
        corridor.curvature_1_m,
        from_m,
    )
    if hit < 0.0:  # Nothing in the way, or nothing to be seen at all.
        return ClearDistance(before, 0.0, is_open=before > 0.0, place_px=None)
    std_m = distance_and_std(packed, column, row, pixel_std_px)[3]
    return ClearDistance((before + hit) / 2.0, std_m, is_open=False, place_px=(column, row))


@kernel()
def _go_along(
    mask: NDArray[np.uint8],
    packed: FloatArray,
    ahead_m: FloatArray,
    half_width_m: float,
    slope: float,
    curvature_1_m: float,
    from_m: float,
) -> tuple[float, float, float, float]:
    """Where the strip is first blocked.

    Returns:
        The way along the strip to the first step that is blocked, that to the step before it, and the column and the
        row of what blocks it. If nothing does, -1 and the way to the last step that can be seen; 0 if none can be.
    """
    count = len(ahead_m)
    hidden_at, rows = np.zeros((count, 2)), np.empty(count)
    is_blocked, way = np.zeros(count, np.bool_), np.empty(count)
    first = last = -1
    y_before = 0.0
    for step in range(count):
        x, y = ahead_m[step], slope * ahead_m[step] + 0.5 * curvature_1_m * ahead_m[step] ** 2
        way[step] = x if step == 0 else way[step - 1] + math.hypot(x - ahead_m[step - 1], y - y_before)
        y_before = y
        seen, is_blocked[step], rows[step], hidden_at[step, 0], hidden_at[step, 1] = _look_across(
            mask, packed, x, y, slope + curvature_1_m * x, half_width_m
        )
        if seen and x >= from_m:
            first = step if first < 0 else first
            last = step
    if first < 0:
        return -1.0, 0.0, 0.0, 0.0
    for step in range(first, count):
        if is_blocked[step] and _is_blocked_beyond(rows, is_blocked, rows[step]):
            return way[step], way[max(step - 1, 0)], hidden_at[step, 0], hidden_at[step, 1]
    return -1.0, way[last], 0.0, 0.0


@kernel(inner=True)
def _is_blocked_beyond(rows: FloatArray, is_blocked: NDArray[np.bool_], row: float) -> bool:
    """Whether all steps that the next row of the picture shows are blocked too."""
    for step in range(len(rows)):
        if row - _ROW_FAR_PX < rows[step] < row - _ROW_NEAR_PX and not is_blocked[step]:
            return False
    return True


@kernel(inner=True)
def _look_across(
    mask: NDArray[np.uint8], packed: FloatArray, x: float, y: float, direction: float, half_width_m: float
) -> tuple[bool, bool, float, float, float]:
    """Look at one cut across the strip.

    Returns:
        Whether its middle is in the picture; whether anything of it is not drivable; the row of its middle; column
        and row of the middle one of the points that are not drivable.
    """
    height, width = mask.shape
    norm = math.sqrt(1.0 + direction * direction)
    left_x, left_y = -direction / norm, 1.0 / norm
    knots = np.empty((_KNOTS, 2))
    for knot in range(_KNOTS):
        off = half_width_m * (2.0 * knot / (_KNOTS - 1) - 1.0)
        knots[knot, 0], knots[knot, 1] = pixel_of_road(packed, x + off * left_x, y + off * left_y)
    places = np.empty((_ACROSS, 2))
    seen_middle, middle_row, hidden = False, math.nan, 0
    for point in range(_ACROSS):
        at = point * (_KNOTS - 1.0) / (_ACROSS - 1.0)
        knot = min(int(at), _KNOTS - 2)
        share = at - knot
        column = knots[knot, 0] + share * (knots[knot + 1, 0] - knots[knot, 0])
        row = knots[knot, 1] + share * (knots[knot + 1, 1] - knots[knot, 1])
        seen = 0.0 <= column < width and 0.0 <= row < height
        if point == _ACROSS // 2:
            seen_middle, middle_row = seen, row
        if seen and mask[int(row), int(column)] == 0:
            places[hidden, 0], places[hidden, 1] = column, row
            hidden += 1
    at = hidden // 2
    return seen_middle, hidden > 0, middle_row, places[at, 0], places[at, 1]
