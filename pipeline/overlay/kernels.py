"""The inner loops of the overlay: shapes as levels, and levels laid over a picture in BGR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.scene import BgrImage

__all__ = ["BLOCK", "blend_over", "lay_levels", "lay_stroke", "smooth_boundary", "soften", "trace"]

Plane = NDArray[np.uint8]
Sums = NDArray[np.uint16]

BLOCK = 32
"""Columns that are looked at together, for whether anything is drawn in them."""

_CHUNK = 16
"""Columns that are worked on together: loops of a fixed length are vectorised without a remainder."""

_STRAIGHT_PX = np.float32(0.25)
"""A polyline that strays from a straight line by no more than this is one: nobody sees it."""


@kernel()
def lay_levels(picture: BgrImage, levels: Plane, left: int, top: int, ramp: NDArray[np.uint32]) -> None:
    """Draw a shape, in place; what lies outside the picture is cut off.

    Args:
        picture: (H, W, 3), drawn into.
        levels: (h, w).
        left: Column of the first column of `levels` in the picture.
        top: Row of its first row.
        ramp: (3, 256) what `pipeline.overlay.levels.ramp_of` gives: for B, G and R, by level.
    """
    height, width = levels.shape
    first_column, last_column = max(0, -left), min(width, picture.shape[1] - left)
    for row in range(max(0, -top), min(height, picture.shape[0] - top)):
        for column in range(first_column, last_column):
            _lay_pixel(picture, top + row, left + column, levels[row, column], ramp)


@kernel()
def lay_stroke(picture: BgrImage, closeness: Plane, marked: NDArray[np.int32], ramp: NDArray[np.uint32]) -> None:
    """Draw what `trace` has marked, in place, and clear it for the next stroke.

    Args:
        picture: (H, W, 3), drawn into.
        closeness: (H or more, W or more); 0 everywhere afterwards.
        marked: (B, 2) in which rows of each block of columns; none afterwards.
        ramp: As for `lay_levels`.
    """
    for block in range(marked.shape[0]):
        begin, end = block * BLOCK, block * BLOCK + BLOCK
        for row in range(marked[block, 0], marked[block, 1]):
            if row < picture.shape[0]:
                for column in range(begin, min(end, picture.shape[1])):
                    _lay_pixel(picture, row, column, closeness[row, column], ramp)
            closeness[row, begin:end] = 0
        marked[block, 0], marked[block, 1] = closeness.shape[0], 0


@kernel(inline=True)
def _lay_pixel(picture: BgrImage, row: int, column: int, level: np.uint8, ramp: NDArray[np.uint32]) -> None:
    if level != 0:
        for channel in range(3):
            entry = np.uint32(ramp[channel, level])
            kept = np.uint32(picture[row, column, channel]) * np.uint32(entry >> np.uint32(16))
            picture[row, column, channel] = (kept + np.uint32(entry & np.uint32(0xFFFF)) + np.uint32(128)) >> np.uint32(
                8
            )


@kernel()
def blend_over(picture: BgrImage, other: BgrImage, cover: NDArray[np.uint8]) -> None:
    """Lay one picture over another of the same size through a mask, in place.

    Args:
        picture: (H, W, 3), drawn into.
        other: (H, W, 3) what comes over it.
        cover: (H, W) how much it covers, of 255.
    """
    for y in range(cover.shape[0]):
        for x in range(cover.shape[1]):
            share = cover[y, x] + (cover[y, x] >> 7)
            for channel in range(3):
                below = picture[y, x, channel] * (256 - share)
                picture[y, x, channel] = (below + other[y, x, channel] * share) >> 8


@kernel()
def smooth_boundary(rows: NDArray[np.int32], step: int, half_window: int) -> NDArray[np.float32]:
    """A calm line through the free-space boundary, for drawing only.

    Every `step` columns the median of the window around (outliers go, real steps at the side of a car stay), then
    a mean over three such points (corners are rounded).

    Args:
        rows: (W,) row of the boundary per column, -1 where there is none.
        step: Distance of the points in columns, at least 1.
        half_window: The window reaches this many columns to each side.

    Returns:
        (ceil(W / step),) float32 rows; -1 where half of the window or more has no boundary.
    """
    width = rows.size
    count = (width + step - 1) // step
    medians = np.full(count, np.float32(-1))
    window = np.empty(2 * half_window + 1, np.int32)
    for point in range(count):
        first, last = max(0, point * step - half_window), min(width, point * step + half_window + 1)
        known = 0
        for x in range(first, last):
            if rows[x] >= 0:
                place = known
                while place > 0 and window[place - 1] > rows[x]:
                    window[place] = window[place - 1]
                    place -= 1
                window[place] = rows[x]
                known += 1
        if 2 * known > last - first:
            medians[point] = (window[(known - 1) // 2] + window[known // 2]) * np.float32(0.5)
    smooth = medians.copy()
    for point in range(1, count - 1):
        if medians[point - 1] >= 0 and medians[point] >= 0 and medians[point + 1] >= 0:
            smooth[point] = (medians[point - 1] + medians[point] * 2 + medians[point + 1]) * np.float32(0.25)
    return smooth


@kernel()
def soften(mask: Plane, half: int, left: int, top: int) -> Plane:
    """How much of the square around each pixel a mask covers: 255 well inside, half of it on a straight edge.

    Across an edge it is a measure of the distance from it, and it rounds stairs and corners off.

    Args:
        mask: (h, w) 1 inside, else 0; nothing lies beyond it.
        half: The square reaches so many pixels to each side, 1 to 100.
        left: Columns left of the mask in the result, at least `half`.
        top: Rows over it, likewise.

    Returns:
        (H, W) levels, H even and W of whole eights, with room for `half` right of the mask and below.
    """
    side = 2 * half + 1
    height, width = (top + mask.shape[0] + half + 1) // 2 * 2, (left + mask.shape[1] + half + 7) // 8 * 8
    # Rows behind one another, with as much room between them as a square reaches over: sums over long lines are the
    # fastest ones.
    room = np.zeros((height + 2 * half) * width + 2 * half, np.uint16)
    for row in range(mask.shape[0]):
        _put(mask[row], room[(row + top + half) * width + left + half :])
    across = np.empty((height + 2 * half) * width, np.uint16)
    _sum_aside(room, side, 1, across)
    sums = np.empty(height * width, np.uint16)
    _sum_aside(across, side, width, sums)
    levels = np.empty(height * width, np.uint8)
    _level(sums, np.uint32(side * side), levels)
    return levels.reshape((height, width))


@kernel(inner=True)
def _put(line: Plane, values: Sums) -> None:
    for x in range(line.size):
        values[x] = line[x]


@kernel(inner=True)
def _sum_aside(values: Sums, side: int, step: int, sums: Sums) -> None:
    """Sums of `side` values, `step` from one another, the first of each at its own place; an odd number from 3 on."""
    _sum_three(values, values[step:], values[2 * step :], sums)
    for one in range(3, side, 2):
        _add_two(values[one * step :], values[(one + 1) * step :], sums)


@kernel(inner=True)
def _sum_three(one: Sums, two: Sums, three: Sums, sums: Sums) -> None:
    for x in range(sums.size):
        sums[x] = one[x] + two[x] + three[x]


@kernel(inner=True)
def _add_two(one: Sums, two: Sums, sums: Sums) -> None:
    """A function of its own, since slices are counted from 0: the compiler vectorises no index that may be negative."""
    for x in range(sums.size):
        sums[x] += one[x] + two[x]


@kernel(inner=True)
def _level(sums: Sums, whole: np.uint32, levels: Plane) -> None:
    """255 times the sums' share of the whole, rounded, to 1 / 65536."""
    factor = np.uint32((255 * 65536 + whole // 2) // whole)
    for x in range(levels.size):
        levels[x] = np.uint8(np.uint32(np.uint32(sums[x] * factor) + np.uint32(32768)) >> np.uint32(16))


@kernel(fastmath=True)
def trace(points: NDArray[np.float32], reach: float, closeness: Plane, marked: NDArray[np.int32]) -> None:
    """Mark how close each pixel is to a polyline: 255 on it, falling linearly to 0 at `reach` pixels from it.

    A pen of any profile can then be drawn from that (`lay_stroke`), with soft edges and joints at every angle.

    Args:
        points: (N, 2) float32 (x, y); a negative y lifts the pen. May lie outside.
        reach: Where closeness ends, in pixels.
        closeness: (H, W), W a multiple of `BLOCK`; raised where the line is closer than what is there already.
        marked: (W / BLOCK, 2) the first row and the one after the last in which each block of columns was raised.
    """
    first = 0
    while first < points.shape[0] - 1:
        last = first + 1
        if points[first, 1] >= 0 and points[last, 1] >= 0:
            while last + 1 < points.shape[0] and points[last + 1, 1] >= 0 and _is_straight(points, first, last + 1):
                last += 1
            _trace_segment(
                points[first, 0] - np.float32(0.5), points[first, 1] - np.float32(0.5),
                points[last, 0] - np.float32(0.5), points[last, 1] - np.float32(0.5),
                np.float32(reach), closeness, marked,
            )  # fmt: skip
        first = last


@kernel(fastmath=True, inner=True)
def _is_straight(points: NDArray[np.float32], first: int, last: int) -> bool:
    """Whether what lies between two points of a polyline lies on the line between them, near enough."""
    along_x, along_y = points[last, 0] - points[first, 0], points[last, 1] - points[first, 1]
    squared = along_x * along_x + along_y * along_y
    for point in range(first + 1, last):
        x, y = points[point, 0] - points[first, 0], points[point, 1] - points[first, 1]
        forward, aside = x * along_x + y * along_y, x * along_y - y * along_x
        if squared == 0 or forward < 0 or forward > squared or aside * aside > _STRAIGHT_PX * _STRAIGHT_PX * squared:
            return False
    return True


@kernel(fastmath=True, inner=True)
def _trace_segment(
    x1: np.float32,
    y1: np.float32,
    x2: np.float32,
    y2: np.float32,
    reach: np.float32,
    closeness: Plane,
    marked: NDArray[np.int32],
) -> None:
    """As `trace`, for one straight line; pixels' centres are whole numbers."""
    height, width = closeness.shape
    first_x, last_x = max(0, int(min(x1, x2) - reach)), min(width - 1, int(max(x1, x2) + reach) + 1)
    first_y, last_y = max(0, int(min(y1, y2) - reach)), min(height - 1, int(max(y1, y2) + reach) + 1)
    if last_x < first_x or last_y < first_y:
        return
    for block in range(first_x // BLOCK, last_x // BLOCK + 1):
        marked[block, 0], marked[block, 1] = min(marked[block, 0], first_y), max(marked[block, 1], last_y + 1)
    along_x, along_y = x2 - x1, y2 - y1
    squared = along_x * along_x + along_y * along_y
    scale = np.float32(1.0) / squared if squared > 0 else np.float32(0.0)
    is_level = abs(along_y) < np.float32(0.01)
    per_row = np.float32(0.0) if is_level else along_x / along_y
    spread = np.float32(0.0) if is_level else reach * np.sqrt(squared) / abs(along_y) + np.float32(1.0)
    slope = np.float32(255.0) / reach
    for y in range(first_y, last_y + 1):
        begin, end, off_row = first_x, last_x, np.float32(y) - y1
        if not is_level:  # Only where the strip around the line crosses this row.
            middle = x1 + off_row * per_row
            begin, end = max(begin, int(middle - spread)), min(end, int(middle + spread) + 1)
        row = np.uint64(y)
        for chunk in range(begin // _CHUNK * _CHUNK, end + 1, _CHUNK):
            for place in range(_CHUNK):  # Without branches and in 32 bits.
                at, x = np.uint64(chunk + place), np.float32(place) + (np.float32(chunk) - x1)
                share = min(np.float32(1.0), max(np.float32(0.0), (x * along_x + off_row * along_y) * scale))
                off_x, off_y = x - share * along_x, off_row - share * along_y
                near = np.float32(255.0) - slope * np.sqrt(off_x * off_x + off_y * off_y)
                closeness[row, at] = max(closeness[row, at], np.uint8(max(near, np.float32(0.0))))
