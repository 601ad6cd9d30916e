"""Who is who: which road user of this picture is which of those that were followed so far.

Boxes are compared where they are expected, widened by how unsure that is (buffered overlap, Yang et al. 2023), and the
whole is settled at once at the least cost by Jonker and Volgenant's method (1987), as `lap` has it.
"""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.tracking.tracks import VEHICLE

__all__ = ["assign", "costs", "overlap"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_BUFFER = 0.1
"""Boxes are widened by this share of their sides, ..."""

_LEAST_BUFFER_PX = 1.0
"""... by a pixel, since somebody far away has only a few, ..."""

_REACH = 2.0
"""... and by this many deviations, but never by more than their own size."""

_OTHER_CLASS = 0.1
"""What it costs to be a rider now and a person before."""

_FARTHEST = 0.5
"""What it costs a vehicle at most to stand nearer or farther than expected, in shares of its height: rows overlap."""

_LIMIT = 0.9
"""What costs more is somebody else. A cost is 1 minus the overlap."""


def assign(cost: Floats) -> Longs:
    """(T,) for each row of a (T, D) cost its column, -1 for none; all together at the least cost."""
    if not cost.size:
        return np.full(len(cost), -1, np.int64)
    _, columns, _ = lap.lapjv(cost, extend_cost=True, cost_limit=_LIMIT)
    chosen = np.asarray(columns, np.int64)
    rows = np.arange(len(cost))
    return np.where((chosen >= 0) & (cost[rows, chosen] < _LIMIT), chosen, -1)


@kernel()
def costs(
    expected: Floats,
    deviations: Floats,
    kinds: Longs,
    classes: Longs,
    boxes: Floats,
    box_kinds: Longs,
    box_classes: Longs,
) -> Floats:
    """(T, D) what it would cost to take each of D boxes for each of T that are expected; 1 and more where they differ.

    Args:
        expected: (T, 4) boxes xyxy.
        deviations: (T, 2) of their places.
        kinds: (T,) kinds of road users.
        classes: (T,) classes.
        boxes: (D, 4) boxes that were seen.
        box_kinds: (D,) their kinds.
        box_classes: (D,) their classes.
    """
    cost = np.full((len(expected), len(boxes)), 2.0)
    for t in range(len(expected)):
        for d in range(len(boxes)):
            if kinds[t] != box_kinds[d]:
                continue
            width = min(expected[t, 2] - expected[t, 0], boxes[d, 2] - boxes[d, 0])
            height = max(min(expected[t, 3] - expected[t, 1], boxes[d, 3] - boxes[d, 1]), 1.0)
            across = min(_LEAST_BUFFER_PX + _BUFFER * width + _REACH * deviations[t, 0], width)
            down = min(_LEAST_BUFFER_PX + _BUFFER * height + _REACH * deviations[t, 1], height)
            cost[t, d] = 1.0 - overlap(expected[t], boxes[d], across, down)
            if kinds[t] == VEHICLE:
                off = abs(expected[t, 3] - boxes[d, 3]) - 2.0 * deviations[t, 1] - 1.0
                cost[t, d] += min(max(off / height, 0.0), _FARTHEST)
            if classes[t] != box_classes[d]:
                cost[t, d] += _OTHER_CLASS
    return cost


@kernel()
def overlap(a: Floats, b: Floats, across: float = 0.0, down: float = 0.0) -> float:
    """Intersection over union of two boxes, each widened to all sides."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 2.0 * across
    height = min(a[3], b[3]) - max(a[1], b[1]) + 2.0 * down
    if width <= 0.0 or height <= 0.0:
        return 0.0
    one = (a[2] - a[0] + 2.0 * across) * (a[3] - a[1] + 2.0 * down)
    other = (b[2] - b[0] + 2.0 * across) * (b[3] - b[1] + 2.0 * down)
    shared = width * height
    share: float = shared / (one + other - shared)
    return share
