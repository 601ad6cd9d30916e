"""Sky, clouds, and the distant trees and roofs that stand against it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Color, Light, View
from pipeline.synthetic.roadway import RoadTables

__all__ = ["HIGHEST_SKYLINE", "SKYLINE_M", "paint_sky"]

SKYLINE_M = 400.0
"""Depth that is written for what stands on the horizon."""

HIGHEST_SKYLINE = 0.075
"""Tangent of the elevation that nothing on the horizon exceeds."""


_KNOT_PX = 16
"""The sky is computed at every so many pixels of a row and interpolated between."""


@kernel(fastmath=True, inner=True)
def sky_color(light: Light, cloud: NDArray[np.uint8], dx: float, dy: float, elevation: float) -> Color:
    """Colour of the sky in a level direction (a unit vector) at a tangent of elevation: a gradient under clouds."""
    height = max(elevation, 0.0)
    up = min(height * 2.0, 1.0)
    weight = up * (2.0 - up)
    scale = 42.0 / (height + 0.12)
    u, v = dx * scale + 4096.0, dy * scale + 4096.0
    iu, iv = np.int64(u), np.int64(v)
    fu, fv = u - iu, v - iv
    iu, iv, ju, jv = iu & 255, iv & 255, (iu + 1) & 255, (iv + 1) & 255
    upper = cloud[iv, iu] + fu * (np.float64(cloud[iv, ju]) - cloud[iv, iu])
    lower = cloud[jv, iu] + fu * (np.float64(cloud[jv, ju]) - cloud[jv, iu])
    density = (upper + fv * (lower - upper)) / 255.0 - 0.95 + 0.9 * light.cloud
    cover = min(max(density * 2.2, 0.0), 1.0) * min(height * 9.0 + 0.15, 1.0)
    low, high, keep = light.sky_low, light.sky_high, 1.0 - cover
    over = cover * (1.08 - 0.2 * cover * light.cloud)
    return (
        min((low[0] + (high[0] - low[0]) * weight) * keep + low[0] * over, 255.0),
        min((low[1] + (high[1] - low[1]) * weight) * keep + low[1] * over, 255.0),
        min((low[2] + (high[2] - low[2]) * weight) * keep + low[2] * over, 255.0),
    )


@kernel(fastmath=True, inner=True)
def paint_sky(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    view: View,
    light: Light,
    tables: RoadTables,
    cloud: NDArray[np.uint8],
    y: int,
    kind: NDArray[np.uint8],
    wanted: int,
) -> None:
    """Shade the pixels of one row that look above the horizon.

    Args:
        image: (3 W,) the row of the picture, interleaved BGR.
        class_ids: (W,) the row of the truth.
        depth_m: (W,) the row of depths.
        view: The camera.
        light: Colours of the sky.
        tables: The skyline.
        cloud: (256, 256) fractal noise.
        y: The row.
        kind: (W,) what each pixel shows.
        wanted: The kind to be shaded.
    """
    row = ray_row(view, y)
    skyline, skyline_kind, width = tables.skyline, tables.skyline_kind, len(kind)
    known = False
    b1, g1, r1, high, bearing_high = 0.0, 0.0, 0.0, 0.0, 0.0
    for start in range(0, width, _KNOT_PX):
        stop, found, place = min(start + _KNOT_PX, width), 0, start / _KNOT_PX
        for column in range(start, stop):
            found += kind[column] == wanted
        if found == 0:
            known = False
            continue
        if known:
            b0, g0, r0, low, bearing_low = b1, g1, r1, high, bearing_high
        else:
            b0, g0, r0, low, bearing_low = knot(light, cloud, row, place)
        b1, g1, r1, high, bearing_high = knot(light, cloud, row, place + 1.0)
        known = True
        plain = min(low, high) >= HIGHEST_SKYLINE
        for column in range(start, stop):
            if kind[column] != wanted:
                continue
            part = (column - start + 0.5) / _KNOT_PX
            if not plain:
                elevation = low + part * (high - low)
                bearing = np.int64(min(max(bearing_low + part * (bearing_high - bearing_low), 0.0), 1023.0))
                if elevation < skyline[bearing]:
                    tree = skyline_kind[bearing] == 8
                    b, g, r = skyline_color(light, tree, elevation / skyline[bearing])
                    image[3 * column], image[3 * column + 1] = np.uint8(b), np.uint8(g)
                    image[3 * column + 2] = np.uint8(r)
                    class_ids[column] = 8 if tree else 2
                    depth_m[column] = SKYLINE_M
                    continue
            image[3 * column] = np.uint8(b0 + part * (b1 - b0))
            image[3 * column + 1] = np.uint8(g0 + part * (g1 - g0))
            image[3 * column + 2] = np.uint8(r0 + part * (r1 - r0))
            class_ids[column] = 10


@kernel(fastmath=True, inner=True)
def ray_row(view: View, y: int) -> tuple[float, float, float, float, float, float]:
    """Direction, in the fixed frame, of the ray at the left end of a row; and how it changes over `_KNOT_PX`."""
    r, v, u, step = view.rotation, (y + 0.5 - view.cy) / view.fy, -view.cx / view.fx, _KNOT_PX / view.fx
    return (
        r[0, 0] * u + r[1, 0] * v + r[2, 0],
        r[0, 1] * u + r[1, 1] * v + r[2, 1],
        r[0, 2] * u + r[1, 2] * v + r[2, 2],
        r[0, 0] * step,
        r[0, 1] * step,
        r[0, 2] * step,
    )


@kernel(fastmath=True, inner=True)
def knot(
    light: Light, cloud: NDArray[np.uint8], row: tuple[float, float, float, float, float, float], place: float
) -> tuple[float, float, float, float, float]:
    """Blue, green, red of the sky at a knot of a `ray_row`, the tangent of its elevation, its place in the skyline."""
    x, y, z = row[0] + place * row[3], row[1] + place * row[4], row[2] + place * row[5]
    scale = 1.0 / math.sqrt(x * x + y * y)
    b, g, r = sky_color(light, cloud, x * scale, y * scale, z * scale)
    return b, g, r, z * scale, 200.0 * y / max(x, 0.05) + 512.0


@kernel(fastmath=True, inner=True)
def skyline_color(light: Light, tree: bool, height: float) -> Color:
    """Colour of distant trees or roofs, at a share of their height."""
    fade = min(110.0 * light.haze_per_m, 0.85)
    tone = (0.92 + 0.16 * height) * (light.ambient + 0.4 * light.sun) * (1.0 - fade)
    b, g, r = (62.0, 88.0, 74.0) if tree else (96.0, 100.0, 108.0)
    return (
        min(b * tone * light.gain[0] + light.haze[0] * fade, 255.0),
        min(g * tone * light.gain[1] + light.haze[1] * fade, 255.0),
        min(r * tone * light.gain[2] + light.haze[2] * fade, 255.0),
    )
