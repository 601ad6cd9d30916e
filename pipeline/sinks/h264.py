"""Drawn pictures as H.264, into any container: files, streams over HTTP, RTSP servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from engines.color import ColorMatrix
from pipeline.scene import BgrImage, Picture, YuvImage
from pipeline.yuv import fill_planes, yuv_weights

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream

__all__ = ["KEYFRAME_EVERY_S", "TICKS_PER_S", "H264Writer", "bgr_of", "fitted"]

TICKS_PER_S = 90_000
"""Time base of MPEG: holds every usual frame rate, 23.976 and 29.97 Hz included, without rounding drift."""

KEYFRAME_EVERY_S = 1.0
"""Distance of the keyframes in source time: how finely a player can seek, how long a late joiner waits."""

_X264_OPTIONS = {
    # A third faster than "veryfast" at equal quality, for files a tenth larger: the network needs the cores.
    "preset": "superfast",
    "crf": "24",
    # One picture in, one out: a kill loses next to nothing, finishing takes no time. It also turns off B-frames, so the
    # decoding order is the playing order and the first frame stands at 0 without an edit list.
    "tune": "zerolatency",
    "forced-idr": "1",
    "g": "600",
    "color_primaries": "bt709",
    "color_trc": "bt709",
}


def fitted(picture: BgrImage, size_hw: tuple[int, int]) -> BgrImage:
    """The whole picture, as large as it can be, in the middle of a black one of that size."""
    if picture.shape[:2] == size_hw:
        return picture
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


class H264Writer:
    """x264 and the container around it, for pictures of one size and in one colour space.

    Playback starts at 0, whatever the time of the first picture; distances are the source's own. A time that does not
    advance is moved to one tick (11 µs) after its predecessor. H.264 in 4:2:0 has even sizes only: an odd width or
    height is padded by repeating the last column or row. Colours are tagged as what they are; BGR becomes BT.709 of
    limited range, unless other pictures came before.

    Attributes:
        size_hw: (H, W) of the pictures.
    """

    def __init__(
        self,
        container: OutputContainer,
        size_hw: tuple[int, int],
        rate_hz: Fraction,
        *,
        threads: int | None = None,
        like: Picture | None = None,
        before_packet: Callable[[bool], None] = lambda _: None,
        after_packet: Callable[[], None] = lambda: None,
    ) -> None:
        """Set up the encoder; the container's header is written with the first picture.

        Args:
            container: Opened for writing, with no stream yet; closed by `finish`.
            size_hw: (H, W) in pixels.
            rate_hz: A hint for the encoder, and the duration of a lone picture.
            threads: Of the encoder; None takes half of the cores, at most four.
            like: A picture in whose colour space all are encoded; others are converted.
            before_packet: Called before each picture is handed to the container, with whether decoding can begin there.
            after_packet: Called when the container has taken it.
        """
        self.size_hw = size_hw
        self._container = container
        self._before_packet, self._after_packet = before_packet, after_packet
        height, width = size_hw
        self._matrix, self._full_range = _colors(like)
        tags = {"colorspace": _MATRICES[self._matrix].tag, "color_range": "pc" if self._full_range else "tv"}
        self._stream: VideoStream = container.add_stream("libx264", rate=rate_hz, options=_X264_OPTIONS | tags)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        # Half of the cores: the network needs the others. More than four only add delay at this preset.
        self._stream.codec_context.thread_count = threads or min(4, max(1, (os.cpu_count() or 2) // 2))
        self._origin_s: float | None = None
        self._last_tick = -1
        self._next_keyframe_tick = 0
        self._interval_ticks = round(TICKS_PER_S / rate_hz)

    def encode(self, picture: Picture, source_time_s: float) -> None:
        """Encode one picture of `size_hw` and hand it to the container at once.

        Raises:
            FFmpegError: The encoder or the container failed.
        """
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
        """Write what is left, and close the container.

        Raises:
            FFmpegError: The encoder or the container failed; the container is closed all the same.
        """
        try:
            self._mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _to_yuv(self, picture: Picture) -> av.VideoFrame:
        if isinstance(picture, YuvImage) and _colors(picture) == (self._matrix, self._full_range):
            return self._tagged(av.VideoFrame.from_numpy_buffer(picture.pixels, "yuv420p"))  # without a copy
        image = bgr_of(picture) if isinstance(picture, YuvImage) else picture
        height, width = self.size_hw
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._tagged(av.VideoFrame(image.shape[1], image.shape[0], "yuv420p"))
        weights = yuv_weights(self._matrix, self._full_range)
        fill_planes(np.ascontiguousarray(image).reshape(image.shape[0], -1), weights, *map(_plane, frame.planes))
        return frame

    def _tagged(self, frame: av.VideoFrame) -> av.VideoFrame:
        frame.colorspace = _MATRICES[self._matrix].of_frame
        frame.color_range = ColorRange.JPEG if self._full_range else ColorRange.MPEG
        return frame

    def _mux(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            # Only the last frame's duration counts; those before it end where the next one begins.
            packet.duration = self._interval_ticks
            self._before_packet(packet.is_keyframe)
            self._container.mux(packet)
            self._after_packet()


class _Matrix(NamedTuple):
    """What a matrix is called: by x264, and by FFmpeg in frames and in conversions."""

    tag: str
    of_frame: Colorspace


_MATRICES: dict[ColorMatrix, _Matrix] = {
    "bt601": _Matrix("smpte170m", Colorspace.ITU601),
    "bt709": _Matrix("bt709", Colorspace.ITU709),
}


def _colors(picture: Picture | None) -> tuple[ColorMatrix, bool]:
    return (picture.matrix, picture.full_range) if isinstance(picture, YuvImage) else ("bt709", False)


def bgr_of(picture: YuvImage) -> BgrImage:
    """(H, W, 3) of a picture in planes: for the rare one that does not fit those before it."""
    frame = av.VideoFrame.from_numpy_buffer(picture.pixels, "yuvj420p" if picture.full_range else "yuv420p")
    return np.asarray(frame.to_ndarray(format="bgr24", src_colorspace=_MATRICES[picture.matrix].of_frame), np.uint8)


def _plane(plane: VideoPlane) -> NDArray[np.uint8]:
    """The encoder's own memory, (H, W), rows strided."""
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
