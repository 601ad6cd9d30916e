"""Cars and vans: bodies of some thirty flat faces, with glass, lamps and wheels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Light, View
from pipeline.synthetic.raster import draw_flat

__all__ = ["WHEEL_RADIUS_M", "car_contacts", "draw_car"]

FloatArray = NDArray[np.float64]

CAR_ID = 13
WHEEL_RADIUS_M = 0.32

# Side views in shares of length (rear -0.5, front 0.5) and of height, for hatchback, saloon and van:
# rear bumper, tail, rear window's foot, roof's rear, roof's front, windscreen's foot, nose, front bumper.
_PROFILES = np.array(
    [
        [[-0.49, 0.30], [-0.5, 0.62], [-0.47, 0.66], [-0.40, 0.98], [0.08, 1.0], [0.27, 0.66], [0.48, 0.52], [0.5, 0.30]],
        [[-0.49, 0.30], [-0.5, 0.60], [-0.36, 0.67], [-0.22, 0.97], [0.08, 1.0], [0.25, 0.66], [0.48, 0.52], [0.5, 0.30]],
        [[-0.49, 0.22], [-0.5, 0.55], [-0.495, 0.58], [-0.48, 0.99], [0.24, 1.0], [0.36, 0.60], [0.48, 0.46], [0.5, 0.24]],
    ]
)


@kernel(fastmath=True)
def place(view: View, row: FloatArray, along: float, left: float, up: float, corners: FloatArray, i: int) -> None:
    """Write a point of the car (metres forward, left, up of its middle on the ground) in the camera frame."""
    c, s = math.cos(row[4]), math.sin(row[4])
    dx, dy, dz = row[1] + c * along - s * left - view.x, row[2] + s * along + c * left - view.y, row[3] + up - view.z
    r = view.rotation
    for k in range(3):
        corners[i, k] = r[k, 0] * dx + r[k, 1] * dy + r[k, 2] * dz


@kernel(fastmath=True)
def face_light(light: Light, heading: float, along: float, left: float, up: float, vis: float) -> float:
    """Light on a face of the car with that outward normal."""
    c, s = math.cos(heading), math.sin(heading)
    facing = (c * along - s * left) * light.sun_x + (s * along + c * left) * light.sun_y + up * light.sun_z
    return light.ambient * (0.72 + 0.3 * up) + light.sun * max(facing, 0.0) * vis


@kernel(fastmath=True)
def car_contacts(row: FloatArray, points: FloatArray) -> int:
    """(4, 3) points of the fixed frame where the tyres touch the ground, at their outer edges."""
    c, s = math.cos(row[4]), math.sin(row[4])
    for i in range(4):
        along = row[5] * (0.31 if i < 2 else -0.31)
        left = row[6] * (0.5 if i % 2 else -0.5)
        points[i, 0] = row[1] + c * along - s * left
        points[i, 1] = row[2] + s * along + c * left
        points[i, 2] = row[3]
    return 4


@kernel(fastmath=True)
def draw_wheels(canvas: Canvas, view: View, light: Light, row: FloatArray, instance: int, lit: float) -> None:
    """Dark wheel arches, tyres and rims on both sides, and the tyres' treads seen from front and rear."""
    corners = np.empty((16, 3))
    for wheel in range(4):
        along = row[5] * (0.31 if wheel < 2 else -0.31)
        side = 1.0 if wheel % 2 else -1.0
        for end in range(2):
            forward = 1.0 if end == 0 else -1.0
            x = along + forward * WHEEL_RADIUS_M * 0.8
            outer, inner = side * row[6] * 0.5, side * (row[6] * 0.5 - 0.2)
            order = side * forward
            near, far = (outer, inner) if order < 0 else (inner, outer)
            place(view, row, x, near, 0.0, corners, 0)
            place(view, row, x, far, 0.0, corners, 1)
            place(view, row, x, far, 0.4, corners, 2)
            place(view, row, x, near, 0.4, corners, 3)
            draw_flat(canvas, view, light, corners, 4, 26.0, 26.0, 27.0, lit, lit * 0.8, 0.0, CAR_ID, instance)
        for ring in range(3):
            radius = WHEEL_RADIUS_M * (1.16, 1.0, 0.62)[ring]
            tone = (16.0, 27.0, 138.0)[ring]
            lift = WHEEL_RADIUS_M + (0.02 if ring == 0 else 0.0)
            for i in range(14):
                angle = 2.0 * math.pi * (i + 0.5) / 14 * side
                up = max(lift - radius * math.cos(angle), 0.0)
                place(view, row, along + radius * math.sin(-angle), side * row[6] * 0.5, up, corners, i)
            bias = 0.03 + 0.02 * ring
            draw_flat(canvas, view, light, corners, 14, tone, tone, tone, lit, lit * 0.85, bias, CAR_ID, instance)


