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
from pipeline.synthetic.shading import empty_shades
from pipeline.synthetic.sky import paint_sky

__all__ = ["draw_ground_and_sky"]

FloatArray = NDArray[np.float64]
FloatRows = NDArray[np.float32]
Place = tuple[float, float]
"""X in the fixed frame and offset from the centre line."""

Fall = tuple[float, float]

DRAWN, ROAD, PAVEMENT, KERB, SKY = 0, 1, 2, 3, 4
"""What a row's pixels show."""

_KNOT_PX = 16

HORIZON_M = 380.0
"""The ground is not drawn beyond this depth."""


@kernel(fastmath=True, inner=True)
def meet(view: View, center: FloatArray, cosine: FloatArray, u: float, v: float, height: float) -> tuple[float, float]:
    """Where the ray (u, v, 1) of the camera meets a level plane: x, and offset from the centre line."""
    r = view.rotation
    dx, dy = r[0, 0] * u + r[1, 0] * v + r[2, 0], r[0, 1] * u + r[1, 1] * v + r[2, 1]
    z = (height - view.z) / min(r[0, 2] * u + r[1, 2] * v + r[2, 2], -view.z / (2.0 * HORIZON_M))
    s = view.x + z * dx
    return s, (view.y + z * dy - lookup(center, s)) * lookup(cosine, s)


@kernel(fastmath=True, inner=True)
def count_empty(depth_m: NDArray[np.float32], start: int, stop: int) -> int:
    """How many pixels of part of a row still show nothing."""
    empty, count = np.float32(EMPTY_M), 0
    for x in range(start, stop):
        count += depth_m[x] >= empty
    return count


@kernel(fastmath=True, inner=True)
def fill_block(
    depth_m: NDArray[np.float32], kind: NDArray[np.uint8], hits: FloatRows, code: int, start: int, from_st: Place,
    to_st: Place, drop: float, fall: Fall,
) -> None:  # fmt: skip
    """Write kind, place and depth of a whole block of pixels that see one level plane.

    Args:
        depth_m: (W,) receives the depth.
        kind: (W,) receives the code.
        hits: (2, W) receives x and offset.
        code: What the block shows.
        start: First column of the block.
        from_st: x and offset at its left edge.
        to_st: Same at its right edge.
        drop: Height of the plane over the camera.
        fall: How much the rays of the row rise per metre of depth: at column 0, and more per column.
    """
    ds, dt = (to_st[0] - from_st[0]) / _KNOT_PX, (to_st[1] - from_st[1]) / _KNOT_PX
    for x in range(start, min(start + _KNOT_PX, len(depth_m))):
        part = x - start + 0.5
        kind[x] = code
        hits[0, x], hits[1, x] = from_st[0] + part * ds, from_st[1] + part * dt
        depth_m[x] = drop / (fall[0] + fall[1] * x)


@kernel(fastmath=True, inner=True)
def trace_block(
    depth_m: NDArray[np.float32],
    view: View,
    road: Road,
    kind: NDArray[np.uint8],
    hits: FloatRows,
    start: int,
    ends: tuple[Place, Place, Place, Place],
    fall: Fall,
) -> tuple[bool, bool, bool, bool]:
    """`trace_row` for a block where things meet; `ends` are both its ends on the road and both at the kerb's height."""
    (s0, t0), (s1, t1), (p0, q0), (p1, q1) = ends
    ds, dt, dp, dq = (s1 - s0) / _KNOT_PX, (t1 - t0) / _KNOT_PX, (p1 - p0) / _KNOT_PX, (q1 - q0) / _KNOT_PX
    horizon, drop, raised, edge = -view.z / HORIZON_M, -view.z, road.kerb - view.z, road.half_width
    found_road, found_pavement, found_kerb, found_sky = False, False, False, False
    for x in range(start, min(start + _KNOT_PX, len(depth_m))):
        if depth_m[x] < EMPTY_M:
            kind[x] = DRAWN
            continue
        dz = fall[0] + fall[1] * x
        if dz > horizon:
            kind[x] = SKY
            found_sky = True
            continue
        k = x - start + 0.5
        t, t_top = t0 + k * dt, q0 + k * dq
        if abs(t) <= edge:
            kind[x] = ROAD
            hits[0, x], hits[1, x], depth_m[x] = s0 + k * ds, t, drop / dz
            found_road = True
        elif abs(t_top) > edge:
            kind[x] = PAVEMENT
            hits[0, x], hits[1, x], depth_m[x] = p0 + k * dp, t_top, raised / dz
            found_pavement = True
        else:
            # The ray passes over the edge of the carriageway and meets the kerb's face.
            part = (edge - abs(t_top)) / max(abs(t) - abs(t_top), 1e-6)
            kind[x] = KERB
            hits[0, x], hits[1, x], depth_m[x] = s0 + k * ds, part, (raised + (drop - raised) * part) / dz
            found_kerb = True
    return found_road, found_pavement, found_kerb, found_sky


