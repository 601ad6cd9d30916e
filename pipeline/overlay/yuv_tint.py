"""The inner loops that tint classes and lay the road over them, on a video's own planes.

They run over whole rows without branches, so that the compiler vectorises them. Two pixels that share a colour are
taken as one word, so that none has to be moved for it. Planes are handed on with the row that is meant: a slice of an
array costs as much as mixing some dozen pixels does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["lay_road", "tint_classes"]

Plane = NDArray[np.uint8]
Shares = NDArray[np.uint16]

_BYTE, _ALL, _HALF = np.uint16(255), np.uint16(256), np.uint16(128)
_EIGHT, _TWO = np.uint16(8), np.uint16(2)
_LOWER, _UPPER = np.uint32(0xFFFF), np.uint32(16)


@kernel()
def tint_classes(
    y: Plane,
    u: Plane,
    v: Plane,
    class_ids: Plane,
    tinted: Plane,
    class_share: Plane,
    class_color: Plane,
    out_y: Plane,
    out_u: Plane,
    out_v: Plane,
) -> None:
    """Tint every pixel in its class's colour. The upper left of four pixels speaks for all of them.

    Args:
        y: (H, W or more) luma, H and W even.
        u: (H / 2, W / 2 or more) blue differences.
        v: Red differences.
        class_ids: (H, W).
        tinted: (T,) the classes that have a tint.
        class_share: (K,) how much of each class's tint comes over the picture, of 256.
        class_color: (K, 3) its (Y, U, V).
        out_y: (H, W), written.
        out_u: (H / 2, W / 2), written.
        out_v: Likewise.
    """
    height, width = class_ids.shape
    ids_of_pairs, pairs, out_pairs = class_ids.view(np.uint16), y.view(np.uint16), out_y.view(np.uint16)
    ids, shares = np.empty(width // 2, np.uint8), np.empty(width // 2, np.uint8)
    luma, blue, red = np.empty(width // 2, np.uint8), np.empty(width // 2, np.uint8), np.empty(width // 2, np.uint8)
    for half in range(height // 2):
        here, upper, lower = np.uint64(half), np.uint64(2 * half), np.uint64(2 * half + 1)
        present, found = _classes_of(ids_of_pairs, upper), False
        for class_id in tinted:
            if present & (np.uint32(1) << np.uint32(class_id & 31)) != 0:
                if not found:
                    found = True
                    _begin(ids_of_pairs, upper, ids, shares, luma, blue, red)
                _add_class(ids, class_id, class_share, class_color, shares, luma, blue, red)
        if found:
            _mix_pairs(shares, luma, pairs, upper, out_pairs)
            _mix_pairs(shares, luma, pairs, lower, out_pairs)
            _mix(shares, blue, u, here, out_u)
            _mix(shares, red, v, here, out_v)
        else:
            _copy(y, upper, out_y)
            _copy(y, lower, out_y)
            _copy(u, here, out_u)
            _copy(v, here, out_v)


@kernel(inner=True)
def _classes_of(ids: NDArray[np.uint16], row: np.uint64) -> np.uint32:
    """Which classes stand in the lower bytes of a row, one bit each, modulo 32."""
    present = np.uint32(0)
    for x in range(ids.shape[1]):
        present |= np.uint32(np.uint32(1) << np.uint32(ids[row, x] & 31))
    return present


@kernel(inner=True)
def _begin(
    pairs: NDArray[np.uint16], row: np.uint64, ids: Plane, shares: Plane, luma: Plane, blue: Plane, red: Plane
) -> None:
    """The classes of the left one of each pair, and no tint yet."""
    for x in range(ids.size):
        ids[x] = np.uint8(pairs[row, x] & _BYTE)
    for x in range(ids.size):
        shares[x], luma[x], blue[x], red[x] = 0, 0, 0, 0


@kernel(inner=True)
def _add_class(
    ids: Plane,
    class_id: np.uint8,
    class_share: Plane,
    class_color: Plane,
    shares: Plane,
    luma: Plane,
    blue: Plane,
    red: Plane,
) -> None:
    """Enter a class's tint where it stands."""
    share = class_share[class_id]
    first, second, third = class_color[class_id, 0], class_color[class_id, 1], class_color[class_id, 2]
    for x in range(ids.size):
        here = np.uint8(ids[x] == class_id)
        shares[x] += np.uint8(here * share)
        luma[x] += np.uint8(here * first)
        blue[x] += np.uint8(here * second)
        red[x] += np.uint8(here * third)


@kernel(inner=True)
def _mix_pairs(shares: Plane, color: Plane, pairs: NDArray[np.uint16], row: np.uint64, out: NDArray[np.uint16]) -> None:
    """(pixel · what stays + color · share) / 256, rounded, of two pixels each; fits 16 bits, since shares add up to
    256.
    """
    for x in range(shares.size):
        keep = np.uint16(_ALL - np.uint16(shares[x]))
        more = np.uint16(np.uint16(np.uint16(color[x]) * np.uint16(shares[x])) + _HALF)
        one = np.uint16(np.uint16(np.uint16(pairs[row, x] & _BYTE) * keep) + more)
        other = np.uint16(np.uint16(np.uint16(pairs[row, x] >> _EIGHT) * keep) + more)
        out[row, x] = np.uint16(one >> _EIGHT) | np.uint16(other & np.uint16(0xFF00))


