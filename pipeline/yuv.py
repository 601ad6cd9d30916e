"""Drawn pictures in an encoder's colours: BGR to 4:2:0 planes.

FFmpeg's converter takes nearly four times as long for the same planes and truncates where this rounds.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engines.color import ColorMatrix, yuv_from_rgb
from pipeline.jit import kernel

__all__ = ["fill_planes", "yuv_weights"]

Plane = NDArray[np.uint8]


@lru_cache
def yuv_weights(matrix: ColorMatrix = "bt709", full_range: bool = False) -> NDArray[np.int32]:
    """(3, 4) int32: what blue, green, red and 1 give to Y, U and V; the last adds a half for rounding.

    Y in parts of 2^16; U and V in parts of 2^18, of the sum of four pixels.
    """
    weights, offsets = yuv_from_rgb(matrix, full_range)
    parts = np.array([[65536], [262144], [262144]])
    of_one = parts[:, 0] * (offsets + 0.5)
    return np.column_stack((65536 * weights[:, ::-1], of_one)).round().astype(np.int32)


@kernel()
def fill_planes(picture: Plane, weights: NDArray[np.int32], y: Plane, u: Plane, v: Plane) -> None:
    """Convert a picture.

    Args:
        picture: (H, 3 W) BGR, H and W even.
        weights: As `yuv_weights` gives them.
        y: (H, W), written.
        u: (H / 2, W / 2), written: blue differences of the mean of four pixels.
        v: Likewise red differences.
    """
    height, width = y.shape
    # Pulled apart first: the compiler vectorises what follows only over bytes that lie side by side.
    upper, lower = np.empty((3, width), np.uint8), np.empty((3, width), np.uint8)
    for row in range(0, height, 2):
        _pull_apart(picture[row], upper[0], upper[1], upper[2])
        _pull_apart(picture[row + 1], lower[0], lower[1], lower[2])
        _luma(upper[0], upper[1], upper[2], weights[0], y[row])
        _luma(lower[0], lower[1], lower[2], weights[0], y[row + 1])
        _chroma(upper, lower, weights[1], u[row // 2])
        _chroma(upper, lower, weights[2], v[row // 2])


@kernel(inner=True)
def _pull_apart(line: Plane, blue: Plane, green: Plane, red: Plane) -> None:
    for x in range(blue.size):
        blue[x] = line[3 * x]
        green[x] = line[3 * x + 1]
        red[x] = line[3 * x + 2]


@kernel(inner=True)
def _luma(blue: Plane, green: Plane, red: Plane, weights: NDArray[np.int32], out: Plane) -> None:
    of_blue, of_green, of_red, of_one = weights[0], weights[1], weights[2], weights[3]
    for x in range(out.size):
        weighted = np.int32(blue[x]) * of_blue + np.int32(green[x]) * of_green + np.int32(red[x]) * of_red
        out[x] = np.int32(weighted + of_one) >> np.int32(16)


@kernel(inner=True)
def _chroma(upper: Plane, lower: Plane, weights: NDArray[np.int32], out: Plane) -> None:
    of_blue, of_green, of_red, of_one = weights[0], weights[1], weights[2], weights[3]
    for x in range(out.size):
        b, g, r = _four(upper[0], lower[0], x), _four(upper[1], lower[1], x), _four(upper[2], lower[2], x)
        parts = b * of_blue + g * of_green + r * of_red + of_one
        out[x] = min(np.int32(parts) >> np.int32(18), np.int32(255))


@kernel(inline=True)
def _four(line: Plane, below: Plane, x: int) -> np.int32:
    """The sum of the four pixels that share a colour."""
    return np.int32(
        np.int32(line[2 * x]) + np.int32(line[2 * x + 1]) + np.int32(below[2 * x]) + np.int32(below[2 * x + 1])
    )
