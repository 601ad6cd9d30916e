"""Folders and globs of still images, in natural order: 2.png before 10.png."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import SourceError
from pipeline.scene import BgrImage, Frame
from pipeline.sources.base import IMAGE_SUFFIXES, SourceInfo

__all__ = ["ImageSource", "natural_order"]

_RATE_HZ = 10.0
"""Stills carry no time; a folder of them plays at this rate."""


class ImageSource:
    """Still images as a recording. They may differ in size.

    Args:
        pattern: A folder, a glob (``**`` reaches into subfolders) or one image file.
        paths: The images themselves, where somebody has found and ordered them; the pattern is then only their name.

    Raises:
        SourceError: No image is there.
    """

    def __init__(self, pattern: str, *, paths: Sequence[Path] | None = None) -> None:
        found = (path for path in _matching(pattern) if path.suffix.lower() in IMAGE_SUFFIXES) if paths is None else ()
        self._paths = sorted(found, key=natural_order) if paths is None else list(paths)
        if not self._paths:
            raise SourceError(
                f"{pattern}: no images there (looked for {', '.join(sorted(IMAGE_SUFFIXES))}){_deeper(Path(pattern))}"
            )
        first = _read(self._paths[0])
        self.info = SourceInfo(
            uri=pattern,
            description=f"{len(self._paths)} images, the first {first.shape[1]}x{first.shape[0]}",
            size_hw=(first.shape[0], first.shape[1]),
            frame_count=len(self._paths),
            frame_rate_hz=_RATE_HZ,
            is_video=False,
        )

    def frames(self) -> Iterator[Frame]:
        """Every image, in order, once.

        Raises:
            SourceError: An image is damaged. The ones before it were yielded.
        """
        for index, path in enumerate(self._paths):
            image = _read(path)
            yield Frame(
                index=index,
                source_time_s=index / _RATE_HZ,
                captured_at_s=time.monotonic(),
                size_hw=(image.shape[0], image.shape[1]),
                to_bgr=partial(np.asarray, image),
                name=path.stem,
            )

    def close(self) -> None:
        """Nothing is held open."""


def _matching(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return list(path.iterdir())
    if path.is_file():  # Also one whose name happens to hold glob characters.
        return [path]
    return [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - the pattern may be absolute


def _deeper(folder: Path) -> str:
    """Which folders within a folder hold images, since data sets keep one for each camera; "" where none does."""
    try:
        within = {path.parent.name for path in folder.glob("*/*") if path.suffix.lower() in IMAGE_SUFFIXES}
    except OSError:
        return ""
    return f"; name one of its folders: {', '.join(sorted(within)[:5])}" if within else ""


def _read(path: Path) -> BgrImage:
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error) as error:
        raise SourceError(f"{path}: cannot be read ({error})") from error
    if image is None:
        raise SourceError(f"{path}: not an image that OpenCV can read, or damaged")
    return np.ascontiguousarray(image, np.uint8)


def natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Digits compare as numbers, the rest as text without regard to case; the full path breaks ties."""
    pieces = re.split(r"(\d+)", str(path).lower())
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces], str(path)
