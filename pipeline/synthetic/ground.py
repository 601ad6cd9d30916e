"""What every ray meets when nothing stands in its way: road, kerb, pavement, verge, skyline and sky.

The road's centre line is a graph y = c(x) of the fixed frame; the offset across it is (y - c(x)) cos(heading). Markings
and joints are integrated exactly over the pixel's footprint on the ground (a box filter), so that they neither
flicker nor vanish with distance; grain is looked up in copies blurred to the footprint.

A row of the picture is traced first, then each kind of surface is shaded along it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.synthetic.canvas import EMPTY_M, Canvas, Light, Textures, View
from pipeline.synthetic.roadway import Road, RoadTables, footprint_of_row, lookup, paint_road, paint_verge, roof_towards_sun, shaded
from pipeline.synthetic.sky import paint_sky

__all__ = ["draw_ground_and_sky"]

FloatArray = NDArray[np.float64]

DRAWN, ROAD, PAVEMENT, KERB, SKY = 0, 1, 2, 3, 4
"""What a row's pixels show."""

HORIZON_M = 380.0
"""The ground is not drawn beyond this depth."""


@kernel(fastmath=True)
def trace_row(
    depth_m: NDArray[np.float32], view: View, road: Road, tables: RoadTables, y: int, kind: NDArray[np.uint8], hits: FloatArray
) -> tuple[bool, bool, bool, bool]:
    """Find what each pixel of a row shows.

    Args:
        depth_m: (W,) depth of what is drawn already.
        view: The camera.
        road: The road's measures.
        tables: Its course.
        y: The row.
        kind: (W,) receives `DRAWN`, `ROAD`, `PAVEMENT`, `KERB` or `SKY`.
        hits: (3, W) receives x, offset from the centre line and depth of the ground.

    Returns:
        Whether there is any road, pavement, kerb, sky.
    """
    r = view.rotation
    v = (y + 0.5 - view.cy) / view.fy
    base_x, base_y, base_z = r[1, 0] * v + r[2, 0], r[1, 1] * v + r[2, 1], r[1, 2] * v + r[2, 2]
    step_x, step_y, step_z = r[0, 0] / view.fx, r[0, 1] / view.fx, r[0, 2] / view.fx
    edge = road.half_width
    found_road, found_pavement, found_kerb, found_sky = False, False, False, False
    for x in range(len(depth_m)):
        if depth_m[x] < EMPTY_M:
            kind[x] = DRAWN
            continue
        u = x + 0.5 - view.cx
        dx, dy, dz = base_x + step_x * u, base_y + step_y * u, base_z + step_z * u
        if dz > -view.z / HORIZON_M:
            kind[x] = SKY
            found_sky = True
            continue
        z = -view.z / dz
        s = view.x + z * dx
        t = (view.y + z * dy - lookup(tables.center, s)) * lookup(tables.cosine, s)
        if abs(t) <= edge:
            kind[x] = ROAD
            hits[0, x], hits[1, x], hits[2, x] = s, t, z
            found_road = True
            continue
        z_top = z + road.kerb / dz
        s_top = view.x + z_top * dx
        t_top = (view.y + z_top * dy - lookup(tables.center, s_top)) * lookup(tables.cosine, s_top)
        if abs(t_top) > edge:
            kind[x] = PAVEMENT
            hits[0, x], hits[1, x], hits[2, x] = s_top, t_top, z_top
            found_pavement = True
        else:
            # The ray passes over the edge of the carriageway and meets the kerb's face.
            part = (edge - abs(t_top)) / max(abs(t) - abs(t_top), 1e-6)
            kind[x] = KERB
            hits[0, x], hits[1, x], hits[2, x] = s, part, z_top + (z - z_top) * part
            found_kerb = True
    return found_road, found_pavement, found_kerb, found_sky


@kernel(fastmath=True)
def paint_kerb(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    light: Light,
    road: Road,
    tables: RoadTables,
    kind: NDArray[np.uint8],
    hits: FloatArray,
) -> None:
    """Shade the kerb's face along one row."""
    roof = roof_towards_sun(light, tables)
    for x in range(len(kind)):
        if kind[x] != KERB:
            continue
        visible = shaded(light, road, roof, hits[0, x], road.half_width * (1.0 if light.sun_y < 0 else -1.0), 0.1, 0.5)
        lit = 0.62 * light.ambient + 0.25 * light.sun * visible
        tone = 152.0 * (1.0 - 0.35 * hits[1, x]) * lit
        fade = min(hits[2, x] * light.haze_per_m, 0.85)
        for k in range(3):
            image[x, k] = np.uint8(min(tone * light.gain[k] * (1.0 - fade) + light.haze[k] * fade, 255.0))
        class_ids[x] = 1


@kernel(fastmath=True)
def draw_ground_and_sky(
    canvas: Canvas, view: View, light: Light, road: Road, tables: RoadTables, textures: Textures
) -> None:
    """Fill every pixel whose depth is still `EMPTY_M`, and give it its class and depth."""
    height, width = canvas.depth_m.shape
    kind, hits = np.empty(width, np.uint8), np.empty((3, width))
    for y in range(height):
        image, class_ids, depth_m = canvas.image[y], canvas.class_ids[y], canvas.depth_m[y]
        any_road, any_pavement, any_kerb, any_sky = trace_row(depth_m, view, road, tables, y, kind, hits)
        foot = footprint_of_row(view, light, y, HORIZON_M)
        if any_sky:
            paint_sky(image, class_ids, depth_m, view, light, tables, textures.cloud, y, kind, SKY)
        if any_road:
            paint_road(image, class_ids, foot, light, road, tables, textures.grain, kind, ROAD, hits)
        if any_pavement:
            paint_verge(image, class_ids, foot, light, road, tables, textures.grain, kind, PAVEMENT, hits)
        if any_kerb:
            paint_kerb(image, class_ids, light, road, tables, kind, hits)
        instance_ids = canvas.instance_ids[y]
        for x in range(width):
            if kind[x] != DRAWN:
                instance_ids[x] = 0
                if kind[x] != SKY:
                    depth_m[x] = hits[2, x]
