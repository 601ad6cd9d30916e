"""Segmentation quality: the confusion matrix and the figures that the field derives from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConfusionMatrix"]


class ConfusionMatrix:
    """Counts of (true class, predicted class) over all pixels of a data set, summed before any division.

    Pictures hold ranks: positions in `names`. Pixels whose truth is none of them (255 by habit) do not count. A
    prediction that is none of them counts as wrong. IoU is that of PASCAL VOC (Everingham et al., IJCV 2010):
    TP / (TP + FP + FN).

    Args:
        names: The evaluated classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._other = len(self.names)
        self.counts: NDArray[np.int64] = np.zeros((self._other + 1, self._other + 1), np.int64)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Count one picture.

        Args:
            truth: (H, W) ranks.
            predicted: (H, W) ranks.

        Returns:
            The counts of this picture alone, (K + 1, K + 1), the last row and column for what has no rank.
        """
        side = self._other + 1
        pairs = np.minimum(truth, self._other).astype(np.int64) * side + np.minimum(predicted, self._other)
        counts = np.bincount(pairs.ravel(), minlength=side * side).reshape(side, side).astype(np.int64)
        self.counts += counts
        return counts

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
    def occurs(self) -> NDArray[np.bool_]:
        """(K,) whether the truth shows the class."""
        return np.asarray(self.counts[: self._other].sum(axis=1) > 0)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur in the truth."""
        return float(np.nanmean(self.iou[self.occurs])) if self.occurs.any() else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of the counted pixels whose class is right."""
        counted = self.counts[: self._other]
        total = counted.sum()
        return float(np.trace(counted) / total) if total else float("nan")

    @property
    def shares(self) -> NDArray[np.float64]:
        """(K, K + 1) what became of the pixels of each true class; rows sum to 1, or are 0 where it does not occur."""
        counted = self.counts[: self._other].astype(np.float64)
        return np.asarray(counted / np.maximum(counted.sum(axis=1, keepdims=True), 1.0))
