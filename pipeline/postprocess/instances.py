"""The final road users: boxes, areas, masks, feet. The kernels behind `road_users`, part three.

An *instance* is the part of a group of runs between two vertical cuts, or all of it where it was not cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.postprocess.runs import ClassIds, Ints

__all__ = ["measure_instances", "paint_instances"]

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]


@kernel()
def measure_instances(
    row: Ints, start: Ints, stop: Ints, class_id: ClassIds, run_group: Ints, first_cut: Ints, cuts: Ints
) -> tuple[Ints, Longs, ClassIds]:
    """Box, area and class (that of the lowest run) of every instance; those of group g begin at g + first_cut[g]."""
    count = len(first_cut) - 1 + len(cuts)
    box = np.zeros((count, 4), np.int32)
    area = np.zeros(count, np.int64)
    instance_class = np.zeros(count, np.uint8)
    for run in range(len(row)):
        group = run_group[run]
        if group < 0:
            continue
        x = start[run]
        for cut in range(first_cut[group], first_cut[group + 1] + 1):
            end = min(cuts[cut], stop[run]) if cut < first_cut[group + 1] else stop[run]
            if end > x:
                _grow(box, area, group + cut, row[run], x, end)
                instance_class[group + cut] = class_id[run]
                x = end
    return box, area, instance_class


@kernel(inner=True)
def _grow(box: Ints, area: Longs, index: int, y: int, x1: int, x2: int) -> None:
    """Add a run to the box and area of entry `index`, whose area says whether it is the first; rows come in order."""
    if area[index] == 0:
        box[index, 0], box[index, 1], box[index, 2] = x1, y, x2
    box[index, 0] = min(box[index, 0], x1)
    box[index, 2] = max(box[index, 2], x2)
    box[index, 3] = y + 1
    area[index] += x2 - x1


@kernel()
def paint_instances(
    row: Ints,
    start: Ints,
    stop: Ints,
    run_group: Ints,
    first_cut: Ints,
    cuts: Ints,
    box: Ints,
    area: Longs,
    order: Longs,
    grid_confidence: Floats,
    height: int,
    width: int,
    min_area: float,
    max_pixels: int,
) -> tuple[ClassIds, Longs, Floats, Floats]:
    """Paint the masks of the instances in `order`, one after the other, and find where each stands.

    Ends at the first instance smaller than `min_area`, or when the masks would have more than `max_pixels` together.

    Returns:
        The masks, flat; (N + 1,) where each begins; the middle of each one's lowest rows; its mean confidence.
    """
    position = np.full(len(box), -1, np.int32)
    offset = np.zeros(len(order) + 1, np.int64)
    n = 0
    while n < len(order) and area[order[n]] >= max(min_area, 1):
        b = box[order[n]]
        offset[n + 1] = offset[n] + (b[2] - b[0]) * (b[3] - b[1])
        if offset[n + 1] > max_pixels:
            break
        position[order[n]] = n
        n += 1
    masks = np.zeros(offset[n], np.uint8)
    foot_sum, foot_count = np.zeros(n, np.float64), np.zeros(n, np.int64)
    for run in range(len(row)):
        group = run_group[run]
        if group < 0:
            continue
        x = start[run]
        for cut in range(first_cut[group], first_cut[group + 1] + 1):
            end = min(cuts[cut], stop[run]) if cut < first_cut[group + 1] else stop[run]
            if end > x:
                i = position[group + cut]
                if i >= 0:
                    b = box[order[i]]
                    line = offset[i] + (row[run] - b[1]) * (b[2] - b[0]) - b[0]
                    masks[line + x : line + end] = 1
                    if row[run] >= b[3] - max((b[3] - b[1]) // 20, 1):
                        foot_sum[i] += (x + end) / 2 * (end - x)
                        foot_count[i] += end - x
                x = end
    foot_x, confidence = np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(n):
        b = box[order[i]]
        foot_x[i] = foot_sum[i] / foot_count[i]
        mask = masks[offset[i] : offset[i + 1]].reshape((b[3] - b[1], b[2] - b[0]))
        confidence[i] = _mean_confidence(mask, b[0], b[1], grid_confidence, height, width)
    return masks, offset, foot_x, confidence


@kernel(inner=True)
def _mean_confidence(mask: ClassIds, x1: int, y1: int, grid: Floats, height: int, width: int) -> float:
    """Mean of the grid over the grid points inside the mask; where none is inside, over those around its pixels."""
    rows, columns = grid.shape
    y2, x2 = y1 + mask.shape[0], x1 + mask.shape[1]
    total, count = 0.0, 0
    for i in range(y1 * rows // height, (y2 - 1) * rows // height + 1):
        y = (2 * i + 1) * height // (2 * rows)
        if y1 <= y < y2:
            for j in range(x1 * columns // width, (x2 - 1) * columns // width + 1):
                x = (2 * j + 1) * width // (2 * columns)
                if x1 <= x < x2 and mask[y - y1, x - x1]:
                    total += grid[i, j]
                    count += 1
    if count == 0:
        for y in range(y1, y2):
            for x in range(x1, x2):
                if mask[y - y1, x - x1]:
                    total += grid[y * rows // height, x * columns // width]
                    count += 1
    return total / count
