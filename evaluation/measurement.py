"""Everything that is measured while labelled frames go through the pipeline, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluation.accuracy import ConfusionMatrix
from evaluation.boundaries import BoundaryScore
from evaluation.comparison import Comparison
from evaluation.labelled import LabelledFrame
from evaluation.labels import LabelScheme
from evaluation.pedestrians import PedestrianRecall
from evaluation.reliability import Reliability
from evaluation.stability import Flicker
from pipeline.perception import Perception
from pipeline.scene import Scene

__all__ = ["FrameScore", "Measurement", "Observation", "measure"]


@dataclass(frozen=True, slots=True)
class FrameScore:
    """How well one frame was seen.

    Attributes:
        name: Of its image.
        mean_iou: Over the classes that its own truth shows.
        flicker: Against the frame before it; NaN where it follows none.
    """

    name: str
    mean_iou: float
    flicker: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One frame with its truth and what was seen, for those who want to look.

    Attributes:
        scene: What was seen.
        truth: (H, W) uint8 ranks, 255 void.
        predicted: (H, W) uint8 ranks, 255 a class that the truth never has.
        score: How well.
    """

    scene: Scene = field(repr=False)
    truth: NDArray[np.uint8] = field(repr=False)
    predicted: NDArray[np.uint8] = field(repr=False)
    score: FrameScore


class Measurement:
    """The figures of one model on one data set, summed up frame by frame.

    Args:
        comparison: How truth and prediction are brought to one level.
        scheme: What the label values mean.

    Attributes:
        matrix: Confusion of the groups.
        boundaries: Boundary F-score of the groups.
        flicker: Of the groups.
        pedestrians: Recall by size, where labels tell pedestrians.
        drivable: Confusion of the scene's drivable area, (drivable, not), with the labels that mean road.
        reliability: Whether the confidence of pixels can be believed.
        frames: The score of every frame.
    """

    def __init__(self, comparison: Comparison, scheme: LabelScheme) -> None:
        names = [group.name for group in comparison.groups]
        self.comparison = comparison
        self.matrix = ConfusionMatrix(names)
        self.boundaries = BoundaryScore(len(names))
        self.flicker = Flicker(len(names))
        self.pedestrians = PedestrianRecall()
        self.drivable = ConfusionMatrix(["drivable", "not drivable"])
        self.reliability = Reliability()
        self.frames: list[FrameScore] = []
        self._is_road = scheme.values_within("road")
        self._is_person = scheme.values_within("person")

    @property
    def knows_road(self) -> bool:
        """Whether a label means road and nothing else."""
        return bool(self._is_road.any())

    @property
    def knows_pedestrians(self) -> bool:
        """Whether a label means pedestrians and nobody else."""
        return bool(self._is_person.any())

    def add(self, item: LabelledFrame, scene: Scene) -> Observation:
        """Count one frame."""
        truth = self.comparison.rank_of_label[item.label]
        predicted = self.comparison.rank_of_class[scene.segmentation.class_ids]
        counts = self.matrix.add(truth, predicted)
        self.boundaries.add(truth, predicted)
        self.reliability.add(scene.segmentation.confidence, truth == predicted, truth != 255)
        flicker = self.flicker.add(truth, predicted, follows=item.follows)
        if self.knows_road:
            labelled = np.where(self._is_road[item.label], 0, 1).astype(np.uint8)
            labelled[truth == 255] = 255
            self.drivable.add(labelled, 1 - scene.drivable.mask)
        if self.knows_pedestrians:
            self._count_pedestrians(item, scene)
        frame = item.frame
        score = FrameScore(frame.name or f"{frame.index:06}", _mean_iou(counts), flicker)
        self.frames.append(score)
        return Observation(scene, truth, predicted, score)

    def _count_pedestrians(self, item: LabelledFrame, scene: Scene) -> None:
        person, rider = (scene.segmentation.class_index(name) for name in ("person", "rider"))
        seen = scene.segmentation.class_ids == (255 if person is None else person)
        as_people = seen | (scene.segmentation.class_ids == (255 if rider is None else rider))
        self.pedestrians.add(self._is_person[item.label], seen, as_people)


def measure(
    perception: Perception,
    frames: Iterable[LabelledFrame],
    measurement: Measurement,
    on_observation: Callable[[Observation], None] = lambda _: None,
) -> None:
    """See every labelled frame and count it.

    Args:
        perception: Left open.
        frames: Read to their end. Before a frame that follows none, the perception forgets what it saw.
        measurement: Counts.
        on_observation: Called after each frame.
    """
    for item in frames:
        if not item.follows:
            perception.forget()
        on_observation(measurement.add(item, perception.see(item.frame)))


def _mean_iou(counts: NDArray[np.int64]) -> float:
    """Of one frame, over the classes in its truth; NaN where it shows none."""
    counted = counts[:-1]
    true_positives = np.diag(counted)
    in_truth = counted.sum(axis=1)
    union = in_truth + counted[:, :-1].sum(axis=0) - true_positives
    occurs = in_truth > 0
    return float((true_positives[occurs] / union[occurs]).mean()) if occurs.any() else math.nan
