"""How steady the classes are from frame to frame: flicker."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Flicker"]


class Flicker:
    """The share of pixels whose predicted class changes from one frame to the next although the truth does not.

    Only pixels count whose truth has the same class in both frames. Nothing is compensated for motion: what is wrong
    and moves with the scene counts, and so does an outline that wanders within a class's own area. It is one minus the
    consistency that Miksik et al. ("Efficient temporal consistency for streaming video scene analysis", ICRA 2013) and
    later work look at, with the truth in place of estimated motion.

    Args:
        class_count: K; pictures hold ranks from 0 to K - 1, the truth 255 where it is void.
    """

    def __init__(self, class_count: int) -> None:
        self._class_count = class_count
        self._changed = np.zeros(class_count, np.int64)
        self._steady = np.zeros(class_count, np.int64)
        self._before: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
        self.pairs = 0
        """Number of frames that followed another."""

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], *, follows: bool) -> float:
        """Count one frame: (H, W) ranks each.

        Returns:
            The flicker of this frame against the one before it; NaN where it follows none.
        """
        before, self._before = self._before, (truth, predicted)
        if not follows or before is None or before[0].shape != truth.shape:
            return math.nan
        steady = (truth == before[0]) & (truth < self._class_count)
        changed = truth[steady & (predicted != before[1])]
        self.pairs += 1
        self._changed += np.bincount(changed, minlength=self._class_count)
        self._steady += np.bincount(truth[steady], minlength=self._class_count)
        return len(changed) / max(1, int(steady.sum()))

    @property
    def share(self) -> float:
        """Flicker over all frames; NaN where no frame followed another."""
        total = self._steady.sum()
        return float(self._changed.sum() / total) if total else math.nan

    @property
    def of_class(self) -> NDArray[np.float64]:
        """(K,) the same for the pixels of each true class; NaN where there are none."""
        shares = np.full(self._class_count, np.nan)
        np.divide(self._changed, self._steady, out=shares, where=self._steady > 0)
        return shares
