"""How well the outlines of classes are met: the boundary F-score."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "BoundaryScore"]

TOLERANCE = 0.0075
"""How far a boundary may be off, as a share of the picture's diagonal: 4.5 px at 480x360, 5.5 px at 640x360."""


class BoundaryScore:
    """The boundary F-score of Csurka et al. ("What is a good evaluation measure for semantic segmentation?", 2013).

    A boundary pixel of a class has a 4-neighbour of another class. Precision is the share of the predicted boundary
    that lies within `TOLERANCE` of the true one, recall the reverse, F their harmonic mean: a picture's F of every
    class that its truth shows a boundary of, averaged over pictures. The tolerance is Perazzi et al.'s (CVPR 2016).

    Void has no boundary: neither its pixels nor those within the tolerance of it are looked at, on either side.

    Args:
        class_count: K; pictures hold ranks from 0 to K - 1, and 255 where the truth is void.
    """

    def __init__(self, class_count: int) -> None:
        self._sums = np.zeros(class_count)
        self._pictures = np.zeros(class_count, np.int64)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count one picture: (H, W) ranks each."""
        tolerance_px = TOLERANCE * math.hypot(*truth.shape)
        void = truth >= len(self._sums)
        judged = _distance(void) > tolerance_px
        true_edge, seen_edge = _edges(truth, void), _edges(predicted, void)
        for rank in range(len(self._sums)):
            true_line = true_edge & (truth == rank) & judged
            if not true_line.any():
                continue
            seen_line = seen_edge & (predicted == rank) & judged
            self._pictures[rank] += 1
            if not seen_line.any():
                continue
            precision = float((_distance(true_line)[seen_line] <= tolerance_px).mean())
            recall = float((_distance(seen_line)[true_line] <= tolerance_px).mean())
            self._sums[rank] += 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def f_scores(self) -> NDArray[np.float64]:
        """(K,) mean F of each class; NaN for a class of which the truth shows no boundary."""
        scores = np.full(len(self._sums), np.nan)
        np.divide(self._sums, self._pictures, out=scores, where=self._pictures > 0)
        return scores

    @property
    def mean(self) -> float:
        """Mean of `f_scores` over the classes that have one."""
        scores = self.f_scores
        return float(np.nanmean(scores)) if (self._pictures > 0).any() else float("nan")


def _edges(ranks: NDArray[np.uint8], void: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) pixels with a 4-neighbour of another class; a neighbour in the void tells nothing."""
    edges = np.zeros(ranks.shape, bool)
    across = (ranks[:, 1:] != ranks[:, :-1]) & ~void[:, 1:] & ~void[:, :-1]
    down = (ranks[1:] != ranks[:-1]) & ~void[1:] & ~void[:-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    edges[1:] |= down
    edges[:-1] |= down
    return edges


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W) Euclidean distance to the nearest pixel of the mask; infinite where it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, np.float32)
