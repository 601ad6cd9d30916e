"""The classes that we train, and how the labels of other data sets are read in their terms.

Data sets do not agree on classes: IDD Lite has one class for everything alive, CamVid has none for lorries. So a label
here is not a class but the *set* of classes that the pixel may have, a bit mask of 11 bits. A precise label is a set of
one, "vehicle" is {car, rider}, and unlabelled is the set of all classes, which teaches nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import evaluation.labels
from engines.classes import SegmentationClass, cityscapes_class
from evaluation.labels import LabelScheme

__all__ = [
    "ANY_CLASS", "CAMVID", "CLASSES", "CLASS_WEIGHTS", "IDD_LITE", "TRAIN_IDS", "class_set", "label_table",
    "sets_of_scheme",
]  # fmt: skip

_NAMES = (
    "road", "sidewalk", "building", "fence", "pole", "traffic sign", "vegetation", "sky", "person", "rider", "car",
)  # fmt: skip

CLASSES: tuple[SegmentationClass, ...] = tuple(entry for entry in map(cityscapes_class, _NAMES) if entry is not None)
"""The 11 classes of our networks in the order of their outputs, which is that of the Cityscapes trainIds."""

ANY_CLASS = (1 << len(CLASSES)) - 1
"""The set of all classes: the label of an unlabelled pixel."""

CLASS_WEIGHTS: tuple[float, ...] = tuple({"pole": 3.0, "traffic sign": 2.0}.get(name, 1.0) for name in _NAMES)
"""How much a pixel of each class counts in training: more for things so thin that ignoring them costs nothing."""

_BIT = {entry.name: 1 << index for index, entry in enumerate(CLASSES)}


def class_set(*names: str) -> int:
    """The bit mask of the classes called ``names``; of all classes where there are none."""
    return sum(_BIT[name] for name in names) or ANY_CLASS


def label_table(sets: dict[int, int]) -> NDArray[np.uint16]:
    """(256,) uint16: the class set of every label value, `ANY_CLASS` for those that ``sets`` lacks."""
    table = np.full(256, ANY_CLASS, np.uint16)
    for value, allowed in sets.items():
        table[value] = allowed
    return table


def sets_of_scheme(scheme: LabelScheme) -> dict[int, int]:
    """The class set of every label that counts, without classes that our networks lack."""
    return {
        label.value: class_set(*(name for name in label.classes if name in _BIT))
        for label in scheme.labels
        if label.classes
    }


CAMVID = sets_of_scheme(evaluation.labels.CAMVID)
"""CamVid with the 11 classes of SegNet."""

IDD_LITE = sets_of_scheme(evaluation.labels.IDD_LITE)
"""IDD Lite, whose classes are the first level of IDD's hierarchy."""

TRAIN_IDS = sets_of_scheme(evaluation.labels.TRAIN_IDS)
"""Label files in Cityscapes trainIds, as rendered frames have them."""
