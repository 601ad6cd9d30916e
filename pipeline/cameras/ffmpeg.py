"""RTSP, HTTP and V4L2 cameras through FFmpeg (PyAV)."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import av
import av.logging
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import ExitError, FFmpegError, HTTPForbiddenError, HTTPUnauthorizedError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.cameras.address import CameraConfig, CameraKind, redacted
from pipeline.cameras.base import EncodedPacket, Reading, SignalLostError, Taken, VideoParameters
from pipeline.sources.decoded import decoder_threads, frame_of
from pipeline.sources.hardware import apart

__all__ = ["FfmpegConnection"]

logging.getLogger("libav").addHandler(logging.NullHandler())  # Its log is for us, not for the terminal.

_POLL_S = 0.002

_NETWORK_OPTIONS = {
    "probesize": "500000",
    # Do not stay to measure the rate, which takes up to a second: codec and size are enough.
    "fpsprobesize": "0",
    "protocol_whitelist": "rtsp,rtsps,rtp,udp,tcp,tls,http,https,crypto",
}

_DECODER_OPTIONS = {"flags": "low_delay"}
"""One packet in, one picture out."""

_STRICT_DECODER_OPTIONS = {"err_detect": "explode"}
"""Refuse a picture with errors in it. FFmpeg's H.264 decoder marks those that it mended, the others do not."""

_KNOCK_LIMIT_S = 0.75

_LOOKS_US = (300_000, 1_500_000)
"""How long FFmpeg looks at a stream's first pictures before it says what they are. Most streams say so beforehand; one
that does not, and whose first key frame comes later, is looked at again, for longer."""

_WAITED_S = 0.004
"""A packet that comes sooner lay ready: it came while FFmpeg looked."""

_MOST_READY = 500

_USUAL_RATE_HZ = 25.0

_WITHOUT_CLOCK = ("mpjpeg", "jpeg_pipe", "mjpeg", "image2pipe")
"""Demuxers that invent times from a nominal rate, where the stream holds none."""


