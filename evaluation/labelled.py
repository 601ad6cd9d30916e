"""Labelled pictures to measure against, one after the other, as frames of the pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.classes import VOID_ID
from evaluation.labels import CAMVID, TRAIN_IDS, Label, LabelScheme
from evaluation.layouts import LAYOUTS, Pair, find_labelled_images
from pipeline.errors import ConfigError, SourceError
from pipeline.scene import Frame
from pipeline.sources.images import ImageSource

__all__ = ["FORMATS", "LabelledFrame", "LabelledSet", "open_labelled", "read_label"]

FORMATS = (*LAYOUTS, "synthetic")
"""The layouts of files, and `synthetic`: a synthetic:// address, measured against its own truth."""


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """A frame and its truth.

    Attributes:
        frame: The picture.
        label: (H, W) uint8, the data set's own values; all of them are in its scheme.
        follows: It is the next moment of the video that the frame before it is from.
    """

    frame: Frame
    label: NDArray[np.uint8]
    follows: bool


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A labelled data set.

    Attributes:
        name: As the user gave it.
        frames: Read once, in order.
        scheme: What the label values mean.
        size_hw: (H, W) of its first picture.
        frame_count: How many there are.
    """

    name: str
    frames: Iterator[LabelledFrame]
    scheme: LabelScheme
    size_hw: tuple[int, int]
    frame_count: int


def open_labelled(
    data: str, layout: str, *, split: str | None = None, scheme_file: Path | None = None, video: bool = False
) -> LabelledSet:
    """Open a labelled data set.

    Args:
        data: A folder, or a synthetic:// address.
        layout: One of `FORMATS`.
        split: Only this subfolder of images and labels.
        scheme_file: What the label values mean, for data of one's own.
        video: All images of one folder are consecutive frames of a video.

    Raises:
        SourceError: It is not there or not laid out so. Reading the frames raises it where a picture or label is
            missing, damaged, of another size, or holds values that are not labels.
        ConfigError: The file of label values, or the address, is at fault.
    """
    if layout == "synthetic":
        if split is not None or scheme_file is not None:
            raise ConfigError("a rendered drive has neither splits nor a file of label values")
        return _synthetic(data)
    found = find_labelled_images(Path(data), layout, split=split, scheme_file=scheme_file, video=video)
    source = ImageSource(data, paths=[pair.image for pair in found.pairs])
    frames = _with_labels(source.frames(), found.pairs, found.scheme)
    return LabelledSet(data, frames, found.scheme, source.info.size_hw, len(found.pairs))


def _with_labels(frames: Iterator[Frame], pairs: tuple[Pair, ...], scheme: LabelScheme) -> Iterator[LabelledFrame]:
    for frame, pair in zip(frames, pairs, strict=True):
        yield LabelledFrame(frame, read_label(pair, frame.size_hw, scheme), pair.follows)


def read_label(pair: Pair, size_hw: tuple[int, int], scheme: LabelScheme) -> NDArray[np.uint8]:
    """The label picture of an image of that size: (H, W) uint8, values of the scheme.

    Raises:
        SourceError: It is missing, damaged, of another size, or holds values or colours that the scheme does not know.
    """
    path = pair.label
    if not path.is_file():
        raise SourceError(f"{path}: the label of image {pair.image.name} is missing")
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if label is None:
        raise SourceError(f"{path}: not an image that OpenCV can read, or damaged")
    if scheme.colors:
        label = _values_of_colors(path, label, scheme)
    if label.ndim != 2 or label.dtype != np.uint8:
        kind = f"{label.dtype.itemsize * 8} bits" if label.ndim == 2 else f"{label.shape[2]} channels"
        raise SourceError(f"{path}: a label has one 8-bit value a pixel, this one has {kind} (is it a coloured copy?)")
    if label.shape != size_hw:
        raise SourceError(
            f"{path}: the label is {label.shape[1]}x{label.shape[0]}, its image {size_hw[1]}x{size_hw[0]}"
        )
    counts = np.bincount(label.ravel(), minlength=256)
    strange = np.flatnonzero((counts > 0) & ~scheme.known)
    if strange.size:
        raise SourceError(
            f"{path}: holds the value {strange[0]} ({counts[strange[0]]} pixels), which is no label of {scheme.name}"
        )
    return np.asarray(label, np.uint8)


def _values_of_colors(path: Path, label: NDArray[np.generic], scheme: LabelScheme) -> NDArray[np.uint8]:
    """A coloured label picture as the values that its colours stand for; 255 for those that do not count."""
    if label.ndim != 3 or label.dtype != np.uint8:
        raise SourceError(f"{path}: [colors] are given, but this is no coloured picture of 8 bits a channel")
    blue, green, red = (label[..., channel].astype(np.int32) for channel in range(3))
    codes = red << 16 | green << 8 | blue
    values: NDArray[np.int16] = np.full(codes.shape, -1, np.int16)
    for (r, g, b), value in scheme.colors.items():
        values[codes == (r << 16 | g << 8 | b)] = value
    unknown = values < 0
    if unknown.any() and not scheme.others_are_void:
        strange = int(codes[unknown][0])
        raise SourceError(
            f"{path}: holds the colour #{strange:06x} ({int((codes == strange).sum())} pixels), "
            f"which is no label of {scheme.name}"
        )
    values[unknown] = VOID_ID
    return values.astype(np.uint8)


def _synthetic(address: str) -> LabelledSet:
    from pipeline.sources.synthetic import open_synthetic

    source = open_synthetic(address)
    drive = source.drive

    def frames() -> Iterator[LabelledFrame]:
        for index in range(drive.frame_count):
            rendered = drive.render(index)
            frame = Frame(
                index, rendered.time_s, time.monotonic(), drive.size_hw, partial(np.copy, rendered.image), f"{index:06}"
            )
            yield LabelledFrame(frame, rendered.class_ids, follows=index > 0)

    return LabelledSet(address, frames(), _RENDERED, drive.size_hw, drive.frame_count)


_TRAIN_ID_OF_NAME = {label.name: label.value for label in TRAIN_IDS.labels}
_RENDERED = LabelScheme(
    "the rendered drive",
    tuple(
        sorted(
            (
                Label(_TRAIN_ID_OF_NAME[label.name], label.name, label.classes)
                for label in CAMVID.labels
                if label.classes
            ),
            key=lambda label: label.value,
        )
    ),
)
"""Rendered labels are trainIds of the classes that CamVid has: grass is vegetation, a rider's bicycle is the rider."""
