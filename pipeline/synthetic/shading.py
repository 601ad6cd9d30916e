"""How a row of the ground is coloured: run by run, from its light and its tones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Light
from pipeline.synthetic.roadway import Footprint, Road, shaded

__all__ = ["SLOW_PX", "Shades", "color_run", "empty_shades", "light_run", "next_run", "shades_between"]

FloatArray = NDArray[np.float64]
FloatRow = NDArray[np.float32]

SLOW_PX = 4
"""Light and broad stains change slowly: they are looked up once for so many pixels."""


class Shades(NamedTuple):
    """What is found out along a row before it is coloured; each is (W,) float32.

    They are arrays of their own because the compiler vectorises only what it knows to be contiguous.

    Attributes:
        lit: Light, faded by distance.
        tone: Brightness of what is not painted.
        white: Share that is painted white; of the pavement, brightness of its grass.
        colored: Share that is painted in the colour of the lines along the kerb.
    """

    lit: FloatRow
    tone: FloatRow
    white: FloatRow
    colored: FloatRow


@kernel(fastmath=True, inner=True)
def empty_shades(width: int) -> Shades:
    """Scratch for a row."""
    rows = np.empty((4, width), np.float32)
    return Shades(rows[0], rows[1], rows[2], rows[3])


@kernel(fastmath=True, inner=True)
def shades_between(shades: Shades, start: int, stop: int) -> Shades:
    """Part of a row, on the same memory."""
    return Shades(shades.lit[start:stop], shades.tone[start:stop], shades.white[start:stop], shades.colored[start:stop])


@kernel(fastmath=True, inner=True)
def next_run(kind: NDArray[np.uint8], wanted: int, start: int) -> tuple[int, int]:
    """First pixel at or after `start` that is of a kind, and one past the last of those beside it."""
    width = len(kind)
    while start < width and kind[start] != wanted:
        start += 1
    stop = start
    while stop < width and kind[stop] == wanted:
        stop += 1
    return start, stop


@kernel(fastmath=True, inner=True)
def light_run(
    lit: FloatRow, light: Light, road: Road, roof: FloatArray, places: FloatRow, offsets: FloatRow, z: float,
    foot: Footprint,
) -> None:  # fmt: skip
    """Light, faded by distance, on a run of pixels of a level plane at a height: of the sky, and past the roofs."""
    direct, ambient = light.sun * light.sun_z * (1.0 - foot.fade), light.ambient * (1.0 - foot.fade)
    lit[:] = ambient
    if direct <= 0.0:
        return
    sharpness, count = 1.0 / (0.5 + 0.6 * foot.half_s), len(lit)
    for start in range(0, count, SLOW_PX):
        stop = min(start + SLOW_PX, count)
        middle = (start + stop) // 2
        here = ambient + direct * shaded(light, road, roof, places[middle], offsets[middle], z, sharpness)
        for i in range(start, stop):
            lit[i] = here


@kernel(fastmath=True, inner=True)
def color_run(image: NDArray[np.uint8], shades: Shades, colors: NDArray[np.float32]) -> None:
    """Colour a run of pixels.

    Args:
        image: (3 N,) interleaved BGR.
        shades: (N,) each.
        colors: (4, 3) of the ground, of white paint, of coloured paint, and of the haze before them.
    """
    lit, tone, white, colored = shades.lit, shades.tone, shades.white, shades.colored
    most = np.float32(255.0)
    b0, g0, r0 = colors[0, 0], colors[0, 1], colors[0, 2]
    b1, g1, r1 = colors[1, 0], colors[1, 1], colors[1, 2]
    b2, g2, r2 = colors[2, 0], colors[2, 1], colors[2, 2]
    b3, g3, r3 = colors[3, 0], colors[3, 1], colors[3, 2]
    for i in range(len(lit)):
        bare, paint, line = tone[i] * lit[i], white[i] * lit[i], colored[i] * lit[i]
        image[3 * i] = np.uint8(np.int32(min(b0 * bare + b1 * paint + b2 * line + b3, most)))
        image[3 * i + 1] = np.uint8(np.int32(min(g0 * bare + g1 * paint + g2 * line + g3, most)))
        image[3 * i + 2] = np.uint8(np.int32(min(r0 * bare + r1 * paint + r2 * line + r3, most)))
