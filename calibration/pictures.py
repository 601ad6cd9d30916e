"""Which pictures a network is calibrated on: few, and as unlike each other as they can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SourceError
from pipeline.sources.base import IMAGE_SUFFIXES
from pipeline.sources.images import natural_order

__all__ = ["LEAST_PICTURES", "ChosenPictures", "choose_pictures", "find_pictures"]

LEAST_PICTURES = 8
_MOST_CANDIDATES = 1500
_THUMBNAIL_WH = (16, 12)
_HELD_OUT = 16


@dataclass(frozen=True, slots=True)
class ChosenPictures:
    """Pictures to calibrate on, and others to see what came of it."""

    calibration: tuple[Path, ...]
    held_out: tuple[Path, ...]


def find_pictures(folder: Path) -> list[Path]:
    """All images in a folder and below it, in natural order.

    Raises:
        SourceError: There is no such folder, or fewer than `LEAST_PICTURES` images are in it.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: {'is not a folder' if folder.exists() else 'no such folder'}")
    found = sorted((path for path in folder.glob("**/*") if path.suffix.lower() in IMAGE_SUFFIXES), key=natural_order)
    if not found:
        raise SourceError(f"{folder}: no images there (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    if len(found) < LEAST_PICTURES:
        raise SourceError(f"{folder}: {len(found)} images are too few; {LEAST_PICTURES} are the least, 50 are good")
    return found


def choose_pictures(paths: list[Path], count: int) -> ChosenPictures:
    """Choose by greedy k-centre (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985).

    The first is the one nearest to the mean; each next is the one that is most unlike all chosen so far, by the colours
    (CIE L*a*b*) of a thumbnail of 16x12 pixels. So every place, light and weather that the pictures hold is seen,
    however many frames of one recording there are. The same pictures give the same choice.

    Args:
        paths: Candidates; of more than 1,500 as many are looked at, evenly spread over their order.
        count: How many to choose. At most three quarters are: the rest is held out.

    Raises:
        SourceError: A picture is damaged.
    """
    if len(paths) > _MOST_CANDIDATES:
        paths = [paths[place] for place in np.linspace(0, len(paths) - 1, _MOST_CANDIDATES).round().astype(int)]
    looks = np.stack([_describe(path) for path in paths])
    chosen = _spread(looks, min(count, len(paths) * 3 // 4))
    rest = sorted(set(range(len(paths))) - set(chosen))
    held_out = [rest[place] for place in np.linspace(0, len(rest) - 1, min(_HELD_OUT, len(rest))).round().astype(int)]
    return ChosenPictures(tuple(paths[place] for place in chosen), tuple(paths[place] for place in held_out))


def _describe(path: Path) -> NDArray[np.float32]:
    # A JPEG is decoded at an eighth of its size, which is all that a thumbnail needs.
    image = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_8)
    if image is None:
        raise SourceError(f"{path}: not an image that OpenCV can read, or damaged")
    small = cv2.resize(image, _THUMBNAIL_WH, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2LAB), np.float32).ravel()


def _spread(looks: NDArray[np.float32], count: int) -> list[int]:
    chosen = [int(np.linalg.norm(looks - looks.mean(0), axis=1).argmin())]
    distance = np.linalg.norm(looks - looks[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        np.minimum(distance, np.linalg.norm(looks - looks[chosen[-1]], axis=1), out=distance)
    return chosen
