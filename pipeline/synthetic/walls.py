"""Façades, roofs, hedges and board fences: large planes with a pattern in metres.

Windows, sills, floor bands and shop fronts are box-filtered over the pixel's footprint along the wall and up it, so
that a street seen at a grazing angle neither flickers nor turns into moiré.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Color, Light, Textures, View
from pipeline.synthetic.raster import clip_and_project, row_range, span, to_camera
from pipeline.synthetic.roadway import Road, RoadTables, covered, dashed, grain_level, roof_towards_sun, shaded

__all__ = ["FACADE", "HEDGE", "PLAIN", "ROOF", "SHOP", "WALL_COLUMNS", "draw_walls"]

FloatArray = NDArray[np.float64]

FACADE, SHOP, PLAIN, ROOF, HEDGE = 0, 1, 2, 3, 4
WALL_COLUMNS = 30
"""A wall is a row of these.

0..11 its corners (lower left, lower right, upper right, upper left as seen from outside; x, y, z in the fixed frame),
12 kind, 13..15 colour, 16..18 colour of trim, 19 width of a bay, 20 width of a window, 21 height of a storey, 22 height
of a window, 23 height of the ground floor, 24..26 colour of shop front or door, 27 hash, 28 class, 29 strength of the
brick courses."""


_FOOTPRINT_PX = 8
"""So many pixels of a row share one footprint on the wall."""

_LIT_PX = 4
"""So many share one light."""


class Style(NamedTuple):
    """How a wall looks; see `WALL_COLUMNS`. Reciprocals, named per_, spare a division at every pixel."""

    kind: int
    wall: Color
    trim: Color
    bay: float
    per_bay: float
    window_width: float
    storey: float
    per_storey: float
    window_height: float
    ground: float
    per_ground: float
    shop: Color
    seed: int
    courses: float


@kernel(fastmath=True, inner=True)
def hash01(a: int, b: int, c: int) -> float:
    """A number in [0, 1) that looks random and depends only on the arguments."""
    h = (a * 374761393 + b * 668265263 + c * 974634777) & 0x7FFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65536.0


@kernel(fastmath=True, inline=True)
def pane(light: Light, cell_u: int, cell_v: int, seed: int, up: float) -> Color:
    """Colour of a window pane: the sky's reflection over a dark room, or a lit room at dusk."""
    pick = hash01(cell_u, cell_v, seed)
    glow = light.lamps if pick > 0.62 else 0.0
    sky = 0.16 + 0.22 * pick + 0.2 * up
    b = 34.0 + sky * light.sky_low[0] * 0.5 + 70.0 * glow
    g = 32.0 + sky * light.sky_low[1] * 0.5 + 160.0 * glow
    r = 30.0 + sky * light.sky_low[2] * 0.5 + 215.0 * glow
    if pick < 0.25:
        curtain = 0.5 + 0.3 * up
        return b + 60.0 * curtain, g + 62.0 * curtain, r + 64.0 * curtain
    return b, g, r


@kernel(fastmath=True, inner=True)
def mix(under: Color, over: Color, share: float) -> Color:
    """One colour over another."""
    rest = 1.0 - share
    return (
        rest * under[0] + share * over[0],
        rest * under[1] + share * over[1],
        rest * under[2] + share * over[2],
    )


