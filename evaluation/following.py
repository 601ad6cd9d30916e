"""How well road users are followed: whether ids stay with whom they were given to.

IDF1 is the share of right ids among all that were given and all that were due (Ristani et al., "Performance measures
and a data set for multi-target, multi-camera tracking", 2016): every true road user is given the one id that it was
seen under most, no id twice, and only sightings under that id count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray

__all__ = ["Following", "Identity", "box_overlap", "match_boxes"]

Floats = NDArray[np.float64]

_SAME = 0.5
"""Least intersection over union of boxes that are taken for the same, as in the MOT benchmarks."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How well ids were kept.

    Attributes:
        due: Sightings that there should have been, of all road users in all frames.
        given: Sightings that there were.
        right: Those of them under the id that their road user has through the drive.
        found: Those of them that were somebody at all, under whatever id.
        switches: How often the id of a road user changed from one sighting to its next.
    """

    due: int
    given: int
    right: int
    found: int
    switches: int

    @property
    def idf1(self) -> float:
        """2 right / (due + given); NaN where there was nobody."""
        return 2.0 * self.right / (self.due + self.given) if self.due + self.given else float("nan")


class Following:
    """Counts frame by frame."""

    def __init__(self) -> None:
        self._together: dict[tuple[int, int], int] = defaultdict(int)
        self._due = self._given = self._found = self._switches = 0
        self._last: dict[int, int] = {}

    def add(
        self,
        true_ids: Sequence[int],
        true_boxes: Floats,
        ids: Sequence[int],
        boxes: Floats,
    ) -> dict[int, int]:
        """Count one frame.

        Args:
            true_ids: (N,) who is there.
            true_boxes: (N, 4) their boxes xyxy.
            ids: (M,) who is seen.
            boxes: (M, 4) where.

        Returns:
            By place in `true_ids`, the place in `ids` that was taken for it in this frame.
        """
        overlap = box_overlap(true_boxes, boxes)
        for i, j in np.argwhere(overlap >= _SAME).tolist():
            self._together[true_ids[i], ids[j]] += 1
        kept = {
            i: j
            for i, identity in enumerate(true_ids)
            for j in range(len(ids))
            if self._last.get(identity) == ids[j] and overlap[i, j] >= _SAME
        }
        free = overlap.copy()
        free[list(kept)] = 0.0
        free[:, list(kept.values())] = 0.0
        matches = {**kept, **match_boxes(free)}
        for i, j in matches.items():
            self._switches += self._last.get(true_ids[i], ids[j]) != ids[j]
            self._last[true_ids[i]] = ids[j]
        self._due += len(true_ids)
        self._given += len(ids)
        self._found += len(matches)
        return matches

    @property
    def identity(self) -> Identity:
        """The figures of all frames so far."""
        rows, columns = (sorted({pair[side] for pair in self._together}) for side in (0, 1))
        counts = np.zeros((len(rows), len(columns)))
        for (true_id, given_id), count in self._together.items():
            counts[rows.index(true_id), columns.index(given_id)] = count
        right = sum(int(counts[i, j]) for i, j in _most(counts).items())
        return Identity(self._due, self._given, right, self._found, self._switches)


def box_overlap(a: Floats, b: Floats) -> Floats:
    """(N, M) intersection over union of boxes xyxy (N, 4) and (M, 4)."""
    a, b = np.asarray(a, np.float64).reshape(-1, 1, 4), np.asarray(b, np.float64).reshape(1, -1, 4)
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0.0, None)
    shared = sides.prod(axis=2)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2)
    return np.asarray(shared / np.maximum(areas - shared, 1e-9))


def match_boxes(overlap: Floats) -> dict[int, int]:
    """Pairs of rows and columns of an (N, M) overlap that are taken for the same, together at the greatest overlap."""
    return {i: j for i, j in _most(np.where(overlap >= _SAME, overlap, 0.0)).items() if overlap[i, j] >= _SAME}


def _most(gain: Floats) -> dict[int, int]:
    """Pairs of rows and columns, none twice, with the greatest sum; those that gain nothing left out."""
    if not gain.size:
        return {}
    _, columns, _ = lap.lapjv(gain.max() - gain, extend_cost=True)
    return {i: int(j) for i, j in enumerate(columns) if 0 <= j < gain.shape[1] and gain[i, j] > 0.0}
