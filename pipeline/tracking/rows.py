"""Rows of parked vehicles: one blob in the class map, one vehicle after the other in the world.

Seen along a row, the roofs make one even skyline, but the lower edge climbs in steps: tyres stand on the road, one
pair for each vehicle, and where a vehicle ends the next begins farther away. With a calibrated camera that edge can be
walked along in metres, from the nearest vehicle to the farthest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.geometry.projection import pixel_of_road, road_of_pixel
from pipeline.jit import kernel
from pipeline.metric import Corridor
from pipeline.scene import RoadUser
from pipeline.tracking.sharing import divided
from pipeline.tracking.tracks import VEHICLE, kind_of

__all__ = ["cut_rows"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Mask = NDArray[np.uint8]

_MOST_CUTS = 12
STEP = 0.08
DEEP = 0.6


def cut_rows(
    users: Sequence[RoadUser], class_ids: Mask, hides: Flags, view: RoadView, corridor: Corridor | None
) -> list[RoadUser]:
    slope, curvature = (corridor.slope, corridor.curvature_1_m) if corridor is not None else (0.0, 0.0)
    parts: list[RoadUser] = []
    for user in users:
        if kind_of(user.class_name) != VEHICLE:
            parts.append(user)
            continue
        x1, y1, _, _ = user.box_xyxy
        labels, count = _cut(user.mask, x1, y1, class_ids, hides, view.packed, view.pose.height_m, slope, curvature)
        parts += [user] if count == 1 else divided(user, labels, count)
    return parts


@kernel()
def _cut(
    mask: Mask, x1: int, y1: int, class_ids: Mask, hides: Flags, packed: Floats, height_m: float, slope: float, curvature: float
) -> tuple[Mask, int]:
    rows, columns = mask.shape
    places = np.full((columns, 2), np.nan)
    nearest = -1
    for x in range(columns):
        for y in range(rows - 1, -1, -1):
            if mask[y, x]:
                below = y1 + y + 1
                if below < len(class_ids) and not hides[class_ids[below, x1 + x]]:
                    places[x, 0], places[x, 1] = road_of_pixel(packed, x1 + x + 0.5, float(below))
                break
        if places[x, 0] == places[x, 0] and (nearest < 0 or places[x, 0] < places[nearest, 0]):
            nearest = x
    labels = np.zeros_like(mask)
    if nearest < 0:
        return labels, 1
    way = 1 if places[nearest, 1] > 0.0 else -1
    cuts = np.empty((_MOST_CUTS, 4))
    end = 0 if way > 0 else columns - 1
    is_cut_off = not places[end, 0] == places[end, 0]
    count = _walk(places[::way], x1 if way > 0 else x1 + columns, way, packed, height_m, slope, curvature, cuts, is_cut_off)
    if count == 0:
        return labels, 1
    for y in range(rows):
        for x in range(columns):
            if mask[y, x]:
                label = 1
                for k in range(count):
                    low, high, low_row, high_row = cuts[k]
                    share = min(max((low_row - (y1 + y + 0.5)) / max(low_row - high_row, 1.0), 0.0), 1.0)
                    if way * (x1 + x + 0.5 - low - share * (high - low)) >= 0.0:
                        label = k + 2
                labels[y, x] = label
    return labels, count + 1


@kernel()
def _walk(
    places: Floats, origin: int, way: int, packed: Floats, height_m: float, slope: float, curvature: float, cuts: Floats, is_cut_off: bool
) -> int:
    n = len(places)
    count = 0
    i = 0
    while i < n and count < len(cuts):
        leg = _tyre(places, i, way, packed[1], height_m)
        if leg < 0:
            break
        ahead, aside = places[leg]
        m = slope + curvature * ahead
        if abs(aside) * packed[0] * 4.4 < 4.0 * ahead * ahead:
            break
        far = _far_end(places, leg, m, height_m, i == 0 and is_cut_off)
        if far < 0.0:
            break
        low, low_row = pixel_of_road(packed, ahead + far, aside + m * far)
        back = max(far - 1.3, 0.0)
        high, high_row = pixel_of_road(packed, ahead + back, aside + m * back)
        horizon = pixel_of_road(packed, 1e5, 0.0)[1]
        begun = int(math.ceil(way * (low - origin) - 0.5))
        if n - begun < 2:
            break
        behind = _tyre(places, max(begun, leg + 1), way, packed[1], height_m)
        if behind < 0:
            break
        gone = places[behind, 0] - ahead
        off = places[behind, 1] - (aside + m * gone + 0.5 * curvature * gone * gone)
        is_next = ahead >= 18.0 or (gone >= 3.0 and abs(off) <= 0.8 + 0.03 * places[behind, 0])
        if is_next and begun > i:
            cuts[count] = low, high, low_row - (low_row - horizon) * 0.8 / height_m, high_row - (high_row - horizon) * 1.45 / height_m
            count += 1
        i = max(begun, leg + 1)
    return count


@kernel()
def _tyre(places: Floats, begin: int, way: int, fy: float, height_m: float) -> int:
    """The nearest tyre."""
    leg, first = -1, 0.0
    for j in range(begin, len(places)):
        there, beside = places[j]
        if not there == there:
            continue
        if leg < 0:
            first = beside / there
            leg = j
        elif way * (first - beside / there) * places[leg, 0] > 2.4:
            break
        elif there < places[leg, 0] * (1.0 + 1.6 * places[leg, 0] / (fy * height_m)):
            leg = j
    return leg


@kernel()
def _far_end(places: Floats, leg: int, m: float, height_m: float, is_first: bool) -> float:
    ahead, aside = places[leg]
    last_leg, best, far, end = -1.0, -1.0, -1.0, -1.0
    before = 0.0
    own, jump = 0.0, -1.0
    for j in range(leg + 1, len(places)):
        there, beside = places[j]
        if not there == there:
            continue
        t = _station(there, beside, ahead, aside, m)
        if not 0.0 <= t < 6.0:
            end = 6.0
            break
        end = t
        up = height_m * (1.0 - (ahead + t) / there)
        if is_first and jump < 0.0:
            if 0.3 <= t < 0.75:
                own = max(own, up)
            elif 0.75 <= t < 1.7 and own > 0.25 and up > own + STEP:
                jump = t
            if 0.3 <= t < 1.7 and up > 0.54:
                jump = t
        elif jump < 0.0 and 0.3 <= t < 4.4 and up > DEEP:
            jump = t
        if up < 0.17 and 1.8 <= t <= 3.6:
            last_leg = t
        if 2.7 <= t <= 4.4 and up - before > best:
            best, far = up - before, t
        before = up
    if last_leg > 0.0:
        far = last_leg + 0.5
    if jump > 0.0:
        return jump
    if end < max(far + 0.8, 4.8):
        return -1.0
    return far


@kernel()
def _station(there: float, beside: float, ahead: float, aside: float, m: float) -> float:
    """How far along the side of a row a direction meets it."""
    down = m * there - beside
    return (ahead * beside - aside * there) / down if abs(down) > 1e-9 else np.inf
