"""Scenes made by hand: a street with a road in the lower half, a person and a car on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from engines.classes import cityscapes_class
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.metric import ClearDistance, Corridor, FreeSpace, RoadScene, VehicleMotion, Whereabouts
from pipeline.scene import Alert, DrivableArea, Frame, Recognition, RoadUser, Scene, Segmentation, Visibility
from pipeline.sinks import Sink

CLASSES = tuple(
    entry
    for name in ("road", "sidewalk", "building", "sky", "person", "rider", "car")
    if (entry := cityscapes_class(name)) is not None
)
ROAD, SIDEWALK, BUILDING, SKY, PERSON, RIDER, CAR = range(len(CLASSES))


def street(size_hw: tuple[int, int] = (120, 160)) -> np.ndarray:
    """(H, W) class ids: sky, then buildings, then from the middle down a road, a person and a car on it."""
    height, width = size_hw
    ids = np.full(size_hw, SKY, np.uint8)
    ids[height // 3 :] = BUILDING
    ids[height // 2 :] = ROAD
    ids[height * 4 // 10 : height * 7 // 10, width * 2 // 10 : width * 3 // 10] = PERSON
    ids[height * 5 // 10 : height * 8 // 10, width * 6 // 10 : width * 9 // 10] = CAR
    return ids


def make_scene(
    index: int = 0,
    *,
    time_s: float | None = None,
    name: str | None = None,
    size_hw: tuple[int, int] = (120, 160),
    ids: np.ndarray | None = None,
    image: np.ndarray | None = None,
    alerts: tuple[Alert, ...] = (),
) -> Scene:
    """A scene of the street, or of the class ids given; 25 frames a second unless a time is given."""
    ids = street(size_hw) if ids is None else ids
    size_hw = (ids.shape[0], ids.shape[1])
    picture = np.full((*size_hw, 3), 110, np.uint8) if image is None else image
    frame = Frame(index, index / 25 if time_s is None else time_s, 0.0, size_hw, picture.copy, name)
    confidence = np.full((max(1, size_hw[0] // 8), max(1, size_hw[1] // 8)), 0.9, np.float32)
    road_users = tuple(
        user
        for position, class_id in enumerate((CAR, PERSON), start=1)
        if (user := _road_user(ids, class_id, position)) is not None
    )
    return Scene(frame, Segmentation(ids, CLASSES, confidence), _drivable(ids), road_users, alerts)


def in_metres(scene: Scene, *, clear: ClearDistance | None = None) -> Scene:
    """The scene, known in metres: the person in the path 12 m ahead, the car beside it."""
    view = RoadView(CameraModel(scene.frame.size_hw, 150.0, 150.0, 80.0, 55.0), CameraPose(1.4, 0.05))
    columns = np.arange(0, scene.frame.size_hw[1], 4) + 0.5
    ends = np.full((len(columns), 2), np.nan)
    distances = np.full(len(columns), np.inf)
    ends[0], distances[0], distances[1] = (9.0, 3.0), 9.49, 0.0
    road = RoadScene(
        view,
        Corridor(1.1, 0.01, -0.001, np.diag([1e-4, 1e-6])),
        clear or ClearDistance(12.0, 0.3, is_open=False, place_px=(40.0, 80.0)),
        FreeSpace(columns, ends, distances, np.full(len(columns), np.nan)),
        VehicleMotion(8.0, 0.1, 0.01, 0.002),
    )
    car, person = scene.road_users
    users = (
        dataclasses.replace(car, whereabouts=Whereabouts((15.0, -3.0), 15.3, 0.4)),
        dataclasses.replace(
            person,
            whereabouts=Whereabouts((12.0, 0.4), 12.01, 0.2, (0.1, -1.2), 0.3, True, 0.0, 1.5, 0.2),
            recognition=Recognition("person 17", 0.97, is_new=False),
        ),
    )
    evidence = {"id": 2.0, "distance_m": 12.0}
    return dataclasses.replace(
        scene,
        road_users=users,
        road=road,
        visibility=Visibility(0.93, ("glare",)),
        alerts=(Alert("pedestrian_in_path", "person 2 in the path, 12 m ahead", evidence),),
    )


def write_all(sink: Sink, scenes: Iterable[Scene]) -> None:
    """Write scenes, with their frames for pictures."""
    for scene in scenes:
        sink.write(scene, scene.frame.image if sink.needs_overlay else None)


def _drivable(ids: np.ndarray) -> DrivableArea:
    mask = (ids == ROAD).astype(np.uint8)
    free_space = np.where(mask.any(axis=0), mask.argmax(axis=0), -1).astype(np.int32)
    return DrivableArea(mask, int(mask.sum()), free_space)


def _road_user(ids: np.ndarray, class_id: int, number: int) -> RoadUser | None:
    rows, columns = np.nonzero(ids == class_id)
    if rows.size == 0:
        return None
    x1, y1, x2, y2 = (int(edge) for edge in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    mask = (ids[y1:y2, x1:x2] == class_id).astype(np.uint8)
    foot = ((x1 + x2) / 2, float(y2))
    return RoadUser(number, CLASSES[class_id].name, (x1, y1, x2, y2), foot, int(mask.sum()), 0.87654, mask)