@kernel(fastmath=True, inline=True)
def facade(
    light: Light, style: Style, color: Color, u: float, v: float, hu: float, iu: float, hv: float, iv: float
) -> Color:
    """Albedo of a façade whose wall has a colour.

    Args:
        light: What the panes reflect.
        style: Windows and colours.
        color: The wall's colour here.
        u: Metres along the wall.
        v: Metres up it.
        hu: Half of the pixel's footprint along it.
        iu: 1 / (2 hu).
        hv: Half of the footprint up it.
        iv: 1 / (2 hv).
    """
    cell_u, below = np.floor(u * style.per_bay), v < style.ground
    storey, per_storey = (style.ground, style.per_ground) if below else (style.storey, style.per_storey)
    cell_v = -1.0 if below else np.floor((v - style.ground) * style.per_storey)
    across = abs(u - (cell_u + 0.5) * style.bay)
    height = v if below else v - style.ground - cell_v * style.storey
    if not below and height < 0.16 + hv:
        color = mix(color, style.trim, 0.5 * covered(height, hv, iv, 0.06, 0.2))
    width = style.window_width
    if across > 0.5 * width + 0.2 + hu:
        return color
    middle, tall = 0.52 * storey, style.window_height
    door = below and hash01(int(cell_u), 7, style.seed) > 0.6
    if door:
        middle, tall = 1.05, 2.1
    away = abs(height - middle)
    if away > 0.5 * tall + 0.2 + hv:
        return color
    glass = 1.0
    if across > 0.5 * width - hu or away > 0.5 * tall - hv:
        sill = covered(height, hv, iv, middle - 0.5 * tall - 0.14, 0.1) * covered(across, hu, iu, 0.0, width + 0.4)
        frame = covered(across, hu, iu, 0.0, width + 0.16) * covered(away, hv, iv, 0.0, tall + 0.16)
        color = mix(color, style.trim, min(frame + 0.8 * sill, 1.0))
        glass = covered(across, hu, iu, 0.0, width) * covered(away, hv, iv, 0.0, tall)
        if glass <= 0.0:
            return color
    else:
        color = style.trim
    if door:
        return mix(color, style.shop, glass)
    if across < 0.035 + hu or away < 0.03 + hv:
        bars = 0.8 * covered(across, hu, iu, 0.0, 0.07) + 0.6 * covered(away, hv, iv, 0.0, 0.06)
        glass *= max(1.0 - bars, 0.0)
    return mix(color, pane(light, int(cell_u), int(cell_v), style.seed, height * per_storey), glass)


@kernel(fastmath=True, inline=True)
def shop_front(
    light: Light, style: Style, color: Color, u: float, v: float, hu: float, iu: float, hv: float, iv: float
) -> Color:
    """Albedo of the ground floor of a shop: plinth, display windows, sign board with letters. As in `facade`."""
    bay = style.bay * 1.6
    cell = np.floor(u * style.per_bay * 0.625)
    across = abs(u - (cell + 0.5) * bay)
    top = style.ground - 0.45
    if v > top - 0.35 - hv:
        color = mix(color, style.shop, covered(v, hv, iv, top, 0.7))
        letters = covered(v, hv, iv, top, 0.3)
        if letters > 0.0:
            letters *= dashed(u, hu, iu, 0.16, 0.3) * covered(across, hu, iu, 0.0, bay * 0.6)
            color = mix(color, (225.0, 230.0, 230.0), letters)
        return color
    glass = covered(across, hu, iu, 0.0, bay - 0.3) * covered(v, hv, iv, 0.5 * style.ground - 0.22, style.ground - 1.35)
    if glass <= 0.0:
        return color
    b, g, r = pane(light, int(cell), 3, style.seed, v * style.per_ground)
    goods = hash01(int(u * 2.5), int(v * 2.0), style.seed) * max(0.0, 1.0 - 8.0 * hu) * 50.0
    lamps = light.lamps
    return mix(color, (b + goods + 60.0 * lamps, g + 0.9 * goods + 110.0 * lamps, r + goods + 120.0 * lamps), glass)


@kernel(fastmath=True, inline=True)
def surface(
    light: Light, style: Style, grain: float, u: float, v: float, hu: float, iu: float, hv: float, iv: float
) -> Color:
    """Albedo of any wall with that much grain (around 0); the rest as in `facade`."""
    if style.kind > SHOP:
        tone = 1.0 + 0.0045 * grain
        if style.kind == HEDGE:
            tone = (1.0 + 0.013 * grain) * (0.55 + 0.45 * min(v / 1.2, 1.0))
        elif style.kind == ROOF:
            tone -= 0.2 * dashed(v, hv, iv, 0.05, 0.28)
        elif style.courses > 0.0:
            tone -= 0.5 * dashed(u, hu, iu, 0.02, 0.16)
        tone = max(tone, 0.0)
        return style.wall[0] * tone, style.wall[1] * tone, style.wall[2] * tone
    tone = 1.0 + 0.0028 * grain
    if hv < 0.1 and style.courses > 0.0:
        tone -= style.courses * dashed(v, hv, iv, 0.02, 0.16) * (1.0 - hv * 10.0)
    if v < 2.0:
        tone *= 0.83 + 0.085 * v
    color = (style.wall[0] * tone, style.wall[1] * tone, style.wall[2] * tone)
    if style.kind == SHOP and v < style.ground:
        return shop_front(light, style, color, u, v, hu, iu, hv, iv)
    return facade(light, style, color, u, v, hu, iu, hv, iv)


