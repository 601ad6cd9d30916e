"""Rendered pairs of pictures with their truth, and made-up motions, for the tests of calibration from a drive."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calibration.driving.motion import Motion
from calibration.driving.tracks import Pair, PairFinder
from calibration.driving.views import Labels, Rectifier
from pipeline.geometry import CameraPose
from pipeline.geometry.camera_model import CameraModel
from pipeline.sources.synthetic import SyntheticSource, open_synthetic
from pipeline.synthetic import SyntheticDrive
from pipeline.synthetic.drive import SyntheticFrame

__all__ = ["TrueLabels", "camera_of", "made_up_motions", "rendered_pair"]


def camera_of(drive: SyntheticDrive) -> CameraModel:
    """The camera that a drive is rendered with."""
    at = drive.camera(0)
    return CameraModel(drive.size_hw, at.fx, at.fy, at.cx, at.cy)


class TrueLabels(Rectifier):
    """A rectifier whose labels are the truth: no network needed."""

    def __init__(self, drive: SyntheticDrive) -> None:
        super().__init__(camera_of(drive))
        self._drive = drive

    def labels(self, perception, frame) -> Labels:
        classes = self._drive.render(frame.index).class_ids
        road = np.where(classes == 0, 255, 0).astype(np.uint8)
        rest = np.where(np.isin(classes, (1, 2, 4, 5, 7, 8)), 255, 0).astype(np.uint8)
        return Labels(road, rest, road_is_guessed=False)


@dataclass(frozen=True)
class RenderedPair:
    pair: Pair
    rectifier: Rectifier
    first: SyntheticFrame
    way_m: float


def rendered_pair(seed: int, frames: int = 30) -> RenderedPair:
    """The first pair of a rendered drive."""
    source = open_synthetic(f"synthetic://drive?seed={seed}&frames={frames}")
    assert isinstance(source, SyntheticSource)
    drive = source.drive
    rectifier = TrueLabels(drive)
    pair = next(PairFinder(rectifier, None).pairs(source.frames()))
    start, stop = drive.camera(pair.start), drive.camera(pair.stop)
    way_m = math.hypot(stop.world_x_m - start.world_x_m, stop.world_y_m - start.world_y_m)
    first = drive.render(pair.start)
    source.close()
    return RenderedPair(pair, rectifier, first, way_m)


def made_up_motions(
    rng: np.random.Generator,
    pose: CameraPose,
    count: int = 40,
    noise_rad: float = 0.002,
    turn_by_way: float = 0.0,
    advance: float = 0.6,
    step_s: float = 0.1,
) -> list[Motion]:
    """Motions of a vehicle whose springs swing, so that neighbours resemble each other."""
    swing = noise_rad * np.sin(np.arange(count)[:, None] * [0.7, 0.5] + rng.uniform(0.0, 6.3, 2))
    shaken = swing + rng.normal(0.0, noise_rad, (count, 2))
    motions = []
    for index, (pitch, roll) in enumerate(shaken.tolist()):
        rotation = CameraPose(1.0, pose.pitch_rad + pitch, pose.roll_rad + roll, pose.yaw_rad).camera_from_road_rotation
        climb = rng.normal(0.0, noise_rad)
        heading = rotation @ [math.cos(climb), 0.0, math.sin(climb)]
        way = advance * float(rng.normal(1.0, 0.01))
        start_s = index * step_s
        motions.append(
            Motion(
                index,
                index + 1,
                start_s,
                start_s + step_s,
                rotation[:, 2],
                heading,
                turn_by_way * way,
                way,
                200,
                200,
                0.2,
            )
        )
    return motions
