"""Cars and vans: bodies of some thirty flat faces, with glass, lamps and wheels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Ink, Light, View
from pipeline.synthetic.raster import draw_flat

__all__ = ["WHEEL_RADIUS_M", "car_contacts", "draw_car"]

FloatArray = NDArray[np.float64]
Edges = tuple[float, float, float, float, float, float]

CAR_ID = 13
WHEEL_RADIUS_M = 0.32
_GLASS = (60.0, 56.0, 52.0)

# Side views in shares of length (rear -0.5, front 0.5) and of height, for hatchback, saloon and van:
# rear bumper, tail, rear window's foot, roof's rear, roof's front, windscreen's foot, nose, front bumper.
_PROFILES = np.array(
    [
        [
            [-0.49, 0.30],
            [-0.5, 0.62],
            [-0.47, 0.66],
            [-0.40, 0.98],
            [0.08, 1.0],
            [0.27, 0.66],
            [0.48, 0.52],
            [0.5, 0.30],
        ],
        [
            [-0.49, 0.30],
            [-0.5, 0.60],
            [-0.36, 0.67],
            [-0.22, 0.97],
            [0.08, 1.0],
            [0.25, 0.66],
            [0.48, 0.52],
            [0.5, 0.30],
        ],
        [
            [-0.49, 0.22],
            [-0.5, 0.55],
            [-0.495, 0.58],
            [-0.48, 0.99],
            [0.24, 1.0],
            [0.36, 0.60],
            [0.48, 0.46],
            [0.5, 0.24],
        ],
    ]
)


_ANGLES_RAD = 2.0 * np.pi * (np.arange(14) + 0.5) / 14
_CIRCLE = np.stack([np.sin(_ANGLES_RAD), np.cos(_ANGLES_RAD)], axis=1)
"""Sine and cosine of the corners of a wheel."""


@kernel(fastmath=True, inner=True)
def place(view: View, row: FloatArray, along: float, left: float, up: float, corners: FloatArray, i: int) -> None:
    """Write a point of the car (metres forward, left, up of its middle on the ground) in the camera frame."""
    c, s = math.cos(row[4]), math.sin(row[4])
    dx, dy, dz = row[1] + c * along - s * left - view.x, row[2] + s * along + c * left - view.y, row[3] + up - view.z
    r = view.rotation
    for k in range(3):
        corners[i, k] = r[k, 0] * dx + r[k, 1] * dy + r[k, 2] * dz


@kernel(fastmath=True, inner=True)
def face_light(light: Light, heading: float, along: float, left: float, up: float, vis: float) -> float:
    """Light on a face of the car with that outward normal."""
    c, s = math.cos(heading), math.sin(heading)
    facing = (c * along - s * left) * light.sun_x + (s * along + c * left) * light.sun_y + up * light.sun_z
    return light.ambient * (0.72 + 0.3 * up) + light.sun * max(facing, 0.0) * vis


@kernel(fastmath=True, inner=True)
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


@kernel(fastmath=True, inner=True)
def draw_wheel(
    canvas: Canvas, view: View, light: Light, row: FloatArray, along: float, side: float, lit: float
) -> None:
    """Tread, arch, tyre and rim of the wheel at a place along the car, on its left (+1) or right (-1) side."""
    corners, frame, instance, half = np.empty((16, 3)), np.empty((4, 3)), int(row[15]), 0.5 * row[6]
    rubber = Ink((26.0, 26.0, 27.0), lit, CAR_ID, instance)
    for forward in (1.0, -1.0):
        x = along + forward * WHEEL_RADIUS_M * 0.8
        outer, inner = side * half, side * (half - 0.2)
        near, far = (outer, inner) if side * forward < 0 else (inner, outer)
        place(view, row, x, near, 0.0, corners, 0)
        place(view, row, x, far, 0.0, corners, 1)
        place(view, row, x, far, 0.4, corners, 2)
        place(view, row, x, near, 0.4, corners, 3)
        draw_flat(canvas, view, light, corners, 4, rubber, lit * 0.8, 0.0)
    place(view, row, along, side * half, 0.0, frame, 0)
    place(view, row, along + 1.0, side * half, 0.0, frame, 1)
    place(view, row, along, side * half, 1.0, frame, 2)
    place(view, row, along, side * (half + 1.0), 0.0, frame, 3)
    foot, forwards, upwards, outwards = frame[0], frame[1] - frame[0], frame[2] - frame[0], frame[3] - frame[0]
    if np.sum(outwards * foot) >= 0.0:
        return
    for ring in range(4):
        radius = WHEEL_RADIUS_M * (1.16, 1.0, 0.66, 0.2)[ring]
        tone = (15.0, 27.0, 142.0, 80.0)[ring]
        lift = WHEEL_RADIUS_M + (0.02 if ring == 0 else 0.0)
        for i in range(14):
            ahead, up = -side * radius * _CIRCLE[i, 0], max(lift - radius * _CIRCLE[i, 1], 0.0)
            for k in range(3):
                corners[i, k] = foot[k] + ahead * forwards[k] + up * upwards[k]
        draw_flat(
            canvas,
            view,
            light,
            corners,
            14,
            Ink((tone, tone, tone), lit, CAR_ID, instance),
            lit * 0.8,
            0.03 + 0.02 * ring,
        )


@kernel(fastmath=True, inner=True)
def band(
    canvas: Canvas, view: View, light: Light, row: FloatArray, at: Edges, ink: Ink, lit_bottom: float, bias_m: float
) -> None:
    """A quadrilateral across the car: along, up and half width of its edge towards the tail, then of the other."""
    corners = np.empty((4, 3))
    place(view, row, at[0], at[2], at[1], corners, 0)
    place(view, row, at[0], -at[2], at[1], corners, 1)
    place(view, row, at[3], -at[5], at[4], corners, 2)
    place(view, row, at[3], at[5], at[4], corners, 3)
    draw_flat(canvas, view, light, corners, 4, ink, lit_bottom, bias_m)


@kernel(fastmath=True, inner=True)
def draw_lamps(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """Head lamps, tail lamps and number plates as decals."""
    corners = np.empty((4, 3))
    length, half, height, instance = row[5], 0.5 * row[6], row[7], int(row[15])
    for lamp in range(6):
        front, plate = lamp % 2 == 0, lamp >= 4
        sign = 1.0 if front else -1.0
        middle = (0.72, -0.72, 0.0)[lamp // 2] * half
        wide = 0.28 * half if plate else 0.2 * half
        low, high, glow = 0.40 * height, 0.49 * height, lit
        if plate:
            low, high = 0.30 * height, 0.36 * height
            color = (215.0, 215.0, 210.0) if front else (40.0, 190.0, 220.0)
        elif front:
            color = (205.0, 212.0, 212.0)
            glow += 1.6 * light.lamps * row[16]
        else:
            low, high = 0.46 * height, 0.58 * height
            color = (36.0, 30.0, 150.0)
            glow += 1.2 * light.lamps * row[16] + 0.9 * row[13]
        x = sign * 0.5 * length
        place(view, row, x, middle - sign * wide, low, corners, 0)
        place(view, row, x, middle + sign * wide, low, corners, 1)
        place(view, row, x, middle + sign * wide, high, corners, 2)
        place(view, row, x, middle - sign * wide, high, corners, 3)
        draw_flat(canvas, view, light, corners, 4, Ink(color, glow, CAR_ID, instance), glow, 0.12)


@kernel(fastmath=True, inner=True)
def draw_side(canvas: Canvas, view: View, light: Light, row: FloatArray, side: float, vis: float) -> None:
    """Door panels, sill, pillars and side windows of the left (+1) or right (-1) side."""
    profile, instance = _PROFILES[int(row[8])], int(row[15])
    length, half, height = row[5], 0.5 * row[6], row[7]
    corners = np.empty((6, 3))
    lit = face_light(light, row[4], 0.0, side, 0.1, vis)
    paint = Ink((row[9], row[10], row[11]), lit * 1.1, CAR_ID, instance)
    for i in range(6):
        p = profile[(7, 6, 5, 2, 1, 0)[i if side < 0 else 5 - i]]
        place(view, row, p[0] * length, side * half, p[1] * height, corners, i)
    draw_flat(canvas, view, light, corners, 6, paint, lit * 0.78, 0.0)
    for i in range(4):
        along, up = ((-0.44, 0.18), (0.44, 0.18), (0.49, 0.31), (-0.485, 0.31))[i if side < 0 else 3 - i]
        place(view, row, along * length, side * half * 0.985, up * height, corners, i)
    draw_flat(canvas, view, light, corners, 4, Ink((34.0, 34.0, 35.0), lit, CAR_ID, instance), lit * 0.7, 0.0)
    shine = light.ambient * (0.65 + 0.0023 * (light.sky_low[0] + light.sky_low[1]))
    middle_x, middle_y = 0.25 * np.sum(profile[2:6, 0]), 0.25 * np.sum(profile[2:6, 1])
    for layer in range(2):
        shrink = 1.0 if layer == 0 else 0.86
        for i in range(4):
            p = profile[5 - (i if side < 0 else 3 - i)]
            x, y = middle_x + (p[0] - middle_x) * shrink, middle_y + (p[1] - middle_y) * (shrink - 0.04 * layer)
            place(view, row, x * length, side * half * (1.0 if y < 0.75 else 0.84), y * height, corners, i)
        if layer == 0:
            draw_flat(canvas, view, light, corners, 4, paint, lit, 0.0)
        else:
            draw_flat(canvas, view, light, corners, 4, Ink(_GLASS, shine, CAR_ID, instance), shine * 0.5, 0.05)
    # The gap behind the front door, and the pillar between the windows.
    along = 0.5 * (profile[2, 0] + profile[5, 0]) * length
    for layer in range(2):
        wide, low, high = (0.012, 0.2, 0.62) if layer == 0 else (0.05, 0.64, 0.97)
        for i in range(4):
            k = i if side < 0 else 3 - i
            up = low if k < 2 else high
            lean = 1.0 if up < 0.75 else 0.85
            x = along + (wide if k in {1, 2} else -wide)
            place(view, row, x, side * half * lean, up * height, corners, i)
        seam = Ink((row[9] * 0.5, row[10] * 0.5, row[11] * 0.5), lit, CAR_ID, instance)
        draw_flat(canvas, view, light, corners, 4, seam, lit, 0.06)


@kernel(fastmath=True, inner=True)
def draw_shell(canvas: Canvas, view: View, light: Light, row: FloatArray, vis: float) -> None:
    """Everything across the car from tail to nose: boot, rear window, roof, windscreen, bonnet, bumpers."""
    profile, instance = _PROFILES[int(row[8])], int(row[15])
    length, half, height = row[5], 0.5 * row[6], row[7]
    paint = (row[9], row[10], row[11])
    glare = face_light(light, row[4], 0.0, 0.0, 1.0, vis) * (0.65 + 0.0018 * (light.sky_low[0] + light.sky_low[1]))
    for edge in range(7):
        p, q = profile[edge], profile[edge + 1]
        rise, run = (q[1] - p[1]) * height, (q[0] - p[0]) * length
        size = max(math.hypot(rise, run), 1e-6)
        lit = face_light(light, row[4], -rise / size, 0.0, run / size, vis)
        tail, nose = half * (0.84 if 3 <= edge <= 4 else 1.0), half * (0.84 if 2 <= edge <= 3 else 1.0)
        at = (p[0] * length, p[1] * height, tail, q[0] * length, q[1] * height, nose)
        band(canvas, view, light, row, at, Ink(paint, lit * 1.06, CAR_ID, instance), lit * 0.88, 0.0)
        if edge in {2, 4}:
            pane = (
                at[0] + 0.08 * run,
                at[1] + 0.08 * rise,
                tail * 0.9,
                at[3] - 0.1 * run,
                at[4] - 0.1 * rise,
                nose * 0.9,
            )
            band(canvas, view, light, row, pane, Ink(_GLASS, glare, CAR_ID, instance), glare * 0.45, 0.06)
    for front in range(2):
        sign = 1.0 if front else -1.0
        lit = face_light(light, row[4], sign, 0.0, 0.0, vis) * 0.9
        high, up = (0.5 if front else -0.49) * length, profile[7 if front else 0, 1] * height
        low = high - sign * 0.055 * length
        at = (high, up, half, low, 0.18 * height, half) if front else (low, 0.18 * height, half, high, up, half)
        color = (row[9] * 0.55, row[10] * 0.55, row[11] * 0.55) if front else (34.0, 34.0, 35.0)
        band(canvas, view, light, row, at, Ink(color, lit, CAR_ID, instance), lit * 0.6, 0.0)


@kernel(fastmath=True, inner=True)
def draw_car(canvas: Canvas, view: View, light: Light, row: FloatArray, vis: float) -> None:
    """Columns: 4 heading, 5 length, 6 width, 7 height, 8 profile, 9..11 BGR, 13 braking, 15 instance, 16 lamps on."""
    wheel_lit = light.ambient * 0.8 + 0.3 * light.sun * vis
    for side in (-1.0, 1.0):
        draw_side(canvas, view, light, row, side, vis)
    draw_shell(canvas, view, light, row, vis)
    draw_lamps(canvas, view, light, row, face_light(light, row[4], 0.5, 0.0, 0.3, vis))
    for wheel in range(4):
        along, side = row[5] * (0.31 if wheel < 2 else -0.31), 1.0 if wheel % 2 else -1.0
        draw_wheel(canvas, view, light, row, along, side, wheel_lit)