@kernel(fastmath=True, inner=True)
def trace_row(
    depth_m: NDArray[np.float32],
    view: View,
    road: Road,
    tables: RoadTables,
    y: int,
    kind: NDArray[np.uint8],
    hits: FloatRows,
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
        hits: (2, W) float32 receives x and offset from the centre line; at the kerb, x and how far down its face.

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
            kind[x] = SKY if depth_m[x] >= EMPTY_M else DRAWN
        return False, False, False, count_empty(depth_m, 0, width) > 0
    below = max(base_z, base_z + step_z * (width + _KNOT_PX)) <= horizon
    center, cosine = tables.center, tables.cosine
    known, s1, t1 = False, 0.0, 0.0
    for start in range(0, width, _KNOT_PX):
        stop = min(start + _KNOT_PX, width)
        empty = count_empty(depth_m, start, stop)
        if empty == 0:
            for x in range(start, stop):
                kind[x] = DRAWN
            known = False
            continue
        u0, u1 = (start - view.cx) / view.fx, (start + _KNOT_PX - view.cx) / view.fx
        s0, t0 = (s1, t1) if known else meet(view, center, cosine, u0, v, 0.0)
        s1, t1 = meet(view, center, cosine, u1, v, 0.0)
        known = True
        whole = below and empty == stop - start
        if whole and max(abs(t0), abs(t1)) <= edge:
            found_road = True
            fill_block(depth_m, kind, hits, ROAD, start, (s0, t0), (s1, t1), drop, (base_z, step_z))
            continue
        top0, top1 = meet(view, center, cosine, u0, v, road.kerb), meet(view, center, cosine, u1, v, road.kerb)
        beyond = min(top0[1], top1[1], t0, t1) > edge or max(top0[1], top1[1], t0, t1) < -edge
        if whole and beyond:
            found_pavement = True
            fill_block(depth_m, kind, hits, PAVEMENT, start, top0, top1, raised, (base_z, step_z))
            continue
        ends = ((s0, t0), (s1, t1), top0, top1)
        found = trace_block(depth_m, view, road, kind, hits, start, ends, (base_z, step_z))
        found_road, found_pavement = found_road or found[0], found_pavement or found[1]
        found_kerb, found_sky = found_kerb or found[2], found_sky or found[3]
    return found_road, found_pavement, found_kerb, found_sky


@kernel(fastmath=True, inner=True)
def paint_kerb(
    image: NDArray[np.uint8],
    class_ids: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    light: Light,
    road: Road,
    tables: RoadTables,
    kind: NDArray[np.uint8],
    hits: FloatRows,
) -> None:
    """Shade the kerb's face along one row."""
    roof = roof_towards_sun(light, tables)
    face_t = road.half_width * (1.0 if light.sun_y < 0 else -1.0)
    for x in range(len(kind)):
        if kind[x] != KERB:
            continue
        visible = shaded(light, road, roof, hits[0, x], face_t, 0.1, 2.0)
        lit = 0.62 * light.ambient + 0.25 * light.sun * visible
        tone = 152.0 * (1.0 - 0.35 * hits[1, x]) * lit
        fade = min(depth_m[x] * light.haze_per_m, 0.85)
        for k in range(3):
            image[3 * x + k] = np.uint8(min(tone * light.gain[k] * (1.0 - fade) + light.haze[k] * fade, 255.0))
        class_ids[x] = 1


@kernel(fastmath=True)
def draw_ground_and_sky(
    canvas: Canvas, view: View, light: Light, road: Road, tables: RoadTables, textures: Textures
) -> None:
    """Fill every pixel whose depth is still `EMPTY_M`, and give it its class and depth."""
    height, width = canvas.depth_m.shape
    kind, hits = np.empty(width, np.uint8), np.empty((2, width), np.float32)
    shades = empty_shades(width)
    grain = textures.grain
    for y in range(height):
        image, class_ids, depth_m = canvas.image[y].reshape(3 * width), canvas.class_ids[y], canvas.depth_m[y]
        any_road, any_pavement, any_kerb, any_sky = trace_row(depth_m, view, road, tables, y, kind, hits)
        if any_sky:
            paint_sky(image, class_ids, depth_m, view, light, tables, textures.cloud, y, kind, SKY)
        if not (any_road or any_pavement or any_kerb):
            continue
        foot = footprint_of_row(view, light, y, HORIZON_M)
        if any_road:
            paint_road(image, class_ids, foot, light, road, tables, grain, kind, ROAD, hits, shades)
        if any_pavement:
            paint_verge(image, class_ids, foot, light, road, tables, grain, kind, PAVEMENT, hits, shades)
        if any_kerb:
            paint_kerb(image, class_ids, depth_m, light, road, tables, kind, hits)