class FfmpegConnection:
    """A connection made by FFmpeg. See `pipeline.cameras.base.Connection`.

    Frame-threaded decoding would hold every picture back by as many frames as there are threads, so that slices of one
    picture are all that is decoded side by side.

    Args:
        config: The camera.
        kind: What kind it is: "rtsp", "http" or "v4l2".
        open_limit_s: How long connecting may take.
        grab_limit_s: How long waiting for a picture may take.
        with_packets: Whether `Reading.packet` is wanted.
        hardware: What decodes; None is the CPU. See `pipeline.sources.hardware`.

    Raises:
        SignalLostError: It cannot be reached, or sends no video.
    """

    def __init__(
        self,
        config: CameraConfig,
        kind: CameraKind,
        open_limit_s: float,
        grab_limit_s: float,
        *,
        with_packets: bool,
        hardware: HWAccel | None = None,
    ) -> None:
        self._address = redacted(config.uri)
        self._grab_limit_s = grab_limit_s
        self._with_packets = with_packets
        self._skipping = False
        if kind == "v4l2" and not Path(_device(config)).exists():
            raise SignalLostError(f"{self._address}: no such device; is the camera plugged in?")
        self._losses = _LossLog() if kind == "rtsp" and config.transport == "udp" else None
        url, demuxer, options = _how_to_open(config, kind)
        began_s = time.monotonic()
        try:
            if kind == "rtsp":
                _knock(url, min(_KNOCK_LIMIT_S, open_limit_s))
            self._container = self._look(url, demuxer, options, kind, (open_limit_s, grab_limit_s), hardware)
        except (FFmpegError, OSError, ValueError) as error:
            if self._losses is not None:
                self._losses.close()
            permanent = isinstance(error, (HTTPUnauthorizedError, HTTPForbiddenError))
            limit_s = open_limit_s if isinstance(error, FFmpegError) else min(_KNOCK_LIMIT_S, open_limit_s)
            reason = _why_not(error, limit_s, time.monotonic() - began_s)
            raise SignalLostError(f"{self._address}: {reason}", permanent=permanent) from error
        if kind == "v4l2":
            _never_block(url)
        if not self._container.streams.video:
            self.close()
            raise SignalLostError(f"{self._address}: sends no video")
        self._stream: VideoStream = self._container.streams.video[0]
        context = self._stream.codec_context
        if context is None:  # PyAV 17 would crash, not complain, when it is asked to decode.
            self.close()
            raise SignalLostError(f"{self._address}: sends a video that FFmpeg has no decoder for")
        context.thread_type = "SLICE"
        context.thread_count = decoder_threads(context.height, context.width)
        # H.265 only where packets can be lost: strictness also refuses cameras whose side information is malformed.
        strict = context.name == "mjpeg" or (context.name == "hevc" and config.transport == "udp")
        context.options = _DECODER_OPTIONS | (_STRICT_DECODER_OPTIONS if strict else {})
        self._whole_or_nothing = context.name == "mjpeg"  # RFC 2435's receiver drops a picture that lacks a packet.
        self._has_clock = self._container.format.name not in _WITHOUT_CLOCK
        rate = self._stream.average_rate or self._stream.guessed_rate
        rate_hz = float(rate) if rate and 0 < rate <= 1000 else None
        self.description = f"{context.name} {context.width}x{context.height}" + (
            f", {rate_hz:.4g} Hz" if rate_hz else ""
        )
        self.parameters = (
            VideoParameters(context.name, (context.height, context.width), bytes(context.extradata or b""), rate_hz)
            if context.name != "rawvideo"
            else None
        )
        self._packets = self._container.demux(self._stream)
        self._is_new = True

    def _look(
        self,
        url: str,
        demuxer: str | None,
        options: dict[str, str],
        kind: CameraKind,
        limits_s: tuple[float, float],
        hardware: HWAccel | None,
    ) -> InputContainer:
        """Connect, and find out what the stream is. What comes meanwhile is kept: the key frame may be in it."""
        for look_us in _LOOKS_US:
            looking = options if kind == "v4l2" else options | {"analyzeduration": str(look_us)}
            container = av.open(
                url, format=demuxer, options=looking, timeout=limits_s, metadata_errors="ignore", hwaccel=hardware
            )
            video = container.streams.video
            if kind == "v4l2" or not video or video[0].codec_context is None or video[0].codec_context.width:
                break
            if look_us != _LOOKS_US[-1]:
                container.close()
        return container

    def read(self) -> Reading:
        """Wait for the next packet and decode it."""
        if self._is_new:
            self._is_new = False
            return self._catch_up()
        reading = self._reading(self._next_packet())
        if reading.packet is not None and math.isnan(reading.packet.time_s):
            return dataclasses.replace(reading, packet=None)  # No recording has a place for it.
        return reading

    def _catch_up(self) -> Reading:
        """Decode what came while FFmpeg looked, but show only the first picture that was waited for: it is new."""
        ready: list[Packet[VideoStream]] = []
        while True:
            began_s = time.monotonic()
            packet = self._next_packet()
            waited_s = time.monotonic() - began_s
            if (waited_s > _WAITED_S and self._is_timed(packet)) or len(ready) >= _MOST_READY:
                break
            ready.append(packet)
        before, decodes, lost = [], False, False
        for reading in map(self._reading, ready):
            decodes |= bool(reading.pictures)
            # Nothing decodes before the first key frame; after it, what is missing spoils all up to the next.
            lost = decodes and (lost or reading.lost) and not any(picture.is_keyframe for picture in reading.pictures)
            lost |= any(picture.damaged for picture in reading.pictures)
            if reading.packet is not None:
                before.append(reading.packet)
        newest = self._reading(packet)
        return dataclasses.replace(newest, before=self._timed(before, newest.packet), lost=newest.lost or lost)

    def _is_timed(self, packet: Packet[VideoStream]) -> bool:
        return not self._has_clock or packet.pts is not None or packet.dts is not None

    def _timed(self, early: list[EncodedPacket], newest: EncodedPacket | None) -> tuple[EncodedPacket, ...]:
        """Those packets with a time each.

        RTSP gives a session's first picture none, because nothing has told it yet which: one period before the next.
        """
        if newest is None or self.parameters is None:
            return ()
        period_s = 1.0 / (self.parameters.frame_rate_hz or _USUAL_RATE_HZ)
        timed = [newest]
        for packet in reversed(early):
            time_s, decode_s = packet.time_s, packet.decode_time_s
            if math.isnan(time_s):
                time_s, decode_s = timed[-1].time_s - period_s, timed[-1].decode_time_s - period_s
            timed.append(dataclasses.replace(packet, time_s=time_s, decode_time_s=decode_s))
        return tuple(timed[:0:-1])

    def _reading(self, packet: Packet[VideoStream]) -> Reading:
        arrived_s = time.monotonic()
        encoded = self._encoded(packet, arrived_s) if self._with_packets and self.parameters is not None else None
        incomplete = self._losses is not None and self._losses.reach_this_read() and not self._whole_or_nothing
        if self._skipping and not packet.is_keyframe:
            return Reading([], encoded, lost=True)
        self._skipping = False
        began_s = time.perf_counter()
        try:
            pictures = [self._taken(picture, arrived_s, incomplete) for picture in packet.decode()]
        except FFmpegError:
            return Reading([], encoded, lost=True)
        return Reading(pictures, encoded, decode_ms=(time.perf_counter() - began_s) * 1e3)

    def skip_to_keyframe(self) -> None:
        """Decode nothing more until a key frame comes."""
        self._skipping = True

    def _next_packet(self) -> Packet[VideoStream]:
        until_s = time.monotonic() + self._grab_limit_s
        while True:
            try:
                packet = next(self._packets)
            except StopIteration:
                raise SignalLostError(f"{self._address}: the camera ended the stream") from None
            except BlockingIOError:  # V4L2 without a picture yet
                if time.monotonic() > until_s:
                    raise SignalLostError(f"{self._address}: no picture for {self._grab_limit_s:g} s") from None
                time.sleep(_POLL_S)
                # An exception ends a generator; the container itself goes on where it was.
                self._packets = self._container.demux(self._stream)
                continue
            except (FFmpegError, OSError) as error:
                raise SignalLostError(f"{self._address}: {_why_lost(error, self._grab_limit_s)}") from error
            if packet.size == 0:
                raise SignalLostError(f"{self._address}: the camera ended the stream")
            return packet

    def _taken(self, picture: VideoFrame, arrived_s: float, incomplete: bool) -> Taken:
        picture = apart(picture)
        if picture.format.name.startswith("yuv") and not picture.format.name.endswith("420p"):
            # Cameras' 4:2:2 (MJPEG, YUYV): half of its colour rows are less than the network can see.
            picture = picture.reformat(format="yuvj420p" if "j" in picture.format.name else "yuv420p")
        time_s = picture.time if self._has_clock else None
        stream_s = arrived_s if time_s is None else time_s
        return Taken(frame_of(picture, 0, 0.0), stream_s, picture.is_corrupt or incomplete, bool(picture.key_frame))

    def _encoded(self, packet: Packet[VideoStream], arrived_s: float) -> EncodedPacket:
        time_s = decode_s = math.nan if self._has_clock else arrived_s
        if self._has_clock and packet.time_base is not None:
            ticks = packet.pts if packet.pts is not None else packet.dts
            if ticks is not None:
                time_s = float(ticks * packet.time_base)
                decode_s = time_s if packet.dts is None else float(packet.dts * packet.time_base)
        return EncodedPacket(bytes(packet), time_s, decode_s, packet.is_keyframe)

    def close(self) -> None:
        """Free the decoder and the sockets. May be called more than once."""
        self._packets = iter(())
        self._container.close()
        if self._losses is not None:
            self._losses.close()


