"""The road and everything that stands still, tinted; and the line where the clear road ends."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.overlay import style
from pipeline.overlay.kernels import smooth_boundary, tint_scene
from pipeline.overlay.pen import Pen, draw_lines
from pipeline.scene import BgrImage, DrivableArea, Scene

__all__ = ["GroundPainter"]

_TINTS = {"sidewalk": 0.12, "terrain": 0.14, "traffic sign": 0.25, "traffic light": 0.25, "fence": 0.14, "pole": 0.14}
"""Class → opacity of its tint. Classes that are not named stay clear: the eye should rest on the road."""

_ROAD_OPACITY_NEAR, _ROAD_OPACITY_FAR = 0.36, 0.52
_HORIZON = 0.45
"""Where the road's gradient begins, as a share of the height. Fixed, so that it does not flicker with the mask."""


class GroundPainter:
    """Draws the road for pictures of one size and one set of classes."""

    def __init__(self, classes: tuple[SegmentationClass, ...], height: int, width: int, line_px: int) -> None:
        self._class_keep, self._class_tint = _class_tables(classes)
        self._road_color, self._road_opacity = _road_gradient(height)
        self._softness_px = 2 * line_px + 1
        self._step = max(2, width // 213)
        self._road_mask = np.empty((height, width), np.uint8)
        self._pen = Pen(style.BOUNDARY_CORE, 1.1 * line_px, 0.95, style.BOUNDARY_GLOW, 4.0 * line_px, 0.85)

    def draw(self, scene: Scene) -> BgrImage:
        """A fresh (H, W, 3) picture: the frame, its classes tinted, its road laid over with colour."""
        image = scene.frame.image
        picture = np.empty_like(image)
        # A mask of 0 and 255 with edges as soft as the outlines are wide.
        np.multiply(scene.drivable.mask, 255, out=self._road_mask)
        cv2.blur(self._road_mask, (self._softness_px, self._softness_px), dst=self._road_mask)
        tint_scene(
            image,
            scene.segmentation.class_ids,
            self._road_mask,
            self._class_keep,
            self._class_tint,
            self._road_color,
            self._road_opacity,
            picture,
        )
        return picture

    def draw_boundary(self, picture: BgrImage, drivable: DrivableArea, layer: NDArray[np.uint8]) -> None:
        """Draw the free-space boundary as a glowing line into the picture."""
        rows = smooth_boundary(drivable.free_space_px, self._step, 2 * self._step)
        points = np.stack((np.arange(rows.size, dtype=np.float32) * self._step + 0.5, rows), axis=1)
        draw_lines(picture, [points], self._pen, layer)


def _class_tables(classes: tuple[SegmentationClass, ...]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    keep = np.full(256, 256, np.uint16)
    tint = np.zeros((256, 3), np.uint16)
    for index, entry in enumerate(classes):
        share = round(_TINTS.get(entry.name, 0.0) * 256)
        keep[index] = 256 - share
        tint[index] = [channel * share for channel in reversed(entry.color_rgb)]
    return keep, tint


def _road_gradient(height: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """(H, 3) colour and (H,) opacity of 256 of the road per row, from far to near."""
    rows = np.arange(height) / max(1, height - 1)
    nearness = np.clip((rows - _HORIZON) / (1 - _HORIZON), 0, 1)
    far, near = np.array(style.ROAD_FAR), np.array(style.ROAD_NEAR)
    color = far + (near - far) * nearness[:, None]
    opacity = 256 * (_ROAD_OPACITY_FAR + (_ROAD_OPACITY_NEAR - _ROAD_OPACITY_FAR) * nearness)
    return color.round().astype(np.uint16), opacity.round().astype(np.uint16)
