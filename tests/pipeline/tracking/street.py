"""A street drawn by hand, seen by a calibrated camera: bodies and vehicles as boxes in a class map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engines.classes import CITYSCAPES
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.metric import ClearDistance, Corridor, FreeSpace, RoadScene
from pipeline.postprocess import encode_runs, find_drivable, find_road_users
from pipeline.scene import CameraView, Frame, RoadUser, Scene, Segmentation

SIZE_HW = (360, 640)
VIEW = RoadView(CameraModel(SIZE_HW, 500.0, 500.0, 320.0, 180.0), CameraPose(1.4, 0.02))
ID_OF = {entry.name: entry.train_id for entry in CITYSCAPES}
SIZES_M = {"person": (0.6, 1.75), "rider": (0.7, 1.8), "car": (1.8, 1.5)}
NOTHING = np.zeros(0)


@dataclass(frozen=True)
class Somebody:
    """Width and height are those of its class unless they are given."""

    class_name: str
    x_m: float
    y_m: float
    share_seen: float = 1.0  # Of its width, from its left side.

    def box(self) -> tuple[int, int, int, int]:
        width, height = SIZES_M[self.class_name]
        corners = np.array([[self.x_m, self.y_m + width / 2, height], [self.x_m, self.y_m - width / 2, 0.0]])
        (left, top), (right, bottom) = VIEW.image_from_road(corners).round().astype(int).tolist()
        return left, top, left + max(1, round((right - left) * self.share_seen)), bottom


def class_map(people: Iterable[Somebody], *, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """(H, W) class ids: road up to the horizon, sky above it, the nearest drawn last."""
    ids = np.full(size_hw, ID_OF["sky"], np.uint8)
    ids[172:] = ID_OF["road"]
    for somebody in sorted(people, key=lambda one: -one.x_m):
        x1, y1, x2, y2 = somebody.box()
        ids[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = ID_OF[somebody.class_name]
    return ids


def scene_of(
    ids: np.ndarray, time_s: float, *, image: np.ndarray | None = None, camera: CameraView | None = None
) -> Scene:
    """What a network that makes no mistake would see."""
    size_hw = (ids.shape[0], ids.shape[1])
    picture = np.full((*size_hw, 3), 110, np.uint8) if image is None else image
    runs, confidence = encode_runs(ids), np.ones((45, 80), np.float32)
    return Scene(
        Frame(round(time_s * 30), time_s, 0.0, size_hw, picture.copy),
        Segmentation(ids, CITYSCAPES, confidence),
        find_drivable(runs, 0, [ID_OF[name] for name in ("person", "rider", "car", "pole")]),
        find_road_users(runs, CITYSCAPES, confidence),
        camera=camera,
    )


def straight_road(half_width_m: float = 1.1) -> RoadScene:
    corridor = Corridor(half_width_m, 0.0, 0.0, np.zeros((2, 2)))
    clear = ClearDistance(0.0, 0.0, is_open=True, place_px=None)
    return RoadScene(VIEW, corridor, clear, FreeSpace(NOTHING, np.zeros((0, 2)), NOTHING, NOTHING))


def by_place(scene: Scene) -> list[RoadUser]:
    """From left to right."""
    return sorted(scene.road_users, key=lambda user: user.box_xyxy[0])
