"""Segmentation quality: the confusion matrix and the figures that the field derives from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.classes import VOID_ID, SegmentationClass

__all__ = ["ConfusionMatrix"]


class ConfusionMatrix:
    """Counts of (true class, predicted class) over all pixels of a data set, summed before any division.

    Pixels whose truth is void, or a class that is not evaluated, do not count. A prediction outside the evaluated
    classes counts as wrong. IoU is that of PASCAL VOC (Everingham et al., IJCV 2010): TP / (TP + FP + FN).

    Args:
        classes: The evaluated classes; their trainIds are what truth and prediction hold.
    """

    def __init__(self, classes: Sequence[SegmentationClass]) -> None:
        self.classes = tuple(classes)
        self._other = len(self.classes)
        self._rank_of_id = np.full(256, self._other, np.int64)
        for rank, entry in enumerate(self.classes):
            self._rank_of_id[entry.train_id] = rank
        self._rank_of_id[VOID_ID] = self._other
        self.counts: NDArray[np.int64] = np.zeros((self._other + 1, self._other + 1), np.int64)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count one picture.

        Args:
            truth: (H, W) trainIds; 255 is void.
            predicted: (H, W) trainIds.
        """
        side = self._other + 1
        pairs = self._rank_of_id[truth] * side + self._rank_of_id[predicted]
        self.counts += np.bincount(pairs.ravel(), minlength=side * side).reshape(side, side)

    @property
    def iou(self) -> NDArray[np.float64]:
        """(K,) intersection over union of each class; NaN for a class that neither truth nor prediction shows."""
        counted = self.counts[: self._other]
        true_positives = np.diag(counted).astype(np.float64)
        union = counted.sum(axis=1) + counted[:, : self._other].sum(axis=0) - true_positives
        iou: NDArray[np.float64] = np.full(self._other, np.nan)
        np.divide(true_positives, union, out=iou, where=union > 0)
        return iou

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur in the truth."""
        occurs = self.counts[: self._other].sum(axis=1) > 0
        return float(np.nanmean(self.iou[occurs])) if occurs.any() else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of the counted pixels whose class is right."""
        counted = self.counts[: self._other]
        total = counted.sum()
        return float(np.trace(counted) / total) if total else float("nan")
