"""Several cameras in one picture, side by side, for outputs that have room for one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.scene import BgrImage, Scene
from pipeline.sinks.base import Sink

__all__ = ["MosaicSink"]

_TILE_WIDTH_PX = 640
_GAP_PX = 4


class MosaicSink:
    """Gives a sink the newest pictures of all cameras as one.

    Each camera keeps its place, in the order given, row by row. A tile has the shape of that camera's first picture;
    later ones of another shape are fitted into it.

    Args:
        sink: Where the joined picture goes; closed with this one.
        cameras: Names of the cameras.
    """

    needs_overlay = True

    def __init__(self, sink: Sink, cameras: Sequence[str]) -> None:
        self.name = sink.name
        self.on_main_thread = sink.on_main_thread
        self._sink = sink
        self._cameras = list(cameras)
        self._columns = math.ceil(math.sqrt(len(cameras)))
        self._tile_hw = (0, 0)
        self._canvas: BgrImage = np.zeros((0, 0, 3), np.uint8)

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        """Put one camera's picture into its place, and show all.

        Raises:
            SinkError: The sink behind failed.
            SinkClosed: The user closed it.
        """
        if picture is None:
            raise ValueError("MosaicSink.write needs the drawn picture")
        if not self._canvas.size:
            height, width = picture.shape[:2]
            self._tile_hw = (round(_TILE_WIDTH_PX * height / width), _TILE_WIDTH_PX)
            rows = math.ceil(len(self._cameras) / self._columns)
            self._canvas = np.zeros(
                (
                    rows * self._tile_hw[0] + (rows - 1) * _GAP_PX,
                    self._columns * _TILE_WIDTH_PX + (self._columns - 1) * _GAP_PX,
                    3,
                ),
                np.uint8,
            )
        self._place(picture, self._cameras.index(scene.frame.camera))
        self._sink.write(scene, self._canvas.copy())

    def _place(self, picture: BgrImage, position: int) -> None:
        height, width = self._tile_hw
        row, column = divmod(position, self._columns)
        tile = self._canvas[row * (height + _GAP_PX) :, column * (width + _GAP_PX) :][:height, :width]
        factor = min(height / picture.shape[0], width / picture.shape[1])
        fitted_h, fitted_w = round(picture.shape[0] * factor), round(picture.shape[1] * factor)
        top, left = (height - fitted_h) // 2, (width - fitted_w) // 2
        tile[:] = 0
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        tile[top : top + fitted_h, left : left + fitted_w] = cv2.resize(
            picture, (fitted_w, fitted_h), interpolation=interpolation
        )

    def close(self) -> None:
        """Close the sink behind. May be called more than once."""
        self._sink.close()
