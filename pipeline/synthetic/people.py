"""Pedestrians and cyclists: skeletons in metres, drawn as tapered rods.

A walking leg swings as a sine; the hip is as high as the leg that stands, so a foot is always on the ground. A
cyclist's feet turn with the pedals and the knees follow by two-link inverse kinematics.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Ink, Light, View
from pipeline.synthetic.raster import draw_rod

__all__ = ["BICYCLE_WHEEL_M", "draw_person", "draw_rider", "person_contacts", "rider_contacts"]

FloatArray = NDArray[np.float64]

PERSON_ID, RIDER_ID = 11, 12
BICYCLE_WHEEL_M = 0.34
_WHEELBASE_M = 1.04

_HIPS, _SHOULDERS, _HEAD, _KNEE, _ANKLE, _TOE, _ELBOW, _HAND = 0, 2, 4, 5, 7, 9, 11, 13
_JOINTS = 15
"""Rows of a skeleton: each pair is right, left."""

_SKIN = ((120.0, 152.0, 202.0), (92.0, 122.0, 172.0), (60.0, 82.0, 122.0))
_HAIR = ((28.0, 32.0, 40.0), (40.0, 62.0, 92.0), (78.0, 128.0, 168.0), (120.0, 122.0, 124.0))


@kernel(fastmath=True, inner=True)
def set_joint(joints: FloatArray, i: int, row: FloatArray, forward: float, right: float, up: float) -> None:
    """Write a joint given in metres ahead of, to the right of and above the figure's point on the ground."""
    c, s = math.cos(row[4]), math.sin(row[4])
    joints[i, 0] = row[1] + c * forward + s * right
    joints[i, 1] = row[2] + s * forward - c * right
    joints[i, 2] = row[3] + up


@kernel(fastmath=True, inner=True)
def walking_skeleton(row: FloatArray, joints: FloatArray) -> None:
    """Columns: 5 height, 6 phase, 7 swing (0 for standing)."""
    height, phase, swing = row[5], row[6], row[7]
    thigh, shin, sole = 0.243 * height, 0.243 * height, 0.026 * height
    angles = np.empty((2, 2))
    hip_up = 0.0
    for leg in range(2):
        turn = phase + math.pi * leg
        angles[leg, 0] = swing * math.sin(turn) + 0.02
        angles[leg, 1] = angles[leg, 0] - (0.04 + 1.5 * swing * max(math.cos(turn), 0.0) ** 2)
        hip_up = max(hip_up, sole + thigh * math.cos(angles[leg, 0]) + shin * math.cos(angles[leg, 1]))
    lean = 0.06 * swing
    for leg in range(2):
        side = (0.052 if leg == 0 else -0.052) * height
        knee = thigh * math.sin(angles[leg, 0])
        knee_up = hip_up - thigh * math.cos(angles[leg, 0])
        ankle, ankle_up = knee + shin * math.sin(angles[leg, 1]), knee_up - shin * math.cos(angles[leg, 1])
        set_joint(joints, _HIPS + leg, row, 0.0, side, hip_up)
        set_joint(joints, _KNEE + leg, row, knee, side, knee_up)
        set_joint(joints, _ANKLE + leg, row, ankle, side, ankle_up)
        lift = max(0.0, -angles[leg, 1] - 0.25) * 0.5
        set_joint(joints, _TOE + leg, row, ankle + 0.095 * height, side * 1.1, max(ankle_up - lift * 0.1, sole))
        shoulder = (0.098 if leg == 0 else -0.098) * height
        shoulder_up = hip_up + 0.285 * height
        arm = -0.75 * swing * math.sin(phase + math.pi * leg)
        elbow, elbow_up = lean + 0.165 * height * math.sin(arm), shoulder_up - 0.165 * height * math.cos(arm)
        bend = arm + 0.35 + 0.5 * swing
        set_joint(joints, _SHOULDERS + leg, row, lean, shoulder, shoulder_up)
        set_joint(joints, _ELBOW + leg, row, elbow, shoulder * 1.22, elbow_up)
        hand = elbow + 0.15 * height * math.sin(bend)
        set_joint(joints, _HAND + leg, row, hand, shoulder * 1.18, elbow_up - 0.15 * height * math.cos(bend))
    set_joint(joints, _HEAD, row, lean * 1.3, 0.0, hip_up + 0.404 * height)


