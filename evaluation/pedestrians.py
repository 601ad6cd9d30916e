"""How many of the people are seen, by how tall they stand in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SIZES", "PedestrianRecall", "SizeRecall"]

SIZES = (("far", 0, 30), ("medium", 30, 80), ("near", 80, 1 << 30))
"""(name, least, below) heights in pixels: the scales of the Caltech benchmark (Dollár et al., TPAMI 2012)."""

_SMALLEST_PX = 20
"""Pieces with fewer pixels are crumbs of an annotator's outline."""
_FOUND_SHARE = 0.5
"""A pedestrian is found when at least this share of the pixels is seen."""


@dataclass(frozen=True, slots=True)
class SizeRecall:
    """What was seen of the pedestrians of one size.

    Attributes:
        name: Of the size, see `SIZES`.
        count: How many pieces of that size the truth shows.
        found: How many were seen as pedestrians, by half their pixels or more.
        found_as_people: The same, with riders counted as seen: somebody is there, in the wrong role.
        pixel_recall: Share of their pixels seen as pedestrians; NaN where there are none.
    """

    name: str
    count: int
    found: int
    found_as_people: int
    pixel_recall: float


class PedestrianRecall:
    """Counts connected pieces of the truth's pedestrians; people who overlap in the picture are one piece."""

    def __init__(self) -> None:
        self._count = np.zeros(len(SIZES), np.int64)
        self._found = np.zeros((2, len(SIZES)), np.int64)
        self._pixels = np.zeros((2, len(SIZES)), np.int64)

    def add(self, pedestrians: NDArray[np.bool_], seen: NDArray[np.bool_], seen_as_people: NDArray[np.bool_]) -> None:
        """Count one picture.

        Args:
            pedestrians: (H, W) where the truth shows them.
            seen: (H, W) where the prediction does.
            seen_as_people: (H, W) where the prediction shows pedestrians or riders.
        """
        count, pieces, boxes, _ = cv2.connectedComponentsWithStats(pedestrians.astype(np.uint8), connectivity=8)
        if count == 1:
            return
        area = boxes[:, cv2.CC_STAT_AREA].astype(np.int64)
        hits = np.bincount(pieces[seen], minlength=count)
        people_hits = np.bincount(pieces[seen_as_people], minlength=count)
        for piece in range(1, count):
            if area[piece] < _SMALLEST_PX:
                continue
            height = boxes[piece, cv2.CC_STAT_HEIGHT]
            size = next(index for index, (_, least, below) in enumerate(SIZES) if least <= height < below)
            self._count[size] += 1
            self._found[0, size] += hits[piece] >= _FOUND_SHARE * area[piece]
            self._found[1, size] += people_hits[piece] >= _FOUND_SHARE * area[piece]
            self._pixels[:, size] += hits[piece], area[piece]

    @property
    def sizes(self) -> tuple[SizeRecall, ...]:
        """The figures, far ones first."""
        return tuple(
            SizeRecall(
                name,
                int(self._count[size]),
                int(self._found[0, size]),
                int(self._found[1, size]),
                float(self._pixels[0, size] / self._pixels[1, size]) if self._count[size] else float("nan"),
            )
            for size, (name, _, _) in enumerate(SIZES)
        )
