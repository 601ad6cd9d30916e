"""The road: its measures, its tables, and what is asked of them at every pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Color, Light, View

__all__ = [
    "TABLE_START_M",
    "TABLE_STEPS_PER_M",
    "Footprint",
    "Road",
    "RoadTables",
    "covered",
    "dashed",
    "footprint_of_row",
    "grain_between",
    "grain_level",
    "lookup",
    "roof_towards_sun",
    "shaded",
    "sunlit",
]  # fmt: skip

FloatArray = NDArray[np.float64]

TABLE_START_M = -64.0
"""Where the tables of `RoadTables` begin."""

TABLE_STEPS_PER_M = 2.0


class Road(NamedTuple):
    """The measures and colours of a road.

    Attributes:
        half_width: Half of the carriageway, in metres.
        pavement: Width of the pavements.
        kerb: Height of the pavements over the road.
        parking: Width of the parking strip at either side of the carriageway; 0 for none.
        dash: Length of a dash of the centre line.
        gap: Length of the gap after it.
        edge_lines: Number of lines along each kerb, 0 to 2.
        edge_color: Colour of those lines.
        slab: Size of the paving slabs.
        paving: Colour of the slabs.
        asphalt: Colour of the asphalt.
    """

    half_width: float
    pavement: float
    kerb: float
    parking: float
    dash: float
    gap: float
    edge_lines: int
    edge_color: Color
    slab: float
    paving: Color
    asphalt: Color


class RoadTables(NamedTuple):
    """What changes along a road, for lookup at multiples of half a metre of x.

    Attributes:
        center: (N,) float64, the centre line c(x).
        cosine: (N,) float64, cosine of its heading.
        roof_left: (N,) float64, height of what stands on the left building line; 0 where nothing does.
        roof_right: Same on the right.
        skyline: (1024,) float64 tangent of the elevation of distant roofs and trees by bearing.
        skyline_kind: (1024,) uint8 class of them.
        zebra: (Z,) float64, x of the middle of each zebra crossing.
    """

    center: FloatArray
    cosine: FloatArray
    roof_left: FloatArray
    roof_right: FloatArray
    skyline: FloatArray
    skyline_kind: NDArray[np.uint8]
    zebra: FloatArray


class Footprint(NamedTuple):
    """The patch of ground that a pixel of one row sees; over a row it hardly changes.

    Attributes:
        half_s: Half of its length along the road, in metres.
        inverse_s: 1 / (2 half_s).
        half_t: Half of its width across the road.
        inverse_t: 1 / (2 half_t).
        fade: How much of its colour distance takes.
    """

    half_s: float
    inverse_s: float
    half_t: float
    inverse_t: float
    fade: float


@kernel(fastmath=True, inner=True)
def footprint_of_row(view: View, light: Light, y: int, limit_m: float) -> Footprint:
    """The footprint in the middle of a row, at most `limit_m` away."""
    r = view.rotation
    descent = -(r[1, 2] * (y + 0.5 - view.cy) / view.fy + r[2, 2])
    z = min(view.z / max(descent, 1e-6), limit_m)
    half_t = 0.5 * z / view.fx
    half_s = half_t * max(z / view.z, 1.0)
    return Footprint(half_s, 0.5 / half_s, half_t, 0.5 / half_t, min(z * light.haze_per_m, 0.85))


@kernel(fastmath=True, inner=True)
def lookup(table: FloatArray, x: float) -> float:
    """Linear interpolation in a table of `RoadTables`, clamped at its ends."""
    position = min(max((x - TABLE_START_M) * TABLE_STEPS_PER_M, 0.0), len(table) - 1.001)
    i = np.int64(position)
    return float(table[i] + (position - i) * (table[i + 1] - table[i]))


@kernel(fastmath=True)
def covered(position: float, half: float, inverse: float, middle: float, width: float) -> float:
    """Share of the footprint position ± half that lies in middle ± width / 2; inverse is 1 / (2 half)."""
    low = max(position - half, middle - 0.5 * width)
    high = min(position + half, middle + 0.5 * width)
    return max(high - low, 0.0) * inverse


@kernel(fastmath=True)
def dashed(position: float, half: float, inverse: float, length: float, period: float) -> float:
    """Share of the footprint position ± half that lies in [0, length) of a repeating pattern."""
    rate = 1.0 / period
    a, b = (position - half) * rate, (position + half) * rate
    # NumPy's floor stays a float, which spares two conversions each.
    fa, fb = np.floor(a), np.floor(b)
    duty = length * rate
    return float(((fb - fa) * duty + min(b - fb, duty) - min(a - fa, duty)) * period * inverse)


@kernel(fastmath=True, inner=True)
def grain_level(footprint_texels: float) -> int:
    """Which of the blurred copies of the grain suits a footprint."""
    level = 0
    while footprint_texels > 1.4 and level < 7:
        footprint_texels *= 0.5
        level += 1
    return level


@kernel(fastmath=True, inner=True)
def grain_between(footprint_texels: float) -> tuple[int, float]:
    """Between which of the blurred copies of the grain, and how far, a footprint lies."""
    place = min(max(math.log2(max(footprint_texels, 0.01)) + 0.5, 0.0), 6.999)
    return int(place), place - int(place)


@kernel(fastmath=True, inner=True)
def roof_towards_sun(light: Light, tables: RoadTables) -> FloatArray:
    """Heights of the buildings that can stand between the street and the sun."""
    return tables.roof_left if light.sun_y > 0.0 else tables.roof_right


@kernel(fastmath=True, inline=True)
def shaded(light: Light, road: Road, roof: FloatArray, s: float, t: float, z: float, sharpness: float) -> float:
    """How much of the sun a point of the street sees past the buildings of `roof_towards_sun`, 0 to 1.

    Args:
        light: The sun, not along the street.
        road: Where the building lines are.
        roof: Heights of the buildings between the street and the sun.
        s: The point's x in the fixed frame.
        t: Its offset from the centre line.
        z: Its height.
        sharpness: 1 / width of the penumbra in metres of height.
    """
    edge = road.half_width + road.pavement
    reach = (edge if light.sun_y > 0.0 else -edge) - t
    clearance = z + reach * light.rise - lookup(roof, s + reach * light.slant)
    shade = min(max(clearance * sharpness + 0.5, 0.0), 1.0)
    return shade if reach * light.sun_y > 0.02 else 1.0


@kernel(fastmath=True, inner=True)
def sunlit(light: Light, road: Road, tables: RoadTables, s: float, t: float, z: float, sharpness: float) -> float:
    """`shaded` for one point; 0 without sun."""
    if light.sun <= 0.0:
        return 0.0
    return shaded(light, road, roof_towards_sun(light, tables), s, t, z, sharpness)