@kernel(inner=True)
def _mix(shares: Plane, color: Plane, plane: Plane, row: np.uint64, out: Plane) -> None:
    """The same of single ones."""
    for x in range(shares.size):
        keep = np.uint16(_ALL - np.uint16(shares[x]))
        more = np.uint16(np.uint16(np.uint16(color[x]) * np.uint16(shares[x])) + _HALF)
        out[row, x] = np.uint8(np.uint16(np.uint16(np.uint16(plane[row, x]) * keep) + more) >> _EIGHT)


@kernel(inner=True)
def _copy(plane: Plane, row: np.uint64, out: Plane) -> None:
    for x in range(out.shape[1]):
        out[row, x] = plane[row, x]


@kernel()
def lay_road(y: Plane, u: Plane, v: Plane, road: Plane, half: int, road_color: Shares, road_opacity: Shares) -> None:
    """Lay the road's colour over the drivable area, in place, by how much of the square around each pixel is road.

    Args:
        y: (H, W) luma, H and W even.
        u: (H / 2, W / 2) blue differences.
        v: Red differences.
        road: (H, W) 1 on the road, else 0.
        half: How far the square reaches, 1 to 7; beyond the picture lies what lies on its border.
        road_color: (H, 3) the road's (Y, U, V) in every row.
        road_opacity: (H,) its opacity there, of 256; at most 240.
    """
    height, width = y.shape
    side = 2 * half + 1
    # How much road stands over and under each pixel, with room to look aside; and in how many of those rows.
    column_sums, rows_with_road = np.zeros(width + 2 * half, np.uint8), np.int64(0)
    for offset in range(-half - 1, half):
        first = np.uint64(min(max(offset, 0), height - 1))
        rows_with_road += np.int64(_largest(road, first))
        _exchange(road, first, first, np.uint8(0), column_sums, half)
    sums, shares, means = np.empty(width, np.uint8), np.empty((2, width), np.uint16), np.empty(width // 2, np.uint16)
    pairs = shares.view(np.uint32)
    for half_row in range(height // 2):
        is_road = False
        for part in range(2):
            row = 2 * half_row + part
            entering, leaving = np.uint64(min(row + half, height - 1)), np.uint64(max(0, row - half - 1))
            enters, leaves = _largest(road, entering), _largest(road, leaving)
            if enters | leaves != 0:
                rows_with_road += np.int64(enters) - np.int64(leaves)
                _exchange(road, entering, leaving, np.uint8(1), column_sums, half)
            if rows_with_road > 0:
                is_road = True
                _share_out(column_sums, side, road_opacity[row], sums, shares, np.uint64(part))
                _blend(shares[part], road_color[row, 0], y, np.uint64(row))
            else:
                _fill(shares[part])
        if is_road:
            _mean_of_fours(pairs, means)
            _blend(means, road_color[2 * half_row, 1], u, np.uint64(half_row))
            _blend(means, road_color[2 * half_row, 2], v, np.uint64(half_row))


@kernel(inner=True)
def _largest(plane: Plane, row: np.uint64) -> np.uint8:
    largest = np.uint8(0)
    for x in range(plane.shape[1]):
        largest = max(largest, plane[row, x])
    return largest


@kernel(inner=True)
def _exchange(plane: Plane, entering: np.uint64, leaving: np.uint64, times: np.uint8, sums: Plane, half: int) -> None:
    """Let a row into the sums, and another out of them so many times; beyond both ends lies what lies there."""
    for x in range(plane.shape[1]):
        at = np.uint64(half + x)
        sums[at] = np.uint8(np.uint8(sums[at] + plane[entering, x]) - np.uint8(plane[leaving, x] * times))
    for x in range(half):
        sums[x] = sums[half]
        sums[sums.size - 1 - x] = sums[sums.size - 1 - half]


@kernel(inner=True)
def _share_out(column_sums: Plane, side: int, opacity: np.uint16, sums: Plane, shares: Shares, row: np.uint64) -> None:
    """From sums over columns to shares of 256: where all of the square is road, it is the opacity."""
    for x in range(sums.size):
        sums[x] = column_sums[x] + column_sums[np.uint64(x + 1)] + column_sums[np.uint64(x + 2)]
    for more in range(3, side, 2):
        for x in range(sums.size):
            sums[x] += column_sums[np.uint64(x + more)] + column_sums[np.uint64(x + more + 1)]
    factor = np.uint16((np.int64(opacity) * 256 + side * side // 2) // (side * side))
    for x in range(sums.size):
        shares[row, x] = np.uint16(np.uint16(np.uint16(sums[x]) * factor) + _HALF) >> _EIGHT


@kernel(inner=True)
def _blend(shares: Shares, color: np.uint16, plane: Plane, row: np.uint64) -> None:
    """A share of 0 changes nothing."""
    for x in range(shares.size):
        below = np.uint16(np.uint16(plane[row, x]) * np.uint16(_ALL - shares[x]))
        plane[row, x] = np.uint8(np.uint16(np.uint16(below + np.uint16(color * shares[x])) + _HALF) >> _EIGHT)


@kernel(inner=True)
def _mean_of_fours(pairs: NDArray[np.uint32], means: Shares) -> None:
    """Of the shares of four pixels, two above two; each two in one word."""
    for x in range(means.size):
        both = np.uint32(pairs[0, x] + pairs[1, x])
        means[x] = np.uint16(np.uint32(np.uint32(both & _LOWER) + np.uint32(both >> _UPPER)) + np.uint32(2)) >> _TWO


@kernel(inner=True)
def _fill(shares: Shares) -> None:
    for x in range(shares.size):
        shares[x] = 0
