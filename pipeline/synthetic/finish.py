"""What a lens and a sensor do to a picture: a little softness, a little noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["develop"]


@kernel()
def soften_row(source: NDArray[np.uint8], center: int, out: NDArray[np.int32]) -> None:
    """Blur one row of interleaved BGR horizontally with weights 1, center, 1."""
    count = source.shape[0]
    for i in range(3):
        out[i] = (center + 1) * source[i] + source[i + 3]
        out[count - 1 - i] = (center + 1) * source[count - 1 - i] + source[count - 4 - i]
    for i in range(3, count - 3):
        out[i] = np.int32(source[i - 3]) + center * np.int32(source[i]) + np.int32(source[i + 3])


@kernel()
def develop(
    source: NDArray[np.uint8], noise: NDArray[np.int16], frame: int, center: int, out: NDArray[np.uint8]
) -> None:
    """Soften a picture and add sensor noise.

    Args:
        source: (H, 3 W) uint8, rows of interleaved BGR.
        noise: (65536,) int16 samples; where reading starts is drawn per row and frame.
        frame: Which frame of the drive it is: the noise's seed.
        center: Weight of a pixel against 1 for each neighbour; the blur is [1 center 1] in both directions.
        out: (H, 3 W) uint8.
    """
    height, count = source.shape
    rows = np.empty((3, count), np.int32)
    soften_row(source[0], center, rows[0])
    soften_row(source[0], center, rows[1])
    total = (center + 2) * (center + 2)
    factor = (65536 + total // 2) // total
    for y in range(height):
        soften_row(source[min(y + 1, height - 1)], center, rows[(y + 2) % 3])
        above, here, below = rows[y % 3], rows[(y + 1) % 3], rows[(y + 2) % 3]
        start = ((frame * 7919 + y) * 40503 + (frame ^ y) * 9176) % (65536 - count)
        grain = noise[start : start + count]
        target = out[y]
        for i in range(count):
            value = ((above[i] + np.int32(center) * here[i] + below[i]) * np.int32(factor) + 32768) >> 16
            value += grain[i]
            target[i] = np.uint8(min(max(value, np.int32(0)), np.int32(255)))
