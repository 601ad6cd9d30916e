"""Colours in a video's own space."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engines.color import ColorMatrix, yuv_from_rgb
from pipeline.overlay.style import Color

__all__ = ["yuv_color"]


@lru_cache(maxsize=2048)
def yuv_color(color: Color, matrix: ColorMatrix, full_range: bool) -> tuple[int, int, int]:
    """(Y, U, V) of a BGR colour, 0 to 255 each."""
    weights, offsets = yuv_from_rgb(matrix, full_range)
    y, u, v = (weights @ np.array(color[::-1], np.float64) + offsets).round().clip(0, 255).astype(int).tolist()
    return y, u, v
