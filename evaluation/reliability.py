"""Whether confidence can be believed: of the pixels that are said to be 80 % sure, are 80 % right?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bin", "Reliability"]

_BINS = 15
"""As in Guo et al.; figures with other numbers of bins cannot be compared."""
_FINE = 100
"""Finer ones inside each, for those who fit a curve."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """The pixels whose confidence lies in one fifteenth of [0, 1].

    Attributes:
        share: Of all pixels.
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
    """

    share: float
    confidence: float
    accuracy: float


class Reliability:
    """Counts how often pixels of every confidence are right.

    Attributes:
        counts: (1500,) float64 pixels in equal bins of confidence from 0 to 1.
        confidence: (1500,) sums of their confidence.
        right: (1500,) how many of them are right.
    """

    def __init__(self) -> None:
        self.counts: Floats = np.zeros(_BINS * _FINE)
        self.confidence: Floats = np.zeros(_BINS * _FINE)
        self.right: Floats = np.zeros(_BINS * _FINE)

    def add(self, confidence: NDArray[np.float32], right: NDArray[np.bool_], counted: NDArray[np.bool_]) -> None:
        """Count one picture.

        Args:
            confidence: (H, W) float32 in [0, 1].
            right: (H, W) whether the class is the true one.
            counted: (H, W) whether the pixel counts at all.
        """
        values, hits = confidence[counted], right[counted]
        size = len(self.counts)
        bins = np.minimum((values * size).astype(np.int32), size - 1)
        self.counts += np.bincount(bins, minlength=size)
        self.confidence += np.bincount(bins, values, minlength=size)
        self.right += np.bincount(bins, hits, minlength=size)

    @property
    def bins(self) -> list[Bin]:
        """Fifteen equal bins, without the empty ones."""
        counts, confidence, right = (
            fine.reshape(_BINS, _FINE).sum(axis=1) for fine in (self.counts, self.confidence, self.right)
        )
        total = counts.sum()
        return [
            Bin(count / total, said / count, hits / count)
            for count, said, hits in zip(counts.tolist(), confidence.tolist(), right.tolist(), strict=True)
            if count
        ]

    @property
    def expected_error(self) -> float:
        """Expected calibration error (Naeini et al., AAAI 2015, as Guo et al., ICML 2017, use it); NaN without pixels.

        The mean over the pixels of how far their bin's accuracy lies from its confidence.
        """
        if not self.counts.any():
            return float("nan")
        return sum(each.share * abs(each.confidence - each.accuracy) for each in self.bins)