@kernel(fastmath=True, inner=True)
def riding_skeleton(row: FloatArray, joints: FloatArray) -> None:
    """Columns: 5 height, 6 phase of the pedals."""
    height, phase = row[5], row[6]
    thigh, shin = 0.25 * height, 0.25 * height
    for leg in range(2):
        side = 0.07 if leg == 0 else -0.07
        turn = phase + math.pi * leg
        pedal, pedal_up = 0.04 + 0.165 * math.cos(turn), 0.34 - 0.165 * math.sin(turn)
        hip, hip_up = -0.22, 0.93 + 0.04 * height
        dx, dz = pedal - hip, pedal_up - hip_up
        reach = min(math.hypot(dx, dz), thigh + shin - 1e-3)
        bend = math.acos(min(max(reach / (thigh + shin), 0.0), 1.0))
        direction = math.atan2(dz, dx) + bend
        set_joint(joints, _HIPS + leg, row, hip, side * 1.3, hip_up)
        set_joint(
            joints,
            _KNEE + leg,
            row,
            hip + thigh * math.cos(direction),
            side * 1.4,
            hip_up + thigh * math.sin(direction),
        )
        set_joint(joints, _ANKLE + leg, row, pedal - 0.05, side * 1.5, pedal_up + 0.06)
        set_joint(joints, _TOE + leg, row, pedal + 0.1, side * 1.5, pedal_up + 0.02)
        shoulder = (0.1 if leg == 0 else -0.1) * height
        set_joint(joints, _SHOULDERS + leg, row, 0.06, shoulder, hip_up + 0.27 * height)
        set_joint(joints, _ELBOW + leg, row, 0.2, shoulder * 1.35, hip_up + 0.12 * height)
        set_joint(joints, _HAND + leg, row, 0.42, shoulder * 1.3, 1.04)
    set_joint(joints, _HEAD, row, 0.14, 0.0, 0.93 + 0.04 * height + 0.385 * height)


@kernel(fastmath=True, inner=True)
def person_contacts(row: FloatArray, points: FloatArray) -> int:
    """(<= 4, 3) points of the fixed frame where the feet that stand touch the ground (heels and toes)."""
    joints = np.empty((_JOINTS, 3))
    walking_skeleton(row, joints)
    count = 0
    low = min(joints[_ANKLE, 2], joints[_ANKLE + 1, 2])
    for leg in range(2):
        if joints[_ANKLE + leg, 2] > low + 0.03:
            continue
        for part in (_ANKLE, _TOE):
            for k in range(2):
                points[count, k] = joints[part + leg, k]
            points[count, 2] = row[3]
            count += 1
    return count


@kernel(fastmath=True, inner=True)
def rider_contacts(row: FloatArray, points: FloatArray) -> int:
    """(2, 3) points of the fixed frame where the tyres touch the ground."""
    c, s = math.cos(row[4]), math.sin(row[4])
    for wheel in range(2):
        along = (0.5 if wheel == 0 else -0.5) * _WHEELBASE_M
        points[wheel, 0], points[wheel, 1], points[wheel, 2] = row[1] + c * along, row[2] + s * along, row[3]
    return 2


@kernel(fastmath=True, inner=True)
def rod(
    canvas: Canvas, view: View, light: Light, joints: FloatArray, a: int, b: int, ra: float, rb: float, ink: Ink
) -> None:
    """A rod between two joints."""
    head = (joints[a, 0], joints[a, 1], joints[a, 2])
    tail = (joints[b, 0], joints[b, 1], joints[b, 2])
    draw_rod(canvas, view, light, head, ra, tail, rb, ink)


@kernel(fastmath=True, inner=True)
def draw_leg(canvas: Canvas, view: View, light: Light, row: FloatArray, joints: FloatArray, leg: int, ink: Ink) -> None:
    """Thigh, shin and shoe; `ink` tells light and labels."""
    size = row[5]
    trousers = Ink((row[11], row[12], row[13]), ink.lit, ink.class_id, ink.instance_id)
    shoe = Ink((30.0, 30.0, 34.0), ink.lit, ink.class_id, ink.instance_id)
    rod(canvas, view, light, joints, _HIPS + leg, _KNEE + leg, 0.052 * size, 0.036 * size, trousers)
    rod(canvas, view, light, joints, _KNEE + leg, _ANKLE + leg, 0.036 * size, 0.025 * size, trousers)
    rod(canvas, view, light, joints, _ANKLE + leg, _TOE + leg, 0.026 * size, 0.022 * size, shoe)


