"""From what the user names as an output to the sink that writes it."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import ConfigError, SinkError
from pipeline.sinks.base import Sink

__all__ = ["OUTPUT_KINDS", "open_sink"]

OUTPUT_KINDS = "x.mp4, x.mkv or x.mov (video), x.jsonl (scenes), masks/ (label pictures), display:// (window)"
"""The outputs there are, for help texts and messages."""

_VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov"}


def open_sink(output: str, *, source: str | None = None, frame_rate_hz: float | None = None) -> Sink:
    """Open an output. That it can be written is made sure of now, before the first frame.

    Args:
        output: ``x.mp4``, ``x.mkv`` or ``x.mov`` for video; ``x.jsonl`` for scenes; ``display://`` for a window;
            an existing folder, a path that ends in ``/`` or one without a suffix for label pictures.
        source: What is being read, so that it is not overwritten.
        frame_rate_hz: Nominal rate of the source where it is known; a hint for video.

    Raises:
        ConfigError: There is no such kind of output, or it is the source itself.
        SinkError: It cannot be created or written.
    """
    if not output.strip():
        raise ConfigError(f"an output has an empty name; known are {OUTPUT_KINDS}")
    if "://" in output:
        return _open_address(output)
    path = Path(output)
    if source is not None:
        _protect_source(path, output, source)
    suffix = path.suffix.lower()
    wants_folder = output.endswith(("/", os.sep))
    if suffix in _VIDEO_SUFFIXES and not wants_folder:
        from pipeline.sinks.video import VideoSink

        return VideoSink(path, name=output, frame_rate_hz=frame_rate_hz)
    if suffix == ".jsonl" and not wants_folder:
        from pipeline.sinks.jsonl import JsonlSink

        return JsonlSink(path, name=output)
    if wants_folder or not suffix or _is_folder(path, output):
        from pipeline.sinks.masks import MasksSink

        return MasksSink(path, name=output)
    raise ConfigError(f"cannot write {output}: no output is known by the suffix {suffix}; known are {OUTPUT_KINDS}")


def _open_address(output: str) -> Sink:
    scheme = output.partition("://")[0]
    if scheme.lower() != "display":
        raise ConfigError(f"cannot write {output}: no output is known by {scheme}://; known are {OUTPUT_KINDS}")
    from pipeline.sinks.window import WindowSink

    return WindowSink(name=output)


def _is_folder(path: Path, output: str) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise SinkError(f"cannot write {output}: {error.strerror}") from error


def _protect_source(path: Path, output: str, source: str) -> None:
    """Refuse an output that is the source itself, or a folder in which label pictures could replace its images."""
    if _same(path, Path(source)):
        raise ConfigError(f"cannot write {output}: it is the source itself; name another output")
    may_be_png = Path(source).suffix.lower() == ".png" or not Path(source).is_file()
    if "://" not in source and may_be_png and _same(path, Path(source).parent):
        raise ConfigError(
            f"cannot write {output}: label pictures could replace the source's images; name another folder"
        )


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return False  # One of them does not exist, or is no path.
