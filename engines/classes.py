"""The names, colours and trainIds of the classes that a segmentation model tells apart.

They are those of Cityscapes (Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding",
CVPR 2016; `labels.py` of cityscapesScripts), so that pictures and label files of every tool in the field agree.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CITYSCAPES", "VOID_ID", "SegmentationClass", "cityscapes_class"]

VOID_ID = 255
"""The trainId of a pixel that has no class: Cityscapes' "ignore"."""


@dataclass(frozen=True, slots=True)
class SegmentationClass:
    """One class of a segmentation model.

    Attributes:
        name: As in Cityscapes where the class exists there, for instance ``"traffic sign"``.
        color_rgb: The colour that overlays and label pictures give it, 0 to 255 each.
        train_id: The Cityscapes trainId (0 to 18), or `VOID_ID` for a class that Cityscapes lacks.
    """

    name: str
    color_rgb: tuple[int, int, int]
    train_id: int = VOID_ID


CITYSCAPES: tuple[SegmentationClass, ...] = (
    SegmentationClass("road", (128, 64, 128), 0),
    SegmentationClass("sidewalk", (244, 35, 232), 1),
    SegmentationClass("building", (70, 70, 70), 2),
    SegmentationClass("wall", (102, 102, 156), 3),
    SegmentationClass("fence", (190, 153, 153), 4),
    SegmentationClass("pole", (153, 153, 153), 5),
    SegmentationClass("traffic light", (250, 170, 30), 6),
    SegmentationClass("traffic sign", (220, 220, 0), 7),
    SegmentationClass("vegetation", (107, 142, 35), 8),
    SegmentationClass("terrain", (152, 251, 152), 9),
    SegmentationClass("sky", (70, 130, 180), 10),
    SegmentationClass("person", (220, 20, 60), 11),
    SegmentationClass("rider", (255, 0, 0), 12),
    SegmentationClass("car", (0, 0, 142), 13),
    SegmentationClass("truck", (0, 0, 70), 14),
    SegmentationClass("bus", (0, 60, 100), 15),
    SegmentationClass("train", (0, 80, 100), 16),
    SegmentationClass("motorcycle", (0, 0, 230), 17),
    SegmentationClass("bicycle", (119, 11, 32), 18),
)
"""The 19 evaluated classes of Cityscapes; the position in the tuple is the trainId."""

_BY_NAME = {entry.name: entry for entry in CITYSCAPES}


def cityscapes_class(name: str) -> SegmentationClass | None:
    """The Cityscapes class of that name, or None where Cityscapes has no such class."""
    return _BY_NAME.get(name)
