"""The drawn picture as a video file: H.264 that every browser plays, at the source's own timestamps.

The file is readable at any moment, also after a crash, a kill or a full disk, up to the last frame but one: the
encoder holds no frame back, and each frame is written as a fragment of its own (ISO/IEC 14496-12, 8.8; some 100
bytes each), in Matroska as a cluster, when the next one comes. When an MP4 or MOV file is closed it becomes an
ordinary, seekable file with one index (FFmpeg's ``hybrid_fragmented``).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from pipeline.errors import SinkError
from pipeline.scene import BgrImage, Picture, Scene, YuvImage
from pipeline.sinks.h264 import H264Writer, bgr_of, fitted
from pipeline.sinks.output_file import OutputFile, explain

__all__ = ["VIDEO_FORMATS", "VideoSink"]

_MP4_OPTIONS = {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}
_MKV_OPTIONS = {"cluster_time_limit": "1", "flush_packets": "1"}

VIDEO_FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    ".mp4": ("mp4", _MP4_OPTIONS),
    ".mov": ("mov", _MP4_OPTIONS),
    ".mkv": ("matroska", _MKV_OPTIONS),
}
"""Suffix of the file → FFmpeg's name of the container, and its options."""


class VideoSink:
    """Encodes the overlay with x264.

    Every scene becomes exactly one frame of the file, at its own time (`H264Writer`), variable rates included. A
    picture of another size than the first (folders of stills) is fitted into it, with black bars.
    """

    needs_overlay = True
    on_main_thread = False

    def __init__(self, path: Path, *, name: str | None = None, frame_rate_hz: float | None = None) -> None:
        """Create the file, or open an older one that the first frame will replace.

        Args:
            path: Ends in one of `VIDEO_FORMATS`; missing parent folders are created.
            name: What the user called it; the path if None.
            frame_rate_hz: Nominal rate of the source: a hint for the encoder, and the duration of a lone frame.

        Raises:
            SinkError: The file cannot be created or written.
        """
        self.name = name if name is not None else str(path)
        self._file = OutputFile(path, self.name)
        self._rate = Fraction(frame_rate_hz or 30.0).limit_denominator(1001)
        self._encoder: H264Writer | None = None
        self._failure_reported = False

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        """Encode one picture.

        Raises:
            SinkError: The disk is full or failed. The frames before it are in the file.
        """
        if picture is None:
            raise ValueError("VideoSink.write needs the drawn picture")
        self._encode(scene, picture)

    def write_planes(self, scene: Scene, picture: YuvImage) -> None:
        """The same, without a conversion. A file has the colour space of its first picture.

        Raises:
            SinkError: As `write`.
        """
        self._encode(scene, picture)

    def _encode(self, scene: Scene, picture: Picture) -> None:
        if self._file.closed or self._file.failure is not None:
            raise SinkError(f"cannot write {self.name}: it was closed, or failed before")
        if self._encoder is None and not scene.has_signal:
            return  # The file takes the size of the camera's pictures: wait for the first.
        if self._encoder is None:
            self._encoder = self._open_encoder(picture)
        encoder = self._encoder
        if picture.shape[:2] != encoder.size_hw:
            picture = fitted(bgr_of(picture) if isinstance(picture, YuvImage) else picture, encoder.size_hw)
        self._guard(lambda: encoder.encode(picture, scene.frame.source_time_s))

    def close(self) -> None:
        """Encode what is buffered and finish the file; a file without a single frame is not left behind.

        Raises:
            SinkError: The disk is full or failed. What fitted is playable.
        """
        if self._file.closed:
            return
        try:
            if self._encoder is not None:
                self._guard(self._encoder.finish)
        finally:
            self._file.close()

    def _open_encoder(self, picture: Picture) -> H264Writer:
        container_format, container_options = VIDEO_FORMATS[self._file.path.suffix.lower()]
        container = av.open(self._file, "w", format=container_format, container_options=container_options)
        size_hw = (picture.shape[0], picture.shape[1])
        return H264Writer(container, size_hw, self._rate, like=picture, after_packet=self._file.commit)

    def _guard(self, work: Callable[[], None]) -> None:
        """Do some encoding; turn failures of the file or of FFmpeg into one `SinkError`, reported once."""
        try:
            work()
        except FFmpegError as error:
            if self._file.failure is None:
                raise SinkError(f"cannot write {self.name}: the video encoder failed: {error}") from error
        if self._file.failure is not None and not self._failure_reported:
            self._failure_reported = True
            raise explain(f"cannot write {self.name}", self._file.failure) from self._file.failure
