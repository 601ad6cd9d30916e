"""Road users as they were followed, against the exact truth of the rendered drive.

Who counts, written down once:

* A true road user counts in a frame if at least 100 of its pixels are visible (at 640x360) and its box does not touch
  the left, right or lower edge of the picture.
* A road user that was seen does not count if most of its pixels belong to somebody who does not count, and its box
  overlaps nobody's who does by half.
* Metres are compared for those who were found (boxes overlap by half), up to 40 m. The true distance is that from the
  point under the camera to `SyntheticRoadUser.foot_m`, the lowest point of contact.
* "foot seen" leaves out those whose true foot is hidden: it is projected more than 2.5 px off the lower edge of what is
  visible. "settled": followed for half a second under the same id.
* In the path is whose true foot is within the half width and the margin of the lane that the vehicle keeps to. "off the
  edge" leaves out whoever stands within 0.25 m of that edge.
* Times to reach count where the true one is 2.5 to 3.5 s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.following import Following, Identity, box_overlap
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.metric import Corridor
from pipeline.scene import RoadUser, Scene
from pipeline.synthetic import SyntheticDrive, SyntheticFrame, SyntheticRoadUser

__all__ = ["FollowedDrive", "Pair", "Pairs", "counts", "mean_view", "true_corridor"]

Floats = NDArray[np.float64]

_LEAST_PX = 100
_HIDDEN_PX = 2.5
_GROUPS = {"all": None, "people": {"person", "rider"}, "vehicles": {"car"}}


@dataclass(frozen=True, slots=True)
class Pair:
    """One true road user in one frame, and what was said of it. NaN where nothing was said, or nothing is true."""

    distance_m: float
    said_distance_m: float
    said_std_m: float
    velocity_off_mps: float
    in_path: bool
    said_in_path: bool
    edge_m: float
    reach_s: float
    said_reach_s: float
    foot_seen: bool
    followed_s: float
    is_person: bool
    is_car: bool


class Pairs:
    """Pairs as columns: `pairs["distance_m"]` is an (N,) float64 array."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs = list(pairs)

    def __getitem__(self, name: str) -> Floats:
        return np.array([getattr(pair, name) for pair in self._pairs], np.float64)

    def where(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Some of them."""
        return Pairs(pair for pair, keep in zip(self._pairs, chosen.tolist(), strict=True) if keep)

    def __len__(self) -> int:
        return len(self._pairs)

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs([*self._pairs, *other._pairs])

    @property
    def relative_distance_off(self) -> Floats:
        """(N,) share by which distances are off."""
        return np.asarray(np.abs(self["said_distance_m"] / self["distance_m"] - 1.0))

    def path_precision_recall(self, least_edge_m: float = 0.0) -> tuple[float, float]:
        """Of being in the path, of those at least so far from its edge."""
        clear = np.abs(self["edge_m"]) >= least_edge_m
        true, said = (self["in_path"] > 0) & clear, (self["said_in_path"] > 0) & clear
        both = float((true & said).sum())
        return both / max(float(said.sum()), 1.0), both / max(float(true.sum()), 1.0)

    @property
    def reach_off_s(self) -> Floats:
        """(M,) errors of times to reach, of those that are 3 s, give or take half a second."""
        due = np.abs(self["reach_s"] - 3.0) <= 0.5
        return np.asarray(np.abs(self["said_reach_s"] - self["reach_s"])[due])


class FollowedDrive:
    """Compares scenes with the truth, frame by frame.

    Args:
        drive: The drive.
        half_width_m: Of the corridor, its margin included.
    """

    def __init__(self, drive: SyntheticDrive, half_width_m: float) -> None:
        self._drive, self._half_width_m = drive, half_width_m
        self._following = {name: Following() for name in _GROUPS}
        self._pairs: list[Pair] = []
        self._since: dict[int, float] = {}
        self._ids: set[int] = set()

    def add(self, frame: SyntheticFrame, scene: Scene) -> None:
        """Compare one frame."""
        self._ids |= {user.id for user in scene.road_users}
        true = [user for user in frame.road_users if counts(user, frame.class_ids.shape)]
        seen = _heard(scene.road_users, true, frame)
        for name, classes in _GROUPS.items():
            ours = [user for user in true if classes is None or user.class_name in classes]
            theirs = [user for user in seen if classes is None or user.class_name in classes]
            matches = self._following[name].add(
                [user.id for user in ours], _boxes(ours), [user.id for user in theirs], _boxes(theirs)
            )
            if name == "all" and ours:
                self._compare(frame, ours, {i: theirs[j] for i, j in matches.items()})

    def identity(self, group: str = "all") -> Identity:
        """How well ids were kept, of ``"all"``, ``"people"`` or ``"vehicles"``."""
        return self._following[group].identity

    @property
    def ids(self) -> int:
        """How many ids were given, also to those who do not count."""
        return len(self._ids)

    @property
    def pairs(self) -> Pairs:
        """Those who were found."""
        return Pairs(self._pairs)

    def _compare(self, frame: SyntheticFrame, true: list[SyntheticRoadUser], found: dict[int, RoadUser]) -> None:
        at = frame.camera
        feet = np.array([user.foot_m for user in true])
        rows = at.image_from_road(feet)[:, 1]
        lane = self._drive.lane_ahead_m(frame.index, feet[:, 0])
        for i, said in found.items():
            user, told = true[i], said.whereabouts
            since = self._since.setdefault(said.id, frame.time_s)
            edge = abs(feet[i, 1] - lane[i]) - self._half_width_m
            closing = at.speed_mps - user.velocity_mps[0]
            velocity = told.velocity_mps if told is not None and told.velocity_mps is not None else (np.nan, np.nan)
            reach = told.time_to_reach_s if told is not None and told.time_to_reach_s is not None else np.nan
            self._pairs.append(
                Pair(
                    distance_m=user.distance_m,
                    said_distance_m=told.distance_m if told is not None else np.nan,
                    said_std_m=told.distance_std_m if told is not None else np.nan,
                    velocity_off_mps=float(np.hypot(*np.subtract(velocity, user.velocity_mps))),
                    in_path=bool(edge <= 0.0 < feet[i, 0]),
                    said_in_path=told is not None and told.in_path,
                    edge_m=float(edge),
                    reach_s=float(feet[i, 0] / closing) if feet[i, 0] > 0.0 and closing > 0.3 else np.nan,
                    said_reach_s=reach,
                    foot_seen=bool(abs(rows[i] - user.box_xyxy[3]) <= _HIDDEN_PX),
                    followed_s=frame.time_s - since,
                    is_person=user.class_name == "person",
                    is_car=user.class_name == "car",
                )
            )


def counts(user: SyntheticRoadUser, size_hw: tuple[int, ...]) -> bool:
    """Whether a true road user counts: enough of it is visible, and no edge of the picture cuts it."""
    x1, _, x2, y2 = user.box_xyxy
    least = _LEAST_PX * size_hw[0] * size_hw[1] / (360 * 640)
    return user.visible_px >= least and x1 > 0 and x2 < size_hw[1] and y2 < size_hw[0]


def mean_view(drive: SyntheticDrive) -> RoadView:
    """The camera as `calibrate` would find it: its pose on average over the drive, while springs swing about it."""
    cameras = [drive.camera(index) for index in range(len(drive))]
    height, pitch, roll = np.mean([(at.height_m, at.pitch_rad, at.roll_rad) for at in cameras], axis=0).tolist()
    at = cameras[0]
    return RoadView(CameraModel(drive.size_hw, at.fx, at.fy, at.cx, at.cy), CameraPose(height, pitch, roll))


def true_corridor(drive: SyntheticDrive, index: int, half_width_m: float) -> Corridor:
    """The parabola that fits the lane ahead best, up to 40 m."""
    ahead = np.linspace(0.0, 40.0, 41)
    design = np.stack([ahead, 0.5 * ahead**2], axis=1)
    slope, curvature = np.linalg.lstsq(design, drive.lane_ahead_m(index, ahead), rcond=None)[0].tolist()
    return Corridor(half_width_m, slope, curvature, np.zeros((2, 2)))


def _heard(users: Iterable[RoadUser], true: list[SyntheticRoadUser], frame: SyntheticFrame) -> list[RoadUser]:
    """Those who were seen, without those who are somebody who does not count."""
    counted, boxes = {user.id for user in true}, _boxes(true)
    heard = []
    for user in users:
        x1, y1, x2, y2 = user.box_xyxy
        whose: dict[int, int] = defaultdict(int)
        for identity, pixels in zip(
            *np.unique(frame.instance_ids[y1:y2, x1:x2][user.mask > 0], return_counts=True), strict=True
        ):
            if identity:
                whose[int(identity)] += int(pixels)
        is_counted = not whose or max(whose, key=whose.__getitem__) in counted
        if is_counted or (box_overlap(_boxes([user]), boxes) >= 0.5).any():
            heard.append(user)
    return heard


def _boxes(users: Iterable[RoadUser | SyntheticRoadUser]) -> Floats:
    return np.array([user.box_xyxy for user in users], np.float64).reshape(-1, 4)
