"""Lines with soft edges, drawn faster and rounder than OpenCV's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.overlay import yuv_kernels
from pipeline.overlay.kernels import BLOCK, blend_over, lay_stroke, trace
from pipeline.overlay.levels import Coats, ramp_of
from pipeline.overlay.style import Color
from pipeline.scene import BgrImage, Picture, YuvImage
from pipeline.yuv import fill_planes, yuv_weights

__all__ = ["Layer", "Pen", "draw_lines", "lay_picture"]


class Pen(NamedTuple):
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

    def coats(self) -> Coats:
        """The glow and the core over it, by closeness to the line: 255 on it, 0 where the pen does not reach."""
        return self.across((1 - np.arange(256) / 255) * self.reach_px)

    def across(self, distance_px: NDArray[np.float64]) -> Coats:
        """The same, by (256,) distances from the line."""
        core = self.opacity * np.clip(self.width_px / 2 + 0.5 - distance_px, 0, 1)
        if self.glow_px <= 0:
            return ((self.color, core),)
        fading = np.clip(1 - (distance_px - self.width_px / 2) / self.glow_px, 0, 1)
        return (self.glow, self.glow_opacity * fading**2), (self.color, core)


class Layer:
    """Room to trace lines in; empty between strokes.

    Attributes:
        closeness: (H, W) uint8, rounded up to whole blocks: how close each pixel is to a line.
        marked: (B, 2) int32: in which rows of each block of columns it is not 0.
    """

    def __init__(self, height: int, width: int) -> None:
        blocks = -(-width // BLOCK)
        self.closeness = np.zeros((height + height % 2, blocks * BLOCK), np.uint8)
        self.marked = np.tile(np.array([height + height % 2, 0], np.int32), (blocks, 1))


def draw_lines(picture: Picture, lines: Iterable[NDArray[np.float32]], pen: Pen, layer: Layer) -> None:
    """Draw polylines into the picture, as one stroke: where they cross or touch nothing is drawn twice.

    Args:
        picture: Drawn into.
        lines: (N, 2) float32 (x, y) each; a negative y lifts the pen. May leave the picture.
        pen: Colours and widths.
        layer: Room of the picture's size.
    """
    for line in lines:
        trace(line, pen.reach_px, layer.closeness, layer.marked)
    ramp = ramp_of(pen, picture)
    if isinstance(picture, YuvImage):
        planes = picture.planes
        yuv_kernels.lay_stroke(planes.y, planes.u, planes.v, layer.closeness, layer.marked, ramp)
    else:
        lay_stroke(picture, layer.closeness, layer.marked, ramp)


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
