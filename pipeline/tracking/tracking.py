"""`Tracking`: road users over time. The same ids from frame to frame; with a calibrated camera, where each one goes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.geometry import RoadView
from pipeline.metric import Corridor, RoadScene, VehicleMotion, Whereabouts
from pipeline.scene import RoadUser, Scene
from pipeline.tracking.following import Follower, FollowingRules, Sighting
from pipeline.tracking.odometer import RoadOdometer
from pipeline.tracking.path import PathRules, foresee
from pipeline.tracking.tracks import BODY, kind_of
from pipeline.tracking.places import Feet, correct_places, deviations_m, predict_places

__all__ = ["Tracking", "TrackingRules"]

Floats = NDArray[np.float64]

_HIDE_FEET = {
    "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle", "pole", "traffic sign", "fence", "wall",
}  # fmt: skip
"""What is right below the lowest pixel of somebody whose feet it hides."""

_RAISED = {"sidewalk", "terrain", "vegetation"}


@dataclass(frozen=True, slots=True)
class TrackingRules:
    """How road users are followed.

    Attributes:
        following: When somebody is the same as before.
        path: What counts as in the way.
        longest_gap_s: After a longer gap between two frames nobody is recognised.
        kerb_m: How high pavements are taken to be; European kerbs are 10 to 15 cm.
        foot_std_px: How well a foot is seen, in pixels of a picture 360 rows high.
    """

    following: FollowingRules = FollowingRules()
    path: PathRules = PathRules()
    longest_gap_s: float = 1.6
    kerb_m: float = 0.12
    foot_std_px: float = 0.7


class Tracking:
    """Follows the road users of one camera. Owned by one thread; the same frames and times give the same scenes.

    Args:
        view: How the camera hangs over the road; None: ids are kept in pixels, and nothing is told in metres.
        rules: How, or None for the usual rules.
    """

    def __init__(self, view: RoadView | None = None, rules: TrackingRules | None = None) -> None:
        self._view = view
        self._rules = rules or TrackingRules()
        self.forget()

    def forget(self) -> None:
        """The next scene follows none: another recording. Ids begin at 1 again."""
        self._follower = Follower(self._rules.following)
        self._start_anew()

    def _start_anew(self) -> None:
        self._follower.lose_everybody()
        self._odometer = RoadOdometer()
        self._motion: VehicleMotion | None = None
        self._now_s: float | None = None
        self._size_hw: tuple[int, int] | None = None

    def follow(self, scene: Scene, road: RoadScene | None = None) -> Scene:
        """Recognise the road users of the next scene.

        Args:
            scene: What was seen; the ids of its road users mean nothing yet.
            road: The road ahead in metres, for its corridor and its view of the road, which may have been refined;
                None where it is not known: then nobody is said to be in the path.

        Returns:
            The scene with stable ids and lasting classes, and, with a view of the road, everybody's whereabouts; its
            `road` is `road`, with the motion of the vehicle. A scene without a signal is given back as it is: it says
            nothing, and time goes on.
        """
        if not scene.has_signal:
            return scene
        now_s, size_hw = scene.frame.source_time_s, scene.frame.size_hw
        step_s = 0.0 if self._now_s is None else now_s - self._now_s
        if not 0.0 <= step_s <= self._rules.longest_gap_s or self._size_hw not in {None, size_hw}:
            self._start_anew()
            step_s = 0.0
        self._now_s, self._size_hw = now_s, size_hw
        view = road.view if road is not None else self._view
        follower, before = self._follower, self._motion
        follower.predict(now_s, step_s)
        if view is not None:
            self._motion = self._odometer.look(scene.frame, scene.drivable.mask, view, step_s)
            predict_places(follower.tracks, before, self._motion, step_s)
        sightings = follower.follow(scene.road_users, size_hw, now_s, step_s)
        sightings.sort(key=lambda sighting: -sighting.user.area_px)
        if view is not None:
            self._place(sightings, scene, view, now_s)
            corridor = road.corridor if road is not None else None
            users = self._tell(sightings, view, corridor)
        else:
            users = tuple(sighting.user for sighting in sightings)
        return replace(
            scene, road_users=users, road=replace(road, motion=self._motion) if road is not None else scene.road
        )

    def _place(self, sightings: list[Sighting], scene: Scene, view: RoadView, now_s: float) -> None:
        """See where feet stand."""
        class_ids = scene.segmentation.class_ids
        height, width = class_ids.shape
        hides, raised = _grounds(scene.segmentation.classes)
        rows = np.array([sighting.row for sighting in sightings], np.int64)
        pixels = np.array([_foot(sighting.user) for sighting in sightings], np.float64).reshape(-1, 2)
        columns_of_feet = np.array([s.user.foot_px[0] for s in sightings])
        columns = np.clip(columns_of_feet.astype(np.intp), 0, width - 1)
        below = class_ids[np.clip(pixels[:, 1].astype(np.intp), 0, height - 1), columns]
        is_cut = pixels[:, 1] >= height
        is_hidden = hides[below] & ~is_cut
        feet = Feet(
            rows,
            pixels,
            np.where(is_hidden, 5.0, np.where(is_cut, 3.0, 1.0)),
            is_hidden,
            np.where(raised[below] & ~is_hidden, self._rules.kerb_m, 0.0),
            self._rules.foot_std_px * height / 360.0,
        )
        correct_places(self._follower.tracks, feet, view, self._motion, now_s)

    def _tell(self, sightings: list[Sighting], view: RoadView, corridor: Corridor | None) -> tuple[RoadUser, ...]:
        """Everybody's whereabouts."""
        tracks = self._follower.tracks[[sighting.row for sighting in sightings]]
        places, motion = tracks["place"], self._motion
        encounters = foresee(places, corridor, motion, self._rules.path)
        std_m = deviations_m(tracks, view)
        variances = np.einsum("nii->ni", tracks["place_covariance"])[:, 2:].mean(axis=1)
        users = []
        for n, (sighting, (x, y, x_rate, y_rate)) in enumerate(zip(sightings, places.tolist(), strict=True)):
            if not tracks["placed"][n]:
                users.append(sighting.user)
                continue
            told = Whereabouts(
                position_m=(x, y),
                distance_m=float(np.hypot(x, y)),
                distance_std_m=float(std_m[n]),
                velocity_mps=(x_rate + motion.speed_mps, y_rate) if motion is not None else None,
                speed_std_mps=float(np.sqrt(variances[n] + motion.speed_std_mps**2)) if motion is not None else None,
                in_path=bool(encounters.in_path[n]),
                enters_path_in_s=_known(encounters.enters_s[n]),
                time_to_reach_s=_known(encounters.reach_s[n]),
            )
            users.append(replace(sighting.user, whereabouts=told))
        return tuple(users)


BODYFOOT = 0.5
def _foot(user: RoadUser) -> tuple[float, float]:
    """Where somebody stands, sideways less restless than the lowest pixels: those of one tyre, or of one foot in turn."""
    middle = 0.5 * (user.box_xyxy[0] + user.box_xyxy[2])
    share = BODYFOOT if kind_of(user.class_name) == BODY else 0.0
    return share * user.foot_px[0] + (1 - share) * middle, user.foot_px[1]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _grounds(classes: tuple[SegmentationClass, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(256,) which classes hide feet that are right above them, and which lie higher than the road."""
    hides, raised = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
    for index, entry in enumerate(classes):
        hides[index], raised[index] = entry.name in _HIDE_FEET, entry.name in _RAISED
    return hides, raised
