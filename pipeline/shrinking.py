"""Planes made smaller, as OpenCV does it and to the same bits, and by whole factors several times as fast.

Large pictures are shrunk twice a frame, for the network and for the light that `pipeline.visibility` judges by. OpenCV
sums every square of a picture by itself; where factors are whole, sums of whole rows are vectorised.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.kernels.sampling import AREA_FROM_FACTOR
from pipeline.jit import kernel

__all__ = ["resized"]

_LEAST_FACTOR = 3
"""OpenCV has vector code of its own for 2, which rounds otherwise."""

_LARGEST_FACTOR = 257
"""So many bytes add up to no more than 16 bits hold."""


def resized(plane: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A plane or picture at another size.

    Where it shrinks much, each pixel is the mean of what it stands for (`cv2.INTER_AREA`), else bilinear.

    Args:
        plane: (H, W) or (H, W, 3) uint8.
        size_hw: The size wanted.

    Returns:
        uint8, C-contiguous where it is not the plane itself, which is given back where it has that size.
    """
    height, width = size_hw
    if plane.shape[:2] == size_hw:
        return plane
    down, across = plane.shape[0] // height, plane.shape[1] // width
    if (
        plane.ndim == 2
        and plane.shape == (down * height, across * width)
        and min(down, across) >= _LEAST_FACTOR
        and down <= _LARGEST_FACTOR
    ):
        small = np.empty(size_hw, np.uint8)
        _mean_of_blocks(plane, down, across, small)
        return small
    shrinks = max(plane.shape[0] / height, plane.shape[1] / width) >= AREA_FROM_FACTOR
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=interpolation), np.uint8)


@kernel()
def _mean_of_blocks(plane: NDArray[np.uint8], down: int, across: int, out: NDArray[np.uint8]) -> None:
    """Each pixel of `out` becomes the mean of `down` by `across` pixels, to the nearest, and ties to the even."""
    rows, columns = out.shape
    sums = np.empty(columns * across, np.uint16)
    totals = np.empty(columns, np.int32)
    share = np.float32(1) / np.float32(down * across)
    for row in range(rows):
        line = plane[row * down]
        for x in range(sums.size):
            sums[x] = line[x]
        for k in range(1, down):
            line = plane[row * down + k]
            for x in range(sums.size):
                sums[x] = np.uint16(sums[x] + np.uint16(line[x]))
        totals[:] = 0
        for k in range(across):
            for x in range(columns):
                totals[x] += np.int32(sums[x * across + k])
        for x in range(columns):
            out[row, x] = np.uint8(np.rint(np.float32(totals[x]) * share))
