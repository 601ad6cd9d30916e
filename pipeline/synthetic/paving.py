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
)
from pipeline.synthetic.shading import (
    SLOW_PX,
    Shades,
    color_run,
    light_run,
    next_run,
    shades_between,
)

__all__ = ["paint_road", "paint_verge"]

FloatArray = NDArray[np.float64]
FloatRow = NDArray[np.float32]


_MARKS_PX = 16
"""So many pixels of a row are asked at once whether anything is painted there."""


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


@kernel(fastmath=True, inner=True)
def zebra_near(zebra: FloatArray, s: float, foot: Footprint) -> float:
    """The zebra crossing that a row may show, or one far away."""
    for i in range(len(zebra)):
        if abs(s - zebra[i]) < 8.0 + foot.half_s:
            return float(zebra[i])
    return -1e9


@kernel(fastmath=True, inner=True)
def asphalt_run(
    tone: FloatRow, grain: NDArray[np.uint8], road: Road, foot: Footprint, places: FloatRow, offsets: FloatRow
) -> None:
    """Brightness of unpainted asphalt along a run: stones, stains, and the ruts of wheels."""
    level, part = grain_between(150.0 * math.sqrt(foot.half_s * foot.half_t))
    sharp, blurred = grain[level], grain[min(level + 1, 7)]
    broad = grain[max(grain_level(10.0 * foot.half_s), 2)]
    sharp_share, blurred_share = np.float32(0.0045 * (1.0 - part)), np.float32(0.0045 * part)
    count = len(tone)
    fine_rate, shift = np.float32(75.0), np.float32(5120.0)
    for start in range(0, count, SLOW_PX):
        stop = min(start + SLOW_PX, count)
        middle = (start + stop) // 2
        s, t = np.int64(places[middle] * 5.0) & 255, np.int64(offsets[middle] * 9.0 + 5120.0) & 255
        stain = np.float32(0.0030 * (broad[s, t] - 128.0) - 0.0045 * 128.0)
        for i in range(start, stop):
            s, t = np.int64(places[i] * fine_rate) & 255, np.int64(offsets[i] * fine_rate + shift) & 255
            tone[i] = stain + sharp_share * np.float32(sharp[s, t]) + blurred_share * np.float32(blurred[s, t])
    one, zero, slope = np.float32(1.0), np.float32(0.0), np.float32(2.2)
    wheels, track, wear = np.float32(0.5 * (road.half_width - road.parking)), np.float32(0.75), np.float32(0.05)
    for i in range(count):
        rut = one - slope * abs(abs(abs(offsets[i]) - wheels) - track)
        tone[i] += one - wear * max(zero, rut)


@kernel(fastmath=True, inner=True)
def mark_run(shades: Shades, road: Road, foot: Footprint, zebra: float, places: FloatRow, offsets: FloatRow) -> None:
    """Add gutter, lines and zebra crossing to the brightness of a run of asphalt."""
    tone, white_row, colored_row = shades.tone, shades.white, shades.colored
    strip, gutter = road.half_width - road.parking, road.half_width - 0.14 - foot.half_t
    reach = 0.065 + foot.half_t
    outer = min(gutter, road.half_width - 0.6 - foot.half_t) if road.edge_lines > 0 else gutter
    count = len(tone)
    for start in range(0, count, _MARKS_PX):
        stop = min(start + _MARKS_PX, count)
        a, b = abs(offsets[start]), abs(offsets[stop - 1])
        low = min(a, b) if offsets[start] * offsets[stop - 1] > 0.0 else 0.0
        parked = road.parking > 0.0 and low < strip + reach and max(a, b) > strip - reach
        striped = min(abs(places[start] - zebra), abs(places[stop - 1] - zebra)) < 1.5 + foot.half_s
        if not (low < reach or max(a, b) > outer or parked or striped):
            continue
        for i in range(start, stop):
            s, t = places[i], offsets[i]
            across, bare = abs(t), tone[i]
            if across > gutter:
                bare -= 0.22 * covered(across, foot.half_t, foot.inverse_t, road.half_width - 0.06, 0.16)
            white, colored = white_paint(road, foot, s, across), edge_paint(road, foot, across)
            if abs(s - zebra) < 1.5 + foot.half_s:
                bar = covered(s, foot.half_s, foot.inverse_s, zebra, 3.0)
                white = max(white, bar * dashed(t + 20.0, foot.half_t, foot.inverse_t, 0.55, 1.1))
            worn = 1.0 + 0.7 * (tone[i] - 1.0)
            white, colored = min(white * 0.9 * worn, 1.0), min(colored * 0.85 * worn, 1.0)
            tone[i] = bare * max(1.0 - white - colored, 0.0)
            white_row[i], colored_row[i] = white, colored


