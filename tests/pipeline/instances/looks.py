"""Scenes of a rendered drive with its true masks and ids: what tracking would give at its best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from pipeline.scene import DrivableArea, Frame, RoadUser, Scene, Segmentation
from pipeline.synthetic import SyntheticDrive, SyntheticFrame

RATE_HZ = 5.0


@cache
def rendered(seed: int, count: int = 16) -> tuple[SyntheticFrame, ...]:
    drive = SyntheticDrive(seed, count, frame_rate_hz=RATE_HZ)
    return tuple(drive.render(index) for index in range(count))


def scenes(frames: Sequence[SyntheticFrame], *, begin_s: float = 0.0, first_id: int = 0) -> Iterator[Scene]:
    """Scenes from `begin_s` on; ids are those of the drive, beginning at another number."""
    for frame in frames:
        users = tuple(
            RoadUser(
                first_id + user.id, user.class_name, user.box_xyxy, (0.0, 0.0), user.visible_px, 1.0,
                mask_of(frame, user.id, user.box_xyxy),
            )
            for user in frame.road_users
        )  # fmt: skip
        size_hw = (frame.image.shape[0], frame.image.shape[1])
        nothing = DrivableArea(np.zeros(size_hw, np.uint8), 0, np.full(size_hw[1], -1, np.int32))
        yield Scene(
            Frame(frame.index, begin_s + frame.time_s, 0.0, size_hw, frame.image.copy),
            Segmentation(frame.class_ids, (), np.ones((2, 2), np.float32)),
            nothing,
            users,
        )


def mask_of(frame: SyntheticFrame, id_: int, box: tuple[int, int, int, int]) -> np.ndarray:
    x1, y1, x2, y2 = box
    return (frame.instance_ids[y1:y2, x1:x2] == id_).astype(np.uint8)
