"""Cutting silhouettes with several bodies into one of each. The kernels behind `road_users`, part two.

Side by side, two people have two heads and two cars two roofs: the skyline of a group has a valley between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.postprocess.runs import ClassIds, Ints

__all__ = ["cut_groups"]

Floats = NDArray[np.float32]


@kernel()
def cut_groups(
    row: Ints,
    start: Ints,
    stop: Ints,
    class_id: ClassIds,
    kind: ClassIds,
    run_group: Ints,
    groups: int,
    valley: Floats,
    slim: Floats,
    max_cuts: int,
) -> tuple[Ints, Ints]:
    """Find where the silhouettes of groups of people or vehicles are to be cut.

    Args:
        row: (R,) row of each run; so are `start`, `stop` and `class_id`.
        start: First columns.
        stop: Columns after the last.
        class_id: Classes.
        kind: (256,) 1 for classes of people, 2 for vehicles.
        run_group: (R,) group of each run, or -1.
        groups: How many there are.
        valley: (3,) by kind, the least depth of a valley as a share of the lower body beside it.
        slim: (3,) by kind, the least width of a part as a share of its height.
        max_cuts: No more than this in all.

    Returns:
        (G + 1,) where each group's cuts begin, and the columns of the cuts, ascending within a group.
    """
    run_offsets, order = _sort_by_group(run_group, groups)
    first_cut = np.zeros(groups + 1, np.int32)
    cuts = np.empty(max_cuts, np.int32)
    count = 0
    for group in range(groups):
        runs = order[run_offsets[group] : run_offsets[group + 1]]
        x1, skyline = _skyline(row, start, stop, runs)
        which = kind[class_id[runs[0]]]
        count = _cut(skyline, x1, valley[which], slim[which], cuts, count)
        first_cut[group + 1] = count
    return first_cut, cuts[:count]


@kernel(inner=True)
def _sort_by_group(run_group: Ints, groups: int) -> tuple[Ints, Ints]:
    """(G + 1,) where each group's runs begin, and the runs themselves, in order within each group."""
    offsets = np.zeros(groups + 1, np.int32)
    for group in run_group:
        if group >= 0:
            offsets[group + 1] += 1
    for group in range(groups):
        offsets[group + 1] += offsets[group]
    order = np.empty(offsets[groups], np.int32)
    filled = offsets.copy()
    for run in range(len(run_group)):
        group = run_group[run]
        if group >= 0:
            order[filled[group]] = run
            filled[group] += 1
    return offsets, order


@kernel(inner=True)
def _skyline(row: Ints, start: Ints, stop: Ints, runs: Ints) -> tuple[int, Ints]:
    """The first column of a group, and how high it rises above its lowest row in every column from there on."""
    x1, x2 = start[runs[0]], stop[runs[0]]
    for run in runs:
        x1, x2 = min(x1, start[run]), max(x2, stop[run])
    skyline = np.zeros(x2 - x1, np.int32)
    bottom = row[runs[-1]] + 1
    for run in runs[::-1]:  # from the bottom up, so that what is higher overwrites
        skyline[start[run] - x1 : stop[run] - x1] = bottom - row[run]
    x = 0
    while x < len(skyline):  # what a pole hides is as high as the higher side of it
        end = x
        while skyline[end] == 0:
            end += 1
        if end > x:
            skyline[x:end] = max(skyline[x - 1], skyline[end])
        x = end + 1
    return x1, skyline


@kernel(inner=True)
def _cut(skyline: Ints, x1: int, valley: float, slim: float, cuts: Ints, count: int) -> int:
    """Cut a skyline at its deepest valley, then its parts at theirs, until no valley is deep enough.

    Appends the columns of the cuts to the first `count` of `cuts`, ascending; `x1` is the skyline's first column.
    Returns how many cuts there are then.
    """
    width = len(skyline)
    right_peak = np.empty(width + 1, np.int32)
    ends = np.empty(width + 1, np.int32)  # the parts still to be looked at end here, nearest last
    ends[0] = width
    waiting = 1
    begin = 0
    while waiting > 0:
        end = ends[waiting - 1]
        bottom = _deepest_valley(skyline, begin, end, valley, slim, right_peak)
        if bottom >= 0 and count + waiting <= len(cuts):
            ends[waiting] = bottom
            waiting += 1
        else:
            waiting -= 1
            begin = end
            if waiting > 0:
                cuts[count] = x1 + end
                count += 1
    return count


@kernel(inner=True)
def _deepest_valley(skyline: Ints, begin: int, end: int, valley: float, slim: float, right_peak: Ints) -> int:
    """The column between `begin` and `end` with the deepest valley between two bodies, or -1 if none is deep enough.

    Depth is measured from the lower of the two peaks beside it; a valley of a single pixel is the edge's jitter.
    """
    right_peak[end] = 0
    for x in range(end - 1, begin - 1, -1):
        right_peak[x] = max(right_peak[x + 1], skyline[x])
    best = -1
    best_depth = valley
    left_peak = 0
    for x in range(begin, end):
        right = right_peak[x + 1]
        lower = min(left_peak, right)
        drop = lower - skyline[x]
        if drop >= 2 and x - begin >= slim * left_peak and end - x >= slim * right and drop > best_depth * lower:
            best = x
            best_depth = drop / lower
        left_peak = max(left_peak, skyline[x])
    return best