@kernel(fastmath=True, inner=True)
def style_of(row: FloatArray) -> Style:
    """The part of a row that says how a wall looks."""
    wall, trim, shop = (row[13], row[14], row[15]), (row[16], row[17], row[18]), (row[24], row[25], row[26])
    bay, storey, ground = row[19], row[21], row[23]
    return Style(
        int(row[12]), wall, trim, bay, 1.0 / bay, row[20], storey, 1.0 / storey, row[22], ground, 1.0 / ground, shop,
        int(row[27]), row[29],
    )  # fmt: skip


@kernel(fastmath=True, inline=True)
def draw_wall(
    canvas: Canvas, view: View, light: Light, road: Road, tables: RoadTables, textures: Textures, row: FloatArray
) -> None:
    """Draw one wall where it is nearer than what is there."""
    corners, cut, pixels = np.empty((4, 3)), np.empty((6, 3)), np.empty((6, 2))
    for i in range(4):
        corners[i, 0], corners[i, 1], corners[i, 2] = to_camera(view, row[3 * i], row[3 * i + 1], row[3 * i + 2])
    e, f = corners[1] - corners[0], corners[3] - corners[0]
    e /= math.sqrt(np.sum(e * e))
    f /= math.sqrt(np.sum(f * f))
    n = np.array([e[1] * f[2] - e[2] * f[1], e[2] * f[0] - e[0] * f[2], e[0] * f[1] - e[1] * f[0]])
    n /= math.sqrt(np.sum(n * n))
    d = np.sum(n * corners[0])
    if d > -1e-3:
        return
    left = clip_and_project(view, corners, 4, cut, pixels)
    if left == 0:
        return
    first, last = row_range(pixels, left, canvas.depth_m.shape[0])
    if last <= first:
        return
    plane, over = np.empty((3, 3)), n / d
    for k in range(3):  # Element by element: assigning whole rows compiles a second longer.
        plane[0, k], plane[1, k], plane[2, k] = over[k], e[k], f[k]
    origin = (np.sum(corners[0] * e), np.sum(corners[0] * f))
    starts, stops = np.empty(last - first, np.int64), np.empty(last - first, np.int64)
    for y in range(first, last):
        starts[y - first], stops[y - first] = span(pixels, left, y, canvas.depth_m.shape[1])
    shade_wall(
        canvas,
        view,
        light,
        road,
        roof_towards_sun(light, tables),
        textures.grain,
        row,
        plane,
        origin,
        first,
        starts,
        stops,
    )


@kernel(fastmath=True, inner=True)
def light_on_wall(view: View, light: Light, plane: FloatArray) -> tuple[float, float, bool]:
    """Light of the sky on a wall, light of the sun on it where nothing is in its way, and whether it looks left."""
    r, n = view.rotation, plane[0]
    scale = -1.0 / math.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
    ahead = (n[0] * r[0, 0] + n[1] * r[1, 0] + n[2] * r[2, 0]) * scale
    left = (n[0] * r[0, 1] + n[1] * r[1, 1] + n[2] * r[2, 1]) * scale
    up = (n[0] * r[0, 2] + n[1] * r[1, 2] + n[2] * r[2, 2]) * scale
    facing = max(ahead * light.sun_x + left * light.sun_y + up * light.sun_z, 0.0) * light.sun
    return light.ambient * (0.82 + 0.18 * up + 0.05 * left - 0.04 * abs(ahead)), facing, left > 0.0


