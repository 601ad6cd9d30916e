"""Lines with soft edges, drawn faster and rounder than OpenCV's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.color import ColorMatrix
from pipeline.overlay import yuv_kernels
from pipeline.overlay.kernels import blend_color, blend_over, blend_stroke, extent, trace
from pipeline.overlay.style import Color
from pipeline.overlay.yuv_color import yuv_color
from pipeline.scene import BgrImage, Picture, YuvImage
from pipeline.yuv import fill_planes, yuv_weights

__all__ = ["Pen", "draw_lines", "fill_ellipse", "lay_picture"]

_SUBPIXEL_BITS = 4
_UNIT = 1 << _SUBPIXEL_BITS


@dataclass(frozen=True, slots=True)
class Pen:
    """What a line looks like across.

    Attributes:
        color: BGR of the core.
        width_px: Width of the core.
        opacity: Of the core, 0 to 1.
        glow: BGR of what surrounds the core.
        glow_px: How far that reaches beyond the core, fading out.
        glow_opacity: At the edge of the core, 0 to 1.
    """

    color: Color
    width_px: float
    opacity: float = 1.0
    glow: Color = (0, 0, 0)
    glow_px: float = 0.0
    glow_opacity: float = 0.0

    @property
    def reach_px(self) -> float:
        """Half of the whole width, one pixel for the soft edge included."""
        return self.width_px / 2 + max(1.0, self.glow_px)


def draw_lines(picture: Picture, lines: list[NDArray[np.float32]], pen: Pen, layer: NDArray[np.uint8]) -> None:
    """Draw polylines into the picture, as one stroke: where they cross or touch nothing is drawn twice.

    Args:
        picture: Drawn into.
        lines: (N, 2) float32 (x, y) each; a negative y lifts the pen. May leave the picture.
        pen: Colours and widths.
        layer: (H, W) uint8 scratch, 0 everywhere before and after.
    """
    reach = pen.reach_px
    if not lines:
        return
    height, width = layer.shape
    lefts, tops, rights, bottoms = zip(*(extent(line) for line in lines), strict=True)
    if min(lefts) == np.inf:
        return
    left, top = (max(0, int(min(firsts) - reach) - 1) for firsts in (lefts, tops))
    right, bottom = min(int(max(rights) + reach) + 2, width), min(int(max(bottoms) + reach) + 2, height)
    if top >= bottom or left >= right:
        return
    for line in lines:
        trace(line, reach, layer)
    if isinstance(picture, YuvImage):
        planes, profile = picture.planes, _yuv_profile(pen, picture.matrix, picture.full_range)
        yuv_kernels.blend_stroke(planes.y, planes.u, planes.v, layer, left, top, bottom, right, profile)
    else:
        blend_stroke(picture, layer[top:bottom, left:right], left, top, _profile(pen))


def fill_ellipse(picture: Picture, center_px: tuple[float, float], radii_px: tuple[float, float], color: Color) -> None:
    """Fill an ellipse with soft edges.

    Args:
        picture: Drawn into; what lies outside is cut off.
        center_px: (x, y).
        radii_px: Half of its width and of its height.
        color: BGR.
    """
    if not isinstance(picture, YuvImage):
        center, axes = ((round(x * _UNIT), round(y * _UNIT)) for x, y in (center_px, radii_px))
        cv2.ellipse(picture, center, axes, 0, 0, 360, color, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        return
    # To a quarter of a pixel: nobody sees the rest, and most ellipses have been drawn before.
    x, y, width, height = (round(4 * value) for value in (*center_px, *radii_px))
    mask = _ellipse(x % 4, y % 4, width, height)
    blend_color(picture, mask, x // 4 - mask.shape[1] // 2, y // 4 - mask.shape[0] // 2, *color, 256)


def lay_picture(picture: Picture, other: BgrImage, cover: NDArray[np.uint8], left: int, top: int) -> None:
    """Lay another picture over this one.

    Args:
        picture: Drawn into.
        other: (h, w, 3) BGR; all of it lies inside the picture.
        cover: (h, w) how much it covers, of 255.
        left: Where its first column lies.
        top: Where its first row lies.
    """
    if not isinstance(picture, YuvImage):
        blend_over(picture[top : top + cover.shape[0], left : left + cover.shape[1]], other, cover)
        return
    # Colour differences are of four pixels each: from an even row and column to even ones.
    ends = top + cover.shape[0], left + cover.shape[1]
    margins = ((top % 2, ends[0] % 2), (left % 2, ends[1] % 2))
    other, cover = np.pad(other, (*margins, (0, 0)), mode="edge"), np.pad(cover, margins)
    height, width = cover.shape
    laid = YuvImage(np.empty((height * 3 // 2, width), np.uint8), picture.matrix, picture.full_range).planes
    weights = yuv_weights(picture.matrix, picture.full_range)
    fill_planes(np.ascontiguousarray(other).reshape(height, -1), weights, laid.y, laid.u, laid.v)
    planes = picture.planes
    yuv_kernels.blend_picture(
        planes.y, planes.u, planes.v, laid.y, laid.u, laid.v, cover, left - left % 2, top - top % 2
    )


@lru_cache(maxsize=1024)
def _ellipse(x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
    """A mask of an ellipse that lies so far right and below the middle; all in quarters of a pixel."""
    columns, rows = width // 4 + 2, height // 4 + 2
    mask = np.zeros((2 * rows, 2 * columns), np.uint8)
    quarter = _UNIT // 4
    center, axes = ((4 * columns + x) * quarter, (4 * rows + y) * quarter), (width * quarter, height * quarter)
    cv2.ellipse(mask, center, axes, 0, 0, 360, (255,), -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask


@lru_cache(maxsize=512)
def _profile(pen: Pen) -> NDArray[np.uint16]:
    """(256, 4) uint16 for `kernels.blend_stroke`: premultiplied BGR and what stays of the picture, by closeness."""
    return _mixture(pen, pen.color, pen.glow)


@lru_cache(maxsize=512)
def _yuv_profile(pen: Pen, matrix: ColorMatrix, full_range: bool) -> NDArray[np.uint16]:
    """The same for `yuv_kernels.blend_stroke`."""
    return _mixture(pen, yuv_color(pen.color, matrix, full_range), yuv_color(pen.glow, matrix, full_range))


def _mixture(pen: Pen, core_color: Color, glow_color: Color) -> NDArray[np.uint16]:
    distance = (255 - np.arange(256)) / 255 * pen.reach_px
    core = pen.opacity * np.clip(pen.width_px / 2 + 0.5 - distance, 0, 1)
    glow = np.zeros(256)
    if pen.glow_px > 0:
        fading = np.clip(1 - (distance - pen.width_px / 2) / pen.glow_px, 0, 1)
        glow = pen.glow_opacity * fading**2
    over = glow * (1 - core)
    color = core[:, None] * np.array(core_color) + over[:, None] * np.array(glow_color)
    keep = (1 - core) * (1 - glow)
    return np.column_stack((color * 256, keep * 256)).round().astype(np.uint16)
