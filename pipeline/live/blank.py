"""Scenes that claim nothing: where a camera gives no picture, or no engine looks at it."""

from __future__ import annotations

import time

import numpy as np

from engines.classes import VOID_ID, SegmentationClass
from pipeline.scene import Alert, BgrImage, CameraView, DrivableArea, Frame, Scene, Segmentation

__all__ = ["UNKNOWN_SIZE_HW", "blank_frame", "blank_scene"]

UNKNOWN_SIZE_HW = (360, 640)
"""How large the pictures of a camera are taken to be that has never given one."""


def blank_frame(camera: str, index: int, source_time_s: float, size_hw: tuple[int, int] | None) -> Frame:
    """A black frame for a moment in which a camera gave none.

    Args:
        camera: Its name.
        index: Number of the frame that is awaited.
        source_time_s: Seconds since the run began.
        size_hw: (H, W) of its pictures, or None where that is not known.
    """
    size_hw = size_hw or UNKNOWN_SIZE_HW

    def black() -> BgrImage:
        return np.zeros((*size_hw, 3), np.uint8)

    return Frame(index, source_time_s, time.monotonic(), size_hw, black, camera=camera)


def blank_scene(frame: Frame, camera: CameraView, alert: Alert, classes: tuple[SegmentationClass, ...] = ()) -> Scene:
    """A scene without a class, a road or a road user, and the one alert that says why."""
    height, width = frame.size_hw
    return Scene(
        frame,
        Segmentation(np.full((height, width), VOID_ID, np.uint8), classes, np.zeros((1, 1), np.float32)),
        DrivableArea(np.zeros((height, width), np.uint8), 0, np.full(width, -1, np.int32)),
        (),
        (alert,),
        camera=camera,
    )
