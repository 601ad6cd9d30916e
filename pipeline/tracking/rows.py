"""Rows of parked vehicles: one blob in the class map, one vehicle after the other in the world.

Seen along a row, the roofs make one even skyline, but the lower edge climbs in steps: each vehicle stands on two tyres,
and where it ends one looks past its bumper at the next, which begins farther away. With a calibrated camera that edge
can be walked along in metres, from the nearest vehicle to the farthest; how long vehicles are says where to look. The
cut runs up along the bumper and then backwards with bonnet and windscreen, above which the next one shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.geometry.projection import pixel_of_road, road_of_pixel
from pipeline.jit import kernel
from pipeline.metric import Corridor
from pipeline.scene import RoadUser
from pipeline.tracking.sharing import separate
from pipeline.tracking.tracks import VEHICLE, kind_of

__all__ = ["cut_rows"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Mask = NDArray[np.uint8]

_MOST_CUTS = 12

_LEAST_SIDE_PX = 4.0
"""A row is walked along as far as the side of a vehicle 4.4 m long has as many columns."""

_BROADEST_M = 2.4
"""The nearest tyre is looked for across the face of one vehicle: some are 2 m broad."""

_SLIM_M = 1.7
"""A blob that is no broader than the face of one vehicle is one."""

_TYRE_M = 0.17
"""What is no higher above the road than that stands on it."""

_WHEELBASE_M = (1.8, 3.6)
"""Where the second tyre of a side is looked for, from the first; ..."""

_OVERHANG_M = 0.5
"""... how far the bumper reaches beyond its edge, ..."""

_FAR_END_M = (2.7, 4.4)
"""... and where the bumper is looked for where no second tyre is seen."""

_LONGEST_M = 4.8
"""What ends nearer than that from its nearest tyre is one vehicle."""

_BUMPER_M = 0.54
"""Bumpers end lower than that: what is higher is farther away."""

_CHASSIS_M = 0.6
"""No part of a car's lower edge is higher than that."""

_STEP_M = 0.08
"""By how much the lower edge rises at least from the end of one vehicle to the beginning of the next."""

_SURE_M = 18.0
"""Nearer than that a row goes on in one line, or it is none."""

_BONNET_M, _ROOF_M, _SLANT_M = 0.8, 1.45, 1.3
"""Height of bonnet and roof, and how far the roof ends before the bumper."""


def cut_rows(
    users: Sequence[RoadUser],
    class_ids: Mask,
    hides: Flags,
    view: RoadView,
    corridor: Corridor | None,
) -> list[RoadUser]:
    """Cut blobs of vehicles that stand in rows along the road.

    Args:
        users: Everybody who is seen.
        class_ids: (H, W) the class map.
        hides: (256,) classes that hide tyres which are right above them.
        view: The camera over the road.
        corridor: Says where the road goes, and so its rows; None: straight ahead.

    Returns:
        Everybody; the parts of a blob together have all of its pixels.
    """
    slope, curvature = (corridor.slope, corridor.curvature_1_m) if corridor is not None else (0.0, 0.0)
    parts: list[RoadUser] = []
    for user in users:
        if kind_of(user.class_name) != VEHICLE:
            parts.append(user)
            continue
        labels, count = _cut(user.mask, *user.box_xyxy[:2], class_ids, hides, view.packed, slope, curvature)
        parts += [user] if count == 1 else separate(user, labels, count)
    return parts


@kernel()
def _cut(
    mask: Mask, x1: int, y1: int, class_ids: Mask, hides: Flags, packed: Floats, slope: float, curvature: float
) -> tuple[Mask, int]:
    """(h, w) whose each pixel of a blob is, from 1, 0 outside it; and how many vehicles there are."""
    rows, columns = mask.shape
    labels = np.zeros_like(mask)
    places, nearest = _lower_edge(mask, x1, y1, class_ids, hides, packed)
    if nearest < 0 or columns * places[nearest, 0] < _SLIM_M * packed[0]:
        return labels, 1
    way = 1 if places[nearest, 1] > 0.0 else -1  # A row to the left goes away to the right.
    cuts = np.empty((_MOST_CUTS, 4))
    count = _walk(places[::way], x1 if way > 0 else x1 + columns, way, packed, slope, curvature, cuts)
    if count == 0:
        return labels, 1
    for y in range(rows):
        for x in range(columns):
            if mask[y, x]:
                labels[y, x] = 1
                for k in range(count):
                    low, high, low_row, high_row = cuts[k]
                    share = min(max((low_row - (y1 + y + 0.5)) / max(low_row - high_row, 1.0), 0.0), 1.0)
                    if way * (x1 + x + 0.5 - low - share * (high - low)) >= 0.0:
                        labels[y, x] = k + 2
    return labels, count + 1


@kernel(inner=True)
def _lower_edge(mask: Mask, x1: int, y1: int, class_ids: Mask, hides: Flags, packed: Floats) -> tuple[Floats, int]:
    """(w, 2) where on the road the lowest pixels of columns seem to stand, NaN where they are hidden; the nearest."""
    rows, columns = mask.shape
    places = np.full((columns, 2), np.nan)
    nearest = -1
    for x in range(columns):
        y = rows - 1
        while y >= 0 and not mask[y, x]:
            y -= 1
        below = y1 + y + 1
        if y >= 0 and below < len(class_ids) and not hides[class_ids[below, x1 + x]]:
            places[x, 0], places[x, 1] = road_of_pixel(packed, x1 + x + 0.5, float(below))
            if nearest < 0 or places[x, 0] < places[nearest, 0]:
                nearest = x
    return places, nearest


