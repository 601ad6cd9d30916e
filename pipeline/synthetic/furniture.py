"""What stands still along a street: trees, bushes, lamps, signs, railings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Ink, Light, Textures, View
from pipeline.synthetic.raster import NEAR_M, blend, draw_flat, draw_rod, to_camera

__all__ = ["draw_bush", "draw_lamp", "draw_railing", "draw_sign", "draw_tree"]

FloatArray = NDArray[np.float64]

_BAR_M, _BAR_SPACING_M = 0.028, 0.13
FENCE_ID, POLE_ID, SIGN_ID, VEGETATION_ID = 4, 5, 7, 8


@kernel(fastmath=True, inner=True)
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
    picture_bgr, class_ids, instance_ids, depth_m = canvas.image, canvas.class_ids, canvas.instance_ids, canvas.depth_m
    height, width = depth_m.shape
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
    fade = min(z * light.haze_per_m, 0.85)
    bright = lit / 128.0 * (1.0 - fade)
    b, g, r = color[0] * light.gain[0] * bright, color[1] * light.gain[1] * bright, color[2] * light.gain[2] * bright
    haze_b, haze_g, haze_r = light.haze[0] * fade, light.haze[1] * fade, light.haze[2] * fade
    scale_x, scale_y = 128.0 / across, 128.0 / up
    for y in range(first_y, last_y):
        v = (y + 0.5 - top) * scale_y - 0.5
        if v < 0.0 or v >= 127.0:
            continue
        image, texel_row = picture_bgr[y], picture[int(v + 0.5)]
        for x in range(first_x, last_x):
            u = (x + 0.5 - left) * scale_x - 0.5
            if u < 0.0 or u >= 127.0 or z >= depth_m[y, x]:
                continue
            if smooth:
                # The copy is blurred at least as wide as a pixel, so its nearest texel will do.
                i = int(u + 0.5)
                shade, alpha = 1.0 * texel_row[i, 0], 1.0 * texel_row[i, 1]
            else:
                shade, alpha = between_texels(picture, u, v)
            if alpha < 5.0:
                continue
            cover = alpha / 255.0
            rest = 1.0 - cover
            image[x, 0] = np.uint8(rest * image[x, 0] + cover * min(b * shade + haze_b, 255.0))
            image[x, 1] = np.uint8(rest * image[x, 1] + cover * min(g * shade + haze_g, 255.0))
            image[x, 2] = np.uint8(rest * image[x, 2] + cover * min(r * shade + haze_r, 255.0))
            if alpha >= 127.5:
                class_ids[y, x] = VEGETATION_ID
                instance_ids[y, x] = 0
                depth_m[y, x] = z


@kernel(fastmath=True, inner=True)
def between_texels(picture: NDArray[np.uint8], u: float, v: float) -> tuple[float, float]:
    """Brightness and opacity between four texels."""
    iu, iv = int(u), int(v)
    fu, fv = u - iu, v - iv
    a, b, c, d = (1.0 - fu) * (1.0 - fv), fu * (1.0 - fv), (1.0 - fu) * fv, fu * fv
    p, q, r, s = picture[iv, iu], picture[iv, iu + 1], picture[iv + 1, iu], picture[iv + 1, iu + 1]
    return a * p[0] + b * q[0] + c * r[0] + d * s[0], a * p[1] + b * q[1] + c * r[1] + d * s[1]


@kernel(fastmath=True, inner=True)
def draw_tree(canvas: Canvas, view: View, light: Light, textures: Textures, row: FloatArray, lit: float) -> None:
    """Columns: 5 height, 6 crown width, 7 crown height, 8 variety, 9..11 BGR, 12 trunk radius."""
    x, y, z, height = row[1], row[2], row[3], row[5]
    fork = (x, y, z + height - 0.62 * row[7])
    bark = Ink((46.0, 56.0, 66.0), lit * 0.9, VEGETATION_ID, 0)
    draw_rod(canvas, view, light, (x, y, z), row[12], fork, row[12] * 0.6, bark)
    center = (x, y, z + height - 0.5 * row[7])
    color = (row[9], row[10], row[11])
    draw_foliage(canvas, view, light, textures, center, row[6], row[7], int(row[8]), color, lit * 1.05)


@kernel(fastmath=True, inner=True)
def draw_bush(canvas: Canvas, view: View, light: Light, textures: Textures, row: FloatArray, lit: float) -> None:
    """Columns: 5 height, 6 width, 8 variety, 9..11 BGR."""
    center = (row[1], row[2], row[3] + 0.36 * row[5])
    color = (row[9], row[10], row[11])
    draw_foliage(canvas, view, light, textures, center, row[6], row[5], int(row[8]), color, lit)


@kernel(fastmath=True, inner=True)
def draw_lamp(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """A pole, or with an arm a street lamp. Columns: 5 height, 6 radius, 7 arm, 8..10 BGR; the arm points along 4."""
    x, y, z, top = row[1], row[2], row[3], row[3] + row[5]
    paint = Ink((row[8], row[9], row[10]), lit, POLE_ID, 0)
    draw_rod(canvas, view, light, (x, y, z), row[6], (x, y, top), row[6] * 0.7, paint)
    if row[7] > 0.0:
        c, s, high = math.cos(row[4]), math.sin(row[4]), top + 0.3
        end = (x + row[7] * c, y + row[7] * s, high)
        tip = (end[0] + 0.6 * c, end[1] + 0.6 * s, high)
        draw_rod(canvas, view, light, (x, y, top), 0.05, end, 0.05, paint)
        glow = Ink((180.0, 215.0, 235.0), lit + 2.2 * light.lamps, POLE_ID, 0)
        draw_rod(canvas, view, light, end, 0.11, tip, 0.09, glow)


@kernel(fastmath=True, inner=True)
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


@kernel(fastmath=True, inner=True)
def draw_sign(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """Columns: 5 height of the middle, 6 radius, 7 number of sides, 8..10 BGR of the face, 11..13 BGR of the rim."""
    x, y, z = row[1], row[2], row[3]
    grey = (128.0, 130.0, 130.0)
    draw_rod(canvas, view, light, (x, y, z), 0.04, (x, y, z + row[5] + row[6]), 0.04, Ink(grey, lit, POLE_ID, 0))
    sides = int(row[7])
    start = math.pi / 2.0 if sides == 3 else math.pi / 4.0
    corners, back = np.empty((16, 3)), np.empty((16, 3))
    lit *= 1.1
    for layer in range(2):
        k = 11 if layer == 0 else 8
        disc(view, row, row[5], row[6] * (1.0 if layer == 0 else 0.74), sides, start, corners)
        ink = Ink((row[k], row[k + 1], row[k + 2]), lit, SIGN_ID, 0)
        draw_flat(canvas, view, light, corners, sides, ink, lit, 0.08 + 0.02 * layer)
    disc(view, row, row[5], row[6], sides, start, corners)
    for i in range(sides):
        for k in range(3):
            back[i, k] = corners[sides - 1 - i, k]
    draw_flat(canvas, view, light, back, sides, Ink(grey, lit * 0.7, SIGN_ID, 0), lit * 0.7, 0.08)


@kernel(fastmath=True, inner=True)
def draw_railing(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """An open fence from (1, 2) to (5, 6). Columns: 7 height, 8..10 BGR. What shows between its bars is fence, too."""
    x0, y0, z0 = to_camera(view, row[1], row[2], row[3])
    x1, y1, z1 = to_camera(view, row[5], row[6], row[3])
    if z0 < NEAR_M or z1 < NEAR_M:
        return
    rise_y, rise_z = view.rotation[1, 2] * row[7], view.rotation[2, 2] * row[7]
    u0, u1 = view.fx * x0 / z0 + view.cx, view.fx * x1 / z1 + view.cx
    image, class_ids, instance_ids, depth_m = canvas.image, canvas.class_ids, canvas.instance_ids, canvas.depth_m
    height, width = depth_m.shape
    length = math.hypot(row[5] - row[1], row[6] - row[2])
    first, last = max(int(min(u0, u1) + 0.5), 0), min(int(max(u0, u1) + 0.5), width)
    for x in range(first, last):
        part = (x + 0.5 - u0) / (u1 - u0)
        z = 1.0 / (1.0 / z0 + part * (1.0 / z1 - 1.0 / z0))
        along = part * z / z1
        low = y0 + along * (y1 - y0)
        bottom, top = view.fy * low / z + view.cy, view.fy * (low + rise_y) / (z + rise_z) + view.cy
        footprint = max(length * z * z / (z0 * z1 * max(abs(u1 - u0), 1.0)), 1e-3)
        phase = along * length / _BAR_SPACING_M
        offset = abs(phase - math.floor(phase) - 0.5) * _BAR_SPACING_M
        cover = min(max((0.5 * _BAR_M - offset) / footprint + 0.5, 0.0), 1.0)
        if footprint > _BAR_SPACING_M:
            cover = _BAR_M / _BAR_SPACING_M
        for y in range(max(int(top + 0.5), 0), min(int(bottom + 0.5), height)):
            if z >= depth_m[y, x]:
                continue
            up = (bottom - y - 0.5) / (bottom - top)
            share = 1.0 if up > 0.93 or 0.08 < up < 0.14 else cover
            blend(image, light, y, x, row[8], row[9], row[10], lit, z, share)
            class_ids[y, x] = FENCE_ID
            instance_ids[y, x] = 0
            depth_m[y, x] = z