@kernel(fastmath=True, inner=True)
def shade_wall(
    canvas: Canvas,
    view: View,
    light: Light,
    road: Road,
    roof: FloatArray,
    grain: NDArray[np.uint8],
    row: FloatArray,
    plane: FloatArray,
    origin: tuple[float, float],
    first: int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> None:
    """Shade the pixels of a wall that are nearer than what is there.

    Args:
        canvas: Drawn on.
        view: The camera.
        light: Sun, tint and haze.
        road: Where the building lines are.
        roof: Roofs that may stand between the wall and the sun.
        grain: (L, 256, 256) noise of the surface.
        row: The wall.
        plane: (3, 3) in the camera frame: normal over distance, unit vector along the wall, unit vector up it.
        origin: Coordinates of the wall's first corner along those two vectors.
        first: First row of the picture that it covers.
        starts: First column of each row.
        stops: One past the last column.
    """
    style, class_id, n = style_of(row), np.uint8(row[28]), plane[0]
    shift = 512.0 + style.seed
    sky_lit, facing, looks_left = light_on_wall(view, light, plane)
    wall_t = (road.half_width + road.pavement) * (-1.0 if looks_left else 1.0)
    dx, base = (row[3] - row[0]) / max(math.hypot(row[3] - row[0], row[4] - row[1]), 0.1), row[2]
    step, step_u, step_v = n[0] / view.fx, plane[1, 0] / view.fx, plane[2, 0] / view.fx
    sunny, half_px = facing > 0.0 and style.kind != ROOF, 0.5 / view.fy
    if facing > 0.0:
        sky_lit += 0.0 if sunny else facing
    gain_b, gain_g, gain_r = light.gain
    image, class_ids, depth_m = canvas.image, canvas.class_ids, canvas.depth_m
    for i in range(len(starts)):
        y, start, stop = first + i, starts[i], stops[i]
        rx, ry = (start + 0.5 - view.cx) / view.fx, (y + 0.5 - view.cy) / view.fy
        inverse = n[0] * rx + n[1] * ry + n[2]
        along = plane[1, 0] * rx + plane[1, 1] * ry + plane[1, 2]
        upward = plane[2, 0] * rx + plane[2, 1] * ry + plane[2, 2]
        renew, relight, level, keep, hu, iu, hv, iv, lit = -1, -1, 0, 1.0, 1.0, 0.5, 1.0, 0.5, sky_lit
        haze_b, haze_g, haze_r = 0.0, 0.0, 0.0
        for x in range(start, stop):
            here, ray_u, ray_v = inverse, along, upward
            inverse, along, upward = inverse + step, along + step_u, upward + step_v
            # Nearer, without a division: z < depth where 1 < depth / z. A plane behind the camera has a negative 1 / z.
            if here * depth_m[y, x] <= 1.0:
                continue
            z = 1.0 / here
            u, v = z * ray_u - origin[0], z * ray_v - origin[1]
            if sunny and x >= relight:
                relight = x + _LIT_PX
                lit = sky_lit + facing * shaded(light, road, roof, row[0] + dx * u, wall_t, base + v, 1.6)
            if x >= renew:
                renew = x + _FOOTPRINT_PX
                hu = max(abs(0.5 * z * (step_u - step * z * ray_u)), 5e-4)
                hv = max(half_px * z, abs(0.5 * z * (step_v - step * z * ray_v)))
                iu, iv = 0.5 / hu, 0.5 / hv
                level = grain_level(56.0 * max(hv, min(hu, 4.0 * hv)))
                fade = min(z * light.haze_per_m, 0.85)
                keep = 1.0 - fade
                haze_b, haze_g, haze_r = light.haze[0] * fade, light.haze[1] * fade, light.haze[2] * fade
            noise = grain[level, np.int64(v * 28.0 + 512.0) & 255, np.int64(u * 28.0 + shift) & 255] - 128.0
            b, g, r = surface(light, style, noise, u, v, hu, iu, hv, iv)
            bright = lit * keep
            image[y, x, 0] = np.uint8(np.int32(min(b * gain_b * bright + haze_b, 255.0)))
            image[y, x, 1] = np.uint8(np.int32(min(g * gain_g * bright + haze_g, 255.0)))
            image[y, x, 2] = np.uint8(np.int32(min(r * gain_r * bright + haze_r, 255.0)))
            class_ids[y, x] = class_id
            depth_m[y, x] = z


@kernel(fastmath=True)
def draw_walls(
    canvas: Canvas,
    view: View,
    light: Light,
    road: Road,
    tables: RoadTables,
    textures: Textures,
    walls: FloatArray,
) -> None:
    """Draw walls, the nearest first where they are sorted along the street."""
    for i in range(len(walls)):
        draw_wall(canvas, view, light, road, tables, textures, walls[i])
