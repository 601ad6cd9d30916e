"""Hysteresis: a pixel keeps the class that it was shown with until another one leads clearly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engines.base import Tensor
from pipeline.jit import kernel
from pipeline.scene import ClassMap

__all__ = ["hold_pixels"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def hold_pixels(class_ids: ClassMap, shown: ClassMap, logits: Tensor, holds: Floats) -> bool:
    """Undo changes that are not clear enough.

    Leads are those of the bilinearly interpolated logits, so a boundary moves by parts of a cell, not in steps of it.

    Args:
        class_ids: (H, W) uint8, the new class map, C-contiguous; undone in place.
        shown: (H, W) uint8, what was shown for the frame before; becomes what is shown for this one.
        logits: (K, h, w) float32 on a grid that spans the image with half-pixel centres.
        holds: (K, K) float32, by how much class i must lead over class j to take its place.

    Returns:
        Whether anything was undone.
    """
    rows, columns = _places(logits.shape[1], class_ids.shape[0]), _places(logits.shape[2], class_ids.shape[1])
    held = _hold(class_ids, shown, logits, holds, *rows, *columns)
    np.copyto(shown, class_ids)
    return held > 0


@lru_cache(maxsize=32)
def _places(points: int, size: int) -> tuple[Ints, Floats]:
    """(size,) the grid point before each pixel of an axis, and the share of the one after it."""
    position = np.clip((np.arange(size) + 0.5) * points / size - 0.5, 0, points - 1)
    before = np.minimum(np.floor(position), max(points - 2, 0))
    return before.astype(np.int32), (position - before).astype(np.float32)


@kernel()
def _hold(
    class_ids: ClassMap,
    shown: ClassMap,
    logits: Tensor,
    holds: Floats,
    tops: Ints,
    downs: Floats,
    lefts: Ints,
    rights: Floats,
) -> int:
    """The kernel of `hold_pixels`; returns how many pixels were undone."""
    _, grid_height, grid_width = logits.shape
    height, width = class_ids.shape
    words = (width + 7) // 8
    changes = np.zeros(words * 8, np.uint8)
    changes_8 = changes.view(np.uint64)  # eight pixels per comparison: hardly any change
    held = 0
    for y in range(height):
        new, old = class_ids[y], shown[y]
        for x in range(width):
            changes[x] = new[x] != old[x]
        top, v = tops[y], downs[y]
        bottom = min(top + 1, grid_height - 1)
        at = (-1, -1, -1)  # neighbours in one cell that changed alike share what is read of its corners
        lead_left = lead_right = np.float32(0)
        for word in range(words):
            if changes_8[word] == 0:
                continue
            for x in range(8 * word, min(8 * word + 8, width)):
                if changes[x] == 0:
                    continue
                i, j, left = new[x], old[x], lefts[x]
                if at != (i, j, left):
                    at = (i, j, left)
                    right = min(left + 1, grid_width - 1)
                    upper = logits[i, top, left] - logits[j, top, left]
                    lower = logits[i, bottom, left] - logits[j, bottom, left]
                    lead_left = upper + (lower - upper) * v
                    upper = logits[i, top, right] - logits[j, top, right]
                    lower = logits[i, bottom, right] - logits[j, bottom, right]
                    lead_right = upper + (lower - upper) * v
                if lead_left + (lead_right - lead_left) * rights[x] < holds[i, j]:
                    new[x] = j
                    held += 1
    return held
