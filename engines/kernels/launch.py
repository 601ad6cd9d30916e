"""What it takes to run a kernel, whoever runs it: PyCUDA on a GPU, or the tests on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Launch", "over_pixels"]

_BLOCK_XY = (32, 8)
"""A warp spans a row, so that its reads and writes lie side by side; 256 threads fill every generation of GPU."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One call of a kernel. Holds addresses only: where buffers stay, make it once and run it for every frame.

    Attributes:
        module: The file it lies in, without its suffix: ``letterbox``, ``class_map`` or ``tint``.
        kernel: Its name.
        grid: Blocks in x and y.
        block: Threads of a block in x, y and z.
        parameters: Its one argument, a C structure of pointers and numbers, as bytes.
    """

    module: str
    kernel: str
    grid: tuple[int, int]
    block: tuple[int, int, int]
    parameters: bytes


def over_pixels(module: str, kernel: str, size_hw: tuple[int, int], parameters: NDArray[np.void]) -> Launch:
    """A launch with one thread for each pixel of (H, W)."""
    across, down = _BLOCK_XY
    grid = (-(-size_hw[1] // across), -(-size_hw[0] // down))
    return Launch(module, kernel, grid, (across, down, 1), parameters.tobytes())
