"""Sky, clouds, and the distant trees and roofs that stand against it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import Light
from pipeline.synthetic.roadway import RoadTables

__all__ = ["SKYLINE_M", "paint_sky"]

SKYLINE_M = 400.0
"""Depth that is written for what stands on the horizon."""


@kernel(fastmath=True)
def paint_sky(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    light: Light,
    tables: RoadTables,
    cloud: NDArray[np.uint8],
    kind: NDArray[np.uint8],
    wanted: int,
    hits: NDArray[np.float64],
) -> None:
    """Shade the pixels of one row that look above the horizon.

    Args:
        image: (W, 3) the row of the picture.
        class_ids: (W,) the row of the truth.
        depth_m: (W,) the row of depths.
        light: Colours of the sky.
        tables: The skyline.
        cloud: (256, 256) fractal noise.
        kind: (W,) what each pixel shows.
        wanted: The kind to be shaded.
        hits: (3, W) direction of the ray in the fixed frame.
    """
    skyline, skyline_kind = tables.skyline, tables.skyline_kind
    fade = min(110.0 * light.haze_per_m, 0.85)
    far_light = (light.ambient + 0.4 * light.sun) * (1.0 - fade)
    for x in range(len(kind)):
        if kind[x] != wanted:
            continue
        dx, dy = hits[0, x], hits[1, x]
        level = math.sqrt(dx * dx + dy * dy)
        elevation = hits[2, x] / level
        bearing = np.int64(min(max(dy / max(dx, 0.05) * 200.0 + 512.0, 0.0), 1023.0))
        top = skyline[bearing]
        if elevation < top:
            tree = skyline_kind[bearing] == 8
            class_ids[x] = skyline_kind[bearing]
            depth_m[x] = SKYLINE_M
            tone = (0.92 + 0.16 * elevation / max(top, 0.001)) * far_light
            b, g, r = (62.0, 88.0, 74.0) if tree else (96.0, 100.0, 108.0)
            image[x, 0] = np.uint8(min(b * tone * light.gain[0] + light.haze[0] * fade, 255.0))
            image[x, 1] = np.uint8(min(g * tone * light.gain[1] + light.haze[1] * fade, 255.0))
            image[x, 2] = np.uint8(min(r * tone * light.gain[2] + light.haze[2] * fade, 255.0))
            continue
        class_ids[x] = 10
        height = max(elevation, 0.0)
        up = min(height * 2.0, 1.0)
        weight = up * (2.0 - up)
        scale = 42.0 / (height + 0.12) / level
        u, v = dx * scale + 4096.0, dy * scale + 4096.0
        iu, iv = np.int64(u), np.int64(v)
        fu, fv = u - iu, v - iv
        iu, iv, ju, jv = iu & 255, iv & 255, (iu + 1) & 255, (iv + 1) & 255
        upper = cloud[iv, iu] + fu * (np.float64(cloud[iv, ju]) - cloud[iv, iu])
        lower = cloud[jv, iu] + fu * (np.float64(cloud[jv, ju]) - cloud[jv, iu])
        density = (upper + fv * (lower - upper)) / 255.0 - 0.95 + 0.9 * light.cloud
        cover = min(max(density * 2.2, 0.0), 1.0) * min(height * 9.0 + 0.15, 1.0)
        bright = 1.08 - 0.2 * cover * light.cloud
        low, high, keep, over = light.sky_low, light.sky_high, 1.0 - cover, cover * bright
        image[x, 0] = np.uint8(min((low[0] + (high[0] - low[0]) * weight) * keep + low[0] * over, 255.0))
        image[x, 1] = np.uint8(min((low[1] + (high[1] - low[1]) * weight) * keep + low[1] * over, 255.0))
        image[x, 2] = np.uint8(min((low[2] + (high[2] - low[2]) * weight) * keep + low[2] * over, 255.0))
