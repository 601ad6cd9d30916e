"""Several cameras in one picture, side by side, for outputs that have room for one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.scene import BgrImage, Scene
from pipeline.sinks.base import Sink
from pipeline.sinks.h264 import fitted

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
        tile[:] = fitted(picture, self._tile_hw)

    def close(self) -> None:
        """Close the sink behind. May be called more than once."""
        self._sink.close()