@kernel(fastmath=True, inner=True)
def draw_arm(canvas: Canvas, view: View, light: Light, row: FloatArray, joints: FloatArray, arm: int, ink: Ink) -> None:
    """Sleeve and hand; `ink` tells light and labels."""
    size = row[5]
    sleeve = Ink((row[8], row[9], row[10]), ink.lit * 0.94, ink.class_id, ink.instance_id)
    hand = Ink(_SKIN[int(row[14]) % 3], ink.lit, ink.class_id, ink.instance_id)
    rod(canvas, view, light, joints, _SHOULDERS + arm, _ELBOW + arm, 0.033 * size, 0.026 * size, sleeve)
    rod(canvas, view, light, joints, _ELBOW + arm, _HAND + arm, 0.026 * size, 0.02 * size, sleeve)
    rod(canvas, view, light, joints, _HAND + arm, _HAND + arm, 0.022 * size, 0.022 * size, hand)


@kernel(fastmath=True, inner=True)
def draw_trunk(canvas: Canvas, view: View, light: Light, row: FloatArray, joints: FloatArray, ink: Ink) -> None:
    """Chest and hips: one rod, as wide as the body looks from here; `ink` tells light and labels."""
    size = row[5]
    dx, dy = row[1] - view.x, row[2] - view.y
    frontal = abs(dx * math.cos(row[4]) + dy * math.sin(row[4])) / max(math.hypot(dx, dy), 1e-3)
    chest, hips = (0.078 + 0.052 * frontal) * size, (0.076 + 0.02 * frontal) * size
    upper, lower = midpoint(joints, _SHOULDERS), midpoint(joints, _HIPS)
    share = (chest - 0.035 * size) / max(upper[2] - lower[2], 0.1)
    top = (
        upper[0] + share * (lower[0] - upper[0]),
        upper[1] + share * (lower[1] - upper[1]),
        upper[2] + share * (lower[2] - upper[2]),
    )
    coat = Ink((row[8], row[9], row[10]), ink.lit, ink.class_id, ink.instance_id)
    draw_rod(canvas, view, light, top, chest, lower, hips, coat)


