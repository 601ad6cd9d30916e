"""Façades, roofs, hedges and board fences: large planes with a pattern in metres.

Windows, sills, floor bands and shop fronts are box-filtered over the pixel's footprint along the wall and up it, so
that a street seen at a grazing angle neither flickers nor turns into moiré.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Light, Textures, View
from pipeline.synthetic.ground import RoadTables, covered, dashed, grain_level, lookup, sunlit
from pipeline.synthetic.raster import clip_and_project, put, row_range, span, to_camera

__all__ = ["FACADE", "HEDGE", "PLAIN", "ROOF", "SHOP", "WALL_COLUMNS", "draw_walls"]

FloatArray = NDArray[np.float64]

FACADE, SHOP, PLAIN, ROOF, HEDGE = 0, 1, 2, 3, 4
WALL_COLUMNS = 30
"""A wall is a row: 0..11 its corners (lower left, lower right, upper right, upper left seen from outside; x, y, z),
12 kind, 13..15 BGR, 16..18 BGR of trim, 19 bay width, 20 window width, 21 storey height, 22 window height, 23 height of
the ground floor, 24..26 BGR of shop front or door, 27 hash, 28 class, 29 strength of the courses."""


@kernel(fastmath=True)
def hash01(a: int, b: int, c: int) -> float:
    """A number in [0, 1) that looks random and depends only on the arguments."""
    h = (a * 374761393 + b * 668265263 + c * 974634777) & 0x7FFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65536.0


@kernel(fastmath=True)
def pane(light: Light, cell_u: int, cell_v: int, seed: int, up: float) -> tuple[float, float, float]:
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


@kernel(fastmath=True)
def facade(
    light: Light, wall: FloatArray, grain: float, u: float, v: float, fu: float, fv: float
) -> tuple[float, float, float]:
    """Albedo of a façade at u metres along it and v metres up it."""
    bay, storey, ground = wall[19], wall[21], wall[23]
    seed = int(wall[27])
    tone = 1.0 + 0.0028 * grain
    if fv < 0.2:
        course = dashed(v, fv, 0.02, 0.16)
        tone -= wall[29] * course * (1.0 - fv * 5.0)
    b, g, r = wall[13] * tone, wall[14] * tone, wall[15] * tone
    if v < ground and wall[12] == SHOP:
        return shop_front(light, wall, b, g, r, u, v, fu, fv)
    cell_u, cell_v = math.floor(u / bay), math.floor((v - ground) / storey)
    base = 0.0 if v < ground else ground
    local_u = u - cell_u * bay - 0.5 * bay
    height = v - base if v < ground else v - ground - cell_v * storey
    tall = min(storey, ground) if v < ground else storey
    middle = 0.52 * tall
    window_height = wall[22] if tall >= storey * 0.9 else 0.6 * tall
    is_door = v < ground and hash01(int(cell_u), 7, seed) > 0.6
    if is_door:
        middle, window_height = 1.05, 2.1
    frame = covered(local_u, fu, 0.0, wall[20] + 0.16) * covered(height, fv, middle, window_height + 0.16)
    if frame > 0.0:
        b, g, r = b + (wall[16] - b) * frame, g + (wall[17] - g) * frame, r + (wall[18] - r) * frame
        glass = covered(local_u, fu, 0.0, wall[20]) * covered(height, fv, middle, window_height)
        if is_door:
            pb, pg, pr = wall[24], wall[25], wall[26]
        else:
            pb, pg, pr = pane(light, int(cell_u), int(cell_v) + (v < ground) * 99, seed, height / tall)
            glass *= 1.0 - 0.8 * covered(local_u, fu, 0.0, 0.07) - 0.6 * covered(height, fv, middle, 0.06)
        b, g, r = b + (pb - b) * glass, g + (pg - g) * glass, r + (pr - r) * glass
    band = covered(height, fv, 0.06, 0.2) * (1.0 if v > ground else 0.0)
    sill = covered(height, fv, middle - 0.5 * window_height - 0.14, 0.1) * covered(local_u, fu, 0.0, wall[20] + 0.4)
    edge = min(0.5 * band + 0.8 * sill, 1.0)
    return b + (wall[16] - b) * edge, g + (wall[17] - g) * edge, r + (wall[18] - r) * edge


@kernel(fastmath=True)
def shop_front(
    light: Light, wall: FloatArray, b: float, g: float, r: float, u: float, v: float, fu: float, fv: float
) -> tuple[float, float, float]:
    """Albedo of the ground floor of a shop: plinth, display windows, sign board."""
    bay = wall[19] * 1.6
    cell = math.floor(u / bay)
    local = u - (cell + 0.5) * bay
    board = covered(v, fv, wall[23] - 0.45, 0.7)
    b, g, r = b + (wall[24] - b) * board, g + (wall[25] - g) * board, r + (wall[26] - r) * board
    letters = board * covered(v, fv, wall[23] - 0.45, 0.3) * dashed(u, fu, 0.16, 0.3) * covered(local, fu, 0.0, bay * 0.6)
    b, g, r = b + (225.0 - b) * letters, g + (230.0 - g) * letters, r + (230.0 - r) * letters
    glass = covered(local, fu, 0.0, bay - 0.3) * covered(v, fv, 0.5 * (wall[23] - 0.85) + 0.2, wall[23] - 1.35)
    pb, pg, pr = pane(light, int(cell), 3, int(wall[27]), v / wall[23])
    goods = hash01(int(u * 2.5), int(v * 2.0), int(wall[27])) * max(0.0, 1.0 - 4.0 * fu) * 50.0
    pb, pg, pr = pb + goods + 60 * light.lamps, pg + goods * 0.9 + 110 * light.lamps, pr + goods + 120 * light.lamps
    return b + (pb - b) * glass, g + (pg - g) * glass, r + (pr - r) * glass


@kernel(fastmath=True)
def draw_wall(canvas: Canvas, view: View, light: Light, road: RoadTables, textures: Textures, wall: FloatArray) -> None:
    """Draw one wall where it is nearer than what is there."""
    corners, cut, pixels = np.empty((4, 3)), np.empty((6, 3)), np.empty((6, 2))
    for i in range(4):
        corners[i, 0], corners[i, 1], corners[i, 2] = to_camera(view, wall[3 * i], wall[3 * i + 1], wall[3 * i + 2])
    eu, ev = corners[1] - corners[0], corners[3] - corners[0]
    eu /= math.sqrt(np.sum(eu * eu))
    ev /= math.sqrt(np.sum(ev * ev))
    n = np.array([eu[1] * ev[2] - eu[2] * ev[1], eu[2] * ev[0] - eu[0] * ev[2], eu[0] * ev[1] - eu[1] * ev[0]])
    n /= math.sqrt(np.sum(n * n))
    d = n[0] * corners[0, 0] + n[1] * corners[0, 1] + n[2] * corners[0, 2]
    if d > -1e-3:
        return
    left = clip_and_project(view, corners, 4, cut, pixels)
    if left == 0:
        return
    height, width = canvas.depth_m.shape
    first, last = row_range(pixels, left, height)
    u0, v0 = np.sum(corners[0] * eu), np.sum(corners[0] * ev)
    r = view.rotation
    up = (
        n[0] * r[0, 0] + n[1] * r[1, 0] + n[2] * r[2, 0],
        n[0] * r[0, 1] + n[1] * r[1, 1] + n[2] * r[2, 1],
        n[0] * r[0, 2] + n[1] * r[1, 2] + n[2] * r[2, 2],
    )
    facing = max(up[0] * light.sun_x + up[1] * light.sun_y + up[2] * light.sun_z, 0.0) * light.sun
    sky_lit = light.ambient * (0.82 + 0.18 * up[2] - 0.06 * (1.0 if up[1] > 0.3 else 0.0))
    kind, class_id, seed = int(wall[12]), int(wall[28]), int(wall[27])
    low = min(wall[2], wall[5])
    step, ustep, vstep = n[0] / view.fx / d, eu[0] / view.fx, ev[0] / view.fx
    side = 1.0 if 0.5 * (wall[1] + wall[4]) > lookup(road.center, 0.5 * (wall[0] + wall[3])) else -1.0
    wall_t = side * (road.half_width + road.pavement)
    for y in range(first, last):
        start, stop = span(pixels, left, y, width)
        rx, ry = (start + 0.5 - view.cx) / view.fx, (y + 0.5 - view.cy) / view.fy
        inverse = (n[0] * rx + n[1] * ry + n[2]) / d
        ru, rv = eu[0] * rx + eu[1] * ry + eu[2], ev[0] * rx + ev[1] * ry + ev[2]
        for x in range(start, stop):
            z = 1.0 / inverse
            u, v = z * ru - u0, z * rv - v0
            fu = max(abs(z * (ustep - step * z * ru)), 1e-3)
            fv = max(z / view.fy, abs(z * (vstep - step * z * rv)))
            inverse += step
            ru += ustep
            rv += vstep
            if not 0.0 < z < canvas.depth_m[y, x]:
                continue
            level = grain_level(28.0 * max(fv, min(fu, 4.0 * fv)))
            grain = float(textures.grain[level, int(v * 28.0 + 512.0) & 255, int(u * 28.0 + seed) & 255]) - 128.0
            lit = sky_lit
            if facing > 0.0:
                s = wall[0] + (wall[3] - wall[0]) * u / max(abs(wall[3] - wall[0]) + abs(wall[4] - wall[1]), 0.1)
                lit += facing * (sunlit(light, road, s, wall_t, low + v, 0.6) if kind != ROOF else 1.0)
            if kind <= SHOP:
                b, g, red = facade(light, wall, grain, u, v, fu, fv)
                lit *= 0.78 + 0.22 * min(v * 0.4 + 0.25, 1.0)
            else:
                tone = 1.0 + 0.0045 * grain
                if kind == HEDGE:
                    tone = (1.0 + 0.013 * grain) * (0.55 + 0.45 * min(v / 1.2, 1.0))
                elif kind == ROOF:
                    tone -= 0.2 * dashed(v, fv, 0.05, 0.28)
                b, g, red = wall[13] * tone, wall[14] * tone, wall[15] * tone
            put(canvas, light, y, x, max(b, 0.0), max(g, 0.0), max(red, 0.0), lit, z)
            canvas.class_ids[y, x] = class_id
            canvas.instance_ids[y, x] = 0
            canvas.depth_m[y, x] = z


@kernel(fastmath=True)
def draw_walls(
    canvas: Canvas,
    view: View,
    light: Light,
    road: RoadTables,
    textures: Textures,
    walls: FloatArray,
    first: int,
    last: int,
) -> None:
    """Draw walls first..last, nearest first where they are sorted along the street."""
    for i in range(first, last):
        draw_wall(canvas, view, light, road, textures, walls[i])
