"""What every ray meets when nothing stands in its way: road, kerb, pavement, verge, skyline and sky.

The road's centre line is a graph y = c(x) of the fixed frame; the offset across it is (y - c(x)) cos(heading). Markings
and joints are integrated exactly over the pixel's footprint on the ground (a box filter), so that they neither
flicker nor vanish with distance; grain is looked up in copies blurred to the footprint.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import EMPTY_M, Canvas, Light, Textures, View
from pipeline.synthetic.raster import put

__all__ = ["RoadTables", "draw_ground_and_sky"]

FloatArray = NDArray[np.float64]


class RoadTables(NamedTuple):
    """The road, ready for lookup at multiples of half a metre along x.

    Attributes:
        center: (N,) float64, c(x).
        cosine: (N,) float64, cosine of the heading.
        roof_left: (N,) float64, height of what stands on the left building line; 0 where nothing does.
        roof_right: Same on the right.
        skyline: (1024,) float64 tangent of the elevation of distant roofs and trees by bearing.
        skyline_kind: (1024,) uint8 class of them.
        zebra: (Z,) float64, x of the middle of each zebra crossing.
        half_width: Half of the carriageway.
        pavement: Width of the pavements.
        kerb: Height of the pavements over the road.
        parking: Width of the parking strip at either side of the carriageway; 0 for none.
        dash: Length of a dash of the centre line and of the gap after it.
        edge_lines: Number of lines along each kerb, 0 to 2.
        edge_color: (3,) float64 BGR of those lines.
        slab: Size of the paving slabs.
        paving: (3,) float64 BGR of the slabs.
        asphalt: (3,) float64 BGR of the asphalt.
    """

    center: FloatArray
    cosine: FloatArray
    roof_left: FloatArray
    roof_right: FloatArray
    skyline: FloatArray
    skyline_kind: NDArray[np.uint8]
    zebra: FloatArray
    half_width: float
    pavement: float
    kerb: float
    parking: float
    dash: tuple[float, float]
    edge_lines: int
    edge_color: FloatArray
    slab: float
    paving: FloatArray
    asphalt: FloatArray


TABLE_START_M = -64.0
"""Where the tables of `RoadTables` begin."""

TABLE_STEPS_PER_M = 2.0


@kernel(fastmath=True)
def lookup(table: FloatArray, x: float) -> float:
    """Linear interpolation in a table of `RoadTables`, clamped at its ends."""
    position = min(max((x - TABLE_START_M) * TABLE_STEPS_PER_M, 0.0), len(table) - 1.001)
    i = int(position)
    return table[i] + (position - i) * (table[i + 1] - table[i])


@kernel(fastmath=True)
def covered(position: float, footprint: float, middle: float, width: float) -> float:
    """Share of the interval position ± footprint / 2 that lies in middle ± width / 2."""
    low = max(position - 0.5 * footprint, middle - 0.5 * width)
    high = min(position + 0.5 * footprint, middle + 0.5 * width)
    return max(high - low, 0.0) / footprint


@kernel(fastmath=True)
def dashed(position: float, footprint: float, length: float, period: float) -> float:
    """Share of the interval position ± footprint / 2 that lies in [0, length) of a repeating pattern."""
    a, b = (position - 0.5 * footprint) / period, (position + 0.5 * footprint) / period
    fa, fb = math.floor(a), math.floor(b)
    duty = length / period
    return ((fb - fa) * duty + min(b - fb, duty) - min(a - fa, duty)) * period / footprint


@kernel(fastmath=True)
def sunlit(light: Light, road: RoadTables, s: float, t: float, z: float, blur: float) -> float:
    """How much of the sun a point of the street sees past the buildings, 0 to 1."""
    if light.sun <= 0.0:
        return 0.0
    edge = road.half_width + road.pavement
    if light.sun_y > 0.0:
        reach = (edge - t) / light.sun_y
        roof = lookup(road.roof_left, s + reach * light.sun_x)
    else:
        reach = (-edge - t) / light.sun_y
        roof = lookup(road.roof_right, s + reach * light.sun_x)
    if reach <= 0.05:
        return 1.0
    return min(max((z + reach * light.sun_z - roof) / blur + 0.5, 0.0), 1.0)


@kernel(fastmath=True)
def grain_level(footprint_texels: float) -> int:
    """Which of the blurred copies of the grain suits a footprint."""
    level = 0
    while footprint_texels > 1.4 and level < 7:
        footprint_texels *= 0.5
        level += 1
    return level


@kernel(fastmath=True)
def marking(road: RoadTables, s: float, t: float, fs: float, ft: float) -> tuple[float, float]:
    """Share of a footprint that is painted white, and that is painted in the colour of the edge lines."""
    across = abs(t)
    white = covered(across, ft, 0.0, 0.12)
    if white > 0.0:
        white *= dashed(s, fs, road.dash[0], road.dash[0] + road.dash[1])
    lane = road.half_width - road.parking
    if road.parking > 0.0:
        strip = covered(across, ft, lane, 0.1)
        if strip > 0.0:
            white += strip * dashed(s, fs, 1.0, 2.0)
    colored = 0.0
    for line in range(road.edge_lines):
        colored += covered(across, ft, road.half_width - 0.3 - 0.22 * line, 0.1)
    for i in range(len(road.zebra)):
        if abs(s - road.zebra[i]) < 2.0 + fs:
            white = max(white, covered(s, fs, road.zebra[i], 3.0) * dashed(t + 20.0, ft, 0.55, 1.1))
    return min(white, 1.0), colored


@kernel(fastmath=True)
def shade_road(
    canvas: Canvas,
    light: Light,
    road: RoadTables,
    textures: Textures,
    y: int,
    x: int,
    s: float,
    t: float,
    z: float,
    fs: float,
    ft: float,
    level: int,
    coarse: int,
) -> None:
    """One pixel of the carriageway."""
    fine = float(textures.grain[level, int(s * 60.0) & 255, int(t * 60.0 + 512.0) & 255]) - 128.0
    broad = float(textures.grain[coarse, int(s * 5.0) & 255, int(t * 9.0 + 512.0) & 255]) - 128.0
    lane = road.half_width - road.parking
    wheel = abs(abs(abs(t) - 0.5 * lane) - 0.75)
    tone = 1.0 + 0.0045 * fine + 0.0030 * broad - 0.05 * max(0.0, 1.0 - 2.2 * wheel)
    tone -= 0.22 * covered(abs(t), ft, road.half_width - 0.06, 0.16)
    b, g, r = road.asphalt[0] * tone, road.asphalt[1] * tone, road.asphalt[2] * tone
    white, colored = marking(road, s, t, fs, ft)
    if white + colored > 0.0:
        worn = 1.0 + 0.0022 * broad + 0.003 * fine
        white, colored = min(white * 0.9 * worn, 1.0), min(colored * 0.85 * worn, 1.0)
        rest = 1.0 - min(white + colored, 1.0)
        b = b * rest + 205.0 * white + road.edge_color[0] * colored
        g = g * rest + 208.0 * white + road.edge_color[1] * colored
        r = r * rest + 208.0 * white + road.edge_color[2] * colored
    lit = light.ambient + light.sun * light.sun_z * sunlit(light, road, s, t, 0.0, 0.5 + 0.3 * fs)
    put(canvas, light, y, x, b, g, r, lit, z)
    canvas.class_ids[y, x] = 0
    canvas.depth_m[y, x] = z


@kernel(fastmath=True)
def shade_pavement(
    canvas: Canvas,
    light: Light,
    road: RoadTables,
    textures: Textures,
    y: int,
    x: int,
    s: float,
    t: float,
    z: float,
    fs: float,
    ft: float,
    level: int,
) -> None:
    """One pixel of the pavement, or of the grass beyond it."""
    outside = abs(t) - road.half_width
    fine = float(textures.grain[level, int(s * 50.0) & 255, int(t * 50.0 + 5120.0) & 255]) - 128.0
    broad = float(textures.grain[min(level, 3), int(s * 4.0) & 255, int(t * 7.0 + 5120.0) & 255]) - 128.0
    vis = sunlit(light, road, s, t, road.kerb, 0.5 + 0.3 * fs)
    lit = light.ambient + light.sun * light.sun_z * vis
    if outside > road.pavement + 0.4:
        tone = 1.0 + 0.008 * fine + 0.006 * broad
        put(canvas, light, y, x, 52.0 * tone, 98.0 * tone, 84.0 * tone, lit, z)
        canvas.class_ids[y, x] = 8
    else:
        joint = dashed(s, fs, 0.025, road.slab) + dashed(outside + 10.0, ft, 0.02, road.slab * 0.75)
        slab = (int(s / road.slab) * 73 + int(outside / (road.slab * 0.75)) * 151) & 255
        tone = 1.0 + 0.003 * fine + 0.0022 * broad + (slab - 128) * 0.0005 / (1.0 + fs) - 0.28 * min(joint, 1.0)
        stone = covered(outside, ft, 0.07, 0.14)
        tone += stone * (0.16 - 0.2 * dashed(s, fs, 0.03, 0.9))
        put(canvas, light, y, x, road.paving[0] * tone, road.paving[1] * tone, road.paving[2] * tone, lit, z)
        canvas.class_ids[y, x] = 1
    canvas.depth_m[y, x] = z


@kernel(fastmath=True)
def shade_sky(
    canvas: Canvas, light: Light, road: RoadTables, textures: Textures, y: int, x: int, dx: float, dy: float, dz: float
) -> None:
    """One pixel above the horizon: distant roofs and trees, clouds, or sky."""
    level = math.sqrt(dx * dx + dy * dy)
    elevation = dz / level
    bearing = int(min(max(dy / max(dx, 0.05) * 200.0 + 512.0, 0.0), 1023.0))
    if elevation < road.skyline[bearing]:
        kind = road.skyline_kind[bearing]
        canvas.class_ids[y, x] = kind
        canvas.depth_m[y, x] = 400.0
        tone = 0.92 + 0.16 * elevation / max(road.skyline[bearing], 0.001)
        if kind == 8:
            put(canvas, light, y, x, 62.0 * tone, 88.0 * tone, 74.0 * tone, light.ambient + 0.4 * light.sun, 110.0)
        else:
            put(canvas, light, y, x, 96.0 * tone, 100.0 * tone, 108.0 * tone, light.ambient + 0.4 * light.sun, 110.0)
        return
    canvas.class_ids[y, x] = 10
    up = min(max(elevation, 0.0) * 2.0, 1.0)
    weight = up * (2.0 - up)
    scale = 42.0 / (max(elevation, 0.0) + 0.12)
    u, v = dx / level * scale + 4096.0, dy / level * scale + 4096.0
    iu, iv = int(u), int(v)
    fu, fv = u - iu, v - iv
    iu, iv, ju, jv = iu & 255, iv & 255, (iu + 1) & 255, (iv + 1) & 255
    cloud = textures.cloud
    upper = cloud[iv, iu] * (1.0 - fu) + cloud[iv, ju] * fu
    lower = cloud[jv, iu] * (1.0 - fu) + cloud[jv, ju] * fu
    density = (upper * (1.0 - fv) + lower * fv) / 255.0 - 0.95 + 0.9 * light.cloud
    cover = min(max(density * 2.2, 0.0), 1.0) * min(elevation * 9.0 + 0.15, 1.0)
    bright = 1.08 - 0.2 * cover * light.cloud
    for k in range(3):
        clear = light.sky_low[k] + (light.sky_high[k] - light.sky_low[k]) * weight
        value = clear + (light.sky_low[k] * bright - clear) * cover
        canvas.image[y, x, k] = np.uint8(min(value, 255.0))


@kernel(fastmath=True)
def draw_ground_and_sky(canvas: Canvas, view: View, light: Light, road: RoadTables, textures: Textures) -> None:
    """Fill every pixel whose depth is still `EMPTY_M`, and give it its class and depth."""
    height, width = canvas.depth_m.shape
    r = view.rotation
    edge = road.half_width
    for y in range(height):
        v = (y + 0.5 - view.cy) / view.fy
        middle = -(r[1, 2] * v + r[2, 2])
        typical = view.z / middle if middle > 1e-3 else 1e3
        level = grain_level(60.0 * math.sqrt(typical / view.fx * typical * typical / (view.fy * view.z)))
        coarse = grain_level(5.0 * typical * typical / (view.fy * view.z))
        for x in range(width):
            if canvas.depth_m[y, x] < EMPTY_M:
                continue
            u = (x + 0.5 - view.cx) / view.fx
            dx = r[0, 0] * u + r[1, 0] * v + r[2, 0]
            dy = r[0, 1] * u + r[1, 1] * v + r[2, 1]
            dz = r[0, 2] * u + r[1, 2] * v + r[2, 2]
            canvas.instance_ids[y, x] = 0
            if dz > -view.z / 380.0:
                shade_sky(canvas, light, road, textures, y, x, dx, dy, dz)
                continue
            z = -view.z / dz
            s = view.x + z * dx
            t = (view.y + z * dy - lookup(road.center, s)) * lookup(road.cosine, s)
            ft = z / view.fx
            fs = max(ft * z / view.z, ft)
            if abs(t) <= edge:
                shade_road(canvas, light, road, textures, y, x, s, t, z, fs, ft, level, coarse)
                continue
            z_top = (road.kerb - view.z) / dz
            s_top = view.x + z_top * dx
            t_top = (view.y + z_top * dy - lookup(road.center, s_top)) * lookup(road.cosine, s_top)
            if abs(t_top) > edge:
                shade_pavement(canvas, light, road, textures, y, x, s_top, t_top, z_top, fs, ft, level)
            else:
                part = (edge - abs(t_top)) / max(abs(t) - abs(t_top), 1e-6)
                z_kerb = z_top + (z - z_top) * part
                lit = 0.62 * light.ambient + 0.25 * light.sun * sunlit(light, road, s, t, 0.0, 0.5)
                tone = 1.0 - 0.35 * part
                put(canvas, light, y, x, 150.0 * tone, 152.0 * tone, 154.0 * tone, lit, z_kerb)
                canvas.class_ids[y, x] = 1
                canvas.depth_m[y, x] = z_kerb
