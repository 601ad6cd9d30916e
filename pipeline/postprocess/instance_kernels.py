"""The kernels behind `road_users`: measuring pieces, joining them, cutting silhouettes, painting instances.

All of them work on the runs of road users. A *piece* is a connected component, a *group* is one piece or several
that a pole cut apart, an *instance* is a group or the part of it between two vertical cuts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.postprocess.runs import ClassIds, Ints

__all__ = [
    "OCCLUDER",
    "PERSONAL",
    "VEHICLE",
    "choose_pieces",
    "cut_groups",
    "join_pieces",
    "measure_instances",
    "measure_pieces",
    "paint_instances",
]

PERSONAL, VEHICLE, OCCLUDER = 1, 2, 3
"""Kinds of classes: a body, a vehicle, and what stands thinly in front of either."""

Flags = NDArray[np.bool_]
Floats = NDArray[np.float32]
Longs = NDArray[np.int64]


@kernel()
def measure_pieces(
    row: Ints, start: Ints, stop: Ints, class_id: ClassIds, component: Ints, count: int
) -> tuple[Ints, Longs, ClassIds]:
    """Box (xyxy, half-open), area and class of every component."""
    box = np.empty((count, 4), np.int32)
    area = np.zeros(count, np.int64)
    piece_class = np.zeros(count, np.uint8)
    for run in range(len(row)):
        _grow(box, area, component[run], row[run], start[run], stop[run])
        piece_class[component[run]] = class_id[run]
    return box, area, piece_class


@kernel()
def choose_pieces(
    box: Ints,
    area: Longs,
    piece_class: ClassIds,
    kind: ClassIds,
    height: int,
    min_area: float,
    bonnet_width: int,
    bonnet_height: int,
) -> Ints:
    """The pieces that are large enough to be part of somebody, and not the bonnet of the own vehicle."""
    chosen = np.empty(len(area), np.int32)
    count = 0
    for i in range(len(area)):
        x1, y1, x2, y2 = box[i]
        at_bottom = kind[piece_class[i]] == VEHICLE and y2 == height
        if area[i] >= min_area and not (at_bottom and x2 - x1 > bonnet_width and y2 - y1 <= bonnet_height):
            chosen[count] = i
            count += 1
    return chosen[:count]


@kernel()
def _grow(box: Ints, area: Longs, index: int, y: int, x1: int, x2: int) -> None:
    """Add a run to the box and area of entry `index`, whose area says whether it is the first; rows come in order."""
    if area[index] == 0:
        box[index, 0], box[index, 1], box[index, 2] = x1, y, x2
    box[index, 0] = min(box[index, 0], x1)
    box[index, 2] = max(box[index, 2], x2)
    box[index, 3] = y + 1
    area[index] += x2 - x1


@kernel()
def join_pieces(
    offsets: Ints,
    selected: Ints,
    start: Ints,
    stop: Ints,
    class_of_all: ClassIds,
    kind: ClassIds,
    component: Ints,
    chosen: Ints,
    box: Ints,
    piece_class: ClassIds,
    pole_width: int,
    gap: int,
) -> tuple[Ints, Flags]:
    """Join pieces of one class that a thin pole or a flaw of the class map cut apart.

    Args:
        offsets: (H + 1,) where each row's runs of road users begin.
        selected: (R,) their indices among all runs; `start`, `stop` and `component` belong to them, too.
        start: First columns.
        stop: Columns after the last.
        class_of_all: The classes of all runs.
        kind: (256,) kind of every class.
        component: The piece that each run belongs to.
        chosen: (N,) the pieces that matter, largest first.
        box: The boxes of all pieces.
        piece_class: The classes of all pieces.
        pole_width: Widest gap in pixels if there is nothing but a pole in it.
        gap: Widest gap in pixels whatever is in it.

    Returns:
        (R,) the group of every run, -1 if its piece was not chosen; and (G,) which groups are of several pieces.
    """
    group = np.full(len(box), -1, np.int32)
    for i in range(len(chosen)):
        group[chosen[i]] = i
    facing = _facing_rows(offsets, selected, start, stop, class_of_all, kind, group[component], pole_width, gap)
    groups = 0
    joined = np.zeros(len(chosen), np.bool_)
    merged = np.empty((len(chosen), 4), np.int32)
    merged_class = np.empty(len(chosen), np.uint8)
    for i in range(len(chosen)):
        piece = chosen[i]
        own = groups
        for j in range(i):
            g = group[chosen[j]]
            people = kind[piece_class[piece]] == PERSONAL
            if (
                own == groups
                and merged_class[g] == piece_class[piece]
                and _belong_together(merged[g], box[piece], box[chosen[j]], facing[j, i], gap, people)
            ):
                own = g
        if own == groups:
            merged[own] = box[piece]
            merged_class[own] = piece_class[piece]
            groups += 1
        else:
            joined[own] = True
            merged[own, :2] = np.minimum(merged[own, :2], box[piece, :2])
            merged[own, 2:] = np.maximum(merged[own, 2:], box[piece, 2:])
        group[piece] = own
    return group[component], joined[:groups]


@kernel()
def _facing_rows(
    offsets: Ints,
    selected: Ints,
    start: Ints,
    stop: Ints,
    class_of_all: ClassIds,
    kind: ClassIds,
    run_number: Ints,
    pole_width: int,
    gap: int,
) -> Ints:
    """(N, N) for every pair of chosen pieces, in how many rows only a pole or next to nothing lies between them."""
    n = 0
    for number in run_number:
        n = max(n, number + 1)
    facing = np.zeros((n, n), np.int32)
    for y in range(len(offsets) - 1):
        for run in range(offsets[y], offsets[y + 1] - 1):
            a, b = run_number[run], run_number[run + 1]
            distance = start[run + 1] - stop[run]
            if a >= 0 and b >= 0 and a != b and distance <= max(gap, pole_width):
                between_poles = distance <= pole_width
                for between in range(selected[run] + 1, selected[run + 1]):
                    between_poles = between_poles and kind[class_of_all[between]] == OCCLUDER
                if between_poles or distance <= gap:
                    facing[min(a, b), max(a, b)] += 1
    return facing


@kernel()
def _belong_together(whole: Ints, piece: Ints, other: Ints, facing_rows: int, gap: int, people: bool) -> bool:
    """Whether a piece is part of the road user with the box `whole`, going by its neighbour `other` in it.

    They must face each other in at least half of the rows of the lower one, or stand on one another; and all
    together must still have the shape of one person, or of one vehicle.
    """
    height = max(whole[3], piece[3]) - min(whole[1], piece[1])
    width = max(whole[2], piece[2]) - min(whole[0], piece[0])
    if width > (0.7 if people else 2.6) * height:
        return False
    if 2 * facing_rows >= min(piece[3] - piece[1], other[3] - other[1]):
        return True
    shared_columns = min(piece[2], other[2]) - max(piece[0], other[0])
    distance = max(piece[1], other[1]) - min(piece[3], other[3])
    return bool(0 <= distance <= gap and 2 * shared_columns >= min(piece[2] - piece[0], other[2] - other[0]))


@kernel()
def cut_groups(
    row: Ints,
    start: Ints,
    stop: Ints,
    class_id: ClassIds,
    kind: ClassIds,
    run_group: Ints,
    joined: Flags,
    valley: Floats,
    slim: Floats,
    max_cuts: int,
) -> tuple[Ints, Ints]:
    """Find where the silhouettes of groups of people or vehicles are to be cut. Joined groups are left whole.

    Args:
        row: (R,) row of each run; so are `start`, `stop` and `class_id`.
        start: First columns.
        stop: Columns after the last.
        class_id: Classes.
        kind: (256,) 1 for classes of people, 2 for vehicles.
        run_group: (R,) group of each run, or -1.
        joined: (G,) which groups were put together from several pieces.
        valley: (3,) by kind, the least depth of a valley as a share of the lower body beside it.
        slim: (3,) by kind, the least width of a part as a share of its height.
        max_cuts: No more than this in all.

    Returns:
        (G + 1,) where each group's cuts begin, and the columns of the cuts, ascending within a group.
    """
    groups = len(joined)
    run_offsets, order = _sort_by_group(run_group, groups)
    first_cut = np.zeros(groups + 1, np.int32)
    cuts = np.empty(max_cuts, np.int32)
    count = 0
    for group in range(groups):
        if not joined[group]:
            runs = order[run_offsets[group] : run_offsets[group + 1]]
            x1, skyline = _skyline(row, start, stop, runs)
            which = kind[class_id[runs[0]]]
            end = _cut(skyline, valley[which], slim[which], cuts, count)
            cuts[count:end] += x1
            count = end
        first_cut[group + 1] = count
    return first_cut, cuts[:count]


@kernel()
def _sort_by_group(run_group: Ints, groups: int) -> tuple[Ints, Ints]:
    """(G + 1,) where each group's runs begin, and the runs themselves, in order within each group."""
    offsets = np.zeros(groups + 1, np.int32)
    for group in run_group:
        if group >= 0:
            offsets[group + 1] += 1
    offsets = np.cumsum(offsets).astype(np.int32)
    order = np.empty(offsets[groups], np.int32)
    filled = offsets.copy()
    for run in range(len(run_group)):
        group = run_group[run]
        if group >= 0:
            order[filled[group]] = run
            filled[group] += 1
    return offsets, order


