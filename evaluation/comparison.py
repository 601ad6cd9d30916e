"""The level at which a data set's labels and a model's classes can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.classes import VOID_ID, SegmentationClass
from evaluation.labels import LabelScheme
from pipeline.errors import ConfigError

__all__ = ["Comparison", "Group", "compare"]


@dataclass(frozen=True, slots=True)
class Group:
    """What counts as one class in a comparison.

    Attributes:
        name: The label's name where there is one label, else all of them joined.
        labels: Names of the labels in it.
        classes: Names of the model's classes in it.
        color_rgb: Of its first class, for pictures.
    """

    name: str
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    color_rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How truth and prediction are brought to one level.

    Attributes:
        groups: What is told apart; ranks below are positions in it, 255 is none.
        rank_of_label: (256,) uint8, by label value; pixels of rank 255 do not count.
        rank_of_class: (256,) uint8, by the model's own class index; rank 255 is a prediction that cannot be right.
        left_out: Names of labels of which the model knows no class; their pixels do not count.
    """

    groups: tuple[Group, ...]
    rank_of_label: NDArray[np.uint8] = field(repr=False)
    rank_of_class: NDArray[np.uint8] = field(repr=False)
    left_out: tuple[str, ...]


def compare(scheme: LabelScheme, classes: Sequence[SegmentationClass]) -> Comparison:
    """The finest level that both sides can tell apart.

    A label and a class belong together where the label may mean the class; what is connected is one group. So a label
    for all vehicles takes cars and lorries together, and two labels that may both mean a fence become one.

    Args:
        scheme: What the label values mean.
        classes: The model's classes, in its order.

    Raises:
        ConfigError: They have nothing in common.
    """
    group_of_class = {entry.name: {entry.name} for entry in classes}
    for label in scheme.labels:
        shared = [name for name in label.classes if name in group_of_class]
        merged = set().union(*(group_of_class[name] for name in shared))
        for name in merged:
            group_of_class[name] = merged
    groups: list[Group] = []
    rank_of_label, rank_of_class = np.full(256, VOID_ID, np.uint8), np.full(256, VOID_ID, np.uint8)
    rank_of_name: dict[str, int] = {}
    for entry in classes:
        members = group_of_class[entry.name]
        labels = [label for label in scheme.labels if not members.isdisjoint(label.classes)]
        if entry.name in rank_of_name or not labels:
            continue
        rank_of_name |= dict.fromkeys(members, len(groups))
        rank_of_label[[label.value for label in labels]] = len(groups)
        label_names = tuple(dict.fromkeys(label.name for label in labels))
        names = tuple(other.name for other in classes if other.name in members)
        groups.append(Group(" + ".join(label_names), label_names, names, entry.color_rgb))
    for index, entry in enumerate(classes):
        rank_of_class[index] = rank_of_name.get(entry.name, VOID_ID)
    if not groups:
        raise ConfigError(
            f"{scheme.name} and the model have no class in common: the model knows "
            f"{', '.join(entry.name for entry in classes)}"
        )
    left_out = tuple(
        dict.fromkeys(label.name for label in scheme.labels if label.classes and rank_of_label[label.value] == VOID_ID)
    )
    return Comparison(tuple(groups), rank_of_label, rank_of_class, left_out)
