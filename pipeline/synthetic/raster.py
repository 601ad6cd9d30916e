"""The renderer's ground floor: points to pixels, light to colour, flat polygons and tapered rods.

Depth is stored with the picture and decides what hides what. A plane n·P = d seen along the ray r (with
r_z = 1) lies at depth d / n·r, so depth is exact at every pixel, not interpolated between corners.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Canvas, Ink, Light, View

__all__ = ["NEAR_M", "clip_and_project", "draw_flat", "draw_rod", "put", "span", "to_camera"]

FloatArray = NDArray[np.float64]
Point = tuple[float, float, float]

NEAR_M = 0.25
"""Nothing nearer than this is drawn."""


@kernel(fastmath=True, inner=True)
def to_camera(view: View, x: float, y: float, z: float) -> tuple[float, float, float]:
    """A point of the fixed frame in the camera frame."""
    r = view.rotation
    dx, dy, dz = x - view.x, y - view.y, z - view.z
    return (
        r[0, 0] * dx + r[0, 1] * dy + r[0, 2] * dz,
        r[1, 0] * dx + r[1, 1] * dy + r[1, 2] * dz,
        r[2, 0] * dx + r[2, 1] * dy + r[2, 2] * dz,
    )


@kernel(fastmath=True, inline=True)
def put(
    image: NDArray[np.uint8], light: Light, y: int, x: int, b: float, g: float, r: float, lit: float, z: float
) -> None:
    """Write one pixel: albedo (0 to 255) times light, faded by distance."""
    fade = min(z * light.haze_per_m, 0.85)
    keep = (1.0 - fade) * lit
    image[y, x, 0] = np.uint8(min(b * light.gain[0] * keep + light.haze[0] * fade, 255.0))
    image[y, x, 1] = np.uint8(min(g * light.gain[1] * keep + light.haze[1] * fade, 255.0))
    image[y, x, 2] = np.uint8(min(r * light.gain[2] * keep + light.haze[2] * fade, 255.0))


@kernel(fastmath=True, inline=True)
def blend(
    image: NDArray[np.uint8], light: Light, y: int, x: int, b: float, g: float, r: float, lit: float, z: float,
    cover: float,
) -> None:  # fmt: skip
    """Like `put`, but covering only a share of what is there."""
    fade = min(z * light.haze_per_m, 0.85)
    keep = (1.0 - fade) * lit
    rest = 1.0 - cover
    image[y, x, 0] = np.uint8(
        rest * image[y, x, 0] + cover * min(b * light.gain[0] * keep + light.haze[0] * fade, 255.0)
    )
    image[y, x, 1] = np.uint8(
        rest * image[y, x, 1] + cover * min(g * light.gain[1] * keep + light.haze[1] * fade, 255.0)
    )
    image[y, x, 2] = np.uint8(
        rest * image[y, x, 2] + cover * min(r * light.gain[2] * keep + light.haze[2] * fade, 255.0)
    )


@kernel(fastmath=True, inner=True)
def clip_and_project(view: View, corners: FloatArray, count: int, cut: FloatArray, pixels: FloatArray) -> int:
    """Cut a convex polygon at the near plane and project it.

    Args:
        view: The camera.
        corners: (>= count, 3) in the camera frame.
        count: Number of corners.
        cut: (>= count + 1, 3) scratch.
        pixels: (>= count + 1, 2) receives columns and rows.

    Returns:
        Number of corners of the projected polygon; 0 where nothing is left.
    """
    left = 0
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        here, there = corners[i, 2], corners[j, 2]
        if here >= NEAR_M:
            for k in range(3):
                cut[left, k] = corners[i, k]
            left += 1
        if (here >= NEAR_M) != (there >= NEAR_M):
            t = (NEAR_M - here) / (there - here)
            for k in range(3):
                cut[left, k] = corners[i, k] + t * (corners[j, k] - corners[i, k])
            left += 1
    if left < 3:
        return 0
    for i in range(left):
        pixels[i, 0] = view.fx * cut[i, 0] / cut[i, 2] + view.cx
        pixels[i, 1] = view.fy * cut[i, 1] / cut[i, 2] + view.cy
    return left


@kernel(fastmath=True, inner=True)
def top_and_bottom(pixels: FloatArray, count: int) -> tuple[float, float]:
    """Smallest and largest row coordinate of a polygon."""
    low, high = pixels[0, 1], pixels[0, 1]
    for i in range(1, count):
        low = min(low, pixels[i, 1])
        high = max(high, pixels[i, 1])
    return low, high


@kernel(fastmath=True, inner=True)
def row_range(pixels: FloatArray, count: int, height: int) -> tuple[int, int]:
    """First row and one past the last row whose centres a polygon may cover."""
    low, high = top_and_bottom(pixels, count)
    return int(max(math.ceil(low - 0.5), 0.0)), int(min(math.floor(high - 0.5) + 1.0, float(height)))


@kernel(fastmath=True, inner=True)
def span(pixels: FloatArray, count: int, row: int, width: int) -> tuple[int, int]:
    """First column and one past the last whose centres lie inside a convex polygon on one row."""
    middle = row + 0.5
    low, high = 1e9, -1e9
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        y0, y1 = pixels[i, 1], pixels[j, 1]
        if (y0 <= middle) != (y1 <= middle):
            x = pixels[i, 0] + (middle - y0) / (y1 - y0) * (pixels[j, 0] - pixels[i, 0])
            low = min(low, x)
            high = max(high, x)
    return int(max(math.ceil(low - 0.5), 0.0)), int(min(math.floor(high - 0.5) + 1.0, float(width)))


@kernel(fastmath=True, inner=True)
def draw_flat(
    canvas: Canvas,
    view: View,
    light: Light,
    corners: FloatArray,
    count: int,
    ink: Ink,
    lit_bottom: float,
    bias_m: float,
) -> None:
    """Fill a convex polygon that is seen from outside; one that shows its back is skipped.

    Args:
        canvas: Drawn on where the polygon is nearer than what is there.
        view: The camera.
        light: Its tint and haze.
        corners: (>= count, 3) in the camera frame, anticlockwise as seen from outside; at most 18.
        count: Number of corners.
        ink: Colour and labels; its light is that of the highest row.
        lit_bottom: Light of the lowest row; rows between are interpolated.
        bias_m: How much nearer it counts when it is compared: lets a decal win against its surface.
    """
    ax, ay, az = corners[1, 0] - corners[0, 0], corners[1, 1] - corners[0, 1], corners[1, 2] - corners[0, 2]
    bx, by, bz = corners[2, 0] - corners[0, 0], corners[2, 1] - corners[0, 1], corners[2, 2] - corners[0, 2]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    d = nx * corners[0, 0] + ny * corners[0, 1] + nz * corners[0, 2]
    if d >= 0.0:
        return
    cut, pixels = np.empty((20, 3)), np.empty((20, 2))
    left = clip_and_project(view, corners, count, cut, pixels)
    if left == 0:
        return
    image, class_ids, instance_ids, depth_m = canvas.image, canvas.class_ids, canvas.instance_ids, canvas.depth_m
    height, width = depth_m.shape
    first, last = row_range(pixels, left, height)
    step = nx / view.fx / d
    low, high = top_and_bottom(pixels, left)
    slope = (lit_bottom - ink.lit) / max(high - low, 1.0)
    for y in range(first, last):
        start, stop = span(pixels, left, y, width)
        lit = ink.lit + slope * max(y + 0.5 - low, 0.0)
        inverse = (nx * (start + 0.5 - view.cx) / view.fx + ny * (y + 0.5 - view.cy) / view.fy + nz) / d
        for x in range(start, stop):
            here = inverse
            inverse += step
            # Nearer, without a division: z - bias < depth where 1 < (depth + bias) / z.
            if here * (depth_m[y, x] + bias_m) > 1.0:
                z = 1.0 / here
                put(image, light, y, x, ink.color[0], ink.color[1], ink.color[2], lit, z)
                class_ids[y, x] = ink.class_id
                instance_ids[y, x] = ink.instance_id
                depth_m[y, x] = min(z, depth_m[y, x])


@kernel(fastmath=True, inner=True)
def draw_rod(
    canvas: Canvas,
    view: View,
    light: Light,
    head: Point,
    head_radius_m: float,
    tail: Point,
    tail_radius_m: float,
    ink: Ink,
) -> None:
    """Draw a tapered rod with round ends: a limb, a pole, a branch. Its edge is anti-aliased.

    Args:
        canvas: Drawn on where the rod is nearer than what is there.
        view: The camera.
        light: Sun, tint and haze.
        head: One end, in the fixed frame.
        head_radius_m: Radius there.
        tail: The other end.
        tail_radius_m: Radius there.
        ink: Colour, light and labels; labels are written where the rod covers at least half of a pixel.
    """
    x0, y0, z0 = to_camera(view, head[0], head[1], head[2])
    x1, y1, z1 = to_camera(view, tail[0], tail[1], tail[2])
    if z0 < NEAR_M or z1 < NEAR_M:
        return
    ax, ay = view.fx * x0 / z0 + view.cx, view.fy * y0 / z0 + view.cy
    dx, dy = view.fx * x1 / z1 + view.cx - ax, view.fy * y1 / z1 + view.cy - ay
    ra, rb = head_radius_m * view.fx / z0, tail_radius_m * view.fx / z1
    image, class_ids, instance_ids, depth_m = canvas.image, canvas.class_ids, canvas.instance_ids, canvas.depth_m
    height, width = depth_m.shape
    reach = max(ra, rb, 0.5) + 0.5
    left, right = max(int(ax + min(dx, 0.0) - reach), 0), min(int(ax + max(dx, 0.0) + reach) + 1, width)
    top, bottom = max(int(ay + min(dy, 0.0) - reach), 0), min(int(ay + max(dy, 0.0) + reach) + 1, height)
    square = max(dx * dx + dy * dy, 1e-4)
    inverse_length = 1.0 / math.sqrt(square)
    toward_sun = view.rotation[0, 0] * light.sun_x + view.rotation[0, 1] * light.sun_y
    side = -dy * toward_sun * inverse_length * min(light.sun, 1.0)
    allowance = head_radius_m + tail_radius_m
    for y in range(top, bottom):
        for x in range(left, right):
            px, py = x + 0.5 - ax, y + 0.5 - ay
            h = min(max((px * dx + py * dy) / square, 0.0), 1.0)
            ox, oy = px - h * dx, py - h * dy
            radius = ra + h * (rb - ra)
            thick = max(radius, 0.5)
            away = ox * ox + oy * oy
            if away >= (thick + 0.5) * (thick + 0.5):
                continue
            distance = math.sqrt(away)
            z = z0 + h * (z1 - z0)
            same = ink.instance_id > 0 and instance_ids[y, x] == ink.instance_id
            if z - allowance >= depth_m[y, x] and not same:
                continue
            across = (dx * oy - dy * ox) * inverse_length / thick
            shade = ink.lit * (1.0 - 0.32 * min(across * across, 1.0) + 0.28 * across * side)
            cover = min(thick - distance + 0.5, 1.0) * min(radius / thick + 0.15, 1.0)
            blend(image, light, y, x, ink.color[0], ink.color[1], ink.color[2], shade, z, cover)
            if distance <= thick:
                class_ids[y, x] = ink.class_id
                instance_ids[y, x] = ink.instance_id
                depth_m[y, x] = min(z, depth_m[y, x]) if same else z