@kernel(fastmath=True)
def band(
    canvas: Canvas, view: View, light: Light, row: FloatArray, at: FloatArray, color: FloatArray, extra: FloatArray
) -> None:
    """A quadrilateral across the car.

    Args:
        canvas: Drawn on.
        view: The camera.
        light: Tint and haze.
        row: The car.
        at: along, up, half width of the edge that is first going from tail over roof to nose; then of the other.
        color: BGR.
        extra: lit at the top row, at the bottom row, bias in metres.
    """
    corners = np.empty((4, 3))
    place(view, row, at[0], at[2], at[1], corners, 0)
    place(view, row, at[0], -at[2], at[1], corners, 1)
    place(view, row, at[3], -at[5], at[4], corners, 2)
    place(view, row, at[3], at[5], at[4], corners, 3)
    draw_flat(
        canvas, view, light, corners, 4, color[0], color[1], color[2], extra[0], extra[1], extra[2], CAR_ID, int(row[15])
    )


@kernel(fastmath=True)
def draw_lamps(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """Head lamps, tail lamps and number plates as decals."""
    corners = np.empty((4, 3))
    length, half, height, instance = row[5], 0.5 * row[6], row[7], int(row[15])
    for lamp in range(6):
        front = lamp % 2 == 0
        x = (0.5 if front else -0.5) * length
        middle = (0.72, -0.72, 0.0)[lamp // 2] * half
        wide = 0.22 * half if lamp < 4 else 0.28 * half
        low, high = (0.40 * height, 0.50 * height) if lamp < 4 else (0.30 * height, 0.37 * height)
        if not front and lamp < 4:
            low, high = 0.46 * height, 0.6 * height
        sign = 1.0 if front else -1.0
        place(view, row, x, middle - sign * wide, low, corners, 0)
        place(view, row, x, middle + sign * wide, low, corners, 1)
        place(view, row, x, middle + sign * wide, high, corners, 2)
        place(view, row, x, middle - sign * wide, high, corners, 3)
        glow = lit
        b, g, r = 205.0, 212.0, 212.0
        if lamp >= 4:
            b, g, r = (215.0, 215.0, 210.0) if front else (40.0, 190.0, 220.0)
        elif front:
            glow += 1.6 * light.lamps * row[16]
        else:
            b, g, r = 36.0, 30.0, 150.0
            glow += (1.2 * light.lamps * row[16]) + 0.9 * row[13]
        draw_flat(canvas, view, light, corners, 4, b, g, r, glow, glow, 0.12, CAR_ID, instance)


@kernel(fastmath=True)
def draw_car(canvas: Canvas, view: View, light: Light, row: FloatArray, vis: float) -> None:
    """Columns: 4 heading, 5 length, 6 width, 7 height, 8 profile, 9..11 BGR, 13 braking, 15 instance, 16 lamps on."""
    profile = _PROFILES[int(row[8])]
    length, half, height, instance = row[5], 0.5 * row[6], row[7], int(row[15])
    glass, paint, dark = np.array([62.0, 58.0, 54.0]), row[9:12], np.array([34.0, 34.0, 35.0])
    at, extra = np.empty(6), np.empty(3)
    corners = np.empty((8, 3))
    top_light = face_light(light, row[4], 0.0, 0.0, 1.0, vis)
    shine = 0.5 * (light.sky_low[0] + light.sky_low[1]) / 255.0
    for side in (-1.0, 1.0):
        lit = face_light(light, row[4], 0.0, side, 0.1, vis)
        lower = (0, 1, 2, 5, 6, 7)
        for i in range(6):
            k = i if side < 0 else 5 - i
            p = profile[lower[5 - k]]
            place(view, row, p[0] * length, side * half, p[1] * height, corners, i)
        draw_flat(canvas, view, light, corners, 6, paint[0], paint[1], paint[2], lit * 1.1, lit * 0.8, 0.0, CAR_ID, instance)
        for i in range(4):
            k = i if side < 0 else 3 - i
            along, up = ((-0.46, 0.14), (0.46, 0.14), (0.49, 0.31), (-0.485, 0.31))[k]
            place(view, row, along * length, side * half * 0.985, up * height, corners, i)
        draw_flat(canvas, view, light, corners, 4, dark[0], dark[1], dark[2], lit, lit * 0.7, 0.0, CAR_ID, instance)
        for layer in range(2):
            shrink = 1.0 if layer == 0 else 0.86
            for i in range(4):
                k = i if side < 0 else 3 - i
                p = profile[5 - k]
                mid_x, mid_y = 0.25 * (profile[2:6, 0].sum()), 0.25 * (profile[2:6, 1].sum())
                px, py = mid_x + (p[0] - mid_x) * shrink, mid_y + (p[1] - mid_y) * (shrink - 0.04 * layer)
                inset = 1.0 if py < 0.75 else 0.84
                place(view, row, px * length, side * half * inset, py * height, corners, i)
            if layer == 0:
                draw_flat(canvas, view, light, corners, 4, paint[0], paint[1], paint[2], lit, lit, 0.0, CAR_ID, instance)
            else:
                bright = (0.5 + 0.9 * shine) * light.ambient * 1.3
                draw_flat(canvas, view, light, corners, 4, glass[0], glass[1], glass[2], bright, bright * 0.55, 0.05, CAR_ID, instance)
    for edge in range(7):
        p, q = profile[edge], profile[edge + 1]
        rise, run = (q[1] - p[1]) * height, (q[0] - p[0]) * length
        size = max(math.hypot(rise, run), 1e-6)
        lit = face_light(light, row[4], -rise / size, 0.0, run / size, vis)
        at[0], at[1], at[2] = p[0] * length, p[1] * height, half * (0.84 if 3 <= edge <= 4 else 1.0)
        at[3], at[4], at[5] = q[0] * length, q[1] * height, half * (0.84 if 2 <= edge <= 3 else 1.0)
        extra[0], extra[1], extra[2] = lit * 1.06, lit * 0.9, 0.0
        band(canvas, view, light, row, at, paint, extra)
        if edge in (2, 4):
            at[0], at[3] = at[0] + 0.07 * run, at[3] - 0.1 * run
            at[1], at[4] = at[1] + 0.07 * rise, at[4] - 0.1 * rise
            at[2], at[5] = at[2] * 0.9, at[5] * 0.9
            extra[0], extra[1], extra[2] = top_light * (0.7 + 0.9 * shine), top_light * 0.5, 0.06
            band(canvas, view, light, row, at, glass, extra)
    for front in range(2):
        lit = face_light(light, row[4], 1.0 if front else -1.0, 0.0, 0.0, vis) * 0.9
        x, up = (0.5 if front else -0.49) * length, profile[7 if front else 0][1] * height
        low = (x - (0.02 if front else -0.02) * length, 0.14 * height)
        at[0], at[1], at[3], at[4] = (x, up, low[0], low[1]) if front else (low[0], low[1], x, up)
        at[2], at[5] = half, half
        extra[0], extra[1], extra[2] = lit, lit * 0.6, 0.0
        band(canvas, view, light, row, at, dark if not front else paint * 0.6, extra)
    draw_lamps(canvas, view, light, row, face_light(light, row[4], 0.5, 0.0, 0.3, vis))
    draw_wheels(canvas, view, light, row, instance, light.ambient * 0.8 + 0.3 * light.sun * vis)
