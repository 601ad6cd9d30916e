"""The inner loops that tint classes and lay the road over them, in BGR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["tint_scene"]


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
