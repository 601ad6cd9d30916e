"""`Tracking`: road users over time. The same ids from frame to frame; with a calibrated camera, where each one goes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.geometry import RoadView
from pipeline.metric import Corridor, RoadScene, VehicleMotion, Whereabouts
from pipeline.scene import RoadUser, Scene
from pipeline.tracking.following import Follower, FollowingRules, Sighting
from pipeline.tracking.odometer import RoadOdometer
from pipeline.tracking.path import PathRules, foresee
from pipeline.tracking.places import Feet, carry_boxes, correct_places, deviations_m, predict_places, standing
from pipeline.tracking.rows import cut_rows
from pipeline.tracking.sharing import bridge
from pipeline.tracking.tracks import NAMES

__all__ = ["Tracking", "TrackingRules"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_HIDE_FEET = {
    "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle", "pole", "traffic sign", "fence", "wall",
}  # fmt: skip
"""What is right below the lowest pixel of somebody whose feet it hides."""

_FOOT_SHARES = {"person": 0.5, "rider": 1.0}
"""How much the foot itself counts against the middle of the box, for where somebody stands sideways; nothing for all
others. A rider's is the tyre, which is steady; the middle of a bicycle that is seen from behind is farther away."""

_PART_DOUBT = 3.0
"""How many times less sure the foot of somebody is who was cut out of a blob."""

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
        near_m: Who is nearer than that and in the path, or will be, is believed at the first sight: as far as alerts
            reach (`pipeline.alerts.AlertRules.farthest_m`), so that none of them waits.
        near_px: Where nothing is known in metres, who shows so many pixels, in a picture 360 rows high.
    """

    following: FollowingRules = field(default_factory=FollowingRules)
    path: PathRules = field(default_factory=PathRules)
    longest_gap_s: float = 1.6
    kerb_m: float = 0.12
    foot_std_px: float = 1.0
    near_m: float = 50.0
    near_px: float = 1000.0


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
        self._is_first = True
        self._size_hw: tuple[int, int] | None = None

    def follow(self, scene: Scene, road: RoadScene | None = None) -> Scene:
        """Recognise the road users of the next scene.

        Args:
            scene: What was seen; the ids of its road users mean nothing yet.
            road: The road ahead in metres, for its corridor and its view of the road, which may have been refined;
                None where it is not known: then nobody is said to be in the path.

        Returns:
            The scene with stable ids and lasting classes, and, with a view of the road, everybody's whereabouts; its
            `road` is `road`, with the motion of the vehicle. Of whom too little has been seen to be sure of is not in
            it yet (`FollowingRules.sure`), unless near and in the path. A scene without a signal is given back as it
            is: it says nothing, and time goes on.
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
        if view is not None and view.camera.size_hw != size_hw:
            view = None  # Measured on other pictures: metres are unknown.
        corridor = road.corridor if road is not None else None
        self._predict(scene, view, now_s, step_s)
        sightings = self._follower.follow(_single(scene, view, corridor), size_hw, now_s, step_s)
        sightings.sort(key=lambda sighting: -sighting.user.area_px)
        rows = np.array([sighting.row for sighting in sightings], np.int64)
        whereabouts: list[Whereabouts | None] = [None] * len(sightings)
        if view is not None:
            feet = self._place(rows, sightings, scene, view, now_s)
            whereabouts = self._tell(rows, feet, view, corridor)
        known = self._follower.confirm(rows, sightings, self._urgent(sightings, whereabouts, size_hw[0]), size_hw[0])
        self._is_first = False
        tracks = self._follower.tracks
        users = tuple(
            _named(sighting.user, identity, NAMES[name], told)
            for sighting, identity, name, told, is_known in zip(
                sightings,
                tracks["id"][rows].tolist(),
                tracks["votes"][rows].argmax(axis=1).tolist(),
                whereabouts,
                known.tolist(),
                strict=True,
            )
            if is_known
        )
        return replace(
            scene, road_users=users, road=replace(road, motion=self._motion) if road is not None else scene.road
        )

    def _predict(self, scene: Scene, view: RoadView | None, now_s: float, step_s: float) -> None:
        """See how the vehicle moves, and move everybody to where they are expected now."""
        follower, moved = self._follower, self._motion
        follower.forget_hidden(now_s)
        before = follower.tracks.copy()
        follower.predict(step_s)
        self._motion = None
        if view is not None:
            self._motion = self._odometer.look(scene.frame, scene.drivable.mask, view, step_s)
            predict_places(follower.tracks, moved, self._motion, step_s)
            carry_boxes(follower.tracks, before, view.packed, step_s)

    def _place(self, rows: Longs, sightings: list[Sighting], scene: Scene, view: RoadView, now_s: float) -> Floats:
        """See where feet stand: (N, 2) in metres, of those that carry somebody just now."""
        class_ids = scene.segmentation.class_ids
        height, width = class_ids.shape
        hides, raised = _grounds(scene.segmentation.classes)
        lowest = np.array([sighting.user.foot_px for sighting in sightings], np.float64).reshape(-1, 2)
        columns = np.clip(lowest[:, 0].astype(np.intp), 0, width - 1)
        below = class_ids[np.clip(lowest[:, 1].astype(np.intp), 0, height - 1), columns]
        is_cut = lowest[:, 1] >= height
        is_hidden = hides[below] | is_cut
        feet = Feet(
            rows=rows,
            pixels=np.stack([_middles(sightings, width), lowest[:, 1]], axis=1),
            doubt=np.where(is_cut, 3.0, np.where(is_hidden, 5.0, 1.0))
            * np.array([_PART_DOUBT if sighting.is_part else 1.0 for sighting in sightings], np.float64),
            hidden=is_hidden,
            heights_m=np.where(raised[below] & ~is_hidden, self._rules.kerb_m, 0.0),
            pixel_std_px=self._rules.foot_std_px * height / 360.0,
        )
        correct_places(self._follower.tracks, feet, view, self._motion, now_s)
        return standing(self._follower.tracks["place"][rows], lowest, is_hidden, view.packed)

    def _urgent(self, sightings: list[Sighting], whereabouts: list[Whereabouts | None], height: int) -> Flags:
        """(N,) who is believed at once: near and in the path; and everybody in a first picture, which has none before.

        So no alert of somebody near waits for a second look, and still images tell of everybody they show.
        """
        rules = self._rules
        if self._is_first:
            return np.ones(len(sightings), np.bool_)
        near_px = rules.near_px * (height / 360.0) ** 2
        return np.array(
            [
                sighting.user.area_px >= near_px
                if told is None
                else told.enters_path_in_s is not None and told.distance_m <= rules.near_m
                for sighting, told in zip(sightings, whereabouts, strict=True)
            ],
            np.bool_,
        )

    def _tell(self, rows: Longs, feet: Floats, view: RoadView, corridor: Corridor | None) -> list[Whereabouts | None]:
        """Everybody's whereabouts."""
        tracks = self._follower.tracks[rows]
        places, motion = tracks["place"], self._motion
        encounters = foresee(
            places, tracks["place_covariance"], feet, tracks["in_path"], corridor, motion, self._rules.path
        )
        self._follower.tracks["in_path"][rows] = np.where(encounters.in_path, 1, -1) if corridor is not None else 0
        variances = tracks["place_covariance"][:, (2, 3), (2, 3)].mean(axis=1)
        columns = (
            places.tolist(),
            deviations_m(tracks, view).tolist(),
            variances.tolist(),
            encounters.in_path.tolist(),
            encounters.enters_s.tolist(),
            encounters.reach_s.tolist(),
            encounters.reach_std_s.tolist(),
        )
        told = [
            Whereabouts(
                position_m=(x, y),
                distance_m=math.hypot(x, y),
                distance_std_m=std_m,
                velocity_mps=(x_rate + motion.speed_mps, y_rate) if motion is not None else None,
                speed_std_mps=math.sqrt(variance + motion.speed_std_mps**2) if motion is not None else None,
                in_path=in_path,
                enters_path_in_s=None if math.isnan(enters_s) else enters_s,
                time_to_reach_s=None if math.isnan(reach_s) else reach_s,
                time_to_reach_std_s=None if math.isnan(reach_s) else reach_std_s,
            )
            for (x, y, x_rate, y_rate), std_m, variance, in_path, enters_s, reach_s, reach_std_s in zip(
                *columns, strict=True
            )
        ]
        return [entry if placed else None for entry, placed in zip(told, tracks["placed"].tolist(), strict=True)]


