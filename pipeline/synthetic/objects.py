"""Everything that stands on the ground, drawn from far to near, and the shadows under it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import EMPTY_M, Canvas, Light, Textures, View
from pipeline.synthetic.furniture import draw_bush, draw_lamp, draw_railing, draw_sign, draw_tree
from pipeline.synthetic.people import draw_person, draw_rider, person_contacts, rider_contacts
from pipeline.synthetic.raster import to_camera
from pipeline.synthetic.roadway import Road, RoadTables, lookup, sunlit
from pipeline.synthetic.vehicles import car_contacts, draw_car

__all__ = [
    "BUSH", "CAR", "LAMP", "OBJECT_COLUMNS", "PERSON", "RAILING", "RIDER", "SIGN", "TREE", "draw_objects",
    "measure_instances", "nearest_contacts", "open_sky",
]  # fmt: skip

FloatArray = NDArray[np.float64]

TREE, BUSH, LAMP, SIGN, RAILING, CAR, PERSON, RIDER = range(8)
OBJECT_COLUMNS = 18
"""An object is a row: 0 kind, 1..3 its point on the ground, 4 heading, the rest as its drawing function says."""


@kernel(fastmath=True, inner=True)
def shadow(
    canvas: Canvas, view: View, x: float, y: float, z: float, heading: float, long: float, wide: float, soft: float,
    strength: float,
) -> None:  # fmt: skip
    """Darken road and pavement under a rectangle with soft edges: half length, half width and softness in metres."""
    c, s = math.cos(heading), math.sin(heading)
    reach_long, reach_wide = long + soft, wide + soft
    low_x, high_x, low_y, high_y = 1e9, -1e9, 1e9, -1e9
    for i in range(4):
        a, b = (reach_long if i & 1 else -reach_long), (reach_wide if i & 2 else -reach_wide)
        xc, yc, zc = to_camera(view, x + c * a - s * b, y + s * a + c * b, z)
        zc = max(zc, 0.3)
        low_x, high_x = min(low_x, view.fx * xc / zc), max(high_x, view.fx * xc / zc)
        low_y, high_y = min(low_y, view.fy * yc / zc), max(high_y, view.fy * yc / zc)
    image, class_ids, depth_m = canvas.image, canvas.class_ids, canvas.depth_m
    height, width = depth_m.shape
    first_x, last_x = int(max(low_x + view.cx, 0.0)), int(min(high_x + view.cx + 1.0, float(width)))
    first_y, last_y = int(max(low_y + view.cy, 0.0)), int(min(high_y + view.cy + 1.0, float(height)))
    r = view.rotation
    for row in range(first_y, last_y):
        v = (row + 0.5 - view.cy) / view.fy
        for column in range(first_x, last_x):
            if class_ids[row, column] > 1:
                continue
            u = (column + 0.5 - view.cx) / view.fx
            depth = depth_m[row, column]
            px = view.x + depth * (r[0, 0] * u + r[1, 0] * v + r[2, 0]) - x
            py = view.y + depth * (r[0, 1] * u + r[1, 1] * v + r[2, 1]) - y
            a, b = abs(c * px + s * py), abs(c * py - s * px)
            cover = min(max((reach_long - a) / soft, 0.0), 1.0) * min(max((reach_wide - b) / soft, 0.0), 1.0)
            if cover > 0.0:
                keep = 1.0 - strength * cover
                for k in range(3):
                    image[row, column, k] = np.uint8(image[row, column, k] * keep)


@kernel(fastmath=True, inner=True)
def cast_shadow(canvas: Canvas, view: View, light: Light, row: FloatArray, vis: float) -> None:
    """The dark under an object and, in the sun, the shadow it casts."""
    kind = int(row[0])
    x, y, z = row[1], row[2], row[3]
    sun_level = math.hypot(light.sun_x, light.sun_y)
    reach = sun_level / max(light.sun_z, 0.1)
    away = math.atan2(-light.sun_y, -light.sun_x)
    direct = light.sun * light.sun_z
    deep = 0.95 * vis * direct / (direct + light.ambient)
    if kind == CAR:
        shadow(canvas, view, x, y, z, row[4], 0.42 * row[5], 0.40 * row[6], 0.35, 0.72)
        if deep > 0.05:
            shift = 0.5 * reach * row[7] * 0.75
            sx, sy = x + shift * math.cos(away), y + shift * math.sin(away)
            relative = away - row[4]
            wide = 0.4 * row[6] + abs(shift * math.sin(relative)) * 0.8
            long = 0.44 * row[5] + abs(shift * math.cos(relative)) * 0.6
            shadow(canvas, view, sx, sy, z, row[4], long, wide, 0.25, deep)
    elif kind in (PERSON, RIDER):
        long = 0.12 if kind == PERSON else 0.7
        shadow(canvas, view, x, y, z, row[4], long, 0.1, 0.25, 0.5)
        if deep > 0.05:
            shift = 0.5 * reach * row[5]
            shadow(
                canvas, view, x + shift * math.cos(away), y + shift * math.sin(away), z, away, shift, 0.13, 0.12, deep
            )
    elif kind == TREE and deep > 0.05:
        shift = reach * (row[5] - 0.5 * row[7])
        half = 0.3 * row[6]
        shadow(
            canvas,
            view,
            x + shift * math.cos(away),
            y + shift * math.sin(away),
            z,
            away,
            half * 1.4,
            half,
            0.9,
            0.8 * deep,
        )
        shadow(
            canvas,
            view,
            x + 0.5 * shift * math.cos(away),
            y + 0.5 * shift * math.sin(away),
            z,
            away,
            0.5 * shift,
            0.1,
            0.1,
            deep,
        )
    elif kind in (LAMP, SIGN) and deep > 0.05:
        shift = 0.5 * reach * row[5]
        shadow(canvas, view, x + shift * math.cos(away), y + shift * math.sin(away), z, away, shift, 0.05, 0.05, deep)


@kernel(fastmath=True, inline=True)
def draw_object(canvas: Canvas, view: View, light: Light, textures: Textures, row: FloatArray, vis: float) -> None:
    """Draw one object in its light."""
    kind = int(row[0])
    lit = light.ambient * 0.92 + 0.62 * light.sun * vis
    if kind == TREE:
        draw_tree(canvas, view, light, textures, row, lit)
    elif kind == BUSH:
        draw_bush(canvas, view, light, textures, row, lit)
    elif kind == LAMP:
        draw_lamp(canvas, view, light, row, lit)
    elif kind == SIGN:
        draw_sign(canvas, view, light, row, lit)
    elif kind == RAILING:
        draw_railing(canvas, view, light, row, lit)
    elif kind == CAR:
        draw_car(canvas, view, light, row, vis)
    elif kind == PERSON:
        draw_person(canvas, view, light, row, lit)
    else:
        draw_rider(canvas, view, light, row, lit)


@kernel(fastmath=True)
def draw_objects(
    canvas: Canvas,
    view: View,
    light: Light,
    road: Road,
    tables: RoadTables,
    textures: Textures,
    objects: FloatArray,
    far_m: float,
) -> None:
    """Draw all objects between the camera and `far_m`, furthest first, after the shadows of all of them."""
    count = len(objects)
    depths, visible = np.empty(count), np.empty(count)
    for i in range(count):
        row = objects[i]
        mx, my = row[1], row[2]
        if int(row[0]) == RAILING:
            mx, my = 0.5 * (row[1] + row[5]), 0.5 * (row[2] + row[6])
        depths[i] = to_camera(view, mx, my, row[3])[2]
        t = (row[2] - lookup(tables.center, row[1])) * lookup(tables.cosine, row[1])
        visible[i] = sunlit(light, road, tables, row[1], t, 1.0, 1.0)
        if -4.0 < depths[i] < min(far_m, 70.0):
            cast_shadow(canvas, view, light, row, visible[i])
    for i in furthest_first(depths):
        if -4.0 < depths[i] < far_m:
            draw_object(canvas, view, light, textures, objects[i], visible[i])


@kernel(inner=True)
def furthest_first(depths: FloatArray) -> NDArray[np.int64]:
    """Places of the depths, the greatest first.

    Sorted by insertion from the end: objects come almost nearest first. NumPy's sort would compile for two seconds.
    """
    order = np.empty(len(depths), np.int64)
    for count in range(len(depths)):
        i = len(depths) - 1 - count
        place = count
        while place > 0 and depths[order[place - 1]] < depths[i]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = i
    return order


@kernel(fastmath=True)
def nearest_contacts(view: View, users: FloatArray, feet: FloatArray) -> None:
    """Where road users touch the ground lowest in the picture.

    Args:
        view: The camera.
        users: (N, OBJECT_COLUMNS) cars, persons and riders.
        feet: (N, 3) receives points of the fixed frame.
    """
    points = np.empty((4, 3))
    for user in range(len(users)):
        row, kind = users[user], int(users[user, 0])
        if kind == CAR:
            count = car_contacts(row, points)
        elif kind == PERSON:
            count = person_contacts(row, points)
        else:
            count = rider_contacts(row, points)
        lowest = -1e9
        for i in range(count):
            _, yc, zc = to_camera(view, points[i, 0], points[i, 1], points[i, 2])
            slope = yc / zc if zc > 0.05 else 1e6 - zc
            if slope > lowest:
                lowest = slope
                for k in range(3):
                    feet[user, k] = points[i, k]


@kernel()
def measure_instances(instance_ids: NDArray[np.uint16], slots: NDArray[np.int32], table: NDArray[np.int32]) -> None:
    """Count the visible pixels of each road user and find its box.

    Args:
        instance_ids: (H, W).
        slots: (largest id + 1,) row of `table` for each id, or -1.
        table: (N, 5) int32; receives x1, y1, x2, y2 (half-open) and the number of pixels.
    """
    height, width = instance_ids.shape
    for i in range(len(table)):
        table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4] = width, height, 0, 0, 0
    for y in range(height):
        row, anybody = instance_ids[y], np.uint16(0)
        # Whether a row shows anybody is found out for many pixels at once.
        for x in range(width):
            anybody |= row[x]
        if anybody == 0:
            continue
        for x in range(width):
            identity = row[x]
            if identity == 0:
                continue
            i = slots[identity]
            table[i, 0] = min(table[i, 0], x)
            table[i, 1] = min(table[i, 1], y)
            table[i, 2] = max(table[i, 2], x + 1)
            table[i, 3] = max(table[i, 3], y + 1)
            table[i, 4] += 1


@kernel()
def open_sky(depth_m: NDArray[np.float32]) -> None:
    """Make the depth of every pixel where nothing stands infinite."""
    flat, empty, far = depth_m.reshape(-1), np.float32(EMPTY_M), np.float32(np.inf)
    for i in range(len(flat)):
        flat[i] = far if flat[i] >= empty else flat[i]