@kernel(fastmath=True, inner=True)
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
    hits: NDArray[np.float32],
    shades: Shades,
) -> None:
    """Shade the pixels of one row that show the carriageway.

    Args:
        image: (3 W,) the row of the picture, interleaved BGR.
        class_ids: (W,) the row of the truth.
        foot: The row's footprint.
        light: Sun, tint and haze.
        road: Measures and colours.
        tables: Zebra crossings and roofs.
        grain: (L, 256, 256) the noise of the surface.
        kind: (W,) what each pixel shows.
        wanted: The kind to be shaded.
        hits: (2, W) x and offset of the ground.
        shades: (W,) each; scratch.
    """
    roof = roof_towards_sun(light, tables)
    colors = np.empty((4, 3), np.float32)
    for k in range(3):
        colors[0, k], colors[1, k] = road.asphalt[k] * light.gain[k], 206.0 * light.gain[k]
        colors[2, k], colors[3, k] = road.edge_color[k] * light.gain[k], light.haze[k] * foot.fade
    start, stop = next_run(kind, wanted, 0)
    zebra = zebra_near(tables.zebra, hits[0, start], foot)
    row_places, row_offsets = hits[0], hits[1]
    while stop > start:
        places, offsets = row_places[start:stop], row_offsets[start:stop]
        part = shades_between(shades, start, stop)
        light_run(part.lit, light, road, roof, places, offsets, 0.0, foot)
        asphalt_run(part.tone, grain, road, foot, places, offsets)
        part.white[:] = 0.0
        part.colored[:] = 0.0
        mark_run(part, road, foot, zebra, places, offsets)
        color_run(image[3 * start : 3 * stop], part, colors)
        class_ids[start:stop] = 0
        start, stop = next_run(kind, wanted, stop)


@kernel(fastmath=True, inline=True)
def slab_tone(road: Road, foot: Footprint, s: float, outside: float) -> float:
    """Brightness of the paving: joints, differences between slabs, and the kerb stones along its edge."""
    rows, per_slab = road.slab * 0.75, 1.0 / road.slab
    joint = dashed(s, foot.half_s, foot.inverse_s, 0.025, road.slab)
    joint = min(joint + dashed(outside + 9.0 * rows, foot.half_t, foot.inverse_t, 0.02, rows), 1.0)
    slab = (np.int64(math.floor(s * per_slab)) * 73 + np.int64(outside / rows) * 151) & 255
    tone = (slab - 128) * 0.0005 * min(0.7 * foot.inverse_s, 1.0) - 0.28 * joint
    if outside < 0.14 + foot.half_t:
        stone = covered(outside, foot.half_t, foot.inverse_t, 0.07, 0.14)
        tone += stone * (0.16 - 0.2 * dashed(s, foot.half_s, foot.inverse_s, 0.03, 0.9))
    return tone


@kernel(fastmath=True, inner=True)
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
    hits: NDArray[np.float32],
    shades: Shades,
) -> None:
    """Shade the pixels of one row that show pavement, or grass beyond it. Arguments as in `paint_road`."""
    roof = roof_towards_sun(light, tables)
    level = grain_level(100.0 * math.sqrt(foot.half_s * foot.half_t))
    fine_grain, broad_grain = grain[level], grain[min(level, 3)]
    colors, lawn = np.zeros((4, 3), np.float32), (52.0, 98.0, 84.0)
    for k in range(3):
        # Grass takes the place of the road's white paint.
        colors[0, k], colors[1, k] = road.paving[k] * light.gain[k], lawn[k] * light.gain[k]
        colors[3, k] = light.haze[k] * foot.fade
    row_places, row_offsets = hits[0], hits[1]
    start, stop = next_run(kind, wanted, 0)
    while stop > start:
        places, offsets = row_places[start:stop], row_offsets[start:stop]
        part = shades_between(shades, start, stop)
        light_run(part.lit, light, road, roof, places, offsets, road.kerb, foot)
        paved, lawned, classes = part.tone, part.white, class_ids[start:stop]
        part.colored[:] = 0.0
        broad = 0.0
        for i in range(stop - start):
            s, outside = places[i], abs(offsets[i]) - road.half_width
            fine = fine_grain[np.int64(s * 50.0) & 255, np.int64(outside * 50.0) & 255] - 128.0
            if i % SLOW_PX == 0:
                broad = broad_grain[np.int64(s * 4.0) & 255, np.int64(outside * 7.0) & 255] - 128.0
            if outside > road.pavement + 0.4:
                paved[i], lawned[i] = 0.0, max(1.0 + 0.008 * fine + 0.006 * broad, 0.0)
                classes[i] = 8
            else:
                tone = 1.0 + 0.003 * fine + 0.0022 * broad + slab_tone(road, foot, s, outside)
                paved[i], lawned[i] = max(tone, 0.0), 0.0
                classes[i] = 1
        color_run(image[3 * start : 3 * stop], part, colors)
        start, stop = next_run(kind, wanted, stop)
