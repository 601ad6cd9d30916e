"""From pixels to metres and back: the camera, how it hangs over the road, and how sure a distance is.

    frame    origin                                   x         y      z                     unit
    road     the point of the road under the camera   forward   left   up                    metres
    camera   the optical centre                       right     down   forward (the axis)    metres
    image    the upper left corner of the picture     right     down                         pixels

A pixel covers a square: the centre of the upper left one is (0.5, 0.5). `docs/geometry.md` has the whole table.
Functions read ``to_from``, so that products chain by eye. All take and give (N, k) float64 arrays; whatever cannot be
seen (above the horizon, behind the camera, beyond what the lens maps) is NaN, never a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ConfigError
from pipeline.geometry.calibration_files import (
    Calibration,
    GroundFile,
    GroundUncertainty,
    check_camera,
    check_ground,
    read_ground,
)
from pipeline.geometry.camera_model import CameraModel, rows_of
from pipeline.geometry.camera_pose import CameraPose
from pipeline.geometry.projection import pack_view

__all__ = ["CameraModel", "CameraPose", "RoadView"]

FloatArray = NDArray[np.float64]

_PIXEL_STEP = 0.1
_ANGLE_STEP = 1e-5
"""Half widths of central differences, in pixels and radians."""


@dataclass(frozen=True)
class RoadView:
    """A camera in its place: between the picture and the road plane.

    Attributes:
        camera: The camera, at the size of the pictures.
        pose: How it hangs over the road.
        pose_covariance: (3, 3) of (height_m, pitch_rad, roll_rad); zeros where they are known exactly.
    """

    camera: CameraModel
    pose: CameraPose
    pose_covariance: FloatArray = field(default_factory=lambda: np.zeros((3, 3)), compare=False)

    @classmethod
    def load(cls, camera_path: Path, ground_path: Path, size_hw: tuple[int, int] | None = None) -> RoadView:
        """Read a camera file and a ground file.

        Args:
            camera_path: What `calibrate camera` wrote.
            ground_path: What `calibrate ground` wrote.
            size_hw: (H, W) of the pictures to be measured, where they are not those of the calibration.

        Raises:
            ConfigError: A file does not fit its format, the camera was measured on pictures of another shape, or its
                height is not known.
        """
        pose, covariance = _hanging(read_ground(ground_path), ground_path)
        return cls(CameraModel.load(camera_path, size_hw), pose, covariance)

    @classmethod
    def of_calibration(cls, calibration: Calibration, where: object) -> RoadView:
        """The view that a recording kept, at the size of its calibration.

        Raises:
            ConfigError: It is damaged, or the height is not known; `where` says whose it is.
        """
        check_camera(calibration.camera, where)
        check_ground(calibration.ground, where)
        pose, covariance = _hanging(calibration.ground, where)
        return cls(CameraModel.from_file(calibration.camera), pose, covariance)

    @cached_property
    def packed(self) -> FloatArray:
        """(51,) the view as the kernels of `pipeline.geometry.projection` want it."""
        return pack_view(self.camera, self.pose, self.pose_covariance)

    def scaled_to(self, size_hw: tuple[int, int]) -> RoadView:
        """The same view, its pictures resized.

        Raises:
            ConfigError: Pictures of that size have another shape.
        """
        return self if self.camera.size_hw == size_hw else replace(self, camera=self.camera.scaled_to(size_hw))

    def image_from_road(self, points_m: ArrayLike) -> FloatArray:
        """Where points of the world appear.

        Args:
            points_m: (N, 3) in the road frame, or (N, 2) on the road itself.

        Returns:
            (N, 2) pixels, not clipped to the picture; NaN behind the camera and where the lens sees nothing.
        """
        points = np.asarray(points_m, np.float64)
        if points.ndim == 2 and points.shape[1] == 2:
            points = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
        return self.camera.image_from_camera(self.pose.camera_from_road(points))

    def road_from_image(self, points_px: ArrayLike, z_m: ArrayLike = 0.0) -> FloatArray:
        """Where on the road pixels look.

        Args:
            points_px: (N, 2) pixels.
            z_m: Height over the road of what they look at, one or (N,); a pavement is some 0.12 m high, which taken
                for the road would seem 8 % farther away from a camera at 1.5 m. Below the camera.

        Returns:
            (N, 2) metres in the road frame, of points at that height; NaN at and above the horizon.
        """
        share = 1.0 - np.asarray(z_m, np.float64) / self.pose.height_m
        return np.asarray(self._landing(self._road_directions(points_px)) * share.reshape(-1, 1))

    def horizon_rows_px(self, columns_px: ArrayLike) -> FloatArray:
        """Where the horizon crosses columns of the picture; a curve where the lens distorts.

        Args:
            columns_px: (N,) pixels.

        Returns:
            (N,) rows in pixels, not clipped to the picture; NaN where it does not cross that column.
        """
        columns = np.asarray(columns_px, np.float64)
        rows = self._straight_horizon(columns)
        with np.errstate(all="ignore"):
            for _ in range(30):  # Newton's method: a lens bends the straight line only a little.
                around = np.concatenate([rows - _PIXEL_STEP, rows + _PIXEL_STEP])
                above, below = self._climb(np.tile(columns, 2), around).reshape(2, -1)
                step = (above + below) * _PIXEL_STEP / (below - above)
                rows = rows - np.clip(step, -50.0, 50.0)
                if not (np.abs(step) > 1e-7).any():
                    break
            return np.where(np.abs(self._climb(columns, rows)) < 1e-6, rows, np.nan)

    def road_covariance_m2(self, points_px: ArrayLike, pixel_std_px: float = 1.0) -> FloatArray:
        """How unsure `road_from_image` is: pixel, height, pitch and roll errors carried over to first order.

        First order is good while the deviation is small against the distance; towards the horizon the true error is
        skewed outwards, and without limit once the horizon lies within it.

        Args:
            points_px: (N, 2) pixels.
            pixel_std_px: Standard deviation of each of the two pixel coordinates.

        Returns:
            (N, 2, 2) covariances of (x, y) in square metres; NaN at and above the horizon.
        """
        return self._road_and_covariance(points_px, pixel_std_px)[1]

    def distance_std_m(self, points_px: ArrayLike, pixel_std_px: float = 1.0) -> FloatArray:
        """Standard deviation of the ground distance from the point under the camera.

        Args:
            points_px: (N, 2) pixels.
            pixel_std_px: Standard deviation of each of the two pixel coordinates.

        Returns:
            (N,) metres; NaN at and above the horizon.
        """
        road, covariance = self._road_and_covariance(points_px, pixel_std_px)
        with np.errstate(invalid="ignore"):
            towards = road / np.linalg.norm(road, axis=1, keepdims=True)
        return np.asarray(np.sqrt(np.einsum("ni,nij,nj->n", towards, covariance, towards)))

    def _road_and_covariance(self, points_px: ArrayLike, pixel_std_px: float) -> tuple[FloatArray, FloatArray]:
        """(N, 2) points of the road, and the (N, 2, 2) covariances of `road_covariance_m2`."""
        points = rows_of(points_px, 2)
        around = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) * _PIXEL_STEP
        rays = self.camera.camera_from_image((points + around[:, None, :]).reshape(-1, 2))  # In one go: it iterates.
        middle, right, left, down, up = self._landing(rays @ self.pose.camera_from_road_rotation).reshape(5, -1, 2)
        partial = [
            (right - left) / (2.0 * _PIXEL_STEP),
            (down - up) / (2.0 * _PIXEL_STEP),
            middle / self.pose.height_m,
            *(self._landing_by_angle(rays[: len(points)], angle) for angle in ("pitch_rad", "roll_rad")),
        ]
        jacobian = np.stack(partial, axis=2)
        covariance = np.zeros((5, 5))
        covariance[:2, :2] = np.eye(2) * pixel_std_px**2
        covariance[2:, 2:] = self.pose_covariance
        return middle, np.asarray(jacobian @ covariance @ jacobian.transpose(0, 2, 1))

    def _landing_by_angle(self, rays: FloatArray, angle: str) -> FloatArray:
        """(N, 2) metres by radian: how landing points of rays move with one angle of the pose."""
        turned = (
            replace(self.pose, **{angle: getattr(self.pose, angle) + step}) for step in (_ANGLE_STEP, -_ANGLE_STEP)
        )
        more, less = (self._landing(rays @ pose.camera_from_road_rotation) for pose in turned)
        return np.asarray((more - less) / (2.0 * _ANGLE_STEP))

    def _road_directions(self, points_px: ArrayLike) -> FloatArray:
        """(N, 3) unit directions in the road frame."""
        return np.asarray(self.camera.camera_from_image(points_px) @ self.pose.camera_from_road_rotation)

    def _landing(self, directions: FloatArray) -> FloatArray:
        """(N, 2) where (N, 3) rays of the road frame meet the road; NaN for rays that do not descend."""
        with np.errstate(invalid="ignore", divide="ignore"):
            descent = np.where(directions[:, 2] < 0.0, -directions[:, 2], np.nan)
            return np.asarray(directions[:, :2] * (self.pose.height_m / descent)[:, None])

    def _climb(self, columns: FloatArray, rows: FloatArray) -> FloatArray:
        """Sine of the elevation that pixels look at."""
        return self._road_directions(np.stack([columns, rows], axis=1))[:, 2]

    def _straight_horizon(self, columns: FloatArray) -> FloatArray:
        """The horizon's rows of an undistorted lens."""
        up = self.pose.camera_from_road_rotation[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = -(up[0] * (columns - self.camera.cx) / self.camera.fx + up[2]) / up[1]
        return np.asarray(self.camera.cy + self.camera.fy * slope)


def _hanging(ground: GroundFile, where: object) -> tuple[CameraPose, FloatArray]:
    """The pose that a ground file tells, and its covariance."""
    if ground.height_m is None:
        raise ConfigError(
            f"{where}: the height of the camera is unknown, so nothing can be told in metres; "
            "add height_m, or calibrate again with --height-m or --speed-mps"
        )
    pose = CameraPose(ground.height_m, ground.pitch_rad, ground.roll_rad, ground.yaw_rad)
    return pose, _covariance(ground.uncertainty)


def _covariance(uncertainty: GroundUncertainty) -> FloatArray:
    deviations = np.array([uncertainty.height_m, uncertainty.pitch_rad, uncertainty.roll_rad])
    return np.asarray(np.outer(deviations, deviations) * np.array(uncertainty.correlation))
