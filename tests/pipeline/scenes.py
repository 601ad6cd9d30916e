"""Scenes made by hand: a street with a road in the lower half, a person and a car on it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engines.classes import cityscapes_class
from pipeline.scene import Alert, DrivableArea, Frame, RoadUser, Scene, Segmentation
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
