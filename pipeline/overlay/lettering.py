"""Text on pictures: OpenCV 5 draws smooth TrueType letters, OpenCV 4 only the strokes of the Hershey fonts."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.overlay.levels import Plain, draw_levels, in_eights
from pipeline.overlay.style import Color
from pipeline.scene import Picture

__all__ = ["REGULAR", "SEMIBOLD", "draw_text", "text_width", "write"]

REGULAR, SEMIBOLD = 420, 600
"""Weights in the sense of CSS; Hershey fonts have only one."""

_HAS_TRUETYPE = hasattr(cv2, "FontFace")
_HERSHEY_CAPITAL_PX = 30.0
"""Size, in our sense, of FONT_HERSHEY_SIMPLEX at scale 1: its capitals are 21 px, 0.7 of that."""


@lru_cache(maxsize=1)
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


@lru_cache(maxsize=4096)
def text_width(text: str, size_px: int, weight: int = REGULAR) -> int:
    """Width in pixels of a line of text."""
    if _HAS_TRUETYPE:
        left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size_px, weight)
        return int(left + width)
    (width, _), _ = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, size_px / _HERSHEY_CAPITAL_PX, 1)
    return int(width)


def draw_text(
    picture: Picture, text: str, x: int, baseline: int, size_px: int, color: Color, weight: int = REGULAR
) -> None:
    """Write a line of text into the picture; what does not fit is cut off.

    Args:
        picture: Drawn into.
        text: One line.
        x: Where it begins.
        baseline: Row that the letters stand on.
        size_px: Size of the font; capitals are some 0.7 of it high.
        color: BGR.
        weight: `REGULAR` or `SEMIBOLD`.
    """
    letters = _letters(text, size_px, weight, x % 2, baseline % 2)
    draw_levels(picture, letters.mask, x + letters.left, baseline + letters.top, Plain(color))


class _Letters(NamedTuple):
    """A line of text as a mask, and where it lies from the beginning of the line and from what its letters stand on."""

    mask: NDArray[np.uint8]
    left: int
    top: int


@lru_cache(maxsize=1024)
def _letters(text: str, size_px: int, weight: int, x: int, baseline: int) -> _Letters:
    """As they begin in an even column or an odd one, and stand on an even row or an odd one: 0 or 1 each."""
    room = np.zeros((3 * size_px, text_width(text, size_px, weight) + 2 * size_px), np.uint8)
    write(room, text, size_px, 2 * size_px, size_px, weight)
    left, top, width, height = cv2.boundingRect(room)
    letters, left, top = room[top : top + height, left : left + width], left - size_px, top - 2 * size_px
    aside, over = (x + left) % 2, (baseline + top) % 2
    return _Letters(in_eights(letters, aside, over), left - aside, top - over)


def write(mask: NDArray[np.uint8], text: str, x: int, baseline: int, size_px: int, weight: int = REGULAR) -> None:
    """Write a line of text into a mask (H, W), with 255; the rest as for `draw_text`."""
    if _HAS_TRUETYPE:
        cv2.putText(mask, text, (x, baseline), (255,), _font(), size_px, weight)
        return
    scale = size_px / _HERSHEY_CAPITAL_PX
    thickness = max(1, round(size_px / (22 if weight < SEMIBOLD else 14)))
    cv2.putText(mask, _ascii(text), (x, baseline), cv2.FONT_HERSHEY_SIMPLEX, scale, (255,), thickness, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """Hershey fonts know nothing beyond ASCII."""
    return text.replace("·", "-").encode("ascii", "replace").decode()
