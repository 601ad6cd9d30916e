"""What the light alone says of a picture: cheap figures of its luma, on a small grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.scene import Frame
from pipeline.shrinking import resized

__all__ = ["CELLS_HW", "Light", "measure_light", "small_luma"]

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

CELLS_HW = (12, 20)
"""Cells that a picture is divided into."""

_SMALL_WIDTH_PX = 320
_SATURATED = 250
_FLAT = 1.6
"""Grey levels from pixel to pixel under which a cell shows nothing."""


@dataclass(frozen=True, eq=False, slots=True)
class Light:
    """Figures of one picture's cells, each (12, 20) float32; grey levels are 0 to 255.

    Attributes:
        mean: Mean grey level.
        contrast: Standard deviation of the grey levels.
        across: Mean step from a pixel to the next one to the right, in grey levels, at some 320 pixels of width.
        down: Mean step to the next one below.
        saturated: Share of pixels that are as bright as the camera can say.
    """

    mean: Floats = field(repr=False)
    contrast: Floats = field(repr=False)
    across: Floats = field(repr=False)
    down: Floats = field(repr=False)
    saturated: Floats = field(repr=False)

    @property
    def detail(self) -> Floats:
        """Mean step from a pixel to its neighbours."""
        return np.float32(0.5) * (self.across + self.down)

    @property
    def flat_share(self) -> float:
        """Share of the cells that show nothing."""
        return float((self.detail < _FLAT).mean())


def small_luma(frame: Frame) -> Bytes:
    """(h, w) uint8 full-range luma of a picture, averaged down by a whole factor to some 320 pixels of width."""
    if frame.planes is not None:
        luma = frame.planes.y
        full_range = frame.planes.full_range
    else:
        luma = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)
        full_range = True
    height, width = luma.shape
    factor = max(1, round(width / _SMALL_WIDTH_PX))
    if factor > 1 and min(height, width) >= factor:
        rows, columns = height // factor, width // factor
        luma = resized(luma[: rows * factor, : columns * factor], (rows, columns))
    if not full_range:
        luma = np.asarray(cv2.LUT(luma, _FULL_RANGE), np.uint8)
    return np.ascontiguousarray(luma)


_FULL_RANGE = np.clip(np.round((np.arange(256) - 16.0) * 255.0 / 219.0), 0, 255).astype(np.uint8)
"""From "video" luma, 16 to 235, to 0 to 255 (ITU-R BT.601)."""


def measure_light(luma: Bytes) -> Light:
    """The figures of a picture.

    Args:
        luma: (h, w) uint8, as `small_luma` gives it; 13 x 21 pixels or more.
    """
    light = Light(*(np.zeros(CELLS_HW, np.float32) for _ in range(5)))
    _measure(luma, light.mean, light.contrast, light.across, light.down, light.saturated)
    return light


@kernel(fastmath=True)
def _measure(luma: Bytes, mean: Floats, contrast: Floats, across: Floats, down: Floats, saturated: Floats) -> None:
    height, width = luma.shape[0] - 1, luma.shape[1] - 1
    rows, columns = mean.shape
    for row in range(rows):
        top, bottom = row * height // rows, (row + 1) * height // rows
        for column in range(columns):
            left, right = column * width // columns, (column + 1) * width // columns
            total = squares = steps_across = steps_down = bright = np.int32(0)
            for y in range(top, bottom, 2):  # Every other row says as much.
                for x in range(left, right):
                    value = np.int32(luma[y, x])
                    total += value
                    squares += value * value
                    steps_across += abs(np.int32(luma[y, x + 1]) - value)
                    steps_down += abs(np.int32(luma[y + 1, x]) - value)
                    bright += np.int32(value >= _SATURATED)
            count = max((bottom - top + 1) // 2 * (right - left), 1)
            middle = total / count
            mean[row, column] = middle
            contrast[row, column] = np.sqrt(max(squares / count - middle * middle, 0.0))
            across[row, column] = steps_across / count
            down[row, column] = steps_down / count
            saturated[row, column] = bright / count
