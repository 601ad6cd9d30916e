"""What the values of a data set's label pictures mean, in Cityscapes' names.

Data sets do not agree on classes: IDD Lite has one label for everything alive, CamVid counts lorries as cars. So a
label stands for the *set* of classes that its pixels may have, and `evaluation.comparison` finds the level at which
labels and model can be held against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engines.classes import CITYSCAPES, VOID_ID

__all__ = ["CAMVID", "CITYSCAPES_IDS", "IDD_LITE", "TRAIN_IDS", "Label", "LabelScheme"]


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a data set.

    Attributes:
        value: Of its pixels in the label pictures, 0 to 255.
        name: What the data set calls it.
        classes: The classes that its pixels may have; none where its pixels do not count ("void").
    """

    value: int
    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class LabelScheme:
    """All labels of a data set.

    Attributes:
        name: Of the scheme, for messages.
        labels: Ascending by value.
        colors: Where label pictures are coloured, the value that each (red, green, blue) stands for.
        others_are_void: Any other value or colour does not count; else it is a mistake.
    """

    name: str
    labels: tuple[Label, ...]
    colors: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    others_are_void: bool = False

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(256,) whether a label may have that value."""
        known = np.full(256, self.others_are_void)
        known[[label.value for label in self.labels]] = True
        return known

    def values_within(self, *names: str) -> NDArray[np.bool_]:
        """(256,) whether the label of that value stands for classes of these names only."""
        within = np.zeros(256, bool)
        for label in self.labels:
            within[label.value] = bool(label.classes) and set(label.classes) <= set(names)
        return within


def _scheme(name: str, entries: Mapping[int, tuple[str, tuple[str, ...]]]) -> LabelScheme:
    return LabelScheme(name, tuple(Label(value, *entries[value]) for value in sorted(entries)))


CAMVID = _scheme(
    "CamVid",
    {
        0: ("sky", ("sky",)),
        1: ("building", ("building", "wall")),
        2: ("pole", ("pole",)),
        3: ("road", ("road",)),
        4: ("sidewalk", ("sidewalk",)),
        5: ("vegetation", ("vegetation", "terrain")),
        6: ("traffic sign", ("traffic sign", "traffic light")),
        7: ("fence", ("fence",)),
        8: ("car", ("car", "truck", "bus", "train")),
        9: ("person", ("person",)),
        10: ("rider", ("rider", "motorcycle", "bicycle")),
        11: ("void", ()),
    },
)
"""CamVid (Brostow et al., PRL 2009) in the 11 classes of SegNet (Badrinarayanan et al., TPAMI 2017)."""

IDD_LITE = _scheme(
    "IDD Lite",
    {
        0: ("drivable", ("road",)),
        1: ("non-drivable", ("sidewalk", "vegetation", "terrain")),
        2: ("living things", ("person", "rider")),
        3: ("vehicles", ("car", "truck", "bus", "train", "motorcycle", "bicycle", "rider")),
        4: (
            "roadside objects",
            ("sidewalk", "building", "wall", "fence", "pole", "traffic sign", "traffic light"),
        ),
        5: ("far objects", ("building", "vegetation", "pole")),
        6: ("sky", ("sky",)),
        255: ("void", ()),
    },
)
"""IDD Lite, whose labels are the first level of IDD's hierarchy (Varma et al., WACV 2019).

Non-drivable is pavement and verge; roadside objects are kerbs, walls, barriers, poles and signs; far objects are
buildings and trees with what stands before them. A motorcycle is a vehicle there, and in CamVid part of its rider.
"""

TRAIN_IDS = _scheme(
    "Cityscapes trainIds",
    {entry.train_id: (entry.name, (entry.name,)) for entry in CITYSCAPES} | {VOID_ID: ("void", ())},
)
"""The 19 evaluated classes of Cityscapes; what `replay` writes as masks."""

_CITYSCAPES_VOID = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, 255)
_CITYSCAPES_IDS_OF_TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

CITYSCAPES_IDS = _scheme(
    "Cityscapes labelIds",
    dict.fromkeys(_CITYSCAPES_VOID, ("void", ()))
    | {
        value: (entry.name, (entry.name,))
        for value, entry in zip(_CITYSCAPES_IDS_OF_TRAIN_IDS, CITYSCAPES, strict=True)
    },
)
"""All labelIds of Cityscapes (Cordts et al., CVPR 2016; ``labels.py`` of cityscapesScripts); -1 is stored as 255."""
