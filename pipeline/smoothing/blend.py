"""Logits of this frame and of those before, blended where this one alone is unsure or disagrees with them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engines.base import Tensor
from pipeline.jit import kernel
from pipeline.smoothing.motion import Flow

__all__ = ["blend_unsettled", "rank_classes"]

Floats = NDArray[np.float32]
Ids = NDArray[np.uint8]


def rank_classes(logits: Tensor) -> tuple[Ids, Floats]:
    """The winner of each cell and its lead over the second.

    Args:
        logits: (K, h, w) float32.

    Returns:
        (h, w) uint8 class indices, the first of equals; (h, w) float32, infinite where K is 1.
    """
    winners = np.empty(logits.shape[1:], np.uint8)
    leads = np.empty(logits.shape[1:], np.float32)
    _rank(logits, winners, leads)
    return winners, leads


@kernel()
def _rank(logits: Tensor, winners: Ids, leads: Floats) -> None:
    classes, height, width = logits.shape
    best = np.empty(width, np.float32)
    second = np.empty(width, np.float32)
    winner = np.empty(width, np.int32)
    for y in range(height):
        for x in range(width):
            best[x], second[x], winner[x] = logits[0, y, x], -np.inf, 0
        for k in range(1, classes):
            line = logits[k, y]
            rank = np.int32(k)
            for x in range(width):  # plain comparisons: the care of min() and max() for NaN is three times as slow
                value, top, next_best, first = line[x], best[x], second[x], winner[x]
                lower = top if value > top else value
                if lower > next_best:  # noqa: PLR1730
                    next_best = lower
                if value > top:
                    first = rank
                if value > top:  # noqa: PLR1730
                    top = value
                best[x], second[x], winner[x] = top, next_best, first
        for x in range(width):
            leads[y, x] = best[x] - second[x]
            winners[y, x] = winner[x]


@kernel()
def blend_unsettled(
    logits: Tensor,
    before: Tensor,
    flow: Flow,
    unlike: Floats,
    winners: Ids,
    leads: Floats,
    winners_before: Ids,
    memory: Floats,
    settled: np.float32,
    clear: np.float32,
    likeness: np.float32,
) -> None:
    """Blend in place the cells whose winner leads by less than `settled`, or was another where the flow leads.

    Cells whose winner leads by more than `clear` are left alone in any case.

    Args:
        logits: (K, h, w) float32, this frame's; becomes the blend.
        before: (K, h, w) float32, the blend of the frame before.
        flow: (h, w, 2), see `motion.Flow`.
        unlike: (h, w) float32, by how many grey levels the moved picture misses this one.
        winners: (h, w) uint8, this frame's winning classes.
        leads: (h, w) float32, and their leads.
        winners_before: (h, w) uint8, the winners of the frame before.
        memory: (K,) float32, the past's largest weight, by this frame's winner.
        settled: See `SmoothingRules`.
        clear: See `SmoothingRules`.
        likeness: See `SmoothingRules`.
    """
    classes, height, width = logits.shape
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    for y in range(height):
        for x in range(width):
            if leads[y, x] > clear:
                continue
            from_x = min(max(np.float32(x) + flow[y, x, 0], np.float32(0)), right)
            from_y = min(max(np.float32(y) + flow[y, x, 1], np.float32(0)), bottom)
            if leads[y, x] > settled:
                nearest = winners_before[int(from_y + np.float32(0.5)), int(from_x + np.float32(0.5))]
                if nearest == winners[y, x]:
                    continue
            miss = unlike[y, x] / likeness
            if not miss < np.float32(3):  # e^-9: nothing of the past is left
                continue
            past = memory[winners[y, x]] * np.float32(math.exp(-miss * miss))
            left, top = int(from_x), int(from_y)
            u, v = from_x - np.float32(left), from_y - np.float32(top)
            next_x, next_y = min(left + 1, width - 1), min(top + 1, height - 1)
            a, b = past * (np.float32(1) - u) * (np.float32(1) - v), past * u * (np.float32(1) - v)
            c, d = past * (np.float32(1) - u) * v, past * u * v
            present = np.float32(1) - past
            for k in range(classes):
                logits[k, y, x] = (
                    present * logits[k, y, x]
                    + a * before[k, top, left]
                    + b * before[k, top, next_x]
                    + c * before[k, next_y, left]
                    + d * before[k, next_y, next_x]
                )