@kernel(fastmath=True, inner=True)
def draw_head(canvas: Canvas, view: View, light: Light, row: FloatArray, joints: FloatArray, ink: Ink) -> None:
    """Neck, hair, and the face where it is turned this way; `ink` tells light and labels."""
    size, pick = row[5], int(row[14])
    skin, hair = _SKIN[pick % 3], _HAIR[(pick // 3) % 4]
    x, y, z = joints[_HEAD, 0], joints[_HEAD, 1], joints[_HEAD, 2]
    c, s = math.cos(row[4]), math.sin(row[4])
    back = 0.014 * size
    neck, crown = (x, y, z - 0.09 * size), (x - back * c, y - back * s, z + 0.022 * size)
    label, instance = ink.class_id, ink.instance_id
    draw_rod(
        canvas, view, light, neck, 0.032 * size, (x, y, z), 0.03 * size, Ink(skin, ink.lit * 0.85, label, instance)
    )
    draw_rod(canvas, view, light, crown, 0.056 * size, (x, y, z), 0.05 * size, Ink(hair, ink.lit, label, instance))
    dx, dy = row[1] - view.x, row[2] - view.y
    if c * dx + s * dy < 0.35 * math.hypot(dx, dy):
        face = (x + 0.02 * c, y + 0.02 * s, z - 0.004 * size)
        chin = (x + 0.03 * c, y + 0.03 * s, z - 0.032 * size)
        draw_rod(
            canvas, view, light, face, 0.046 * size, chin, 0.038 * size, Ink(skin, ink.lit * 1.05, label, instance)
        )


@kernel(fastmath=True, inner=True)
def draw_figure(canvas: Canvas, view: View, light: Light, row: FloatArray, joints: FloatArray, ink: Ink) -> None:
    """Draw a skeleton, the side that is further away first; `ink` tells light and labels."""
    dx, dy = row[1] - view.x, row[2] - view.y
    far = 0 if dx * math.sin(row[4]) - dy * math.cos(row[4]) > 0.0 else 1
    dim = Ink(ink.color, ink.lit * 0.82, ink.class_id, ink.instance_id)
    draw_leg(canvas, view, light, row, joints, far, dim)
    draw_arm(canvas, view, light, row, joints, far, dim)
    draw_leg(canvas, view, light, row, joints, 1 - far, ink)
    draw_trunk(canvas, view, light, row, joints, ink)
    draw_head(canvas, view, light, row, joints, ink)
    draw_arm(canvas, view, light, row, joints, 1 - far, ink)


@kernel(fastmath=True, inner=True)
def midpoint(joints: FloatArray, i: int) -> tuple[float, float, float]:
    """The point between a pair of joints."""
    return (
        0.5 * (joints[i, 0] + joints[i + 1, 0]),
        0.5 * (joints[i, 1] + joints[i + 1, 1]),
        0.5 * (joints[i, 2] + joints[i + 1, 2]),
    )


@kernel(fastmath=True, inner=True)
def draw_bicycle(canvas: Canvas, view: View, light: Light, row: FloatArray, joints: FloatArray, lit: float) -> None:
    """Wheels, frame and handlebar."""
    black = Ink((30.0, 30.0, 32.0), lit, RIDER_ID, int(row[15]))
    steel = Ink((60.0, 56.0, 58.0), lit, RIDER_ID, int(row[15]))
    ring, frame = np.empty((13, 3)), np.empty((6, 3))
    for wheel in range(2):
        along = (0.5 if wheel == 0 else -0.5) * _WHEELBASE_M
        for i in range(13):
            angle = 2.0 * math.pi * i / 12
            radius = BICYCLE_WHEEL_M - 0.02
            set_joint(ring, i, row, along + radius * math.sin(angle), 0.0, BICYCLE_WHEEL_M - radius * math.cos(angle))
        for i in range(12):
            rod(canvas, view, light, ring, i, i + 1, 0.02, 0.02, black)
    set_joint(frame, 0, row, -0.5 * _WHEELBASE_M, 0.0, BICYCLE_WHEEL_M)
    set_joint(frame, 1, row, 0.5 * _WHEELBASE_M, 0.0, BICYCLE_WHEEL_M)
    set_joint(frame, 2, row, 0.04, 0.0, 0.34)
    set_joint(frame, 3, row, -0.2, 0.0, 0.92)
    set_joint(frame, 4, row, 0.38, 0.0, 0.98)
    set_joint(frame, 5, row, 0.36, 0.0, 0.82)
    for a, b in ((0, 2), (0, 3), (2, 3), (2, 5), (3, 5), (1, 4)):
        rod(canvas, view, light, frame, a, b, 0.022, 0.022, steel)
    for hand in range(2):
        for k in range(3):
            frame[5, k] = joints[_HAND + hand, k]
        rod(canvas, view, light, frame, 4, 5, 0.018, 0.018, black)


@kernel(fastmath=True, inner=True)
def draw_person(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """Columns: 4 heading, 5 height, 6 phase, 7 swing, 8..10 BGR above, 11..13 below, 14 hash, 15 instance."""
    joints = np.empty((_JOINTS, 3))
    walking_skeleton(row, joints)
    draw_figure(canvas, view, light, row, joints, Ink((0.0, 0.0, 0.0), lit, PERSON_ID, int(row[15])))


@kernel(fastmath=True, inner=True)
def draw_rider(canvas: Canvas, view: View, light: Light, row: FloatArray, lit: float) -> None:
    """Columns as in `draw_person`; 6 is the phase of the pedals."""
    joints = np.empty((_JOINTS, 3))
    riding_skeleton(row, joints)
    draw_bicycle(canvas, view, light, row, joints, lit)
    draw_figure(canvas, view, light, row, joints, Ink((0.0, 0.0, 0.0), lit, RIDER_ID, int(row[15])))
