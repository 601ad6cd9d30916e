"""What stands still along a street: trees, bushes, lamps, signs, railings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Light, Textures, View
from pipeline.synthetic.raster import NEAR_M, blend, draw_flat, draw_rod, to_camera

__all__ = ["draw_bush", "draw_lamp", "draw_railing", "draw_sign", "draw_tree"]

FloatArray = NDArray[np.float64]

FENCE_ID, POLE_ID, SIGN_ID, VEGETATION_ID = 4, 5, 7, 8


@kernel(fastmath=True)
def draw_foliage(
    canvas: Canvas,
    view: View,
    light: Light,
    textures: Textures,
    center: tuple[float, float, float],
    width_m: float,
    height_m: float,
    variety: int,
    color: tuple[float, float, float],
    lit: float,
) -> None:
    """Draw one crown: a picture with opacity that always faces the camera, as large as its distance says."""
    xc, yc, z = to_camera(view, center[0], center[1], center[2])
    if z < NEAR_M + 0.5:
        return
    height, width = canvas.depth_m.shape
    across, up = width_m * view.fx / z, height_m * view.fy / z
    left, top = view.fx * xc / z + view.cx - 0.5 * across, view.fy * yc / z + view.cy - 0.5 * up
    first_x, last_x = max(int(left), 0), min(int(left + across) + 1, width)
    first_y, last_y = max(int(top), 0), min(int(top + up) + 1, height)
    level, texels = 0, 128.0 / up
    while texels > 1.3 and level < textures.foliage.shape[1] - 1:
        texels *= 0.5
        level += 1
    picture = textures.foliage[variety, level]
    smooth = texels > 0.7
    for y in range(first_y, last_y):
        v = (y + 0.5 - top) / up * 128.0 - 0.5
        if v < 0.0 or v >= 127.0:
            continue
        for x in range(first_x, last_x):
            u = (x + 0.5 - left) / across * 128.0 - 0.5
            if u < 0.0 or u >= 127.0 or z >= canvas.depth_m[y, x]:
                continue
            if smooth:
                # The copy is blurred at least as wide as a pixel, so its nearest texel will do.
                shade, alpha = 1.0 * picture[int(v + 0.5), int(u + 0.5), 0], 1.0 * picture[int(v + 0.5), int(u + 0.5), 1]
            else:
                shade, alpha = between_texels(picture, u, v)
            if alpha < 5.0:
                continue
            blend(canvas, light, y, x, color[0], color[1], color[2], lit * shade / 128.0, z, alpha / 255.0)
            if alpha >= 127.5:
                canvas.class_ids[y, x] = VEGETATION_ID
                canvas.instance_ids[y, x] = 0
                canvas.depth_m[y, x] = z


@kernel(fastmath=True)
def between_texels(picture: NDArray[np.uint8], u: float, v: float) -> tuple[float, float]:
    """Brightness and opacity between four texels."""
    iu, iv = int(u), int(v)
    fu, fv = u - iu, v - iv
    a, b, c, d = (1.0 - fu) * (1.0 - fv), fu * (1.0 - fv), (1.0 - fu) * fv, fu * fv
    p, q, r, s = picture[iv, iu], picture[iv, iu + 1], picture[iv + 1, iu], picture[iv + 1, iu + 1]
    return a * p[0] + b * q[0] + c * r[0] + d * s[0], a * p[1] + b * q[1] + c * r[1] + d * s[1]


@kernel(fastmath=True)
def draw_tree(canvas: Canvas, view: View, light: Light, textures: Textures, row: FloatArray, lit: float) -> None:
    """Columns: 5 height, 6 crown width, 7 crown height, 8 variety, 9..11 BGR, 12 trunk radius."""
    x, y, z, height = row[1], row[2], row[3], row[5]
    trunk = height - 0.62 * row[7]
    bark = (46.0, 56.0, 66.0)
    draw_rod(canvas, view, light, (x, y, z), row[12], (x, y, z + trunk), row[12] * 0.6, bark, lit * 0.9, VEGETATION_ID, 0)
    center = (x, y, z + height - 0.5 * row[7])
    color = (row[9], row[10], row[11])
    draw_foliage(canvas, view, light, textures, center, row[6], row[7], int(row[8]), color, lit * 1.05)


@kernel(fastmath=True)
def draw_bush(canvas: Canvas, view: View, light: Light, textures: Textures, row: FloatArray, lit: float) -> None:
    """Columns: 5 height, 6 width, 8 variety, 9..11 BGR."""
    center = (row[1], row[2], row[3] + 0.36 * row[5])
    color = (row[9], row[10], row[11])
    draw_foliage(canvas, view, light, textures, center, row[6], row[5], int(row[8]), color, lit)


@kernel(fastmath=True)
def draw_lamp(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """A pole, or with an arm a street lamp. Columns: 5 height, 6 radius, 7 arm, 8..10 BGR; the arm points along 4."""
    x, y, z, top = row[1], row[2], row[3], row[3] + row[5]
    color = (row[8], row[9], row[10])
    draw_rod(canvas, view, light, (x, y, z), row[6], (x, y, top), row[6] * 0.7, color, lit, POLE_ID, 0)
    if row[7] > 0.0:
        ex, ey = x + row[7] * math.cos(row[4]), y + row[7] * math.sin(row[4])
        draw_rod(canvas, view, light, (x, y, top), 0.05, (ex, ey, top + 0.3), 0.05, color, lit, POLE_ID, 0)
        fx, fy = ex + 0.6 * math.cos(row[4]), ey + 0.6 * math.sin(row[4])
        glow = lit + 2.2 * light.lamps
        lamp = (180.0, 215.0, 235.0)
        draw_rod(canvas, view, light, (ex, ey, top + 0.3), 0.11, (fx, fy, top + 0.3), 0.09, lamp, glow, POLE_ID, 0)


@kernel(fastmath=True)
def disc(
    view: View, row: FloatArray, center_z: float, radius: float, sides: int, start: float, corners: FloatArray
) -> None:
    """Corners, in the camera frame, of a regular polygon that faces along the row's heading."""
    right_x, right_y = -math.sin(row[4]), math.cos(row[4])
    for i in range(sides):
        angle = start + 2.0 * math.pi * i / sides
        across, up = radius * math.cos(angle), radius * math.sin(angle)
        px, py = row[1] + right_x * across, row[2] + right_y * across
        corners[i, 0], corners[i, 1], corners[i, 2] = to_camera(view, px, py, row[3] + center_z + up)


