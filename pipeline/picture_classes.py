"""Frames to classes on a GPU: pictures go up, class maps come down, and the CPU touches no pixel in between.

Where the engine offers it (`engines.kernels.picture_path.PictureEngine`), this takes the place of preprocessing on the
CPU and of finding classes from logits there. It gives the same classes, up to the engine's own precision.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.kernels.picture import PictureFormat
from engines.kernels.picture_path import DEPTH, ClassifiedPicture, Feed, PictureEngine, PicturePath
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame

__all__ = ["PictureClasses"]

_KEPT_PATHS = 4
"""Paths through the GPU that stay open: one for each combination of picture formats that was met lately."""


class PictureClasses:
    """Classifies frames of any format. Owned by the thread that owns the engine; closed before it.

    Args:
        engine: An engine with a picture path.
        preprocessor: Of the same model; says how pictures lie in the network's input.
    """

    def __init__(self, engine: PictureEngine, preprocessor: Preprocessor) -> None:
        self._engine = engine
        self._preprocessor = preprocessor
        self._paths: OrderedDict[tuple[PictureFormat, ...], PicturePath] = OrderedDict()
        self._submitted: deque[Frame] = deque()

    def classify(self, frames: Sequence[Frame]) -> tuple[ClassifiedPicture, ...]:
        """The classes of some frames, at most as many as the engine was opened for, in one run of the network.

        Returns:
            One result a frame: views, valid until the next call.

        Raises:
            EngineError: The GPU failed, or has no memory for pictures of a new format.
        """
        path = self._path_for(tuple(_format_of(frame) for frame in frames))
        return path.classify([_samples_of(frame) for frame in frames])

    @property
    def under_way(self) -> int:
        """How many frames were submitted and not collected yet."""
        return len(self._submitted)

    def has_room_for(self, frame: Frame) -> bool:
        """Whether that frame may be submitted now. One of another format waits until all before it are collected."""
        if not self._submitted:
            return True
        return len(self._submitted) < DEPTH and _format_of(self._submitted[-1]) == _format_of(frame)

    def submit(self, frame: Frame) -> None:
        """Start on a frame, and return; `has_room_for` must hold.

        Raises:
            EngineError: As for `classify`.
        """
        self._path_for((_format_of(frame),)).submit([_samples_of(frame)])
        self._submitted.append(frame)

    def collect(self) -> tuple[Frame, ClassifiedPicture]:
        """Wait for the oldest frame that was submitted: it, and its classes, which are views until the next call.

        Raises:
            EngineError: The GPU failed.
        """
        frame = self._submitted.popleft()
        (classified,) = self._path_for((_format_of(frame),)).collect()
        return frame, classified

    def close(self) -> None:
        """Close all paths. May be called more than once."""
        self._submitted.clear()
        while self._paths:
            self._paths.popitem()[1].close()

    def _path_for(self, formats: tuple[PictureFormat, ...]) -> PicturePath:
        path = self._paths.get(formats)
        if path is None:
            if len(self._paths) == _KEPT_PATHS:
                self._paths.popitem(last=False)[1].close()
            path = self._paths[formats] = self._engine.picture_path([self._feed(picture) for picture in formats])
        self._paths.move_to_end(formats)
        return path

    def _feed(self, picture: PictureFormat) -> Feed:
        size_hw = picture.size_hw
        return Feed(picture, self._preprocessor.content_size_hw(size_hw), self._preprocessor.grid_size_hw(size_hw))


def _format_of(frame: Frame) -> PictureFormat:
    if frame.planes is None:
        return PictureFormat("bgr", frame.size_hw)
    return PictureFormat("i420", frame.size_hw, matrix=frame.planes.matrix, full_range=frame.planes.full_range)


def _samples_of(frame: Frame) -> tuple[NDArray[np.uint8], ...]:
    if frame.planes is None:
        return (frame.image,)
    return frame.planes.y, frame.planes.u, frame.planes.v
