"""The camera of a rendered drive, and the two frames of reference that its truth is told in.

    frame    origin                                   x         y      z                     unit
    road     the point of the road under the camera   forward   left   up                    metres
    camera   the optical centre                       right     down   forward (the axis)    metres
    image    the upper left corner of the picture     right     down                         pixels

The road frame moves with the vehicle: its x axis is the vehicle's heading, its plane z = 0 is the road. Pixel
(column, row) covers the square from (column, row) to (column + 1, row + 1), so its centre lies at + 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SyntheticCamera"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SyntheticCamera:
    """A pinhole camera without distortion, on a vehicle, at one moment.

    Attributes:
        fx: Focal length over the pixel width.
        fy: Focal length over the pixel height.
        cx: Column of the principal point in pixels.
        cy: Row of the principal point in pixels.
        height_m: Height of the optical centre over the road.
        pitch_rad: How far the optical axis points below the horizon.
        roll_rad: Rotation about the optical axis, clockwise as the camera looks: positive lifts its left side.
        yaw_rad: How far the optical axis points to the left of the vehicle's heading.
        world_x_m: Where the camera is in the fixed frame of the whole drive (x along the street, y left, z up).
        world_y_m: Same, to the left.
        world_heading_rad: Heading of the vehicle in that frame, anticlockwise from its x axis.
        speed_mps: Speed of the vehicle along its heading.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    height_m: float
    pitch_rad: float
    roll_rad: float
    yaw_rad: float
    world_x_m: float
    world_y_m: float
    world_heading_rad: float
    speed_mps: float

    @property
    def matrix(self) -> FloatArray:
        """(3, 3) intrinsic matrix."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def camera_from_road_rotation(self) -> FloatArray:
        """(3, 3) rotation that turns directions of the road frame into directions of the camera frame."""
        return _camera_from_level(self.yaw_rad, self.pitch_rad, self.roll_rad)

    @property
    def camera_from_world_rotation(self) -> FloatArray:
        """(3, 3) rotation that turns directions of the fixed frame into directions of the camera frame."""
        return _camera_from_level(self.world_heading_rad + self.yaw_rad, self.pitch_rad, self.roll_rad)

    def camera_from_road(self, points_m: FloatArray) -> FloatArray:
        """(N, 3) points of the road frame as (N, 3) points of the camera frame."""
        lowered = np.asarray(points_m, np.float64) - np.array([0.0, 0.0, self.height_m])
        return np.asarray(lowered @ self.camera_from_road_rotation.T)

    def image_from_road(self, points_m: FloatArray) -> FloatArray:
        """Project points of the road frame.

        Args:
            points_m: (N, 3) float64 in the road frame, all before the camera.

        Returns:
            (N, 2) float64 pixels (column, row); not clipped to the picture.
        """
        points = self.camera_from_road(points_m)
        columns = self.fx * points[:, 0] / points[:, 2] + self.cx
        rows = self.fy * points[:, 1] / points[:, 2] + self.cy
        return np.stack([columns, rows], axis=1)

    def road_depth_m(self, size_hw: tuple[int, int]) -> FloatArray:
        """Depth of the plane z = 0 at the centre of every pixel.

        Returns:
            (H, W) float64 metres along the optical axis; infinite at and above the horizon.
        """
        height, width = size_hw
        columns = (np.arange(width) + 0.5 - self.cx) / self.fx
        rows = (np.arange(height) + 0.5 - self.cy) / self.fy
        up = self.camera_from_road_rotation[:, 2]
        descent = -(columns[None, :] * up[0] + rows[:, None] * up[1] + up[2])
        with np.errstate(divide="ignore"):
            return np.where(descent > 0.0, self.height_m / np.maximum(descent, 1e-300), np.inf)

    def road_from_world(self, points_m: FloatArray) -> FloatArray:
        """(N, 3) points of the fixed frame as (N, 3) points of the road frame."""
        shifted = np.asarray(points_m, np.float64) - np.array([self.world_x_m, self.world_y_m, 0.0])
        return np.asarray(shifted @ heading_rotation(self.world_heading_rad).T)


def heading_rotation(heading_rad: float) -> FloatArray:
    """(3, 3) rotation from a level frame to one whose x axis points along `heading_rad` in it."""
    cosine, sine = math.cos(heading_rad), math.sin(heading_rad)
    return np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _camera_from_level(yaw_rad: float, pitch_rad: float, roll_rad: float) -> FloatArray:
    """(3, 3) rotation from a frame x forward, y left, z up to the camera's axes."""
    sin_pitch, cos_pitch = math.sin(pitch_rad), math.cos(pitch_rad)
    sin_roll, cos_roll = math.sin(roll_rad), math.cos(roll_rad)
    right = np.array([0.0, -1.0, 0.0])
    down = np.array([-sin_pitch, 0.0, -cos_pitch])
    forward = np.array([cos_pitch, 0.0, -sin_pitch])
    axes = np.stack([cos_roll * right + sin_roll * down, cos_roll * down - sin_roll * right, forward])
    return np.asarray(axes @ heading_rotation(yaw_rad))