@kernel(fastmath=True)
def draw_sign(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """Columns: 5 height of the middle, 6 radius, 7 shape (3, 4, or 16 sides), 8..10 BGR of the face, 11..13 of the rim."""
    x, y, z = row[1], row[2], row[3]
    grey = (128.0, 130.0, 130.0)
    top = (x, y, z + row[5] + row[6])
    draw_rod(canvas, view, light, (x, y, z), 0.04, top, 0.04, grey, lit, POLE_ID, 0)
    sides = int(row[7])
    start = math.pi / 2.0 if sides == 3 else math.pi / 4.0
    corners = np.empty((16, 3))
    lit *= 1.1
    for layer in range(2):
        radius = row[6] * (1.0 if layer == 0 else 0.74)
        k = 11 if layer == 0 else 8
        disc(view, row, row[5], radius, sides, start, corners)
        bias = 0.08 + 0.02 * layer
        draw_flat(canvas, view, light, corners, sides, row[k], row[k + 1], row[k + 2], lit, lit, bias, SIGN_ID, 0)
    back = corners[:sides][::-1].copy()
    draw_flat(canvas, view, light, back, sides, 120.0, 122.0, 122.0, lit * 0.7, lit * 0.7, 0.08, SIGN_ID, 0)


@kernel(fastmath=True)
def draw_railing(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """An open fence from (1, 2) to (5, 6). Columns: 7 height, 8..10 BGR. What shows between its bars is fence, too."""
    x0, y0, z0 = to_camera(view, row[1], row[2], row[3])
    x1, y1, z1 = to_camera(view, row[5], row[6], row[3])
    if z0 < NEAR_M or z1 < NEAR_M:
        return
    ux, uy, uz = view.rotation[0, 2] * row[7], view.rotation[1, 2] * row[7], view.rotation[2, 2] * row[7]
    u0, u1 = view.fx * x0 / z0 + view.cx, view.fx * x1 / z1 + view.cx
    height, width = canvas.depth_m.shape
    length = math.hypot(row[5] - row[1], row[6] - row[2])
    first, last = max(int(math.ceil(min(u0, u1) - 0.5)), 0), min(int(math.floor(max(u0, u1) - 0.5)) + 1, width)
    for x in range(first, last):
        part = (x + 0.5 - u0) / (u1 - u0)
        z = 1.0 / (1.0 / z0 + part * (1.0 / z1 - 1.0 / z0))
        along = part * z / z1
        bottom = view.fy * (y0 + along * (y1 - y0)) / z + view.cy
        zt = z + uz
        top = view.fy * (y0 + along * (y1 - y0) + uy) / zt + view.cy
        footprint = length * z / z1 / max(abs(u1 - u0), 1.0) * z0 / z if z1 > 0 else 1.0
        phase = along * length / 0.13
        bar = 0.028 / 0.13
        offset = abs(phase - math.floor(phase) - 0.5) * 0.13
        cover = bar if footprint > 0.13 else max(min((0.014 - offset) / max(footprint, 1e-3) + 0.5, 1.0), 0.0)
        tall = max(bottom - top, 1e-3)
        for y in range(max(int(math.ceil(top - 0.5)), 0), min(int(math.floor(bottom - 0.5)) + 1, height)):
            if z >= canvas.depth_m[y, x]:
                continue
            up = (bottom - y - 0.5) / tall
            rail = up > 0.93 or 0.08 < up < 0.14
            share = 1.0 if rail else cover
            blend(canvas, light, y, x, row[8], row[9], row[10], lit, z, share)
            canvas.class_ids[y, x] = FENCE_ID
            canvas.instance_ids[y, x] = 0
            canvas.depth_m[y, x] = z