@kernel(inner=True)
def _walk(places: Floats, origin: int, way: int, packed: Floats, slope: float, curvature: float, cuts: Floats) -> int:
    """Find the cuts, going from the near end of the lower edge to the far one.

    Args:
        places: (w, 2) the lower edge, near end first.
        origin: Column of the picture at which it begins.
        way: 1 where it goes to the right, -1 to the left.
        packed: The view.
        slope: Direction of the road at the vehicle.
        curvature: Of the road.
        cuts: (K, 4) written: columns at bonnet and roof, and the rows of those.

    Returns:
        How many there are.
    """
    fx, fy, height_m = packed[0], packed[1], packed[6]
    horizon = pixel_of_road(packed, 1e5, 0.0)[1]
    count, begin = 0, 0
    while count < len(cuts):
        tyre = _nearest_tyre(places, begin, way, fy * height_m)
        if tyre < 0:
            break
        ahead, aside = places[tyre]
        lean = slope + curvature * ahead
        if abs(aside) * fx * 4.4 < _LEAST_SIDE_PX * ahead * ahead:
            break
        end = _far_end(places, tyre, lean, height_m, begin == 0 and np.isnan(places[0, 0]))
        if end < 0.0:
            break
        low, low_row = pixel_of_road(packed, ahead + end, aside + lean * end)
        back = max(end - _SLANT_M, 0.0)
        high, high_row = pixel_of_road(packed, ahead + back, aside + lean * back)
        begun = math.ceil(way * (low - origin) - 0.5)
        after = _nearest_tyre(places, max(begun, tyre + 1), way, fy * height_m)
        if len(places) - begun < 2 or after < 0:
            break
        farther = places[after, 0] - ahead
        off = places[after, 1] - aside - lean * farther - 0.5 * curvature * farther * farther
        if begun > begin and (ahead >= _SURE_M or (farther >= 3.0 and abs(off) <= 0.8 + 0.03 * places[after, 0])):
            cuts[count, 0], cuts[count, 2] = low, low_row - (low_row - horizon) * _BONNET_M / height_m
            cuts[count, 1], cuts[count, 3] = high, high_row - (high_row - horizon) * _ROOF_M / height_m
            count += 1
        begin = max(begun, tyre + 1)
    return count


@kernel(inner=True)
def _nearest_tyre(places: Floats, begin: int, way: int, focal: float) -> int:
    """The nearest place of the first vehicle from `begin` on, of equals the last: the inner tyre; -1 for none.

    Args:
        places: (w, 2) the lower edge.
        begin: Where the vehicle begins.
        way: Where the edge goes.
        focal: Focal length in pixels times height of the camera: a pixel is `ahead` squared by that, in metres.
    """
    tyre, first = -1, 0.0
    for j in range(begin, len(places)):
        ahead, aside = places[j]
        if np.isnan(ahead):
            continue
        if tyre < 0:
            first, tyre = aside / ahead, j
        elif way * (first - aside / ahead) * places[tyre, 0] > _BROADEST_M:
            break
        elif ahead < places[tyre, 0] * (1.0 + 1.6 * places[tyre, 0] / focal):
            tyre = j
    return tyre


@kernel(inner=True)
def _far_end(places: Floats, tyre: int, lean: float, height_m: float, is_cut_off: bool) -> float:
    """How far beyond its nearest tyre a vehicle ends and another one begins; -1 where none does.

    Where the near end is cut off or hidden the nearest tyre may be the front one already, and the bumper right after.
    """
    ahead, aside = places[tyre]
    second, steepest, bumper, end = -1.0, -1.0, -1.0, -1.0
    before, own = 0.0, 0.0
    for j in range(tyre + 1, len(places)):
        if np.isnan(places[j, 0]):
            continue
        # Where the direction meets the side of the row, and how high above the road the edge is there.
        down = lean * places[j, 0] - places[j, 1]
        along = (ahead * places[j, 1] - aside * places[j, 0]) / down if abs(down) > 1e-9 else np.inf
        if not 0.0 <= along < 6.0:
            end = 6.0
            break
        end = along
        up = height_m * (1.0 - (ahead + along) / places[j, 0])
        if is_cut_off and 0.3 <= along < 1.7:
            if up > _BUMPER_M or (along >= 0.75 and own > 0.25 and up > own + _STEP_M):
                return along
            own = max(own, up) if along < 0.75 else own
        elif not is_cut_off and 0.3 <= along < _FAR_END_M[1] and up > _CHASSIS_M:
            return along
        if up < _TYRE_M and _WHEELBASE_M[0] <= along <= _WHEELBASE_M[1]:
            second = along
        if _FAR_END_M[0] <= along <= _FAR_END_M[1] and up - before > steepest:
            steepest, bumper = up - before, along
        before = up
    if second > 0.0:
        bumper = second + _OVERHANG_M
    return bumper if bumper > 0.0 and end >= max(bumper + 0.8, _LONGEST_M) else -1.0