class _LossLog:
    """Packets that the network lost: FFmpeg tells nobody of them but its log.

    Its decoders see the hole where a picture lacks a part, but not where the whole picture is missing: what builds upon
    it would be shown as good. Opened, read and closed by one thread, the one that FFmpeg receives packets in.
    """

    _READS = 2
    """FFmpeg looks one picture ahead: what was lost belongs to the picture that is read now, or to the next."""

    def __init__(self) -> None:
        av.logging.set_level(av.logging.WARNING)
        av.logging.set_skip_repeated(False)
        capture = av.logging.Capture(local=True)
        self._lines: list[tuple[int, str, str]] = capture.__enter__()
        self._open = contextlib.ExitStack()
        self._open.callback(capture.__exit__, None, None, None)
        self._reads = 0

    def reach_this_read(self) -> bool:
        """Whether packets are missing in or before the picture that was just read. To be called once for each read."""
        if any("missed" in line and name == "rtsp" for _, name, line in self._lines):
            self._reads = self._READS
        self._lines.clear()
        self._reads -= 1
        return self._reads >= 0

    def close(self) -> None:
        """Stop listening. May be called more than once."""
        self._open.close()


def _how_to_open(config: CameraConfig, kind: CameraKind) -> tuple[str, str | None, dict[str, str]]:
    """FFmpeg's address, demuxer and options of a camera."""
    if kind == "v4l2":
        options = {}
        if config.size:
            options["video_size"] = f"{config.size[1]}x{config.size[0]}"
        if config.rate:
            options["framerate"] = f"{config.rate:g}"
        if config.codec:
            options["input_format"] = config.codec
        return _device(config), "v4l2", options
    options = dict(_NETWORK_OPTIONS)
    if kind == "rtsp":
        options |= {"rtsp_transport": config.transport, "allowed_media_types": "video"}
        if config.transport == "udp":
            options |= {"buffer_size": "4194304", "max_delay": "100000", "reorder_queue_size": "64"}
    return config.uri, None, options


