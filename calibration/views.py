"""Photos of a board become views: every photo is either used or left out with a reason."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.boards import BoardFinder, Corners, Unusable
from pipeline.errors import SourceError
from pipeline.sources.base import IMAGE_SUFFIXES

__all__ = ["PhotoSet", "View", "find_photos", "is_repeat", "read_views", "same_size"]

_SAME_VIEW = 0.005
"""Boards closer to each other than this share of the picture's diagonal are one view, photographed twice."""


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """One photo of the board.

    Attributes:
        name: File name.
        size_hw: (H, W) of the photo.
        corners: Where the board's corners are.
    """

    name: str
    size_hw: tuple[int, int]
    corners: Corners


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """All photos of one calibration.

    Attributes:
        size_hw: (H, W) of the views.
        views: Those that can be used; all of one size.
        rejected: File name: why it was left out.
    """

    size_hw: tuple[int, int]
    views: tuple[View, ...]
    rejected: dict[str, str] = field(default_factory=dict)


def find_photos(pattern: str) -> dict[str, Path]:
    """Photos in a folder or of a glob, in natural order, by the name that reports call them.

    Raises:
        SourceError: There are none.
    """
    folder = Path(pattern)
    if not folder.exists() and not glob.has_magic(pattern):
        raise SourceError(f"{pattern}: no such folder; name one with photos of the board")
    found = folder.iterdir() if folder.is_dir() else map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207
    photos = sorted((path for path in found if path.suffix.lower() in IMAGE_SUFFIXES), key=_natural_order)
    if not photos:
        raise SourceError(f"{pattern}: no photos there (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    unique = len({path.name for path in photos}) == len(photos)
    return {path.name if unique else str(path): path for path in photos}


def read_views(
    photos: dict[str, Path],
    finder: BoardFinder,
    track: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> PhotoSet:
    """Look for the board in every photo.

    Args:
        photos: Name: path.
        finder: Knows the board.
        track: Wraps the loop over names, to show progress.

    Raises:
        SourceError: The photos come in several sizes and none of them is in the majority.
    """
    rejected: dict[str, str] = {}
    views: list[View] = []
    sizes: list[tuple[int, int]] = []
    for name in track(photos):
        image = _read(photos[name])
        found = "not an image that OpenCV can read, or damaged" if image is None else _find(finder, image)
        if image is not None:
            sizes.append((image.shape[0], image.shape[1]))
        if isinstance(found, str):
            rejected[name] = found
        else:
            views.append(View(name, sizes[-1], found))
    size_hw = _common_size(sizes)
    distinct = _without_repeats(same_size(views, size_hw, rejected), rejected)
    return PhotoSet(size_hw, tuple(distinct), {name: rejected[name] for name in photos if name in rejected})


def same_size(views: Sequence[View], size_hw: tuple[int, int], rejected: dict[str, str]) -> list[View]:
    """The views of a size; why the others cannot be used is put into `rejected`."""
    for view in views:
        if view.size_hw != size_hw:
            rejected[view.name] = f"another image size: {_named(view.size_hw)}, the others are {_named(size_hw)}"
    return [view for view in views if view.size_hw == size_hw]


def is_repeat(view: View, other: View, apart: float = _SAME_VIEW) -> bool:
    """Whether the board is in the same place: corners are nearer than a share of the picture's diagonal (RMS)."""
    common, mine, theirs = np.intersect1d(view.corners.ids, other.corners.ids, return_indices=True)
    if len(common) < min(len(view.corners.ids), len(other.corners.ids)):
        return False
    off_px = view.corners.pixels[mine] - other.corners.pixels[theirs]
    return bool(np.sqrt((off_px**2).sum(axis=1).mean()) < apart * np.hypot(*view.size_hw))


def _read(path: Path) -> NDArray[np.uint8] | None:
    """(H, W) uint8, turned as its EXIF entry says, like every picture that the pipeline reads; None if damaged."""
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _find(finder: BoardFinder, image: NDArray[np.uint8]) -> Corners | str:
    """The board's corners, or why they cannot be used."""
    try:
        return finder.find(image)
    except Unusable as reason:
        return str(reason)


def _common_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    counts = Counter(sizes).most_common(2)
    if not counts:
        return 0, 0
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        (first, count), (second, _) = counts
        raise SourceError(
            f"mixed sizes: {count} photos are {_named(first)} and as many are {_named(second)}; "
            "a camera is measured at one size, so leave only one of them in"
        )
    return counts[0][0]


def _without_repeats(views: Sequence[View], rejected: dict[str, str]) -> list[View]:
    """Each view once: a repeat teaches nothing and makes the result look surer than it is."""
    kept: list[View] = []
    for view in views:
        twin = next((other for other in kept if is_repeat(view, other)), None)
        if twin is None:
            kept.append(view)
        else:
            rejected[view.name] = f"nearly the same view as {twin.name}: move or tilt the board between photos"
    return kept


def _named(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"


def _natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Digits compare as numbers, the rest as text without regard to case; the full path breaks ties."""
    pieces = re.split(r"(\d+)", str(path).lower())
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces], str(path)
