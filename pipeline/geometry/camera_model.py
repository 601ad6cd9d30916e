"""The camera alone: between pixels and the directions that they look along.

Pixels are Clearway's: each covers a square, and the centre of the upper left one is (0.5, 0.5). OpenCV's are half a
pixel off: there that centre is (0, 0). At 40 m a row is about a metre of road, so the half counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ConfigError
from pipeline.geometry.calibration_files import CameraFile, read_camera
from pipeline.geometry.lens import BrownConrady, KannalaBrandt, Lens

__all__ = ["CameraModel", "rows_of"]

FloatArray = NDArray[np.float64]

_ASPECT_TOLERANCE = 0.005
"""Shapes that differ by less are taken for the same one, rounded: 854x480 is a 16:9."""

_HALF_PIXEL = 0.5
"""OpenCV counts pixel centres from 0, Clearway pixel corners."""


@dataclass(frozen=True)
class CameraModel:
    """What the camera does to a direction: focal lengths, principal point, lens.

    Attributes:
        size_hw: (H, W) of its pictures.
        fx: Focal length over the pixel width.
        fy: Focal length over the pixel height.
        cx: Column of the principal point in pixels, from the left *edge* of the picture.
        cy: Row of the principal point in pixels, from the upper *edge*.
        distortion: Coefficients in OpenCV's order: none, 4, 5 or 8 of a pinhole; none or 4 of a fisheye.
        fisheye: Kannala–Brandt instead of Brown–Conrady.
    """

    size_hw: tuple[int, int]
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    fisheye: bool = False

    @classmethod
    def load(cls, path: Path, size_hw: tuple[int, int] | None = None) -> CameraModel:
        """Read a camera file.

        Args:
            path: What `calibrate camera` wrote.
            size_hw: (H, W) of the pictures to be measured, where they are not those of the calibration.

        Raises:
            ConfigError: The file does not fit its format, or was measured on pictures of another shape.
        """
        camera = cls.from_file(read_camera(path))
        if size_hw is None:
            return camera
        try:
            return camera.scaled_to(size_hw)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def from_file(cls, content: CameraFile) -> CameraModel:
        """The camera that a camera file tells of."""
        matrix = np.array(content.matrix)
        return cls.from_opencv(matrix, content.distortion, content.size_hw, fisheye=content.model == "fisheye")

    @classmethod
    def from_opencv(
        cls, matrix: ArrayLike, distortion: ArrayLike, size_hw: tuple[int, int], *, fisheye: bool = False
    ) -> CameraModel:
        """Take over what OpenCV, ROS or Kalibr call K and D: their pixel (0, 0) is a centre, ours a corner."""
        k = np.asarray(matrix, np.float64)
        coefficients = tuple(float(value) for value in np.asarray(distortion, np.float64).ravel())
        cx, cy = float(k[0, 2]) + _HALF_PIXEL, float(k[1, 2]) + _HALF_PIXEL
        return cls(size_hw, float(k[0, 0]), float(k[1, 1]), cx, cy, coefficients, fisheye)

    @property
    def matrix(self) -> FloatArray:
        """(3, 3) intrinsic matrix in Clearway's pixel coordinates."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def opencv_matrix(self) -> FloatArray:
        """(3, 3) intrinsic matrix in OpenCV's pixel coordinates."""
        return np.asarray(self.matrix - np.array([[0.0, 0.0, _HALF_PIXEL], [0.0, 0.0, _HALF_PIXEL], [0.0, 0.0, 0.0]]))

    @cached_property
    def lens(self) -> Lens:
        """The distortion alone."""
        return KannalaBrandt(self.distortion) if self.fisheye else BrownConrady(self.distortion)

    def image_from_camera(self, points_m: ArrayLike) -> FloatArray:
        """Project points or directions.

        Args:
            points_m: (N, 3) in the camera frame; their length does not matter.

        Returns:
            (N, 2) pixels, not clipped to the picture; NaN where the lens sees nothing.
        """
        plane = self.lens.plane_from_direction(rows_of(points_m, 3))
        return np.asarray(plane * np.array([self.fx, self.fy]) + np.array([self.cx, self.cy]))

    def camera_from_image(self, points_px: ArrayLike) -> FloatArray:
        """The rays that pixels look along.

        Args:
            points_px: (N, 2) pixels, fractions and places outside the picture included.

        Returns:
            (N, 3) unit directions in the camera frame; NaN where no direction leads to that pixel.
        """
        plane = (rows_of(points_px, 2) - np.array([self.cx, self.cy])) / np.array([self.fx, self.fy])
        return self.lens.direction_from_plane(plane)

    def scaled_to(self, size_hw: tuple[int, int]) -> CameraModel:
        """The same camera, its pictures resized.

        Raises:
            ConfigError: Pictures of that size have another shape: they were cropped or stretched, nobody knows how.
        """
        across, down = size_hw[1] / self.size_hw[1], size_hw[0] / self.size_hw[0]
        if abs(across / down - 1.0) > _ASPECT_TOLERANCE:
            ours, theirs = (f"{width}x{height}" for height, width in (self.size_hw, size_hw))
            raise ConfigError(
                f"the camera was measured on {ours} pictures, these are {theirs}: another shape, so they were cropped "
                f"or stretched in a way the file does not tell; calibrate with {theirs} photos"
            )
        return replace(
            self,
            size_hw=size_hw,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=self.cx * across,
            cy=self.cy * down,
        )


def rows_of(points: ArrayLike, columns: int) -> FloatArray:
    """Points as an (N, `columns`) float64 array.

    Raises:
        ValueError: They have another shape.
    """
    array = np.asarray(points, np.float64)
    if array.ndim != 2 or array.shape[1] != columns:
        raise ValueError(f"expected an array of shape (N, {columns}), got {array.shape}")
    return array