@kernel()
def _skyline(row: Ints, start: Ints, stop: Ints, runs: Ints) -> tuple[int, Ints]:
    """The first column of a group, and how high it rises above its lowest row in every column from there on."""
    x1, x2 = start[runs[0]], stop[runs[0]]
    for run in runs:
        x1, x2 = min(x1, start[run]), max(x2, stop[run])
    skyline = np.zeros(x2 - x1, np.int32)
    bottom = row[runs[-1]] + 1
    for run in runs[::-1]:  # from the bottom up, so that what is higher overwrites
        skyline[start[run] - x1 : stop[run] - x1] = bottom - row[run]
    return x1, skyline


@kernel()
def _cut(skyline: Ints, valley: float, slim: float, cuts: Ints, count: int) -> int:
    """Cut a skyline at its deepest valley, then its parts at theirs, until no valley is deep enough.

    Appends the columns of the cuts, ascending, to the first `count` of `cuts`; returns how many there are then.
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
                cuts[count] = end
                count += 1
    return count


@kernel()
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


@kernel()
def measure_instances(
    row: Ints, start: Ints, stop: Ints, class_id: ClassIds, run_group: Ints, first_cut: Ints, cuts: Ints
) -> tuple[Ints, Longs, ClassIds]:
    """Box, area and class of every instance. Those of group ``g`` are numbered from ``g + first_cut[g]``."""
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


@kernel()
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
