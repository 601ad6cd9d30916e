"""What is profiled when nothing is named: the rendered drive as a real H.264 file, kept for the next time."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path

import av

from pipeline.errors import SinkError, SourceError
from pipeline.scene import Frame
from pipeline.sinks.h264 import H264Writer
from pipeline.sources import Source, SourceInfo, open_source

__all__ = ["Looped", "clip_folder", "drive_clip"]

_DRIVE = "synthetic://drive?frames=240&seed=1&size=1280x720&fps=30"
_NAME = "drive-1280x720-240-1.mp4"
"""The last figure counts editions: raise it when the renderer's picture changes, so that old clips are not compared."""


class Looped:
    """A recording played again and again until it has given so many frames. Implements `pipeline.sources.Source`.

    Args:
        uri: A recording.
        frame_count: How many frames it gives before it ends.
    """

    def __init__(self, uri: str, frame_count: int) -> None:
        self._uri, self._frame_count = uri, frame_count
        first = open_source(uri)
        self.info: SourceInfo = first.info
        first.close()

    def frames(self) -> Generator[Frame, None, None]:
        """The recording's frames, again and again.

        Raises:
            SourceError: It is damaged, or holds none.
        """
        left = self._frame_count
        while left > 0:
            source: Source = open_source(self._uri)
            left_before = left
            try:
                for frame in source.frames():
                    yield frame
                    left -= 1
                    if left == 0:
                        return
            finally:
                source.close()
            if left == left_before:
                raise SourceError(f"{self._uri}: holds no frames")

    def close(self) -> None:
        """Every pass closes its own decoder."""


def clip_folder() -> Path:
    """Where the clip is kept: ``$XDG_CACHE_HOME/clearway/clips``, or ``~/.cache/clearway/clips``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "clearway" / "clips"


def drive_clip(on_note: Callable[[str], None] = lambda _: None) -> Path:
    """The rendered drive, 8 s of 1280x720 at 30 Hz, as an H.264 file; rendered and encoded the first time.

    Args:
        on_note: Called with one line for people before that.

    Raises:
        SinkError: The folder is not private to the user, or cannot be written.
    """
    folder = clip_folder()
    clip = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_strangers(folder)
        if clip.is_file():
            return clip
        on_note(f"rendering and encoding the drive, once, into {clip}")
        with _partial(folder) as partial:
            _encode(partial)
            partial.replace(clip)
    except OSError as error:
        raise SinkError(f"{folder}: the drive cannot be kept there ({error.strerror}); name a recording") from error
    return clip


def _refuse_strangers(folder: Path) -> None:
    """A decoder is given what lies here: nobody else may put it there."""
    known = folder.stat()
    if known.st_uid != os.geteuid() or known.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SinkError(f"{folder}: others can write to it; make it yours alone (chmod 700), or name a recording")


@contextlib.contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A file beside the clip that takes its place when it is complete, and is gone when it is not."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".partial.mp4", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _encode(file: Path) -> None:
    drive = open_source(_DRIVE)
    try:
        rate = Fraction(drive.info.frame_rate_hz or 30.0).limit_denominator(1001)
        writer = H264Writer(av.open(str(file), "w", format="mp4"), drive.info.size_hw, rate)
        try:
            for frame in drive.frames():
                writer.encode(frame.image, frame.source_time_s)
        finally:
            writer.finish()
    finally:
        drive.close()
