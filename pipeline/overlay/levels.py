"""Shapes as levels, and what levels look like.

Whatever is drawn over the road, an outline, a glow, letters on their plate, is a small picture of *levels*: 0 where
nothing is drawn, more the deeper a pixel lies inside the shape. A *look* says what each level is worth: the shade
around a shape, its edge, what fills it. So a shape of several colours is laid over a picture at once, what does not
change is kept as levels, and one kernel for BGR and one for a video's planes draw everything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.color import ColorMatrix
from pipeline.overlay import kernels, yuv_kernels
from pipeline.overlay.style import Color
from pipeline.overlay.yuv_color import yuv_color
from pipeline.scene import Picture, YuvImage

__all__ = ["Coats", "Look", "Plain", "TwoTone", "draw_levels", "in_eights", "ramp_of", "two_tone_levels"]

Levels = NDArray[np.uint8]
Coats = tuple[tuple[Color, NDArray[np.float64]], ...]
"""Colours from bottom to top, BGR, each with (256,) how much it covers by level, 0 to 1; 0 at level 0."""

_MIDDLE = 127
"""The level of `TwoTone` shapes at which the lower colour covers all and the upper one nothing."""


class Look(Protocol):
    """What levels look like: a named tuple, since what is worked out of it is looked up some forty times a frame."""

    def __hash__(self) -> int: ...

    def coats(self) -> Coats:
        """What covers what, by level."""
        ...


class Plain(NamedTuple):
    """One colour, which covers in proportion to the level."""

    color: Color
    opacity: float = 1.0

    def coats(self) -> Coats:
        """The colour alone."""
        return ((self.color, self.opacity * np.arange(256) / 255),)


class TwoTone(NamedTuple):
    """One colour upon another: a plate and the letters on it, a disc and the ring around it (`two_tone_levels`)."""

    lower: Color
    upper: Color
    opacity: float = 1.0

    def coats(self) -> Coats:
        """The lower colour, which covers all from the middle level on, and the upper one from there."""
        levels = np.arange(256)
        lower = self.opacity * np.clip(levels / _MIDDLE, 0, 1)
        return (self.lower, lower), (self.upper, np.clip((levels - _MIDDLE) / (255 - _MIDDLE), 0, 1))


def two_tone_levels(lower: Levels, upper: Levels) -> Levels:
    """Levels for `TwoTone` from two masks of one shape (H, W), 0 to 255; the lower one is full under the upper one."""
    return np.asarray((lower >> 1) + ((upper >> 1) + (upper & 1)), np.uint8)


def in_eights(levels: Levels, left: int = 0, top: int = 0) -> Levels:
    """The same shape with room around it: so many columns left of it and rows over it, and then whole eights of columns
    and an even number of rows, which is how it is drawn fastest.
    """
    height, width = levels.shape
    return np.pad(levels, ((top, (height + top) % 2), (left, -(width + left) % 8)))


def draw_levels(picture: Picture, levels: Levels, left: int, top: int, look: Look) -> None:
    """Draw a shape into a picture; what lies outside is cut off. Fastest from an even column and row on, `in_eights`.

    Args:
        picture: Drawn into.
        levels: (h, w).
        left: Column of the shape's first column in the picture.
        top: Row of its first row.
        look: What the levels look like.
    """
    ramp = ramp_of(look, picture)
    if not isinstance(picture, YuvImage):
        kernels.lay_levels(picture, levels, left, top, ramp)
        return
    planes, (height, width) = picture.planes, levels.shape
    rows, columns = planes.y.shape
    if (left | top | height) % 2 or width % 8 or not (0 <= left < columns and 0 <= top <= rows - height):
        levels, left, top = _aligned((rows, columns), levels, left, top)
    yuv_kernels.lay_levels(planes.y, planes.u, planes.v, levels, left, top, ramp)


def _aligned(size_hw: tuple[int, int], levels: Levels, left: int, top: int) -> tuple[Levels, int, int]:
    """What of a shape lies inside, from an even column and row on, `in_eights`; and where that begins."""
    height, width = size_hw
    begin, end = min(max(left, 0), width), max(min(left + levels.shape[1], width), 0)
    first, last = min(max(top, 0), height), max(min(top + levels.shape[0], height), 0)
    if begin >= end or first >= last:
        return np.zeros((0, 0), np.uint8), 0, 0
    left_even, top_even = begin // 2 * 2, first // 2 * 2
    aligned = np.zeros(((last - top_even + 1) // 2 * 2, (end - left_even + 7) // 8 * 8), np.uint8)
    aligned[first - top_even : last - top_even, begin - left_even : end - left_even] = levels[
        first - top : last - top, begin - left : end - left
    ]
    return aligned, left_even, top_even


def ramp_of(look: Look, picture: Picture) -> NDArray[np.uint32]:
    """What levels are worth in a picture.

    Returns:
        (3, 256) for each channel, by level: in the upper half of the word how much of the picture stays, of 256, in the
        lower half the colour that comes, times its share of 256.
    """
    if isinstance(picture, YuvImage):
        return _ramp(look, (picture.matrix, picture.full_range))
    return _ramp(look, None)


@lru_cache(maxsize=1024, typed=True)  # Looks of two kinds are not the same because their values are.
def _ramp(look: Look, space: tuple[ColorMatrix, bool] | None) -> NDArray[np.uint32]:
    mixed, keep = np.zeros((3, 256)), np.ones(256)
    for color, cover in look.coats():
        own = np.array(color if space is None else yuv_color(color, *space))
        mixed = mixed * (1 - cover) + own[:, None] * cover
        keep = keep * (1 - cover)
    shares = 256 - (256 * keep).round()  # Together with what stays 256, so that sums of both fit 16 bits.
    coming = (mixed / np.maximum(1 - keep, 1e-9) * shares).round()
    return (65536 * (256 - shares) + coming).astype(np.uint32)
