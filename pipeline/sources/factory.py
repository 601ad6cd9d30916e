"""From what the user typed to a source."""

from __future__ import annotations

import glob
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.sources.base import IMAGE_SUFFIXES, Decode, Source

__all__ = ["open_source"]

_KNOWN = (
    "a video file, an animated GIF, a folder or glob of images, what live --record wrote, "
    "or synthetic://drive?frames=300&seed=1"
)


def open_source(uri: str, *, start_s: float = 0.0, decode: Decode = "cpu") -> Source:
    """Open a recording.

    Args:
        uri: Path of a video (anything FFmpeg reads) or an animated GIF, a folder or glob of images, a
            folder that `live --record` wrote, or ``synthetic://drive?frames=300&seed=1``.
        start_s: Where reading will start, in seconds. A video is sought to the key frame before it, so that
            earlier frames need not be decoded; frames before `start_s` may still come.
        decode: What decodes a video: the CPU, or the decoder of an NVIDIA GPU.

    Raises:
        SourceError: Nothing is there, it is no recording, the scheme is unknown, or there is no such decoder.
    """
    scheme, separator, _ = uri.partition("://")
    if separator and scheme == "synthetic":
        from pipeline.sources.synthetic import open_synthetic

        return open_synthetic(uri)
    if separator and scheme != "file":
        raise SourceError(f"{uri}: the scheme {scheme}:// is not known here. Give {_KNOWN}.")
    path = Path(uri.removeprefix("file://"))
    if path.is_dir() and _was_recorded(path):
        from pipeline.sources.recording import RecordingSource

        return RecordingSource(path, start_s=start_s)
    if path.is_dir() or (not path.exists() and glob.has_magic(str(path))):
        from pipeline.sources.images import ImageSource

        return ImageSource(str(path))
    if not path.exists():
        raise SourceError(f"{uri}: no such file or folder. Give {_KNOWN}.")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        from pipeline.sources.images import ImageSource

        return ImageSource(str(path))
    from pipeline.sources.hardware import nvdec
    from pipeline.sources.video import VideoSource

    return VideoSource(path, start_s=start_s, hardware=nvdec() if decode == "nvdec" else None)


def _was_recorded(folder: Path) -> bool:
    from pipeline.recording.layout import camera_folders

    return bool(camera_folders(folder))
