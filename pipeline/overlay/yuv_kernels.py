"""The inner loops of the overlay on a video's own planes.

Mixing colours by shares that add up to one gives the same in any linear colour space, so that what is drawn in BGR can
be drawn on luma and colour differences as they are. A pixel of the differences stands for four of the picture, and gets
what the look has at the mean of their levels. Nothing is sliced within loops: a slice of an array costs as much as
mixing ten pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.overlay.kernels import BLOCK

__all__ = ["blend_picture", "lay_levels", "lay_stroke"]

Plane = NDArray[np.uint8]
Words = NDArray[np.uint32]

_ALL_INSIDE = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel()
def lay_levels(y: Plane, u: Plane, v: Plane, levels: Plane, left: int, top: int, ramp: Words) -> None:
    """Draw a shape, in place.

    Args:
        y: (H, W), drawn into, H and W even.
        u: (H / 2, W / 2), drawn into.
        v: Likewise.
        levels: (h, w), h even and w of whole eights; what lies right of the picture is left out.
        left: Column of the first column of `levels` in the picture, even.
        top: Row of its first row, even. All rows lie inside.
        ramp: (3, 256) what `pipeline.overlay.levels.ramp_of` gives: for Y, U and V, by level.
    """
    _lay(y, u, v, left, top, levels, levels.view(np.uint64), 0, levels.shape[0] // 2, 0, levels.shape[1] // 8, ramp)


@kernel()
def lay_stroke(y: Plane, u: Plane, v: Plane, closeness: Plane, marked: NDArray[np.int32], ramp: Words) -> None:
    """Draw what `pipeline.overlay.kernels.trace` has marked, in place, and clear it for the next stroke.

    Args:
        y: (H, W), drawn into, H and W even.
        u: (H / 2, W / 2), drawn into.
        v: Likewise.
        closeness: (H, W or more); 0 everywhere afterwards.
        marked: (B, 2) in which rows of each block of columns; none afterwards.
        ramp: As for `lay_levels`.
    """
    words, eights = closeness.view(np.uint64), BLOCK // 8
    for block in range(marked.shape[0]):
        first, end = marked[block, 0] // 2, (marked[block, 1] + 1) // 2
        _lay(y, u, v, 0, 0, closeness, words, first, end, block * eights, block * eights + eights, ramp)
        for row in range(2 * first, 2 * end):
            for word in range(block * eights, block * eights + eights):
                words[row, word] = 0
        marked[block, 0], marked[block, 1] = closeness.shape[0], 0


@kernel(inner=True)
def _lay(
    y: Plane,
    u: Plane,
    v: Plane,
    left: int,
    top: int,
    levels: Plane,
    words: NDArray[np.uint64],
    first_half: int,
    end_half: int,
    first_word: int,
    end_word: int,
    ramp: Words,
) -> None:
    """Draw some rows and some columns of levels, two rows and eight columns at a time: many of them have nothing to be
    drawn in them, and many are well inside.

    Places are unsigned: of others it would be asked every time whether they count from the end.
    """
    width, inside = y.shape[1] - left, np.uint8(255)
    for half_row in range(first_half, end_half):
        upper, lower = np.uint64(2 * half_row), np.uint64(2 * half_row + 1)
        row, row_below, row_half = (
            np.uint64(top + 2 * half_row),
            np.uint64(top + 2 * half_row + 1),
            np.uint64(top // 2 + half_row),
        )
        word = first_word
        while word < end_word:
            first = word
            while word < end_word and words[upper, np.uint64(word)] & words[lower, np.uint64(word)] == _ALL_INSIDE:
                word += 1
            if word > first:
                begin, end = left + 8 * first, left + min(8 * word, width)
                _mix_all(ramp[0, inside], y[row, begin:end])
                _mix_all(ramp[0, inside], y[row_below, begin:end])
                _mix_all(ramp[1, inside], u[row_half, begin // 2 : end // 2])
                _mix_all(ramp[2, inside], v[row_half, begin // 2 : end // 2])
                continue
            if words[upper, np.uint64(word)] | words[lower, np.uint64(word)] != 0:
                for x in range(8 * word, min(8 * word + 8, width), 2):
                    place, beside, half = np.uint64(left + x), np.uint64(left + x + 1), np.uint64((left + x) // 2)
                    a, b = levels[upper, np.uint64(x)], levels[upper, np.uint64(x + 1)]
                    c, d = levels[lower, np.uint64(x)], levels[lower, np.uint64(x + 1)]
                    y[row, place] = _mixed(y[row, place], ramp[0, a])
                    y[row, beside] = _mixed(y[row, beside], ramp[0, b])
                    y[row_below, place] = _mixed(y[row_below, place], ramp[0, c])
                    y[row_below, beside] = _mixed(y[row_below, beside], ramp[0, d])
                    mean = (np.uint32(a) + np.uint32(b) + np.uint32(c) + np.uint32(d) + np.uint32(2)) >> np.uint32(2)
                    u[row_half, half] = _mixed(u[row_half, half], ramp[1, mean])
                    v[row_half, half] = _mixed(v[row_half, half], ramp[2, mean])
            word += 1


@kernel(inner=True)
def _mix_all(entry: np.uint32, line: Plane) -> None:
    """One entry into a whole line; fits 16 bits, since shares add up to 256."""
    keep, color = np.uint16(entry >> np.uint32(16)), np.uint16((entry & np.uint32(0xFFFF)) + np.uint32(128))
    for x in range(line.size):
        line[x] = np.uint8(np.uint16(np.uint16(np.uint16(line[x]) * keep) + color) >> np.uint16(8))


@kernel(inline=True)
def _mixed(below: np.uint8, entry: np.uint32) -> np.uint8:
    """What stays of a pixel and what comes, rounded."""
    kept = np.uint32(np.uint32(below) * np.uint32(entry >> np.uint32(16)))
    return np.uint8(np.uint32(np.uint32(kept + np.uint32(entry & np.uint32(0xFFFF))) + np.uint32(128)) >> np.uint32(8))


@kernel()
def blend_picture(
    y: Plane, u: Plane, v: Plane, other_y: Plane, other_u: Plane, other_v: Plane, cover: Plane, left: int, top: int
) -> None:
    """Lay another picture over this one through a mask, in place.

    Args:
        y: (H, W), drawn into.
        u: (H / 2, W / 2), drawn into.
        v: Likewise.
        other_y: (h, w) of the other, h and w even; all of it lies inside.
        other_u: (h / 2, w / 2).
        other_v: Likewise.
        cover: (h, w) how much the other one covers, of 255.
        left: Where its first column lies, even.
        top: Where its first row lies, even.
    """
    height, width = cover.shape
    for row in range(height):
        for column in range(width):
            share = np.int32(cover[row, column]) + (np.int32(cover[row, column]) >> 7)
            below, over = np.int32(y[top + row, left + column]), np.int32(other_y[row, column])
            y[top + row, left + column] = (below * (256 - share) + over * share) >> 8
    for row in range(height // 2):
        for column in range(width // 2):
            share = np.int32(cover[2 * row, 2 * column]) + (np.int32(cover[2 * row, 2 * column]) >> 7)
            place = (top // 2 + row, left // 2 + column)
            u[place] = (np.int32(u[place]) * (256 - share) + np.int32(other_u[row, column]) * share) >> 8
            v[place] = (np.int32(v[place]) * (256 - share) + np.int32(other_v[row, column]) * share) >> 8
