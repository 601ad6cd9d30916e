"""A short street that is made up, so that a run compiles and loads its kernels before it begins and not in its middle.

Two people walk into one another and part again, a car stands, the road is known in metres: whatever a situation does
with a real scene it has then done once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.classes import CITYSCAPES
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.geometry.vanishing_point import fit_heading
from pipeline.postprocess import encode_runs, find_drivable, find_road_users
from pipeline.scene import BgrImage, Frame, Scene, Segmentation
from pipeline.situation import Situation, SituationSettings
from pipeline.tracking.association import overlap

__all__ = ["rehearse"]

_SIZE_HW = (180, 320)
_ROAD, _SIDEWALK, _SKY, _PERSON, _CAR = 0, 1, 10, 11, 13
_FRAMES, _RATE_HZ = 24, 10.0
_VIEW = RoadView(CameraModel(_SIZE_HW, 250.0, 250.0, 160.0, 90.0), CameraPose(1.4, 0.03))


def rehearse() -> None:
    """Take the street through a situation. Some milliseconds, once everything is compiled."""
    situation = Situation(SituationSettings(_VIEW))
    texture = np.random.default_rng(0).integers(0, 255, (*_SIZE_HW, 3), np.uint8)
    for index in range(_FRAMES):
        situation.understand(_scene(index, np.roll(texture, index // 4, axis=0)))
    # What few scenes need: a vehicle that drives, and road users that fall to pieces.
    rays = np.random.default_rng(0).uniform((-0.5, -0.3, 1.0), (0.5, 0.3, 1.0), (40, 3))
    fit_heading(rays, rays * np.array([1.01, 1.01, 1.0]), 250.0)
    overlap(np.array([0.0, 0.0, 2.0, 2.0]), np.array([1.0, 1.0, 3.0, 3.0]))


def _scene(index: int, picture: BgrImage) -> Scene:
    ids = _street(index)
    runs = encode_runs(ids)
    sure = np.full((_SIZE_HW[0] // 4, _SIZE_HW[1] // 4), 0.95, np.float32)
    frame = Frame(index, index / _RATE_HZ, 0.0, _SIZE_HW, _giving(picture))
    users = find_road_users(runs, CITYSCAPES, sure)
    return Scene(frame, Segmentation(ids, CITYSCAPES, sure), find_drivable(runs, _ROAD, (_PERSON, _CAR)), users)


def _giving(picture: BgrImage) -> Callable[[], BgrImage]:
    return lambda: picture


def _street(index: int) -> NDArray[np.uint8]:
    """(H, W) class ids."""
    ids = np.full(_SIZE_HW, _SKY, np.uint8)
    ids[90:] = _SIDEWALK
    for row in range(96, _SIZE_HW[0]):
        half = (row - 90) * 2
        ids[row, max(0, 160 - half) : 160 + half] = _ROAD
    ids[95:115, 200:230] = _CAR
    meeting = 4 * abs(index - _FRAMES // 2)  # How far apart they are.
    for middle in (140 - meeting, 144 + meeting):
        ids[92:140, max(0, middle - 7) : middle + 7] = _PERSON
    return ids
