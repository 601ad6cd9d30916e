"""What a lens and a sensor do to a picture: a little softness, a little noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["develop"]

_TO_NEAREST = np.float32(0.5)


@kernel(fastmath=True, inner=True)
def soften_row(source: NDArray[np.uint8], weight: np.float32, out: NDArray[np.float32]) -> None:
    """Blur one row of interleaved BGR horizontally: every pixel plus `weight` times both neighbours."""
    count = source.shape[0]
    for i in range(3):
        j = count - 1 - i
        out[i] = np.float32(source[i]) + weight * (np.float32(source[i]) + np.float32(source[i + 3]))
        out[j] = np.float32(source[j]) + weight * (np.float32(source[j]) + np.float32(source[j - 3]))
    # Slices instead of offsets: an index that may be negative keeps the loop from being vectorised.
    left, middle, right, target = source[: count - 6], source[3 : count - 3], source[6:], out[3 : count - 3]
    for i in range(count - 6):
        target[i] = np.float32(middle[i]) + weight * (np.float32(left[i]) + np.float32(right[i]))


@kernel(fastmath=True)
def develop(
    source: NDArray[np.uint8], noise: NDArray[np.int8], frame: int, weight: np.float32, out: NDArray[np.uint8]
) -> None:
    """Soften a picture and add sensor noise.

    Args:
        source: (H, 3 W) uint8, rows of interleaved BGR.
        noise: (N,) int8 samples, N > 3 W; where reading starts is drawn per row and frame.
        frame: Which frame of the drive it is: the noise's seed.
        weight: Of either neighbour against 1 for the pixel itself; along rows, then along columns.
        out: (H, 3 W) uint8.
    """
    height, count = source.shape
    rows = np.empty((3, count), np.float32)
    soften_row(source[0], weight, rows[0])
    soften_row(source[0], weight, rows[1])
    one, low, high = np.float32(1.0), np.float32(0.0), np.float32(255.0)
    scale = one / ((one + weight + weight) * (one + weight + weight))
    for y in range(height):
        soften_row(source[min(y + 1, height - 1)], weight, rows[(y + 2) % 3])
        above, here, below, target = rows[y % 3], rows[(y + 1) % 3], rows[(y + 2) % 3], out[y]
        start = ((frame * 7919 + y) * 40503 + (frame ^ y) * 9176) % (len(noise) - count)
        grain = noise[start : start + count]
        for i in range(count):
            value = (here[i] + weight * (above[i] + below[i])) * scale + np.float32(grain[i]) + _TO_NEAREST
            target[i] = np.uint8(np.int32(min(max(value, low), high)))
