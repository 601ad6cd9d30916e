"""Labelled frames: what every data set becomes for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.errors import ClearwayError

__all__ = ["DataError", "LabelledFrames"]


class DataError(ClearwayError):
    """A data set that is not there or not laid out as its loader expects."""


@dataclass(slots=True)
class LabelledFrames:
    """A data set. Frames are indexed alike in `images` and `label_images`, which may read them when they are wanted.

    Attributes:
        name: As given to `datasets.load_frames`.
        images: Each (H, W, 3) uint8 BGR.
        label_images: Each (H, W) uint8, the data set's own values.
        sets: (256,) uint16, the class set (see `training.labels`) of every label value.
        pasted: (256,) bool, the label values of objects that may be pasted from one frame into another.
    """

    name: str
    images: Sequence[NDArray[np.uint8]]
    label_images: Sequence[NDArray[np.uint8]]
    sets: NDArray[np.uint16]
    pasted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(256, bool))

    def __len__(self) -> int:
        return len(self.images)
