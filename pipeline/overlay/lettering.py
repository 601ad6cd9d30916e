"""Text on pictures: OpenCV 5 draws smooth TrueType letters, OpenCV 4 only the strokes of the Hershey fonts."""

from __future__ import annotations

from functools import lru_cache

import cv2

from pipeline.overlay.style import Color
from pipeline.scene import BgrImage

__all__ = ["REGULAR", "SEMIBOLD", "draw_text", "text_width"]

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
    picture: BgrImage, text: str, x: int, baseline: int, size_px: int, color: Color, weight: int = REGULAR
) -> None:
    """Write a line of text into the picture; what does not fit is cut off.

    Args:
        picture: (H, W, 3) uint8 BGR, drawn into.
        text: One line.
        x: Where it begins.
        baseline: Row that the letters stand on.
        size_px: Size of the font; capitals are some 0.7 of it high.
        color: BGR.
        weight: `REGULAR` or `SEMIBOLD`.
    """
    if _HAS_TRUETYPE:
        cv2.putText(picture, text, (x, baseline), color, _font(), size_px, weight)
        return
    scale = size_px / _HERSHEY_CAPITAL_PX
    thickness = max(1, round(size_px / (22 if weight < SEMIBOLD else 14)))
    cv2.putText(picture, _ascii(text), (x, baseline), cv2.FONT_HERSHEY_SIMPLEX, scale, color, thickness, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """Hershey fonts know nothing beyond ASCII."""
    return text.replace("·", "-").encode("ascii", "replace").decode()
