"""The drivable area: the road that is connected to the vehicle's own lane ahead, and how far it is free."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.postprocess.runs import ClassIds, Ints, Runs, join_runs, select_runs
from pipeline.scene import DrivableArea

__all__ = ["DrivableRules", "find_drivable"]

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DrivableRules:
    """What counts as the own lane, as an island and as a hole; shares are of the whole image.

    Attributes:
        ego_height: The own lane is looked for from the bottom of the image up to this share of its height: far
            enough to see over the vehicle's own bonnet.
        ego_width_bottom: Width of that zone at the bottom, as a share of the image's; centred.
        ego_width_top: Its width at the top.
        ego_share: A piece of road belongs to the own lane if it is the first road above the bottom in this share of
            the zone's columns.
        min_area: Smaller pieces of road are taken for mistakes of the network.
        max_hole_area: Enclosed holes up to this area are closed, unless something that one can hit stands in them.
    """

    ego_height: float = 0.5
    ego_width_bottom: float = 0.5
    ego_width_top: float = 0.2
    ego_share: float = 0.1
    min_area: float = 0.001
    max_hole_area: float = 0.001


def find_drivable(
    runs: Runs,
    road_index: int | None,
    obstacle_indices: Collection[int],
    rules: DrivableRules | None = None,
    out: ClassIds | None = None,
) -> DrivableArea:
    """Find the road connected to the vehicle's own lane.

    The pieces of road (8-connected) that one meets first when going up from the bottom of a trapezoid in the bottom
    centre are kept, all others are dropped. Then small holes (4-connected) are closed.

    Args:
        runs: The class map, as runs.
        road_index: Class index of road, or None where the model has no such class: nothing is drivable then.
        obstacle_indices: Class indices of what stands on the road. A hole with any of their pixels stays open.
        rules: Sizes and shares, or None for the usual ones.
        out: (H, W) uint8 to write the mask into, or None for a new array.
    """
    rules = rules or DrivableRules()
    height, width = runs.size_hw
    wanted = np.zeros(256, np.bool_)
    if road_index is not None:
        wanted[road_index] = True
    obstacles = np.zeros(256, np.bool_)
    obstacles[list(obstacle_indices)] = True

    road, selected = select_runs(runs, wanted)
    component = np.empty(len(road), np.int32)
    count = join_runs(road.row_offsets, road.start, road.stop, road.class_id, 1, component)
    own = _find_own(
        road.row_offsets,
        road.start,
        road.stop,
        component,
        count,
        width,
        rules.min_area * height * width,
        int(height * (1 - rules.ego_height)),
        rules.ego_width_bottom * width / 2,
        rules.ego_width_top * width / 2,
        rules.ego_share,
    )
    gap_offsets, gap_start, gap_stop, gap_open = _find_gaps(
        runs.row_offsets, runs.class_id, obstacles, road.row_offsets, selected, road.start, road.stop, component, own,
        width,
    )  # fmt: skip
    hole = np.empty(len(gap_start), np.int32)
    holes = join_runs(gap_offsets, gap_start, gap_stop, np.zeros(len(gap_start), np.uint8), 0, hole)
    _keep_open(gap_start, gap_stop, gap_open, hole, holes, rules.max_hole_area * height * width)

    mask = np.empty((height, width), np.uint8) if out is None else out
    free_space = np.full(width, -1, np.int32)
    area_px = _paint(gap_offsets, gap_start, gap_stop, gap_open, mask)
    _find_tops(gap_offsets, gap_start, gap_stop, gap_open, free_space)
    return DrivableArea(mask, area_px, free_space)


@kernel()
def _find_own(
    offsets: Ints,
    start: Ints,
    stop: Ints,
    component: Ints,
    count: int,
    width: int,
    min_area: float,
    zone_top: int,
    half_width_bottom: float,
    half_width_top: float,
    share: float,
) -> Flags:
    """Which components belong to the own lane.

    Every sampled column of the ego zone votes for the first road that it meets on the way up; `share` of the votes
    are enough.
    """
    area = np.zeros(count, np.int64)
    for run in range(len(start)):
        area[component[run]] += stop[run] - start[run]
    height = len(offsets) - 1
    votes = np.zeros(count, np.int32)
    columns = max(min(int(2 * half_width_bottom), 64), 1)
    left, spacing = width / 2 - half_width_bottom, 2 * half_width_bottom / columns
    voted = np.zeros(columns, np.bool_)
    undecided = columns
    for y in range(height - 1, zone_top - 1, -1):
        inset = (half_width_bottom - half_width_top) * (height - 1 - y) / (height - zone_top)
        for run in range(offsets[y], offsets[y + 1]):
            if area[component[run]] >= min_area:
                # column c stands at left + (c + 1/2) spacing
                first = math.ceil((max(start[run], left + inset) - left) / spacing - 0.5)
                last = math.ceil((min(stop[run], left + 2 * half_width_bottom - inset) - left) / spacing - 0.5)
                for column in range(max(first, 0), min(last, columns)):
                    if not voted[column]:
                        voted[column] = True
                        votes[component[run]] += 1
                        undecided -= 1
        if undecided == 0:
            break
    return votes >= share * columns


@kernel()
def _find_gaps(
    row_offsets: Ints,
    class_id: ClassIds,
    obstacles: Flags,
    offsets: Ints,
    selected: Ints,
    start: Ints,
    stop: Ints,
    component: Ints,
    own: Flags,
    width: int,
) -> tuple[Ints, Ints, Ints, Flags]:
    """The runs of everything that is not road of the own lane.

    Returns:
        Where each row's gaps begin, their starts and stops, and which of them make a hole stay open: they touch the
        border of the image, or contain an obstacle.
    """
    height = len(offsets) - 1
    capacity = height + len(selected)
    gap_offsets = np.zeros(height + 1, np.int32)
    gap_start, gap_stop = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    gap_open = np.zeros(capacity, np.bool_)
    count = 0
    for y in range(height):
        x = 0
        after = row_offsets[y]  # the run after the drivable one to the left
        for i in range(offsets[y], offsets[y + 1]):
            if own[component[i]]:
                if start[i] > x:
                    gap_start[count], gap_stop[count] = x, start[i]
                    gap_open[count] = x == 0 or y == 0 or y == height - 1
                    for run in range(after, selected[i]):
                        gap_open[count] |= obstacles[class_id[run]]
                    count += 1
                x = stop[i]
                after = selected[i] + 1
        if x < width:
            gap_start[count], gap_stop[count], gap_open[count] = x, width, True
            count += 1
        gap_offsets[y + 1] = count
    return gap_offsets, gap_start[:count], gap_stop[:count], gap_open[:count]


@kernel()
def _keep_open(start: Ints, stop: Ints, is_open: Flags, hole: Ints, holes: int, max_area: float) -> None:
    """Spread from one gap to all of its hole that it stays open, because of that gap or because it is large."""
    area = np.zeros(holes, np.int64)
    stays_open = np.zeros(holes, np.bool_)
    for gap in range(len(start)):
        area[hole[gap]] += stop[gap] - start[gap]
        stays_open[hole[gap]] |= is_open[gap]
    for gap in range(len(start)):
        is_open[gap] = stays_open[hole[gap]] or area[hole[gap]] > max_area


@kernel()
def _paint(offsets: Ints, start: Ints, stop: Ints, is_open: Flags, mask: ClassIds) -> int:
    """Write 0 into the open gaps and 1 everywhere else; returns the number of ones."""
    area = mask.size
    for y in range(mask.shape[0]):
        x = 0
        for gap in range(offsets[y], offsets[y + 1]):
            if is_open[gap]:
                mask[y, x : start[gap]] = 1
                mask[y, start[gap] : stop[gap]] = 0
                area -= stop[gap] - start[gap]
                x = stop[gap]
        mask[y, x:] = 1
    return area


@kernel()
def _find_tops(offsets: Ints, start: Ints, stop: Ints, is_open: Flags, free_space: Ints) -> None:
    """For every column, the top of its lowest run that is not an open gap; columns without one are left alone.

    Going up row by row, the first time that an open gap begins in a column is the top of its lowest run.
    """
    width = len(free_space)
    for y in range(len(offsets) - 2, -1, -1):
        below, below_end = offsets[y], offsets[y + 1]
        above = offsets[y - 1] if y > 0 else 0
        above_end = offsets[y] if y > 0 else 1  # above the image there is one gap: everything
        for gap in range(above, above_end):
            if y > 0 and not is_open[gap]:
                continue
            x, end = (start[gap], stop[gap]) if y > 0 else (0, width)
            while below < below_end and stop[below] <= x:
                below += 1
            other = below
            while other < below_end and start[other] < end:  # open, too: they touch
                _set_unset(free_space, x, start[other], y)
                x = stop[other]
                other += 1
            _set_unset(free_space, x, end, y)


@kernel(inner=True)
def _set_unset(values: Ints, begin: int, end: int, value: int) -> None:
    """Set the negative entries from `begin` to `end`."""
    for x in range(begin, end):
        if values[x] < 0:
            values[x] = value