def _knock(url: str, limit_s: float) -> None:
    """See that somebody listens there, before FFmpeg is asked to connect.

    A lost request to connect is repeated after 1, 3 and 7 s (RFC 6298), so that a link which comes back while FFmpeg
    waits is noticed up to 4 s later. New requests are not held back.

    Raises:
        OSError: Nobody does, or no answer came within `limit_s`.
    """
    place = urlsplit(url)
    port = place.port or (322 if place.scheme == "rtsps" else 554)
    socket.create_connection((place.hostname or "", port), limit_s).close()


def _device(config: CameraConfig) -> str:
    device = config.uri.removeprefix("v4l2://")
    return f"/dev/video{device}" if device.isdigit() else device


def _never_block(device: str) -> None:
    """Let reads of this process's V4L2 device return at once where there is no picture.

    FFmpeg's reader passes EAGAIN on, but has no option to ask for it; and a camera that hangs would hold its thread in
    VIDIOC_DQBUF for ever, where no time limit of FFmpeg's reaches.
    """
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if entry.readlink() == Path(device).resolve():
                os.set_blocking(int(entry.name), False)


def _why_not(error: Exception, limit_s: float, waited_s: float) -> str:
    if isinstance(error, HTTPUnauthorizedError):
        return "the camera asks for a name and a password, as in rtsp://name:password@host/…"
    if isinstance(error, HTTPForbiddenError):
        return "the camera forbids it (403)"
    # An RTSP server that never answers is "invalid data" to FFmpeg once its time is over.
    mute = isinstance(error, FFmpegError) and waited_s >= limit_s
    if mute or isinstance(error, (ExitError, TimeoutError)):
        return f"does not answer within {limit_s:g} s"
    return f"cannot be opened ({_said(error)})"


def _why_lost(error: Exception, limit_s: float) -> str:
    if isinstance(error, (ExitError, TimeoutError)):
        return f"no picture for {limit_s:g} s"
    return f"the connection broke ({_said(error)})"


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)
