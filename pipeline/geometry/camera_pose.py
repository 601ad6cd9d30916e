"""`CameraPose`: how a camera hangs over the road."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.geometry.camera_model import rows_of

__all__ = ["CameraPose"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CameraPose:
    """How a camera hangs over a flat road.

    Attributes:
        height_m: Height of the optical centre over the road.
        pitch_rad: How far the optical axis points below the horizon.
        roll_rad: Rotation about the optical axis, clockwise as the camera looks: positive lifts its left side.
        yaw_rad: How far the optical axis points to the left of the vehicle's heading.
    """

    height_m: float
    pitch_rad: float
    roll_rad: float = 0.0
    yaw_rad: float = 0.0

    @cached_property
    def camera_from_road_rotation(self) -> FloatArray:
        """(3, 3) rotation that turns directions of the road frame into directions of the camera frame."""
        sin_pitch, cos_pitch = math.sin(self.pitch_rad), math.cos(self.pitch_rad)
        sin_roll, cos_roll = math.sin(self.roll_rad), math.cos(self.roll_rad)
        sin_yaw, cos_yaw = math.sin(self.yaw_rad), math.cos(self.yaw_rad)
        right = np.array([0.0, -1.0, 0.0])
        down = np.array([-sin_pitch, 0.0, -cos_pitch])
        forward = np.array([cos_pitch, 0.0, -sin_pitch])
        axes = np.stack([cos_roll * right + sin_roll * down, cos_roll * down - sin_roll * right, forward])
        turned = np.array([[cos_yaw, sin_yaw, 0.0], [-sin_yaw, cos_yaw, 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(axes @ turned)

    def camera_from_road(self, points_m: ArrayLike) -> FloatArray:
        """(N, 3) points of the road frame as (N, 3) points of the camera frame."""
        lowered = rows_of(points_m, 3) - np.array([0.0, 0.0, self.height_m])
        return np.asarray(lowered @ self.camera_from_road_rotation.T)
