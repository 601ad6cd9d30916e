"""The segments of a folder of recordings: what is known of each, and which are older than what is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.recording.layout import (
    MANIFEST_NAME,
    camera_folders,
    scenes_beside,
    segment_lengths_us,
    segment_start_us,
    segments_in,
)

__all__ = ["Kept", "count_expired", "earlier_segments", "linked_inodes", "remove_emptied"]


@dataclass(eq=False)
class Kept:
    """A segment in the ring.

    Attributes:
        video: Its MP4; the scenes lie beside it.
        start_us: Time of its first picture.
        size_bytes: Of both files.
        is_open: Whether it is being written.
        pins: How many still have to link or copy it before it may go.
        is_gone: Whether it was deleted.
    """

    video: Path
    start_us: int
    size_bytes: int = 0
    is_open: bool = False
    pins: int = field(default=0, repr=False)
    is_gone: bool = False

    @property
    def camera_folder(self) -> str:
        """Name of its camera's folder."""
        return self.video.parent.name

    @property
    def age_order(self) -> tuple[str, int]:
        """Sorts the oldest first: by run, then by time within it."""
        return self.video.parent.parent.name, self.start_us


def count_expired(runs_us: Sequence[Sequence[int]], longest_us: int, kept_us: int) -> int:
    """How many of a camera's oldest segments can go while the rest still covers the time to keep.

    Args:
        runs_us: Per run, oldest first, when its segments begin, ascending.
        longest_us: As in `layout.segment_lengths_us`.
        kept_us: How much recorded time is kept.
    """
    lengths_us: list[int] = []
    for position, starts_us in enumerate(runs_us, start=1):
        # The newest of all has just begun; others may have been cut off anywhere.
        last_us = 0 if position == len(runs_us) else longest_us // 2
        lengths_us += segment_lengths_us(starts_us, longest_us, last_us)
    covered_us = 0
    for position in range(len(lengths_us) - 1, -1, -1):
        if covered_us >= kept_us:
            return position + 1
        covered_us += lengths_us[position]
    return 0


def earlier_segments(folder: Path) -> list[Kept]:
    """The segments of earlier runs."""
    found: list[Kept] = []
    for camera in camera_folders(folder):
        if camera.parent.parent != folder:
            continue
        for video in segments_in(camera):
            size = sum(path.stat().st_size for path in (video, scenes_beside(video)) if path.exists())
            found.append(Kept(video, segment_start_us(video) or 0, size))
    return found


def linked_inodes(videos: Iterable[Path]) -> Iterable[tuple[int, int]]:
    """Device and number of those files that have more than one name: they hang in ``saved`` as well."""
    for video in videos:
        for path in (video, scenes_beside(video)):
            with contextlib.suppress(OSError):
                status = path.stat()
                if status.st_nlink > 1:
                    yield status.st_dev, status.st_ino


def remove_emptied(camera_folder: Path) -> None:
    """Take away the folder of an earlier run that holds no segment any more, unless something else lies in it."""
    with contextlib.suppress(OSError):
        if {path.name for path in camera_folder.iterdir()} == {MANIFEST_NAME}:
            (camera_folder / MANIFEST_NAME).unlink()
            camera_folder.rmdir()
            camera_folder.parent.rmdir()
