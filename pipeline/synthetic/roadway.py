"""Carriageway and pavement: their measures, their markings, and how a row of them is shaded."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Color, Light, View

__all__ = [
    "TABLE_START_M", "TABLE_STEPS_PER_M", "Road", "RoadTables", "covered", "dashed", "footprint_of_row", "grain_level",
    "lookup", "paint_road", "paint_verge", "roof_towards_sun", "shaded", "sunlit",
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


@kernel(fastmath=True)
def footprint_of_row(view: View, light: Light, y: int, limit_m: float) -> Footprint:
    """The footprint in the middle of a row, at most `limit_m` away."""
    r = view.rotation
    descent = -(r[1, 2] * (y + 0.5 - view.cy) / view.fy + r[2, 2])
    z = min(view.z / max(descent, 1e-6), limit_m)
    half_t = 0.5 * z / view.fx
    half_s = half_t * max(z / view.z, 1.0)
    return Footprint(half_s, 0.5 / half_s, half_t, 0.5 / half_t, min(z * light.haze_per_m, 0.85))


@kernel(fastmath=True)
def lookup(table: FloatArray, x: float) -> float:
    """Linear interpolation in a table of `RoadTables`, clamped at its ends."""
    position = min(max((x - TABLE_START_M) * TABLE_STEPS_PER_M, 0.0), len(table) - 1.001)
    i = np.int64(position)
    return table[i] + (position - i) * (table[i + 1] - table[i])


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
    fa, fb = math.floor(a), math.floor(b)
    duty = length * rate
    return ((fb - fa) * duty + min(b - fb, duty) - min(a - fa, duty)) * period * inverse


@kernel(fastmath=True)
def grain_level(footprint_texels: float) -> int:
    """Which of the blurred copies of the grain suits a footprint."""
    level = 0
    while footprint_texels > 1.4 and level < 7:
        footprint_texels *= 0.5
        level += 1
    return level


@kernel(fastmath=True)
def roof_towards_sun(light: Light, tables: RoadTables) -> FloatArray:
    """Heights of the buildings that can stand between the street and the sun."""
    return tables.roof_left if light.sun_y > 0.0 else tables.roof_right


@kernel(fastmath=True, inline=True)
def shaded(light: Light, road: Road, roof: FloatArray, s: float, t: float, z: float, blur: float) -> float:
    """How much of the sun a point of the street sees past the buildings of `roof_towards_sun`, 0 to 1."""
    edge = road.half_width + road.pavement
    reach = ((edge if light.sun_y > 0.0 else -edge) - t) / light.sun_y
    if reach <= 0.05:
        return 1.0
    return min(max((z + reach * light.sun_z - lookup(roof, s + reach * light.sun_x)) / blur + 0.5, 0.0), 1.0)


@kernel(fastmath=True)
def sunlit(light: Light, road: Road, tables: RoadTables, s: float, t: float, z: float, blur: float) -> float:
    """`shaded` for one point; 0 without sun."""
    if light.sun <= 0.0:
        return 0.0
    return shaded(light, road, roof_towards_sun(light, tables), s, t, z, blur)


@kernel(fastmath=True, inline=True)
def white_paint(road: Road, foot: Footprint, s: float, across: float) -> float:
    """Share of a footprint that the centre line and the marks of the parking strip paint white."""
    white, strip = 0.0, road.half_width - road.parking
    if across < 0.065 + foot.half_t:
        white = covered(across, foot.half_t, foot.inverse_t, 0.0, 0.13)
        white *= dashed(s, foot.half_s, foot.inverse_s, road.dash, road.dash + road.gap)
    if road.parking > 0.0 and abs(across - strip) < 0.05 + foot.half_t:
        mark = covered(across, foot.half_t, foot.inverse_t, strip, 0.1)
        white += mark * dashed(s, foot.half_s, foot.inverse_s, 1.0, 2.0)
    return white


@kernel(fastmath=True, inline=True)
def edge_paint(road: Road, foot: Footprint, across: float) -> float:
    """Share of a footprint that the lines along the kerb paint."""
    if road.edge_lines == 0 or across < road.half_width - 0.6 - foot.half_t:
        return 0.0
    paint = covered(across, foot.half_t, foot.inverse_t, road.half_width - 0.3, 0.1)
    if road.edge_lines > 1:
        paint += covered(across, foot.half_t, foot.inverse_t, road.half_width - 0.52, 0.1)
    return paint


@kernel(fastmath=True)
def zebra_near(zebra: FloatArray, s: float, foot: Footprint) -> float:
    """The zebra crossing that a row may show, or one far away."""
    for i in range(len(zebra)):
        if abs(s - zebra[i]) < 8.0 + foot.half_s:
            return zebra[i]
    return -1e9


@kernel(fastmath=True)
def paint_road(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    foot: Footprint,
    light: Light,
    road: Road,
    tables: RoadTables,
    grain: NDArray[np.uint8],
    kind: NDArray[np.uint8],
    wanted: int,
    hits: FloatArray,
) -> None:
    """Shade the pixels of one row that show the carriageway.

    Args:
        image: (W, 3) the row of the picture.
        class_ids: (W,) the row of the truth.
        foot: The row's footprint.
        light: Sun, tint and haze.
        road: Measures and colours.
        tables: Zebra crossings and roofs.
        grain: (L, 256, 256) the noise of the surface.
        kind: (W,) what each pixel shows.
        wanted: The kind to be shaded.
        hits: (3, W) x, offset and depth of the ground.
    """
    roof = roof_towards_sun(light, tables)
    fine_grain = grain[grain_level(120.0 * math.sqrt(foot.half_s * foot.half_t))]
    broad_grain = grain[grain_level(10.0 * foot.half_s)]
    lane, gutter = road.half_width - road.parking, road.half_width - 0.14 - foot.half_t
    direct, ambient = light.sun * light.sun_z * (1.0 - foot.fade), light.ambient * (1.0 - foot.fade)
    haze_b, haze_g, haze_r = light.haze[0] * foot.fade, light.haze[1] * foot.fade, light.haze[2] * foot.fade
    zebra, searched, blur = -1e9, False, 0.5 + 0.6 * foot.half_s
    for x in range(len(kind)):
        if kind[x] != wanted:
            continue
        s, t = hits[0, x], hits[1, x]
        across = abs(t)
        if not searched:
            zebra, searched = zebra_near(tables.zebra, s, foot), True
        fine = fine_grain[np.int64(s * 60.0) & 255, np.int64(t * 60.0 + 5120.0) & 255] - 128.0
        broad = broad_grain[np.int64(s * 5.0) & 255, np.int64(t * 9.0 + 5120.0) & 255] - 128.0
        rut = 1.0 - 2.2 * abs(abs(across - 0.5 * lane) - 0.75)
        bare = 1.0 + 0.0045 * fine + 0.0030 * broad - 0.05 * max(0.0, rut)
        if across > gutter:
            bare -= 0.22 * covered(across, foot.half_t, foot.inverse_t, road.half_width - 0.06, 0.16)
        white, colored = white_paint(road, foot, s, across), edge_paint(road, foot, across)
        if abs(s - zebra) < 1.5 + foot.half_s:
            bar = covered(s, foot.half_s, foot.inverse_s, zebra, 3.0)
            white = max(white, bar * dashed(t + 20.0, foot.half_t, foot.inverse_t, 0.55, 1.1))
        if white + colored > 0.0:
            worn = 1.0 + 0.0022 * broad + 0.003 * fine
            white, colored = min(white * 0.9 * worn, 1.0), min(colored * 0.85 * worn, 1.0)
            bare *= max(1.0 - white - colored, 0.0)
        lit = ambient
        if direct > 0.0:
            lit += direct * shaded(light, road, roof, s, t, 0.0, blur)
        b = road.asphalt[0] * bare + 206.0 * white + road.edge_color[0] * colored
        g = road.asphalt[1] * bare + 206.0 * white + road.edge_color[1] * colored
        r = road.asphalt[2] * bare + 206.0 * white + road.edge_color[2] * colored
        image[x, 0] = np.uint8(min(b * light.gain[0] * lit + haze_b, 255.0))
        image[x, 1] = np.uint8(min(g * light.gain[1] * lit + haze_g, 255.0))
        image[x, 2] = np.uint8(min(r * light.gain[2] * lit + haze_r, 255.0))
        class_ids[x] = 0


@kernel(fastmath=True, inline=True)
def slab_tone(road: Road, foot: Footprint, s: float, outside: float) -> float:
    """Brightness of the paving: joints, differences between slabs, and the kerb stones along its edge."""
    rows = road.slab * 0.75
    joint = dashed(s, foot.half_s, foot.inverse_s, 0.025, road.slab)
    joint = min(joint + dashed(outside + 9.0 * rows, foot.half_t, foot.inverse_t, 0.02, rows), 1.0)
    slab = (np.int64(math.floor(s / road.slab)) * 73 + np.int64(outside / rows) * 151) & 255
    tone = (slab - 128) * 0.0005 * min(0.7 * foot.inverse_s, 1.0) - 0.28 * joint
    if outside < 0.14 + foot.half_t:
        stone = covered(outside, foot.half_t, foot.inverse_t, 0.07, 0.14)
        tone += stone * (0.16 - 0.2 * dashed(s, foot.half_s, foot.inverse_s, 0.03, 0.9))
    return tone


@kernel(fastmath=True)
def paint_verge(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    foot: Footprint,
    light: Light,
    road: Road,
    tables: RoadTables,
    grain: NDArray[np.uint8],
    kind: NDArray[np.uint8],
    wanted: int,
    hits: FloatArray,
) -> None:
    """Shade the pixels of one row that show pavement, or grass beyond it. Arguments as in `paint_road`."""
    roof = roof_towards_sun(light, tables)
    direct = light.sun * light.sun_z
    level = grain_level(100.0 * math.sqrt(foot.half_s * foot.half_t))
    fine_grain, broad_grain = grain[level], grain[min(level, 3)]
    blur, keep = 0.5 + 0.6 * foot.half_s, 1.0 - foot.fade
    haze_b, haze_g, haze_r = light.haze[0] * foot.fade, light.haze[1] * foot.fade, light.haze[2] * foot.fade
    for x in range(len(kind)):
        if kind[x] != wanted:
            continue
        s, outside = hits[0, x], abs(hits[1, x]) - road.half_width
        fine = fine_grain[np.int64(s * 50.0) & 255, np.int64(outside * 50.0) & 255] - 128.0
        broad = broad_grain[np.int64(s * 4.0) & 255, np.int64(outside * 7.0) & 255] - 128.0
        grass = outside > road.pavement + 0.4
        b, g, r = road.paving
        if grass:
            tone = 1.0 + 0.008 * fine + 0.006 * broad
            b, g, r = 52.0, 98.0, 84.0
        else:
            tone = 1.0 + 0.003 * fine + 0.0022 * broad + slab_tone(road, foot, s, outside)
        visible = shaded(light, road, roof, s, hits[1, x], road.kerb, blur) if direct > 0.0 else 0.0
        lit = (light.ambient + direct * visible) * keep * max(tone, 0.0)
        image[x, 0] = np.uint8(min(b * light.gain[0] * lit + haze_b, 255.0))
        image[x, 1] = np.uint8(min(g * light.gain[1] * lit + haze_g, 255.0))
        image[x, 2] = np.uint8(min(r * light.gain[2] * lit + haze_r, 255.0))
        class_ids[x] = 8 if grass else 1
