"""The inner loops of the overlay on a video's own planes.

Mixing colours by shares that add up to one gives the same in any linear colour space, so that what is drawn in BGR can
be drawn on luma and colour differences as they are. A pixel of the differences stands for four of the picture; it gets
the mean of what those four get.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["blend_picture", "blend_plain", "blend_stroke", "rows_of", "tint_planes"]

Plane = NDArray[np.uint8]
Shares = NDArray[np.uint16]

_EACH_BYTE = np.uint64(0x0101010101010101)
_ALL_ROAD = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel()
def rows_of(mask: Plane) -> tuple[int, int]:
    """The first row of a mask that is not empty, and the one after the last; (H, 0) where all are."""
    top, bottom = 0, mask.shape[0]
    while top < bottom and _largest(mask[top]) == 0:
        top += 1
    while bottom > top and _largest(mask[bottom - 1]) == 0:
        bottom -= 1
    return (top, bottom) if top < bottom else (mask.shape[0], 0)


@kernel(inner=True)
def _largest(line: Plane) -> np.uint8:
    largest = np.uint8(0)
    for x in range(line.size):
        largest = max(largest, line[x])
    return largest


@kernel()
def tint_planes(
    y: Plane,
    u: Plane,
    v: Plane,
    class_ids: Plane,
    road: Plane,
    road_top: int,
    class_words: NDArray[np.uint64],
    road_words: NDArray[np.uint64],
    class_keep: Shares,
    class_tint: Shares,
    road_color: Shares,
    road_opacity: Shares,
    out_y: Plane,
    out_u: Plane,
    out_v: Plane,
) -> None:
    """As `pipeline.overlay.kernels.tint_scene`, from planes to planes.

    Most classes are not tinted at all: rows are copied first, and then only what is tinted is gone through, eight
    pixels at a time.

    Args:
        y: (H, W) luma of the picture, H and W even.
        u: (H / 2, W / 2) blue differences.
        v: Red differences.
        class_ids: (H, W).
        road: (h, W) 0 to 255, in between along soft edges, from row `road_top` on.
        road_top: The first row with any road.
        class_words: (H, W / 8) `class_ids` eight at a time; (H, 0) where W is no multiple of 8.
        road_words: Likewise `road`.
        class_keep: (K,) how much of the picture stays under each class's tint, of 256.
        class_tint: (K, 3) the tint's (Y, U, V), multiplied by its share of 256 already.
        road_color: (H, 3) the road's (Y, U, V) in every row.
        road_opacity: (H,) its opacity there, of 256.
        out_y: (H, W), written.
        out_u: (H / 2, W / 2), written.
        out_v: Likewise.
    """
    height, width = class_ids.shape
    words = class_words.shape[1]
    for row in range(height):
        _copy(y[row], out_y[row])
        colored = row % 2 == 0
        half = row // 2
        if colored:
            _copy(u[half], out_u[half])
            _copy(v[half], out_v[half])
        on_road = road_top <= row < road_top + road.shape[0]
        color, opacity = road_color[row], road_opacity[row]
        word = 0
        while word < words:
            ids, begin = class_words[row, word], word
            soft = road_words[row - road_top, word] if on_road else np.uint64(0)
            word += 1
            plain = soft == _ALL_ROAD or (soft == 0 and ids == (ids & np.uint64(255)) * _EACH_BYTE)
            if not plain:
                _tint_pixels(
                    y, u, v, class_ids, road, road_top, class_keep, class_tint, color, opacity,
                    row, 8 * begin, 8 * word, out_y, out_u, out_v,
                )  # fmt: skip
                continue
            if soft == 0:
                class_id = class_ids[row, 8 * begin]
                keep = class_keep[class_id]
                while (
                    word < words
                    and class_words[row, word] == ids
                    and (not on_road or road_words[row - road_top, word] == 0)
                ):
                    word += 1
                if keep == 256:
                    continue
                first, second, third = class_tint[class_id, 0], class_tint[class_id, 1], class_tint[class_id, 2]
            else:
                keep = np.uint16(256 - opacity)
                while word < words and road_words[row - road_top, word] == _ALL_ROAD:
                    word += 1
                first = np.uint16(color[0] * opacity)
                second = np.uint16(color[1] * opacity)
                third = np.uint16(color[2] * opacity)
            _blend(y[row, 8 * begin : 8 * word], keep, first, out_y[row, 8 * begin : 8 * word])
            if colored:
                _blend(u[half, 4 * begin : 4 * word], keep, second, out_u[half, 4 * begin : 4 * word])
                _blend(v[half, 4 * begin : 4 * word], keep, third, out_v[half, 4 * begin : 4 * word])
        if 8 * words < width:
            _tint_pixels(
                y, u, v, class_ids, road, road_top, class_keep, class_tint, color, opacity,
                row, 8 * words, width, out_y, out_u, out_v,
            )  # fmt: skip


@kernel(inner=True)
def _copy(source: Plane, target: Plane) -> None:
    for x in range(target.size):
        target[x] = source[x]


@kernel(inner=True)
def _blend(source: Plane, keep: np.uint16, tint: np.uint16, target: Plane) -> None:
    """`target` = (source · keep + tint) / 256; fits 16 bits, since the shares of both add up to 256."""
    share, more = np.uint16(keep), np.uint16(tint)
    for x in range(target.size):
        target[x] = np.uint8(np.uint16(np.uint16(np.uint16(source[x]) * share) + more) >> np.uint16(8))


@kernel(inline=True)
def _tint_pixels(
    y: Plane,
    u: Plane,
    v: Plane,
    class_ids: Plane,
    road: Plane,
    road_top: int,
    class_keep: Shares,
    class_tint: Shares,
    color: Shares,
    opacity: np.uint16,
    row: int,
    begin: int,
    end: int,
    out_y: Plane,
    out_u: Plane,
    out_v: Plane,
) -> None:
    """As `tint_planes`, for the pixels from `begin` to `end` of one row, both even.

    Pasted into its caller: handing the arrays to a function costs more than what it does with them.
    """
    on_road = road_top <= row < road_top + road.shape[0]
    for x in range(begin, end):
        class_id = class_ids[row, x]
        soft = road[row - road_top, x] if on_road else np.uint8(0)
        share = np.int32(0)
        if soft == 0 and class_keep[class_id] == 256:
            continue  # copied already
        if soft == 0:
            keep, first = np.int32(class_keep[class_id]), np.int32(class_tint[class_id, 0])
        else:
            share = (np.int32(opacity) * (np.int32(soft) + (np.int32(soft) >> 7))) >> 8
            keep, first = np.int32(256) - share, np.int32(color[0]) * share
        out_y[row, x] = (np.int32(y[row, x]) * keep + first) >> 8
        if row % 2 == 0 and x % 2 == 0:
            # The corner pixel speaks for the four: half a pixel off at an edge that is some pixels soft.
            if soft == 0:
                second, third = np.int32(class_tint[class_id, 1]), np.int32(class_tint[class_id, 2])
            else:
                second, third = np.int32(color[1]) * share, np.int32(color[2]) * share
            out_u[row // 2, x // 2] = (np.int32(u[row // 2, x // 2]) * keep + second) >> 8
            out_v[row // 2, x // 2] = (np.int32(v[row // 2, x // 2]) * keep + third) >> 8


@kernel()
def blend_plain(
    y: Plane, u: Plane, v: Plane, mask: Plane, left: int, top: int, first: int, second: int, third: int, opacity: int
) -> None:
    """Blend one colour into a picture through a mask, in place; what lies outside the picture is cut off.

    Args:
        y: (H, W), drawn into.
        u: (H / 2, W / 2), drawn into.
        v: Likewise.
        mask: (h, w) 0 to 255.
        left: Column of the mask's first column in the picture.
        top: Row of its first row.
        first: The colour's luma.
        second: Its blue difference.
        third: Its red difference.
        opacity: Of 256, where the mask is 255.
    """
    height, width = mask.shape
    first_row, last_row = max(0, top), min(y.shape[0], top + height)
    first_column, last_column = max(0, left), min(y.shape[1], left + width)
    if first_row >= last_row or first_column >= last_column:
        return
    # Shares of two rows, from an even column to an even one; 0 where the mask does not reach.
    begin, end = first_column // 2 * 2, (last_column + 1) // 2 * 2
    shares = np.zeros((2, end - begin), np.uint16)
    inside = slice(first_column - begin, last_column - begin)
    for half_row in range(first_row // 2, (last_row + 1) // 2):
        for part in range(2):
            row = 2 * half_row + part
            if first_row <= row < last_row:
                line = mask[row - top, first_column - left : last_column - left]
                _take_shares(line, np.uint16(opacity), shares[part, inside])
                _blend_by_shares(shares[part, inside], np.uint16(first), y[row, first_column:last_column])
            else:
                shares[part] = 0
        columns = slice(begin // 2, end // 2)
        _blend_by_fours(shares[0], shares[1], np.uint16(second), u[half_row, columns])
        _blend_by_fours(shares[0], shares[1], np.uint16(third), v[half_row, columns])


@kernel(inner=True)
def _take_shares(mask: Plane, opacity: np.uint16, shares: Shares) -> None:
    for x in range(shares.size):
        soft = np.uint32(mask[x])
        shares[x] = np.uint16((np.uint32(opacity) * (soft + (soft >> np.uint32(7)))) >> np.uint32(8))


@kernel(inner=True)
def _blend_by_shares(shares: Shares, color: np.uint16, line: Plane) -> None:
    """Without branches, so that the compiler vectorises it: a share of 0 changes nothing."""
    for x in range(line.size):
        below = np.uint16(np.uint16(line[x]) * np.uint16(np.uint16(256) - shares[x]))
        line[x] = np.uint8(np.uint16(below + np.uint16(color * shares[x])) >> np.uint16(8))


@kernel(inner=True)
def _blend_by_fours(upper: Shares, lower: Shares, color: np.uint16, line: Plane) -> None:
    """The same for pixels that stand for four each, by the mean of their shares."""
    for x in range(line.size):
        share = np.uint16(np.uint16(upper[2 * x] + upper[2 * x + 1]) + np.uint16(lower[2 * x] + lower[2 * x + 1]))
        share = np.uint16(np.uint16(share + np.uint16(2)) >> np.uint16(2))
        below = np.uint16(np.uint16(line[x]) * np.uint16(np.uint16(256) - share))
        line[x] = np.uint8(np.uint16(np.uint16(below + np.uint16(color * share)) + np.uint16(128)) >> np.uint16(8))


@kernel()
def blend_stroke(
    y: Plane, u: Plane, v: Plane, layer: Plane, left: int, top: int, bottom: int, right: int, pen: Shares
) -> None:
    """Draw what `pipeline.overlay.kernels.trace` has marked with a pen, in place, and clear the layer there.

    Args:
        y: (H, W), drawn into.
        u: (H / 2, W / 2), drawn into.
        v: Likewise.
        layer: (H, W) closeness, 0 to 255; 0 everywhere afterwards.
        left: First column that may be marked.
        top: First row.
        bottom: The row after the last.
        right: The column after the last.
        pen: (256, 4) by closeness: (Y, U, V) multiplied by its share of 256, and what stays of the picture.
    """
    for half_row in range(top // 2, (bottom + 1) // 2):
        row = 2 * half_row
        for begin in range(left // 2 * 2, right, _LOOK):
            end = min(begin + _LOOK, (right + 1) // 2 * 2)
            if _largest(layer[row, begin:end]) == 0 and _largest(layer[row + 1, begin:end]) == 0:
                continue
            for x in range(begin, end, 2):
                a, b, c, d = layer[row, x], layer[row, x + 1], layer[row + 1, x], layer[row + 1, x + 1]
                if (a | b | c | d) == 0:
                    continue
                layer[row, x] = layer[row, x + 1] = layer[row + 1, x] = layer[row + 1, x + 1] = 0
                y[row, x] = (np.uint32(y[row, x]) * pen[a, 3] + pen[a, 0]) >> np.uint32(8)
                y[row, x + 1] = (np.uint32(y[row, x + 1]) * pen[b, 3] + pen[b, 0]) >> np.uint32(8)
                y[row + 1, x] = (np.uint32(y[row + 1, x]) * pen[c, 3] + pen[c, 0]) >> np.uint32(8)
                y[row + 1, x + 1] = (np.uint32(y[row + 1, x + 1]) * pen[d, 3] + pen[d, 0]) >> np.uint32(8)
                keep = np.uint32(pen[a, 3]) + pen[b, 3] + pen[c, 3] + pen[d, 3]
                second = np.uint32(pen[a, 1]) + pen[b, 1] + pen[c, 1] + pen[d, 1]
                third = np.uint32(pen[a, 2]) + pen[b, 2] + pen[c, 2] + pen[d, 2]
                below_u, below_v = np.uint32(u[half_row, x // 2]), np.uint32(v[half_row, x // 2])
                u[half_row, x // 2] = (below_u * keep + second + np.uint32(512)) >> np.uint32(10)
                v[half_row, x // 2] = (below_v * keep + third + np.uint32(512)) >> np.uint32(10)


_LOOK = 32
"""Columns that are looked at together, for whether anything is marked in them."""


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
