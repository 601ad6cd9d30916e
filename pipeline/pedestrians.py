"""Who of the people in a scene is in the vehicle's path, or about to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.scene import DrivableArea, RoadUser, Scene

__all__ = ["PedestrianInPath", "most_urgent", "people_in_path"]

_PEOPLE = ("person", "rider")

_HALF_WIDTH_RATIO = 1.0
"""Half the width of the strip that counts as the path, over the height of the camera above the road. Cameras of cars
hang 1.2 to 1.6 m high, half a car with some room beside it is as wide."""

_LEAST_BELOW_HORIZON = 0.02
"""How far below the horizon feet must stand to count where nothing is known in metres, as a share of the picture's
width. Nearer to it a pixel is many metres, and what the network finds there is often nobody. For a camera 1.4 m high
that ends 70 m ahead where its focal length is the picture's width, 35 m ahead where it is half of that."""


@dataclass(frozen=True, slots=True)
class PedestrianInPath:
    """A person or rider in the path, or on the way there.

    Attributes:
        id: Whose it is.
        class_name: ``"person"`` or ``"rider"``.
        enters_in_s: Seconds until it is in the path, 0 where it is now.
        distance_m: How far ahead; None where nothing is known in metres.
        time_to_reach_s: Seconds until the vehicle is there; None where that is not known, or never.
    """

    id: int
    class_name: str
    enters_in_s: float
    distance_m: float | None = None
    time_to_reach_s: float | None = None


def people_in_path(scene: Scene, within_s: float, farthest_m: float, least_confidence: float) -> list[PedestrianInPath]:
    """Everybody on foot or on a bicycle who is in the path, or will be within a time.

    With a calibrated camera that is what `Whereabouts` says. Without one, it is who stands on the drivable area in a
    strip straight ahead (`_stands_ahead`); nothing is then known of times and distances.

    Args:
        scene: With whereabouts, where they are known.
        within_s: How far to look ahead in time.
        farthest_m: Who is farther away does not count.
        least_confidence: Nor does who is less sure to be there.
    """
    people = [user for user in scene.road_users if user.class_name in _PEOPLE and user.confidence >= least_confidence]
    if scene.road is None:
        return [
            PedestrianInPath(user.id, user.class_name, 0.0) for user in people if _stands_ahead(user, scene.drivable)
        ]
    found = []
    for user in people:
        where = user.whereabouts
        if where is None or where.distance_m > farthest_m:
            continue
        enters_s = 0.0 if where.in_path else where.enters_path_in_s
        if enters_s is not None and enters_s <= within_s:
            found.append(PedestrianInPath(user.id, user.class_name, enters_s, where.distance_m, where.time_to_reach_s))
    return found


def most_urgent(people: Sequence[PedestrianInPath]) -> PedestrianInPath:
    """Who will be reached first; the nearest of those of whom that is not known."""

    def urgency(person: PedestrianInPath) -> tuple[float, float, float]:
        reach_s = math.inf if person.time_to_reach_s is None else person.time_to_reach_s
        return reach_s, person.enters_in_s, math.inf if person.distance_m is None else person.distance_m

    return min(people, key=urgency)


def _stands_ahead(user: RoadUser, drivable: DrivableArea) -> bool:
    """Whether a foot point is on the drivable area, in the strip straight ahead.

    On a flat road a point that appears n pixels below the horizon is as far to the side as the camera is high, n pixels
    beside the middle, whatever the lens: so the strip needs no calibration, only that the camera looks ahead, level,
    from the middle of the vehicle. Feet close to the horizon do not count (`_LEAST_BELOW_HORIZON`). The horizon is
    taken to be where the drivable area ends at its farthest; it cannot be lower, so that the strip is too narrow rather
    than too wide. Bends are not followed.
    """
    ends = drivable.free_space_px[drivable.free_space_px >= 0]
    if not ends.size:
        return False
    height, width = drivable.mask.shape
    x, y = user.foot_px
    below_horizon_px = y - float(ends.min())
    if below_horizon_px < _LEAST_BELOW_HORIZON * width or abs(x - width / 2.0) > _HALF_WIDTH_RATIO * below_horizon_px:
        return False
    row = min(round(y), height - 1)
    left, right = max(round(x) - 2, 0), min(round(x) + 3, width)
    # Its lowest pixels stand on the road if the road goes on below them; at the bottom of the picture nothing does.
    return bool(drivable.mask[row : min(row + 3, height), left:right].any())
