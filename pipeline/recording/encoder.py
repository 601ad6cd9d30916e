"""Frames as H.264, for cameras that send no compressed stream. Their 4:2:0 planes, where they have them, go in as they
are.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from pipeline.cameras.base import EncodedPacket
from pipeline.recording.layout import TICKS_PER_S, to_us
from pipeline.scene import Frame, YuvPlanes

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

__all__ = ["FrameEncoder"]

_KEYFRAME_EVERY_US = TICKS_PER_S
_THREADS = 1
"""A frame of 1280x720 takes some 5 ms of a core; the network needs the others."""

_OPTIONS = {"preset": "superfast", "crf": "20", "tune": "zerolatency", "forced-idr": "1", "g": "600"}
_STANDARDS = {"bt709": "bt709", "bt601": "smpte170m"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """What may not change within a stream."""

    size_hw: tuple[int, int]
    matrix: Literal["bt601", "bt709"]
    full_range: bool


class FrameEncoder:
    """Turns every frame into one packet at once, with a key frame a second and at every change of size or colours.

    H.264 in 4:2:0 has even sizes only: an odd width or height is padded by repeating the last column or row.
    """

    def __init__(self) -> None:
        self._layout: _Layout | None = None
        self._context: VideoCodecContext | None = None
        self._converter = VideoReformatter()
        self._next_keyframe_us = 0
        self._last_us = -1

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        """The packets that are ready with this frame: exactly one, unless the encoder fails.

        Raises:
            av.error.FFmpegError: The encoder failed.
        """
        planes = frame.planes
        layout = _Layout(frame.size_hw, planes.matrix if planes else "bt709", planes.full_range if planes else False)
        if self._context is None or layout != self._layout:
            self._layout, self._context, self._next_keyframe_us = layout, _open(layout), 0
        time_us = max(to_us(frame.source_time_s), self._last_us + 1)
        picture = _from_planes(planes, frame.size_hw) if planes else self._from_bgr(frame)
        picture.pts, picture.time_base = time_us, Fraction(1, TICKS_PER_S)
        if time_us >= self._next_keyframe_us:
            picture.pict_type = PictureType.I
            self._next_keyframe_us = time_us + _KEYFRAME_EVERY_US
        self._last_us = time_us
        packets = self._context.encode(picture)
        return [
            EncodedPacket(
                data=bytes(packet),
                time_s=(time_us if packet.pts is None else packet.pts) / TICKS_PER_S,
                decode_time_s=(time_us if packet.dts is None else packet.dts) / TICKS_PER_S,
                is_keyframe=packet.is_keyframe,
            )
            for packet in packets
        ]

    def restart(self) -> None:
        """Begin with a key frame again."""
        self._next_keyframe_us = 0

    def _from_bgr(self, frame: Frame) -> av.VideoFrame:
        height, width = frame.size_hw
        image = frame.image
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._converter.reformat(
            av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )


def _open(layout: _Layout) -> VideoCodecContext:
    standard = _STANDARDS[layout.matrix]
    context = av.CodecContext.create("libx264", "w")
    height, width = layout.size_hw
    context.height, context.width = height + height % 2, width + width % 2
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, TICKS_PER_S)
    context.framerate = Fraction(30)
    context.thread_count = _THREADS
    context.options = _OPTIONS | {
        "colorspace": standard,
        "color_primaries": standard,
        "color_trc": standard,
        "color_range": "pc" if layout.full_range else "tv",
    }
    context.open()
    return context


def _from_planes(planes: YuvPlanes, size_hw: tuple[int, int]) -> av.VideoFrame:
    height, width = size_hw
    picture = av.VideoFrame(width + width % 2, height + height % 2, "yuv420p")
    for position, source in enumerate((planes.y, planes.u, planes.v)):
        plane = picture.planes[position]
        rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows = rows[: plane.height, : plane.width]
        rows[: source.shape[0], : source.shape[1]] = source
        rows[source.shape[0] :] = rows[source.shape[0] - 1]
        rows[:, source.shape[1] :] = rows[:, source.shape[1] - 1 : source.shape[1]]
    return picture
