"""The drawn picture as a video file: H.264 that every browser plays, at the source's own timestamps.

The file is readable at any moment, also after a crash, a kill or a full disk, up to the last frame but one: the
encoder holds no frame back, and each frame is written as a fragment of its own (ISO/IEC 14496-12, 8.8; some 100
bytes each), in Matroska as a cluster, when the next one comes. When an MP4 or MOV file is closed it becomes an
ordinary, seekable file with one index (FFmpeg's ``hybrid_fragmented``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from pipeline.errors import SinkError
from pipeline.scene import BgrImage, Scene
from pipeline.sinks.output_file import OutputFile, explain

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["VIDEO_FORMATS", "VideoSink"]

TICKS_PER_S = 90_000
"""Time base of MPEG: holds every usual frame rate, 23.976 and 29.97 Hz included, without rounding drift."""

KEYFRAME_EVERY_S = 1.0
"""Distance of the keyframes in source time: how finely a player can seek."""

_MP4_OPTIONS = {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}
_MKV_OPTIONS = {"cluster_time_limit": "1", "flush_packets": "1"}

_X264_OPTIONS = {
    # A third faster than "veryfast" at equal quality, for files a tenth larger: the network needs the cores.
    "preset": "superfast",
    "crf": "24",
    # One picture in, one out: a kill loses next to nothing, finishing takes no time. It also turns off B-frames, so the
    # decoding order is the playing order and the first frame stands at 0 without an edit list.
    "tune": "zerolatency",
    "forced-idr": "1",
    "g": "600",
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "color_range": "tv",
}

VIDEO_FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    ".mp4": ("mp4", _MP4_OPTIONS),
    ".mov": ("mov", _MP4_OPTIONS),
    ".mkv": ("matroska", _MKV_OPTIONS),
}
"""Suffix of the file → FFmpeg's name of the container, and its options."""


class VideoSink:
    """Encodes the overlay with x264.

    Every scene becomes exactly one frame of the file. Playback starts at 0, whatever the time of the first scene;
    the distances between frames are the source's own, variable rates included. A timestamp that does not advance
    is moved to one tick (11 µs) after its predecessor. H.264 in 4:2:0 has even sizes only: an odd width or height
    is padded by repeating the last column or row. A picture of another size than the first (folders of stills) is
    fitted into it, with black bars. Colours are BT.709, limited range, and tagged so.
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
        self._encoder: _Encoder | None = None
        self._failure_reported = False

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        """Encode one picture.

        Raises:
            SinkError: The disk is full or failed. The frames before it are in the file.
        """
        if picture is None:
            raise ValueError("VideoSink.write needs the drawn picture")
        if self._file.closed or self._file.failure is not None:
            raise SinkError(f"cannot write {self.name}: it was closed, or failed before")
        if self._encoder is None:
            self._encoder = _Encoder(self._file, self._rate, picture.shape[0], picture.shape[1])
        if picture.shape[:2] != self._encoder.size_hw:
            picture = _fitted(picture, self._encoder.size_hw)
        encoder = self._encoder
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


def _fitted(picture: BgrImage, size_hw: tuple[int, int]) -> BgrImage:
    """The whole picture, as large as it can be, in the middle of a black one of that size."""
    height, width = size_hw
    factor = min(height / picture.shape[0], width / picture.shape[1])
    fitted_height, fitted_width = max(1, round(picture.shape[0] * factor)), max(1, round(picture.shape[1] * factor))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    top, left = (height - fitted_height) // 2, (width - fitted_width) // 2
    framed = np.zeros((height, width, 3), np.uint8)
    framed[top : top + fitted_height, left : left + fitted_width] = cv2.resize(
        picture, (fitted_width, fitted_height), interpolation=interpolation
    )
    return framed


class _Encoder:
    """x264 and the container around it, for pictures of one size."""

    def __init__(self, file: OutputFile, rate_hz: Fraction, height: int, width: int) -> None:
        container_format, container_options = VIDEO_FORMATS[file.path.suffix.lower()]
        self.size_hw = (height, width)
        self._file = file
        self._container: OutputContainer = av.open(
            file, "w", format=container_format, container_options=container_options
        )
        self._stream: VideoStream = self._container.add_stream("libx264", rate=rate_hz, options=_X264_OPTIONS)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        # Half of the cores: the network needs the others. More than four only add delay at this preset.
        self._stream.codec_context.thread_count = min(4, max(1, (os.cpu_count() or 2) // 2))
        self._converter = VideoReformatter()
        self._origin_s: float | None = None
        self._last_tick = -1
        self._next_keyframe_tick = 0
        self._interval_ticks = round(TICKS_PER_S / rate_hz)

    def encode(self, picture: BgrImage, source_time_s: float) -> None:
        if self._origin_s is None:
            self._origin_s = source_time_s
        tick = max(round((source_time_s - self._origin_s) * TICKS_PER_S), self._last_tick + 1)
        if self._last_tick >= 0:
            self._interval_ticks = tick - self._last_tick
        self._last_tick = tick
        frame = self._to_yuv(picture)
        frame.pts, frame.time_base = tick, Fraction(1, TICKS_PER_S)
        if tick >= self._next_keyframe_tick:
            frame.pict_type = PictureType.I
            self._next_keyframe_tick = tick + round(KEYFRAME_EVERY_S * TICKS_PER_S)
        self._mux(self._stream.encode(frame))

    def finish(self) -> None:
        try:
            self._mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _to_yuv(self, picture: BgrImage) -> av.VideoFrame:
        height, width = self.size_hw
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._converter.reformat(
            av.VideoFrame.from_numpy_buffer(picture, format="bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )

    def _mux(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            # Only the last frame's duration counts; those before it end where the next one begins.
            packet.duration = self._interval_ticks
            self._container.mux(packet)
            self._file.commit()
