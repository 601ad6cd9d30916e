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
from pipeline.synthetic.paving import paint_road, paint_verge
from pipeline.synthetic.roadway import Road, RoadTables, footprint_of_row, lookup, roof_towards_sun, shaded
from pipeline.synthetic.sky import paint_sky

__all__ = ["draw_ground_and_sky"]

FloatArray = NDArray[np.float64]

DRAWN, ROAD, PAVEMENT, KERB, SKY = 0, 1, 2, 3, 4
"""What a row's pixels show."""

_KNOT_PX = 8

HORIZON_M = 380.0
"""The ground is not drawn beyond this depth."""


@kernel(fastmath=True)
def meet(view: View, tables: RoadTables, u: float, v: float, height: float) -> tuple[float, float]:
    """Where the ray (u, v, 1) of the camera meets a level plane: x, and offset from the centre line."""
    r = view.rotation
    dx, dy = r[0, 0] * u + r[1, 0] * v + r[2, 0], r[0, 1] * u + r[1, 1] * v + r[2, 1]
    z = (height - view.z) / min(r[0, 2] * u + r[1, 2] * v + r[2, 2], -view.z / (2.0 * HORIZON_M))
    s = view.x + z * dx
    return s, (view.y + z * dy - lookup(tables.center, s)) * lookup(tables.cosine, s)


@kernel(fastmath=True)
def trace_row(
    depth_m: NDArray[np.float32],
    view: View,
    road: Road,
    tables: RoadTables,
    y: int,
    kind: NDArray[np.uint8],
    hits: FloatArray,
) -> tuple[bool, bool, bool, bool]:
    """Find what each pixel of a row shows.

    Depth is exact at every pixel. The place on the road is computed at knots and interpolated between them: over so few
    pixels it is linear to a millimetre nearby and to a hundredth of its own size at the horizon.

    Args:
        depth_m: (W,) depth of what is drawn already; receives that of the ground.
        view: The camera.
        road: The road's measures.
        tables: Its course.
        y: The row.
        kind: (W,) receives `DRAWN`, `ROAD`, `PAVEMENT`, `KERB` or `SKY`.
        hits: (3, W) receives x, offset from the centre line and depth of the ground.

    Returns:
        Whether there is any road, pavement, kerb, sky.
    """
    r, width, edge = view.rotation, len(depth_m), road.half_width
    v = (y + 0.5 - view.cy) / view.fy
    step_z = r[0, 2] / view.fx
    base_z = r[1, 2] * v + r[2, 2] + step_z * (0.5 - view.cx)
    horizon, drop, raised = -view.z / HORIZON_M, -view.z, road.kerb - view.z
    found_road, found_pavement, found_kerb, found_sky = False, False, False, False
    if max(base_z, base_z + step_z * width) > 0.02:
        # Above the horizon from end to end, or so near to it that no pavement or kerb can be told apart.
        for x in range(width):
            sky = depth_m[x] >= EMPTY_M
            kind[x] = SKY if sky else DRAWN
            found_sky |= sky
        return False, False, False, found_sky
    for start in range(0, width, _KNOT_PX):
        stop = min(start + _KNOT_PX, width)
        open_ = False
        for x in range(start, stop):
            open_ |= depth_m[x] >= EMPTY_M
        if not open_:
            kind[start:stop] = DRAWN
            continue
        u0, u1 = (start - view.cx) / view.fx, (start + _KNOT_PX - view.cx) / view.fx
        s0, t0 = meet(view, tables, u0, v, 0.0)
        s1, t1 = meet(view, tables, u1, v, 0.0)
        p0, q0 = meet(view, tables, u0, v, road.kerb)
        p1, q1 = meet(view, tables, u1, v, road.kerb)
        ds, dt, dp, dq = (s1 - s0) / _KNOT_PX, (t1 - t0) / _KNOT_PX, (p1 - p0) / _KNOT_PX, (q1 - q0) / _KNOT_PX
        for x in range(start, stop):
            if depth_m[x] < EMPTY_M:
                kind[x] = DRAWN
                continue
            dz = base_z + step_z * x
            if dz > horizon:
                kind[x] = SKY
                found_sky = True
                continue
            k = x - start + 0.5
            t, t_top = t0 + k * dt, q0 + k * dq
            if abs(t) <= edge:
                kind[x] = ROAD
                hits[0, x], hits[1, x], hits[2, x] = s0 + k * ds, t, drop / dz
                found_road = True
            elif abs(t_top) > edge:
                kind[x] = PAVEMENT
                hits[0, x], hits[1, x], hits[2, x] = p0 + k * dp, t_top, raised / dz
                found_pavement = True
            else:
                # The ray passes over the edge of the carriageway and meets the kerb's face.
                part = (edge - abs(t_top)) / max(abs(t) - abs(t_top), 1e-6)
                kind[x] = KERB
                hits[0, x], hits[1, x], hits[2, x] = s0 + k * ds, part, (raised + (drop - raised) * part) / dz
                found_kerb = True
            depth_m[x] = hits[2, x]
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
        visible = shaded(light, road, roof, hits[0, x], road.half_width * (1.0 if light.sun_y < 0 else -1.0), 0.1, 2.0)
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
