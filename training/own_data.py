"""Data sets of one's own: pairs of images and labels in the field's layouts, read from disk as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.label_file import read_label_file
from evaluation.labelled import read_label
from evaluation.labels import LabelScheme
from evaluation.layouts import LAYOUTS, LabelledImages, Pair, find_labelled_images
from pipeline.errors import SourceError
from training.frames import DataError, LabelledFrames
from training.labels import label_table, sets_of_scheme

__all__ = ["folder_of", "is_own_data", "load_own_data"]

Picture = NDArray[np.uint8]

_KEPT_BYTES = 2 << 30
"""Decoded pictures are kept up to here; what is beyond is decoded each time that it is wanted."""


def is_own_data(name: str) -> bool:
    """Whether a data set is named by where it lies: ``FILE.toml``, or ``FORMAT:DIR`` with a format of `LAYOUTS`."""
    return name.endswith(".toml") or (name.partition(":")[0] in LAYOUTS and ":" in name)


def folder_of(name: str) -> Path:
    """Where a data set of one's own lies.

    Raises:
        ConfigError: The file that says so is at fault.
    """
    if not name.endswith(".toml"):
        return Path(name.partition(":")[2])
    content = read_label_file(Path(name))
    return Path(name).parent / content.data / (content.split or "")


def load_own_data(name: str) -> LabelledFrames:
    """A data set of one's own.

    Args:
        name: A file that says where it lies and what its labels mean (`evaluation.label_file`), or ``FORMAT:DIR``.

    Raises:
        ClearwayError: The file is at fault; or there are no images, or one lacks its label. A picture that is damaged
            or holds a value that nobody knows is found when it is read.
    """
    if name.endswith(".toml"):
        file = Path(name)
        content = read_label_file(file)
        found = find_labelled_images(
            file.parent / content.data,
            content.format,
            split=content.split,
            scheme_file=file if content.explains_labels else None,
        )
        return _frames(name, found, content.paste)
    layout, _, folder = name.partition(":")
    return _frames(name, find_labelled_images(Path(folder), layout), ())


def _frames(name: str, found: LabelledImages, pasted: tuple[str, ...]) -> LabelledFrames:
    for pair in found.pairs:
        if not pair.label.is_file():
            raise SourceError(f"{pair.label}: the label of image {pair.image.name} is missing")
    files = _PairFiles(found.pairs, found.scheme)
    files.read(0)
    return LabelledFrames(
        name,
        _Pictures(len(found.pairs), lambda index: files.read(index)[0]),
        _Pictures(len(found.pairs), lambda index: files.read(index)[1]),
        label_table(sets_of_scheme(found.scheme)),
        found.scheme.values_within(*pasted) if pasted else np.zeros(256, bool),
    )


class _PairFiles:
    """Images and labels on disk, the first of them kept in memory."""

    def __init__(self, pairs: tuple[Pair, ...], scheme: LabelScheme) -> None:
        self._pairs = pairs
        self._scheme = scheme
        self._kept: dict[int, tuple[Picture, Picture]] = {}
        self._kept_bytes = 0
        self._last: tuple[int, tuple[Picture, Picture]] | None = None

    def read(self, index: int) -> tuple[Picture, Picture]:
        """Image (H, W, 3) uint8 BGR and label (H, W) uint8."""
        if index in self._kept:
            return self._kept[index]
        last = self._last  # an image is asked for just before its label
        if last is not None and last[0] == index:
            return last[1]
        pair = self._pairs[index]
        image = cv2.imread(str(pair.image), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f"{pair.image}: not an image that OpenCV reads, or damaged")
        label = read_label(pair, image.shape[:2], self._scheme)
        both = np.asarray(image, np.uint8), label
        self._last = index, both
        size = image.nbytes + label.nbytes
        if self._kept_bytes + size <= _KEPT_BYTES:
            self._kept[index] = both
            self._kept_bytes += size
        return both


class _Pictures(Sequence[Picture]):
    """Pictures that are there once they are asked for."""

    def __init__(self, count: int, read: Callable[[int], Picture]) -> None:
        self._count = count
        self._read = read

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...

    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        if isinstance(index, slice):
            return [self._read(place) for place in range(self._count)[index]]
        return self._read(range(self._count)[index])
