"""What is remembered of one camera's last frames, and how much it weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.base import ModelSpec, Tensor
from engines.classes import SegmentationClass
from pipeline.postprocess.runs import RunBuffers, Runs
from pipeline.scene import ClassMap
from pipeline.smoothing.blend import blend_unsettled, rank_classes
from pipeline.smoothing.hold import hold_pixels
from pipeline.smoothing.motion import Grey, MotionField, share_above

__all__ = ["Smoother", "SmoothingRules"]

THIN = ("pole", "traffic sign", "traffic light")
"""Things narrower than a step of the grid: moved along with the picture they blur, so little of them is remembered."""

STRUCTURE = ("sidewalk", "building", "wall", "fence", "terrain")
"""What stands still, is wide, and is mistaken for each other most."""

WIDE = ("road", "vegetation")
"""What is wide as well, but whose edge matters or moves."""

ROAD_USERS = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")


@dataclass(frozen=True, slots=True)
class SmoothingRules:
    """How much the past weighs. `docs/decisions/0002-temporal-smoothing.md` says how the figures were found.

    Attributes:
        memory: Weight of the past in a blend, where the picture has only moved.
        memory_thin: The same for `THIN` things.
        settled: A class that leads by this much (in logits), and did so before, is left as the network sees it.
        clear: A class that leads by this much is believed at once, whatever was there before.
        likeness: By how many of 255 grey levels a moved picture may miss the new one before the past loses 63 % of its
            weight: something else is there now.
        hold_structure: A pixel goes from one of `STRUCTURE` to another only when that leads by so much (in logits).
        hold_wide: The same between `WIDE` and those.
        hold: The same for all other changes: poles, signs, sky, one road user and another.
        hold_appearing: A pixel becomes a road user when that leads by so much: who appears must be seen at once.
        hold_vanishing: A pixel ceases to be one: no shadow may stay behind.
        longest_gap_s: After a longer break the past is forgotten.
        cut_share: Where more than this share of the picture is unlike the moved one before it, it is another scene.
    """

    memory: float = 0.6
    memory_thin: float = 0.2
    settled: float = 2.2
    clear: float = 4.0
    likeness: float = 8.0
    hold_structure: float = 2.3
    hold_wide: float = 0.9
    hold: float = 0.55
    hold_appearing: float = 0.15
    hold_vanishing: float = 0.5
    longest_gap_s: float = 0.5
    cut_share: float = 0.6


class Smoother:
    """Smooths the classes of one camera's frames. Owned and called by one thread, `blend` and then `hold` a frame.

    Args:
        spec: Of the model.
        rules: How much the past weighs, or None for the usual rules.
    """

    def __init__(self, spec: ModelSpec, rules: SmoothingRules | None = None) -> None:
        self._rules = rules or SmoothingRules()
        self._memory = np.where(_named(spec.classes, THIN), self._rules.memory_thin, self._rules.memory)
        self._memory = self._memory.astype(np.float32)
        self._holds = _holds(spec.classes, self._rules)
        self._motion = MotionField()
        self._buffers, self._other_buffers = RunBuffers((0, 0)), RunBuffers((0, 0))
        self.forget()

    def forget(self) -> None:
        """What comes next has nothing to do with what was seen before."""
        self._motion.forget()
        self._time_s: float | None = None
        self._state: Tensor = np.empty((0, 0, 0), np.float32)
        self._winners: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._shown: Runs | None = None

    def blend(self, picture: Grey, logits: Tensor, time_s: float) -> Tensor:
        """A frame's logits, steadied by those before.

        Args:
            picture: (h, w) uint8, the frame, as `GreyCells` made it.
            logits: (K, h, w) float32, C-contiguous, the part of the output that stands for the picture. They are the
                smoother's from now on: steadied where they are, and kept for the next frame.
            time_s: When the frame was taken.

        Returns:
            The logits themselves; only to be read.
        """
        gap_s = None if self._time_s is None else time_s - self._time_s
        if self._state.shape != logits.shape or gap_s is None or not 0 <= gap_s <= self._rules.longest_gap_s:
            self.forget()
        self._time_s = time_s
        flow, unlike = self._motion.follow(picture)
        winners, leads = rank_classes(logits)
        if flow is None or share_above(unlike, 2 * self._rules.likeness) > self._rules.cut_share:
            self._shown = None
        else:
            blend_unsettled(
                logits, self._state, flow, unlike, winners, leads, self._winners, self._memory,
                np.float32(self._rules.settled), np.float32(self._rules.clear), np.float32(self._rules.likeness),
            )  # fmt: skip
        self._state, self._winners = logits, winners
        return logits

    def hold(self, class_ids: ClassMap, runs: Runs, logits: Tensor) -> Runs:
        """Give pixels back the class they were shown with, where another one does not lead clearly.

        Args:
            class_ids: (H, W) uint8, the argmax of the logits; changed in place.
            runs: The same, as runs; not kept.
            logits: (K, h, w) float32, as `blend` gave them.

        Returns:
            The runs of what is shown now, valid until the next call.
        """
        if self._buffers.size_hw != runs.size_hw:
            self._buffers, self._other_buffers = RunBuffers(runs.size_hw), RunBuffers(runs.size_hw)
            self._shown = None
        if self._shown is None:
            self._shown = self._buffers.copy_of(runs)
        else:
            self._buffers, self._other_buffers = self._other_buffers, self._buffers
            self._shown = hold_pixels(class_ids, runs, self._shown, logits, self._holds, self._buffers)
        return self._shown


def _named(classes: Sequence[SegmentationClass], names: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([entry.name in names for entry in classes])


def _holds(classes: Sequence[SegmentationClass], rules: SmoothingRules) -> NDArray[np.float32]:
    """(K, K) by how much the one class must lead over the other, which the pixel has, to take its place."""
    one = np.full(len(classes), rules.hold, np.float32)
    one[_named(classes, STRUCTURE)] = rules.hold_structure
    one[_named(classes, WIDE)] = rules.hold_wide
    holds = np.minimum(one[:, None], one[None, :])
    users = _named(classes, ROAD_USERS)
    holds[np.ix_(users, ~users)] = rules.hold_appearing
    holds[np.ix_(~users, users)] = rules.hold_vanishing
    return holds
