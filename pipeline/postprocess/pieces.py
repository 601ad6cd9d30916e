"""Pieces of road users: which matter, and which belong together. The kernels behind `road_users`, part one.

A *piece* is a connected component of one class of road users, a *group* is one piece, or several that are one user.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.postprocess.runs import ClassIds, Ints

__all__ = ["OCCLUDER", "PERSONAL", "VEHICLE", "choose_pieces", "join_pieces"]

PERSONAL, VEHICLE, OCCLUDER = 1, 2, 3
"""Kinds of classes: a body, a vehicle, and what stands thinly in front of either."""

Longs = NDArray[np.int64]


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
) -> tuple[Ints, int]:
    """Join pieces of one class that a thin pole or a flaw of the class map cut apart, and the halves of cyclists.

    Networks often see the upper half of a cyclist as a person and only the rest as a rider.

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
        (R,) the group of every run, -1 if its piece was not chosen; and the number of groups.
    """
    group = np.full(len(box), -1, np.int32)
    for i in range(len(chosen)):
        group[chosen[i]] = i
    facing = _facing_rows(offsets, selected, start, stop, class_of_all, kind, group[component], pole_width, gap)
    groups = 0
    merged = np.empty((len(chosen), 4), np.int32)
    merged_class = np.empty(len(chosen), np.uint8)
    for i in range(len(chosen)):
        piece = chosen[i]
        own = groups
        for j in range(i):
            g = group[chosen[j]]
            people = kind[piece_class[piece]] == PERSONAL
            if own != groups:
                continue
            if merged_class[g] == piece_class[piece]:
                one = _belong_together(merged[g], box[piece], box[chosen[j]], facing[j, i], gap, people)
            else:
                one = people and kind[merged_class[g]] == PERSONAL and _stacked(merged[g], box[piece])
            if one:
                own = g
        if own == groups:
            for side in range(4):
                merged[own, side] = box[piece, side]
            merged_class[own] = piece_class[piece]
            groups += 1
        else:
            for side in range(2):
                merged[own, side] = min(merged[own, side], box[piece, side])
                merged[own, side + 2] = max(merged[own, side + 2], box[piece, side + 2])
        group[piece] = own
    return group[component], groups


@kernel(inner=True)
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


@kernel(inner=True)
def _belong_together(whole: Ints, piece: Ints, other: Ints, facing_rows: int, gap: int, people: bool) -> bool:
    """Whether a piece is part of the road user with the box `whole`, going by its neighbour `other` in it.

    They must face each other in at least half of the rows of the lower one, or stand on one another; and all
    together must still have the shape of one person, or of one vehicle, unless they grow no broader.
    """
    height = max(whole[3], piece[3]) - min(whole[1], piece[1])
    width = max(whole[2], piece[2]) - min(whole[0], piece[0])
    broadest = max(whole[2] - whole[0], piece[2] - piece[0])
    if width > (0.7 if people else 2.6) * height and width > 1.1 * broadest:
        return False
    if 2 * facing_rows >= min(piece[3] - piece[1], other[3] - other[1]):
        return True
    shared_columns = min(piece[2], other[2]) - max(piece[0], other[0])
    distance = max(piece[1], other[1]) - min(piece[3], other[3])
    return bool(0 <= distance <= gap and 2 * shared_columns >= min(piece[2] - piece[0], other[2] - other[0]))


@kernel(inner=True)
def _stacked(a: Ints, b: Ints) -> bool:
    """Whether one box sits on the other like an upper body on the rest of it, touching, and both make one figure."""
    height = max(a[3], b[3]) - min(a[1], b[1])
    width = max(a[2], b[2]) - min(a[0], b[0])
    shared_rows = min(a[3], b[3]) - max(a[1], b[1])
    shared_columns = min(a[2], b[2]) - max(a[0], b[0])
    return bool(
        0.25 * height <= width <= 0.7 * height
        and 0 <= shared_rows <= 0.8 * min(a[3] - a[1], b[3] - b[1])
        and shared_columns >= 0.5 * min(a[2] - a[0], b[2] - b[0])
    )
