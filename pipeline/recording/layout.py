"""Where a recording lies: folders, file names, and what they say.

    DIR/000001_2026-11-25T13-29-05Z/     one run: its number, and when it began
        front/                           one camera
            recording.json               see `pipeline.recording.manifest`
            0000000.133466.mp4           a segment: its first picture stands 0.133466 s into the run
            0000000.133466.jsonl         the scenes from there to the next segment
    DIR/saved/2026-11-25T13-31-40Z-button/front/   the same, kept for good

A segment's name is its place in time, so a folder can be read without any index, also after the process was killed or
the power went. Runs are numbered because many vehicles' clocks begin anew with every start. Files are private to the
user.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.sinks.output_file import explain

__all__ = [
    "MANIFEST_NAME",
    "SAVED_FOLDER",
    "TICKS_PER_S",
    "camera_folders",
    "folder_names",
    "make_private_folder",
    "new_folder",
    "run_name",
    "scenes_beside",
    "segment_lengths_us",
    "segment_name",
    "segment_start_us",
    "segments_in",
    "sync_folder",
    "time_stamp",
    "to_us",
]

MANIFEST_NAME = "recording.json"
SAVED_FOLDER = "saved"

TICKS_PER_S = 1_000_000
"""Times are kept in whole microseconds, as scenes carry them."""

_VIDEO_SUFFIX = ".mp4"
_SCENES_SUFFIX = ".jsonl"
_SEGMENT = re.compile(r"([0-9]{7,12})\.([0-9]{6})\.mp4")
_RUN = re.compile(r"([0-9]{6,})_.*")
_LONGEST_NAME = 60


def to_us(time_s: float) -> int:
    """Seconds to the nearest microsecond; halves go where those of a scene's `source_time_s` go."""
    return round(round(time_s, 6) * TICKS_PER_S)


def segment_name(start_us: int) -> str:
    """File name of the segment whose first picture has that time, in microseconds since the run began.

    Raises:
        ValueError: The time is before the run.
    """
    if start_us < 0:
        raise ValueError(f"a segment cannot begin before its run: {start_us} us")
    seconds, fraction = divmod(start_us, TICKS_PER_S)
    return f"{seconds:07d}.{fraction:06d}{_VIDEO_SUFFIX}"


def segment_start_us(path: Path) -> int | None:
    """Time of a segment's first picture in microseconds since the run began; None: that is no segment."""
    match = _SEGMENT.fullmatch(path.name)
    return int(match[1]) * TICKS_PER_S + int(match[2]) if match else None


def scenes_beside(segment: Path) -> Path:
    """The scenes of a segment."""
    return segment.with_name(segment.name.removesuffix(_VIDEO_SUFFIX) + _SCENES_SUFFIX)


def segments_in(folder: Path) -> list[Path]:
    """The segments of one camera, in the order of time."""
    found = [(start_us, path) for path in folder.iterdir() if (start_us := segment_start_us(path)) is not None]
    return [path for _, path in sorted(found)]


def segment_lengths_us(starts_us: Sequence[int], longest_us: int, last_us: int) -> list[int]:
    """How long each of a camera's segments may be: to the next one's start, or less where the camera was silent.

    Args:
        starts_us: When they begin, ascending.
        longest_us: None is taken to be longer than that: what follows is a gap.
        last_us: How long the last one is taken to be.
    """
    lengths_us = [min(end - start, longest_us) for start, end in pairwise(starts_us)]
    return [*lengths_us, last_us] if starts_us else []


def camera_folders(folder: Path) -> list[Path]:
    """The recordings of single cameras in a folder: itself, those of a run, or those of all runs; no saved ones."""
    if (folder / MANIFEST_NAME).is_file():
        return [folder]
    found: list[Path] = []
    for depth in ("*", "*/*"):
        manifests = folder.glob(f"{depth}/{MANIFEST_NAME}")
        found += [path.parent for path in manifests if path.relative_to(folder).parts[0] != SAVED_FOLDER]
    return sorted(found)


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """A folder's name for every camera: only letters, digits and ``._-``, none twice, also where case is ignored."""
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^\w.-]+", "_", name)[:_LONGEST_NAME].strip("._- ") or "camera"
        candidate, number = plain, 2
        while candidate.casefold() in taken:
            candidate, number = f"{plain}-{number}", number + 1
        taken.add(candidate.casefold())
        chosen[name] = candidate
    return chosen


def run_name(folder: Path, moment: datetime) -> str:
    """Name of the next run in a folder."""
    numbers = [int(match[1]) for path in folder.iterdir() if (match := _RUN.fullmatch(path.name))]
    return f"{max(numbers, default=0) + 1:06d}_{time_stamp(moment)}"


def time_stamp(moment: datetime) -> str:
    """UTC time as a folder's name: sorts by time, and every file system takes it."""
    return moment.strftime("%Y-%m-%dT%H-%M-%SZ")


def make_private_folder(folder: Path, output: str) -> None:
    """Create a folder that only the user may enter, and its parents; one that is there stays as it is.

    Raises:
        SinkError: It cannot be created; the message names `output`.
    """
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
    except OSError as error:
        raise explain(f"cannot create {output}", error) from error


def new_folder(parent: Path, name: str, output: str) -> Path:
    """Create a folder that was not there before: ``name``, else ``name-2``, ``name-3`` ….

    Raises:
        SinkError: None can be created.
    """
    for number in range(1, 10_000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise explain(f"cannot create {output}", error) from error
        return folder
    raise SinkError(f"cannot create {output}: {parent} holds too many folders named {name}")


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder onto the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