def _single(scene: Scene, view: RoadView | None, corridor: Corridor | None) -> list[RoadUser]:
    """Who is seen, each one by itself as far as a single picture tells."""
    seen = bridge(list(scene.road_users))
    if view is None:
        return seen
    hides, _ = _grounds(scene.segmentation.classes)
    return cut_rows(seen, scene.segmentation.class_ids, hides, view, corridor)


def _named(user: RoadUser, identity: int, class_name: str, whereabouts: Whereabouts | None) -> RoadUser:
    """As `replace` would, in a third of its time: it is called for everybody in every frame."""
    return RoadUser(
        identity,
        class_name,
        user.box_xyxy,
        user.foot_px,
        user.area_px,
        user.confidence,
        user.mask,
        whereabouts,
        user.recognition,
    )


def _middles(sightings: list[Sighting], width: int) -> Floats:
    """(N,) columns where road users stand.

    The lowest pixels are those of one tyre now and of two a moment later, or of one foot in turn; the middle of the box
    is steadier, but not where the edge of the picture cuts it.
    """
    columns = np.empty(len(sightings))
    for n, sighting in enumerate(sightings):
        user = sighting.user
        left, _, right, _ = user.box_xyxy
        if left == 0 or right == width:
            columns[n] = user.foot_px[0]
        else:
            share = _FOOT_SHARES.get(user.class_name, 0.0)
            columns[n] = share * user.foot_px[0] + (1.0 - share) * 0.5 * (left + right)
    return columns


@lru_cache(maxsize=8)
def _grounds(classes: tuple[SegmentationClass, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(256,) which classes hide feet that are right above them, and which lie higher than the road."""
    hides, raised = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
    for index, entry in enumerate(classes):
        hides[index], raised[index] = entry.name in _HIDE_FEET, entry.name in _RAISED
    return hides, raised
