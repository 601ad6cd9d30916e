"""From logits to a scene's meaning: classes at image size, the drivable area, and single road users."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.base import ConfidenceFit
from engines.classes import SegmentationClass
from pipeline.postprocess.confidence import ConfidenceScale
from pipeline.postprocess.drivable import DrivableRules, find_drivable
from pipeline.postprocess.pool import ImagePool
from pipeline.postprocess.road_users import InstanceRules, find_road_users
from pipeline.postprocess.runs import RunBuffers, Runs, encode_runs
from pipeline.postprocess.segmentation import segment, segment_with_runs
from pipeline.scene import ClassMap, DrivableArea, Frame, RoadUser, Segmentation

__all__ = [
    "DrivableRules",
    "InstanceRules",
    "Postprocessor",
    "Revision",
    "Runs",
    "encode_runs",
    "find_drivable",
    "find_road_users",
    "segment",
]

OBSTACLES = (
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
    "pole",
    "traffic sign",
    "traffic light",
    "fence",
)
"""What can stand on the road: a hole in the drivable area with any of these in it is not closed."""


Revision = Callable[[ClassMap, Runs, NDArray[np.float32]], Runs]
"""Changes a class map (H, W) in place, given it as runs as well and the logits (K, h, w) that it was made from.

Gives the runs of what it is then.
"""


class Postprocessor:
    """Makes the meaning of frames from logits. Owned and called by one thread; its results belong to the caller.

    Room for runs, and image-sized arrays that nobody holds any more, are used again from frame to frame. The first
    frame loads the compiled kernels (and compiles them, on a machine's first run), whatever is in it.
    """

    def __init__(
        self,
        classes: Sequence[SegmentationClass],
        drivable_rules: DrivableRules | None = None,
        instance_rules: InstanceRules | None = None,
        confidence: ConfidenceFit | None = None,
    ) -> None:
        """Prepare for a model.

        Args:
            classes: The model's classes, in the order of the logits' channels. Any of road, person, rider and car
                may be missing: there are then none.
            drivable_rules: What counts as drivable, or None for the usual rules.
            instance_rules: What counts as one road user, or None for the usual rules.
            confidence: How sure the model really is, or None to take its word for it.
        """
        self._classes = tuple(classes)
        names = [entry.name for entry in classes]
        self._road = names.index("road") if "road" in names else None
        self._obstacles = [index for index, name in enumerate(names) if name in OBSTACLES]
        self._drivable_rules = drivable_rules or DrivableRules()
        self._instance_rules = instance_rules or InstanceRules()
        self._confidence = None if confidence is None else ConfidenceScale(confidence)
        self._resize((0, 0))

    def process(
        self, frame: Frame, logits: NDArray[np.float32], revise: Revision | None = None
    ) -> tuple[Segmentation, DrivableArea, tuple[RoadUser, ...]]:
        """Everything after the network.

        Args:
            frame: The picture that the logits are of; only its size is used.
            logits: (K, h, w) or (1, K, h, w) float32; not kept.
            revise: Has a say in the class map before anything is made of it.
        """
        if logits.ndim == 4 and logits.shape[0] == 1:
            logits = logits[0]
        if self._pool.size_hw != frame.size_hw:
            self._resize(frame.size_hw)
        segmentation, runs = segment_with_runs(logits, self._classes, self._buffers, out=self._pool.take())
        if revise is not None:
            runs = revise(segmentation.class_ids, runs, logits)
        return self._understand(segmentation, runs)

    def process_classes(
        self, frame: Frame, class_ids: NDArray[np.uint8], grid_confidence: NDArray[np.float32]
    ) -> tuple[Segmentation, DrivableArea, tuple[RoadUser, ...]]:
        """Everything that comes after the classes, where a GPU has found them.

        Args:
            frame: The picture that they are of; only its size is used.
            class_ids: (H, W) uint8 at the picture's size; not kept.
            grid_confidence: (h, w) float32 on the network's grid; not kept.
        """
        if self._pool.size_hw != frame.size_hw:
            self._resize(frame.size_hw)
        kept = self._pool.take()
        np.copyto(kept, class_ids)
        runs = encode_runs(kept, self._buffers)
        return self._understand(Segmentation(kept, self._classes, grid_confidence.copy()), runs)

    def _understand(
        self, segmentation: Segmentation, runs: Runs
    ) -> tuple[Segmentation, DrivableArea, tuple[RoadUser, ...]]:
        if self._confidence is not None:  # before road users are measured: theirs is the mean of it
            self._confidence.apply(segmentation.grid_confidence)
        drivable = find_drivable(runs, self._road, self._obstacles, self._drivable_rules, out=self._pool.take())
        users = find_road_users(runs, self._classes, segmentation.grid_confidence, self._instance_rules)
        return segmentation, drivable, users

    def _resize(self, size_hw: tuple[int, int]) -> None:
        self._buffers = RunBuffers(size_hw)
        self._pool = ImagePool(size_hw)
