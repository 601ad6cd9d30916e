"""Hysteresis: a pixel keeps the class that it was shown with until another one leads clearly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engines.base import Tensor
from pipeline.jit import kernel
from pipeline.postprocess.runs import RunBuffers, Runs
from pipeline.scene import ClassMap

__all__ = ["hold_pixels"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def hold_pixels(
    class_ids: ClassMap, runs: Runs, shown: Runs, logits: Tensor, holds: Floats, buffers: RunBuffers
) -> Runs:
    """Undo changes that are not clear enough.

    Runs are compared with runs, and only where these differ are pixels looked at at all: a hundredth of them, however
    large the picture is. Leads are those of the bilinearly interpolated logits, so a boundary moves by parts of a cell,
    not in steps of it.

    Args:
        class_ids: (H, W) uint8, the new class map, C-contiguous; undone in place.
        runs: The same, as runs.
        shown: What was shown for the frame before, as runs of a map of the same size.
        logits: (K, h, w) float32 on a grid that spans the image with half-pixel centres.
        holds: (K, K) float32, by how much class i must lead over class j to take its place.
        buffers: Of the image's size, others than those of `runs` and `shown`.

    Returns:
        The class map as it is now, as runs; views of the buffers.
    """
    rows, columns = _places(logits.shape[1], class_ids.shape[0]), _places(logits.shape[2], class_ids.shape[1])
    count = _hold(
        class_ids, runs.row_offsets, runs.stop, runs.class_id, shown.row_offsets, shown.stop, shown.class_id,
        logits, holds, *rows, *columns,
        buffers.row_offsets, buffers.row, buffers.start, buffers.stop, buffers.class_id,
    )  # fmt: skip
    return buffers.first(count)


@lru_cache(maxsize=32)
def _places(points: int, size: int) -> tuple[Ints, Floats]:
    """(size,) the grid point before each pixel of an axis, and the share of the one after it."""
    position = np.clip((np.arange(size) + 0.5) * points / size - 0.5, 0, points - 1)
    before = np.minimum(np.floor(position), max(points - 2, 0))
    return before.astype(np.int32), (position - before).astype(np.float32)


@kernel()
def _hold(
    class_ids: ClassMap,
    new_offsets: Ints,
    new_stop: Ints,
    new_class: ClassMap,
    old_offsets: Ints,
    old_stop: Ints,
    old_class: ClassMap,
    logits: Tensor,
    holds: Floats,
    tops: Ints,
    downs: Floats,
    lefts: Ints,
    rights: Floats,
    row_offsets: Ints,
    row: Ints,
    start: Ints,
    stop: Ints,
    class_id: ClassMap,
) -> int:
    """The kernel of `hold_pixels`; fills the last five, and returns how many runs there are."""
    height, width = class_ids.shape
    count = 0
    row_offsets[0] = 0
    for y in range(height):
        first = count
        new, old = new_offsets[y], old_offsets[y]
        x = 0
        while x < width:
            end = min(new_stop[new], old_stop[old])
            i, j = new_class[new], old_class[old]
            if i == j:
                count = _append(start, stop, class_id, count, first, x, end, i)
            else:
                count = _settle(
                    class_ids, logits, i, j, holds[i, j], y, x, end, tops[y], downs[y], lefts, rights,
                    start, stop, class_id, count, first,
                )  # fmt: skip
            x = end
            new += new_stop[new] == end
            old += old_stop[old] == end
        row[first:count] = y
        row_offsets[y + 1] = count
    return count


@kernel(inline=True)
def _settle(
    class_ids: ClassMap,
    logits: Tensor,
    i: int,
    j: int,
    least: np.float32,
    y: int,
    begin: int,
    end: int,
    top: int,
    v: np.float32,
    lefts: Ints,
    rights: Floats,
    start: Ints,
    stop: Ints,
    class_id: ClassMap,
    count: int,
    first: int,
) -> int:
    """Append the runs of a stretch that is class i now and was shown as j; returns how many there are so far."""
    _, grid_height, grid_width = logits.shape
    bottom = min(top + 1, grid_height - 1)
    x = begin
    while x < end:
        left = lefts[x]
        right = min(left + 1, grid_width - 1)
        upper = logits[i, top, left] - logits[j, top, left]
        lower = logits[i, bottom, left] - logits[j, bottom, left]
        lead_left = upper + (lower - upper) * v
        upper = logits[i, top, right] - logits[j, top, right]
        lower = logits[i, bottom, right] - logits[j, bottom, right]
        gain = upper + (lower - upper) * v - lead_left
        after = x + 1
        while after < end and lefts[after] == left:
            after += 1
        # Along the cell the lead only rises or only falls: alike at both ends is alike in between.
        is_held = lead_left + gain * rights[x] < least
        if is_held != (lead_left + gain * rights[after - 1] < least):
            middle = x + 1
            while (lead_left + gain * rights[middle] < least) == is_held:
                middle += 1
            after = middle
        if is_held:
            class_ids[y, x:after] = j
        count = _append(start, stop, class_id, count, first, x, after, j if is_held else i)
        x = after
    return count


@kernel(inline=True)
def _append(
    start: Ints, stop: Ints, class_id: ClassMap, count: int, first: int, begin: int, end: int, kept: int
) -> int:
    """Add a stretch to the row that began with run `first`; returns how many runs there are."""
    if count > first and class_id[count - 1] == kept:
        stop[count - 1] = end
        return count
    start[count], stop[count], class_id[count] = begin, end, kept
    return count + 1
