"""The inner loops of the overlay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.overlay.yuv_color import yuv_color
from pipeline.overlay.yuv_kernels import blend_plain
from pipeline.scene import BgrImage, Picture, YuvImage

__all__ = [
    "blend_color", "blend_over", "blend_stroke", "extent", "smooth_boundary", "smooth_contour", "tint_scene", "trace",
]  # fmt: skip


@kernel()
def tint_scene(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    road_mask: NDArray[np.uint8],
    class_words: NDArray[np.uint64],
    road_words: NDArray[np.uint64],
    class_keep: NDArray[np.uint16],
    class_tint: NDArray[np.uint16],
    road_color: NDArray[np.uint16],
    road_opacity: NDArray[np.uint16],
    out: NDArray[np.uint8],
) -> None:
    """Tint every pixel lightly in its class's colour, then lay the road's colour over the drivable area.

    Most of a street lies in wide stretches of one class, off the road or well on it. They are found eight pixels at a
    time and blended by one vectorised loop over bytes; only what remains, edges, is looked up pixel by pixel.

    Args:
        image: (H, 3 W) the camera's picture, BGR.
        class_ids: (H, W) the class of every pixel.
        road_mask: (H, W) 0 to 255; in between along soft edges.
        class_words: (H, W / 8) `class_ids` eight at a time; (H, 0) where W is no multiple of 8.
        road_words: Likewise `road_mask`.
        class_keep: (K,) how much of the picture stays under each class's tint, of 256.
        class_tint: (K, 3 W) the tint, multiplied by its share of 256 already; the same BGR again and again.
        road_color: (H, 3) the road's colour in every row.
        road_opacity: (H,) its opacity there, of 256.
        out: (H, 3 W) the result.
    """
    height, width = class_ids.shape
    words = class_words.shape[1]
    road = np.empty(3 * width, np.uint16)
    for y in range(height):
        _repeat_color(road_color[y], road_opacity[y], road)
        bare = np.uint16(256 - road_opacity[y])
        word = 0
        while word < words:
            ids, soft, begin = class_words[y, word], road_words[y, word], word
            word += 1
            first, end = 24 * begin, 24 * word
            if (soft == 0 or soft == _ALL_ROAD) and ids == (ids & np.uint64(255)) * _EACH_BYTE:  # noqa: PLR1714
                while word < words and class_words[y, word] == ids and road_words[y, word] == soft:
                    word += 1
                end = 24 * word
                class_id = class_ids[y, 8 * begin]
                if soft == 0:
                    tint = class_tint[class_id, first:end]
                    _blend(image[y, first:end], class_keep[class_id], tint, out[y, first:end])
                else:
                    _blend(image[y, first:end], bare, road[first:end], out[y, first:end])
            else:
                _tint_pixels(
                    image[y], class_ids[y], road_mask[y], class_keep, class_tint, road_color[y], road_opacity[y],
                    8 * begin, 8 * word, out[y],
                )  # fmt: skip
        _tint_pixels(
            image[y], class_ids[y], road_mask[y], class_keep, class_tint, road_color[y], road_opacity[y],
            8 * words, width, out[y],
        )  # fmt: skip


_EACH_BYTE = np.uint64(0x0101010101010101)
_ALL_ROAD = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel(inner=True)
def _blend(image: NDArray[np.uint8], keep: np.uint16, tint: NDArray[np.uint16], out: NDArray[np.uint8]) -> None:
    """`out` = (image · keep + tint) / 256; fits 16 bits, since the shares of both add up to 256."""
    for place in range(image.size):
        out[place] = np.uint8((image[place] * keep + tint[place]) >> 8)


@kernel(inner=True)
def _repeat_color(color: NDArray[np.uint16], opacity: np.uint16, row: NDArray[np.uint16]) -> None:
    """Fill a row with a colour multiplied by its opacity: the first pixels one by one, then by doubling."""
    done = min(48, row.size)
    for place in range(done):
        row[place] = color[place % 3] * opacity
    while done < row.size:
        more = min(done, row.size - done)
        _copy(row[:more], row[done : done + more])
        done += more


@kernel(inner=True)
def _copy(source: NDArray[np.uint16], target: NDArray[np.uint16]) -> None:
    """Without the temporary array that numba makes for slices of one array."""
    for place in range(source.size):
        target[place] = source[place]


@kernel(inner=True)
def _tint_pixels(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    road_mask: NDArray[np.uint8],
    class_keep: NDArray[np.uint16],
    class_tint: NDArray[np.uint16],
    road_color: NDArray[np.uint16],
    opacity: np.uint16,
    begin: int,
    end: int,
    out: NDArray[np.uint8],
) -> None:
    """As `tint_scene`, for the pixels from `begin` to `end` of one row."""
    for x in range(begin, end):
        class_id, soft = class_ids[x], road_mask[x]
        for channel in range(3):
            below = image[3 * x + channel]
            if soft == 0:
                out[3 * x + channel] = (below * class_keep[class_id] + class_tint[class_id, channel]) >> 8
            else:
                share = (opacity * (soft + (soft >> 7))) >> 8
                out[3 * x + channel] = (below * (256 - share) + road_color[channel] * share) >> 8


def blend_color(
    picture: Picture,
    mask: NDArray[np.uint8],
    left: int,
    top: int,
    blue: int,
    green: int,
    red: int,
    opacity: int,
) -> None:
    """Blend one colour into a picture through a mask, in place; what lies outside the picture is cut off.

    Args:
        picture: Drawn into.
        mask: (h, w) 0 to 255.
        left: Column of the mask's first column in the picture.
        top: Row of its first row.
        blue: Blue of the colour.
        green: Green.
        red: Red.
        opacity: Of 256, where the mask is 255.
    """
    if isinstance(picture, YuvImage):
        planes, color = picture.planes, yuv_color((blue, green, red), picture.matrix, picture.full_range)
        blend_plain(planes.y, planes.u, planes.v, mask, left, top, *color, opacity)
    else:
        _blend_bgr(picture, mask, left, top, blue, green, red, opacity)


@kernel()
def _blend_bgr(
    picture: BgrImage,
    mask: NDArray[np.uint8],
    left: int,
    top: int,
    blue: int,
    green: int,
    red: int,
    opacity: int,
) -> None:
    """As `blend_color`; (H, W, 3)."""
    height, width = mask.shape
    first_row, last_row = max(0, -top), min(height, picture.shape[0] - top)
    first_column, last_column = max(0, -left), min(width, picture.shape[1] - left)
    for y in range(first_row, last_row):
        for x in range(first_column, last_column):
            soft = mask[y, x]
            if soft != 0:
                share = (opacity * (soft + (soft >> 7))) >> 8
                rest = 256 - share
                row, column = top + y, left + x
                picture[row, column, 0] = (picture[row, column, 0] * rest + blue * share) >> 8
                picture[row, column, 1] = (picture[row, column, 1] * rest + green * share) >> 8
                picture[row, column, 2] = (picture[row, column, 2] * rest + red * share) >> 8


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


@kernel(fastmath=True)
def smooth_contour(contour: NDArray[np.int32], half_window: int, step: int) -> NDArray[np.float32]:
    """Round a closed contour's staircase: points become the mean of their neighbours along the contour.

    Args:
        contour: (N, 2) neighbouring pixels as (x, y), N at least 1.
        half_window: Neighbours taken to each side; a contour too short for it stays as it is.
        step: One point in so many is kept.

    Returns:
        (M, 2) float32 (x, y) of pixel centres, the first point repeated at the end.
    """
    count = contour.shape[0]
    half = half_window if count > 4 * half_window else 0
    kept = (count + step - 1) // step
    smooth = np.empty((kept + 1, 2), np.float32)
    for point in range(kept):
        sum_x, sum_y = 0, 0
        for offset in range(-half, half + 1):
            sum_x += contour[(point * step + offset) % count, 0]
            sum_y += contour[(point * step + offset) % count, 1]
        smooth[point, 0] = sum_x / (2 * half + 1) + 0.5
        smooth[point, 1] = sum_y / (2 * half + 1) + 0.5
    smooth[kept] = smooth[0]
    return smooth


@kernel()
def extent(points: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """The smallest x and y and the largest x and y of a polyline; (inf, inf, -inf, -inf) where it draws nothing.

    Args:
        points: (N, 2) float32 (x, y); those with a negative y do not count.
    """
    left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
    for point in range(points.shape[0]):
        x, y = points[point, 0], points[point, 1]
        if y >= 0:
            left, right = min(left, x), max(right, x)
            top, bottom = min(top, y), max(bottom, y)
    return left, top, right, bottom


@kernel(fastmath=True)
def trace(points: NDArray[np.float32], reach: float, layer: NDArray[np.uint8]) -> None:
    """Mark how close each pixel is to a polyline: 255 on it, falling linearly to 0 at `reach` pixels from it.

    A pen of any profile can then be drawn from that (`blend_stroke`), with soft edges and joints at every angle.

    Args:
        points: (N, 2) float32 (x, y); a negative y lifts the pen.
        reach: Where closeness ends, in pixels.
        layer: (H, W), raised where the line is closer than what is there already. Points may lie outside.
    """
    height, width = layer.shape
    slope = np.float32(255.0 / reach)
    for point in range(points.shape[0] - 1):
        x1, y1 = points[point, 0] - np.float32(0.5), points[point, 1] - np.float32(0.5)
        x2, y2 = points[point + 1, 0] - np.float32(0.5), points[point + 1, 1] - np.float32(0.5)
        if points[point, 1] < 0 or points[point + 1, 1] < 0:
            continue
        along_x, along_y = x2 - x1, y2 - y1
        squared = along_x * along_x + along_y * along_y
        scale = np.float32(1.0) / squared if squared > 0 else np.float32(0.0)
        first_x, last_x = max(0, int(min(x1, x2) - reach)), min(width - 1, int(max(x1, x2) + reach) + 1)
        first_y, last_y = max(0, int(min(y1, y2) - reach)), min(height - 1, int(max(y1, y2) + reach) + 1)
        if last_x < first_x:
            continue
        for y in range(first_y, last_y + 1):
            line = layer[y, first_x : last_x + 1]
            _trace_row(np.float32(first_x) - x1, np.float32(y) - y1, along_x, along_y, scale, slope, line)


@kernel(fastmath=True, inner=True)
def _trace_row(
    first_x: np.float32,
    y: np.float32,
    along_x: np.float32,
    along_y: np.float32,
    scale: np.float32,
    slope: np.float32,
    line: NDArray[np.uint8],
) -> None:
    """One row of `trace`, from where the stretch of line begins. Without branches and in 32 bits, so that the compiler
    vectorises it.
    """
    for place in range(line.size):
        x = np.float32(place) + first_x
        share = min(np.float32(1.0), max(np.float32(0.0), (x * along_x + y * along_y) * scale))
        off_x, off_y = x - share * along_x, y - share * along_y
        closeness = np.float32(255.0) - slope * np.sqrt(off_x * off_x + off_y * off_y)
        line[place] = max(line[place], np.uint8(max(closeness, np.float32(0.0))))


@kernel()
def blend_stroke(picture: BgrImage, layer: NDArray[np.uint8], left: int, top: int, pen: NDArray[np.uint16]) -> None:
    """Draw what `trace` has marked with a pen, in place, and clear the layer for the next line.

    Args:
        picture: (H, W, 3), drawn into.
        layer: (h, w) closeness, 0 to 255; 0 everywhere afterwards.
        left: Column of the layer's first column in the picture; the layer lies inside it.
        top: Row of its first row.
        pen: (256, 4): by closeness, the colour multiplied by its share of 256, and what stays of the picture.
    """
    height, width = layer.shape
    for y in range(height):
        for x in range(width):
            closeness = layer[y, x]
            if closeness != 0:
                layer[y, x] = 0
                keep = pen[closeness, 3]
                for channel in range(3):
                    below = picture[top + y, left + x, channel]
                    picture[top + y, left + x, channel] = (below * keep + pen[closeness, channel]) >> 8
