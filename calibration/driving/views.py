"""Frames as the measurement wants them: grey, without the lens, of a moderate size, and told which pixels are road.

Points are tracked in pictures of an ideal pinhole camera, so that the road is carried from one to the other by a
homography, which is what two views of a plane are (Hartley and Zisserman 2004, chapter 13).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.camera_model import CameraModel
from pipeline.perception import Perception
from pipeline.scene import Frame, Scene

__all__ = ["Labels", "Rectifier", "grey_of"]

GreyImage = NDArray[np.uint8]
Mask = NDArray[np.uint8]

_MOST_PIXELS = 460_000
"""Larger pictures are shrunk: subpixel tracking gains little from more, and takes longer."""

_MOVING = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")

_MARGIN = 0.006
"""Share of the picture's width that masks are drawn in by, so that no tracking window straddles an edge."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Where points may be looked for, in rectified pixels.

    Attributes:
        road: (H, W) uint8, 255 on the road ahead.
        rest: (H, W) uint8, 255 on what stands still beside it: not road, not sky, nothing that moves by itself.
        road_is_guessed: The network saw no road, and a triangle before the vehicle stands in for it.
    """

    road: Mask = field(repr=False)
    rest: Mask = field(repr=False)
    road_is_guessed: bool


class Rectifier:
    """Turns frames of a camera into grey pictures of a pinhole camera that looks the same way.

    Args:
        camera: At the size of the frames.

    Attributes:
        camera: The pinhole camera.
    """

    def __init__(self, camera: CameraModel) -> None:
        height, width = camera.size_hw
        factor = min(1.0, math.sqrt(_MOST_PIXELS / (height * width)))
        size_hw = round(height * factor), round(width * factor)
        across, down = size_hw[1] / width, size_hw[0] / height
        self._lens = camera
        self.camera = CameraModel(size_hw, camera.fx * across, camera.fy * down, camera.cx * across, camera.cy * down)

    def grey(self, frame: Frame) -> GreyImage:
        """(H, W) uint8 luma of the pinhole camera; black where the lens sees nothing."""
        return self._warp(grey_of(frame), cv2.INTER_LINEAR)

    def labels(self, perception: Perception, frame: Frame) -> Labels:
        """Where the network sees road and where things that stand still."""
        return self._labels(perception.see(frame))

    def _labels(self, scene: Scene) -> Labels:
        segmentation = scene.segmentation
        still = np.ones(256, np.uint8)
        road_index = segmentation.class_index("road")
        for name in ("road", "sky", *_MOVING):
            index = segmentation.class_index(name)
            if index is not None:
                still[index] = 0
        # The nearest pixel is good enough for labels; the edges are drawn in below.
        rest = self._warp(still[segmentation.class_ids] * np.uint8(255), cv2.INTER_NEAREST)
        road = self._warp(scene.drivable.mask * np.uint8(255), cv2.INTER_NEAREST)
        guessed = road_index is None or float(road.mean()) < 0.01 * 255
        if guessed:
            road = _triangle(self.camera)
        side = 2 * max(1, round(_MARGIN * self.camera.size_hw[1])) + 1
        kernel = np.ones((side, side), np.uint8)
        return Labels(cv2.erode(road, kernel), cv2.erode(rest, kernel), guessed)  # type: ignore[arg-type]

    def _warp(self, image: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
        if not self._lens.distortion and not self._lens.fisheye:
            height, width = self.camera.size_hw
            if image.shape == (height, width):
                return image
            shrink = cv2.INTER_AREA if interpolation == cv2.INTER_LINEAR else interpolation
            return np.asarray(cv2.resize(image, (width, height), interpolation=shrink), np.uint8)
        return np.asarray(cv2.remap(image, *self._maps, interpolation), np.uint8)

    @cached_property
    def _maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        height, width = self.camera.size_hw
        rows, columns = np.mgrid[:height, :width] + 0.5
        rays = self.camera.camera_from_image(np.stack([columns.ravel(), rows.ravel()], axis=1))
        pixels = np.nan_to_num(self._lens.image_from_camera(rays), nan=-10.0) - 0.5  # OpenCV counts pixel centres.
        x, y = pixels.astype(np.float32).T.reshape(2, height, width)
        return np.ascontiguousarray(x), np.ascontiguousarray(y)


def grey_of(frame: Frame) -> GreyImage:
    """(H, W) uint8 luma of a frame: the decoder's own plane where it gave one."""
    if frame.planes is not None:
        return np.ascontiguousarray(frame.planes.y)
    return np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)


def _triangle(camera: CameraModel) -> Mask:
    """The lower middle of the picture, from a little below the horizon of a level camera."""
    height, width = camera.size_hw
    top = min(camera.cy + 0.06 * camera.fy, 0.85 * height)
    corners = np.array([[camera.cx, top], [0.85 * width, height], [0.15 * width, height]])
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 255)
    return mask
