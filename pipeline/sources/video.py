"""Video files and animated GIFs, decoded by FFmpeg through PyAV.

Frames keep the decoder's own 4:2:0 planes and the recording's own timestamps. A recording that broke off gives
every frame that can still be decoded, and then an error that says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError
from av.video.frame import VideoFrame

from pipeline.errors import SourceError
from pipeline.scene import Frame
from pipeline.sources.base import SourceInfo
from pipeline.sources.decoded import decoder_threads, frame_of
from pipeline.sources.hardware import apart, refusal

__all__ = ["VideoSource"]

_SHORTEST_GAP_S = 0.2


class VideoSource:
    """A video file.

    Args:
        path: The file; any container and codec of FFmpeg's.
        start_s: Seconds into the recording; reading starts at the key frame before.
        hardware: What decodes it; None is the CPU. See `pipeline.sources.hardware`.

    Raises:
        SourceError: The file is no video, is damaged beyond reading, or holds no frames; or the hardware cannot
            decode it.
    """

    def __init__(self, path: Path, *, start_s: float = 0.0, hardware: HWAccel | None = None) -> None:
        self._path = path
        self._hardware = hardware
        try:
            # "file:" keeps a colon in a file's name from being read as a protocol; the whitelist keeps a playlist
            # from reaching out to the network.
            self._container = av.open(f"file:{path}", options={"protocol_whitelist": "file"}, hwaccel=hardware)
        except (FFmpegError, ValueError, NotImplementedError) as error:
            if hardware is not None:
                raise SourceError(f"{path}: {refusal(error)}") from error
            raise SourceError(
                f"{path}: not a video that FFmpeg can read ({_reason(error)}). "
                "Is it complete? An MP4 that was cut off lacks its index, which stands at the end."
            ) from error
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(f"{path}: holds no video stream")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:  # PyAV 17 would crash, not complain, when it is asked to decode.
            self._container.close()
            raise SourceError(f"{path}: holds a video that FFmpeg has no decoder for")
        self._share_cores()
        self._start_tick = self._stream.start_time or 0
        self._seeks = start_s > 0
        if self._seeks:
            self._seek(start_s)
        self.info = self._describe()

    def _share_cores(self) -> None:
        context = self._stream.codec_context
        context.thread_count = 1 if self._hardware is not None else decoder_threads(context.height, context.width)
        if context.thread_count > 1:
            context.thread_type = "AUTO"

    def _describe(self) -> SourceInfo:
        context = self._stream.codec_context
        rate = self._stream.average_rate or self._stream.guessed_rate
        height, width = context.height, context.width
        # A GIF's or raw stream's header may not say how large the pictures are; the first frame does.
        description = f"{context.name} {width}x{height}" + (f", {float(rate):.4g} frames/s" if rate else "")
        return SourceInfo(
            uri=str(self._path),
            description=description,
            size_hw=(height, width),
            frame_count=self._stream.frames or None,
            frame_rate_hz=float(rate) if rate else None,
        )

    def _seek(self, start_s: float) -> None:
        assert self._stream.time_base is not None
        try:
            self._container.seek(self._start_tick + int(start_s / self._stream.time_base), stream=self._stream)
        except FFmpegError as error:
            raise SourceError(f"{self._path}: cannot be sought to {start_s:g} s ({_reason(error)})") from error

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order, once.

        Raises:
            SourceError: There are none; the size changes midway; packets are missing or damaged. Every frame
                that could be decoded was yielded before (except after a change of size, which ends the run).
        """
        clock = _Clock(self._start_tick, self.info.frame_rate_hz)
        index, size_hw, time_s = 0, None, 0.0
        for picture in self._decode():
            if size_hw is None:
                size_hw = (picture.height, picture.width)
            if (picture.height, picture.width) != size_hw:
                raise SourceError(
                    f"{self._path}: the picture's size changes from {size_hw[1]}x{size_hw[0]} to "
                    f"{picture.width}x{picture.height} at frame {index}. Split the recording there."
                )
            time_s = clock.time_s(picture)
            yield frame_of(picture, index, time_s)
            index += 1
        if index == 0:
            raise SourceError(f"{self._path}: holds no frames")
        self._complain_of_damage(index, time_s)

    def _decode(self) -> Iterator[VideoFrame]:
        self._packets, self._damaged, self._broke_off = 0, 0, ""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                self._broke_off = _reason(error)
                return
            if packet is None:
                return
            self._packets += packet.size > 0
            self._damaged += packet.is_corrupt
            try:
                # Hardware gives the two colour planes woven into one: everything after us has them apart.
                yield from (apart(picture) for picture in packet.decode())
            except FFmpegError:
                self._damaged += 1

    def _complain_of_damage(self, frame_count: int, ended_s: float) -> None:
        if self._broke_off:
            raise SourceError(f"{self._path}: broke off after {frame_count} frames ({self._broke_off})")
        missing = "" if self._seeks else self._missing(ended_s)
        if missing:
            raise SourceError(f"{self._path}: is cut short: {missing}; {frame_count} frames could be decoded")
        if self._damaged:
            raise SourceError(f"{self._path}: {self._damaged} damaged packets; {frame_count} frames could be decoded")

    def _missing(self, ended_s: float) -> str:
        """What the header promised and the file does not hold, or nothing. Not every container promises."""
        kind = self._container.format.name
        if "mp4" in kind and self._packets < self._stream.frames:
            return f"its header declares {self._stream.frames} frames, {self._packets} are there"
        declared_s = (self._container.duration or 0) / av.time_base
        # Sound may go on a little after the last picture; a tenth of the recording is no such thing.
        if "matroska" in kind and ended_s < 0.9 * declared_s - _SHORTEST_GAP_S:
            return f"its header declares {declared_s:.1f} s, its pictures end at {ended_s:.1f} s"
        return ""

    def close(self) -> None:
        """Free the decoder. May be called more than once."""
        self._container.close()


class _Clock:
    """Time within the recording. A frame without a timestamp follows its predecessor at the nominal rate."""

    def __init__(self, start_tick: int, rate_hz: float | None) -> None:
        self._start_tick = start_tick
        self._period_s = 1.0 / (rate_hz or 25.0)
        self._next_s = 0.0

    def time_s(self, picture: VideoFrame) -> float:
        if picture.pts is None or picture.time_base is None:
            now_s = self._next_s
        else:
            now_s = float((picture.pts - self._start_tick) * picture.time_base)
        self._next_s = now_s + self._period_s
        return now_s


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)
