"""From the luma and chroma of a video to colours: the equations that the CPU path and the GPU kernels share."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["ColorMatrix", "rgb_from_yuv", "yuv_from_rgb"]

ColorMatrix = Literal["bt601", "bt709"]

# (Kr, Kb) of ITU-R BT.601-7 and BT.709-6: the shares of red and blue in luma, from which all else follows.
_LUMA_SHARES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


@lru_cache
def rgb_from_yuv(matrix: ColorMatrix, full_range: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(3, 3) weights and (3,) offsets: rgb = weights · (Y, U, V) + offsets, in units of 0 to 255.

    The inverse of the conversion matrix in ITU-R BT.601-7 §2.5 and BT.709-6 §3; JFIF's for full range.
    """
    red, blue = _LUMA_SHARES[matrix]
    green = 1.0 - red - blue
    luma_gain, luma_zero = (1.0, 0.0) if full_range else (255.0 / 219.0, 16.0)
    chroma_gain = 1.0 if full_range else 255.0 / 224.0
    weights = np.array(
        [
            [luma_gain, 0.0, 2.0 * (1.0 - red) * chroma_gain],
            [
                luma_gain,
                -2.0 * (1.0 - blue) * blue / green * chroma_gain,
                -2.0 * (1.0 - red) * red / green * chroma_gain,
            ],
            [luma_gain, 2.0 * (1.0 - blue) * chroma_gain, 0.0],
        ]
    )
    offsets = -weights @ np.array([luma_zero, 128.0, 128.0])
    return weights.astype(np.float32), offsets.astype(np.float32)


@lru_cache
def yuv_from_rgb(matrix: ColorMatrix, full_range: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(3, 3) weights and (3,) offsets: (Y, U, V) = weights · rgb + offsets, in units of 0 to 255."""
    weights, offsets = rgb_from_yuv(matrix, full_range)
    inverse = np.linalg.inv(weights.astype(np.float64))
    return inverse, -inverse @ offsets
