"""Labelled pictures to measure against, brought to Cityscapes trainIds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.classes import VOID_ID, SegmentationClass, cityscapes_class
from pipeline.errors import SourceError
from pipeline.scene import Frame
from pipeline.sources import open_source

__all__ = ["CAMVID_CLASSES", "FORMATS", "LabelledFrame", "LabelledSet", "open_labelled"]

FORMATS = ("camvid", "folder", "synthetic")
"""`camvid`: images/ and labels/ with values 0 to 11. `folder`: the same, labels are trainIds, as `replay` writes
masks. `synthetic`: a synthetic:// address, measured against its own truth."""

CAMVID_CLASSES = (
    "sky", "building", "pole", "road", "sidewalk", "vegetation", "traffic sign", "fence", "car", "person", "rider",
)  # fmt: skip
"""Cityscapes' names of CamVid's labels 0 to 10 (Brostow et al., PRL 2009, in the 11 classes of SegNet)."""


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """A frame and its truth.

    Attributes:
        frame: The picture.
        truth: (H, W) uint8 trainIds, 255 void.
    """

    frame: Frame
    truth: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A labelled data set.

    Attributes:
        frames: Read once, in order.
        classes: The classes that its labels tell apart.
        size_hw: (H, W) of its first picture.
    """

    frames: Iterator[LabelledFrame]
    classes: tuple[SegmentationClass, ...]
    size_hw: tuple[int, int]


def open_labelled(data: str, layout: str) -> LabelledSet:
    """Open a labelled data set.

    Args:
        data: A folder, or a synthetic:// address.
        layout: One of `FORMATS`.

    Raises:
        SourceError: It is not there, or pictures and labels do not match.
    """
    if layout == "synthetic":
        return _synthetic(data)
    folder = Path(data)
    if not (folder / "images").is_dir() or not (folder / "labels").is_dir():
        raise SourceError(f"{data}: the {layout} format needs the folders images/ and labels/ there")
    if layout == "camvid":
        classes = tuple(entry for name in CAMVID_CLASSES if (entry := cityscapes_class(name)) is not None)
        id_of_label = np.full(256, VOID_ID, np.uint8)
        id_of_label[: len(classes)] = [entry.train_id for entry in classes]
    else:
        from engines.classes import CITYSCAPES

        classes, id_of_label = CITYSCAPES, np.arange(256).astype(np.uint8)
    source = open_source(str(folder / "images"))
    return LabelledSet(_with_labels(source.frames(), folder / "labels", id_of_label), classes, source.info.size_hw)


def _with_labels(frames: Iterator[Frame], labels: Path, id_of_label: NDArray[np.uint8]) -> Iterator[LabelledFrame]:
    for frame in frames:
        path = labels / f"{frame.name}.png"
        label = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
        if label is None:
            raise SourceError(f"{path}: the label of image {frame.name} is missing or damaged")
        if label.shape != frame.size_hw:
            raise SourceError(f"{path}: is {label.shape[1]}x{label.shape[0]}, its image {frame.size_hw[::-1]}")
        yield LabelledFrame(frame, id_of_label[label])


def _synthetic(address: str) -> LabelledSet:
    from pipeline.sources.synthetic import open_synthetic

    source = open_synthetic(address)
    drive = source.drive

    def frames() -> Iterator[LabelledFrame]:
        for index in range(drive.frame_count):
            rendered = drive.render(index)
            time_s = index / drive.frame_rate_hz
            frame = Frame(index, time_s, time.monotonic(), drive.size_hw, partial(np.copy, rendered.image))
            yield LabelledFrame(frame, rendered.class_ids)

    classes = tuple(entry for name in CAMVID_CLASSES if (entry := cityscapes_class(name)) is not None)
    return LabelledSet(frames(), classes, drive.size_hw)
