"""Carriageway and pavement: what is painted on them, and how a row of them is shaded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Light
from pipeline.synthetic.roadway import (
    Footprint,
    Road,
    RoadTables,
    covered,
    dashed,
    grain_between,
    grain_level,
    roof_towards_sun,
    shaded,
)

__all__ = ["paint_road", "paint_verge"]

FloatArray = NDArray[np.float64]


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
            return float(zebra[i])
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
    level, part = grain_between(150.0 * math.sqrt(foot.half_s * foot.half_t))
    sharp_grain, blurred_grain = grain[level], grain[min(level + 1, 7)]
    broad_grain = grain[max(grain_level(10.0 * foot.half_s), 2)]
    lane, gutter = road.half_width - road.parking, road.half_width - 0.14 - foot.half_t
    direct, ambient = light.sun * light.sun_z * (1.0 - foot.fade), light.ambient * (1.0 - foot.fade)
    haze_b, haze_g, haze_r = light.haze[0] * foot.fade, light.haze[1] * foot.fade, light.haze[2] * foot.fade
    zebra, searched, sharpness = -1e9, False, 1.0 / (0.5 + 0.6 * foot.half_s)
    broad, lit = 0.0, ambient
    for x in range(len(kind)):
        if kind[x] != wanted:
            continue
        s, t = hits[0, x], hits[1, x]
        across = abs(t)
        if not searched:
            zebra, searched = zebra_near(tables.zebra, s, foot), True
        i, j = np.int64(s * 75.0) & 255, np.int64(t * 75.0 + 5120.0) & 255
        fine = sharp_grain[i, j] * (1.0 - part) + blurred_grain[i, j] * part - 128.0
        if x & 1 == 0 or kind[x - 1] != wanted:
            # What changes slowly is looked up for pairs of pixels.
            broad = broad_grain[np.int64(s * 5.0) & 255, np.int64(t * 9.0 + 5120.0) & 255] - 128.0
            if direct > 0.0:
                lit = ambient + direct * shaded(light, road, roof, s, t, 0.0, sharpness)
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
    sharpness, keep = 1.0 / (0.5 + 0.6 * foot.half_s), 1.0 - foot.fade
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
        visible = shaded(light, road, roof, s, hits[1, x], road.kerb, sharpness) if direct > 0.0 else 0.0
        lit = (light.ambient + direct * visible) * keep * max(tone, 0.0)
        image[x, 0] = np.uint8(min(b * light.gain[0] * lit + haze_b, 255.0))
        image[x, 1] = np.uint8(min(g * light.gain[1] * lit + haze_g, 255.0))
        image[x, 2] = np.uint8(min(r * light.gain[2] * lit + haze_r, 255.0))
        class_ids[x] = 8 if grass else 1
