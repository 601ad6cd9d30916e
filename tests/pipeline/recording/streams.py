"""Compressed streams as cameras send them, made by real encoders; and recorders that are fed with them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from pipeline.cameras.base import CameraRecorder, EncodedPacket, VideoParameters
from pipeline.recording import Recorder
from pipeline.scene import Frame
from pipeline.sources import open_source
from tests.pipeline.recordings import number_of, numbered_picture

BEGAN = datetime(2026, 11, 25, 13, 29, 5, tzinfo=timezone.utc)

_ENCODERS = {
    "h264": ("libx264", {"bf": "0", "g": "10", "preset": "ultrafast"}, "h264_mp4toannexb"),
    "h264-b": (
        "libx264",
        {"bf": "2", "g": "12", "preset": "veryfast", "x264-params": "open-gop=0"},
        "h264_mp4toannexb",
    ),
    "h264-open": (
        "libx264",
        {"bf": "2", "g": "20", "preset": "veryfast", "x264-params": "open-gop=1:scenecut=0"},
        "h264_mp4toannexb",
    ),
    "h264-refresh": (
        "libx264",
        {"g": "25", "preset": "veryfast", "tune": "zerolatency", "intra-refresh": "1"},
        "h264_mp4toannexb",
    ),
    "h264-endless": (
        "libx264",
        {"bf": "0", "g": "100000", "preset": "ultrafast", "sc_threshold": "0"},
        "h264_mp4toannexb",
    ),
    "hevc": (
        "libx265",
        {"preset": "ultrafast", "x265-params": "keyint=10:bframes=0:log-level=none"},
        "hevc_mp4toannexb",
    ),
    "mjpeg": ("mjpeg", {"qmin": "2", "qmax": "4"}, "null"),
}


@dataclass(frozen=True)
class Stream:
    """What a camera sends."""

    parameters: VideoParameters
    packets: tuple[EncodedPacket, ...]

    def at(self, start_s: float) -> Iterator[EncodedPacket]:
        """The packets, on the clock of a run that the stream joins at that time."""
        for packet in self.packets:
            yield replace(packet, time_s=start_s + packet.time_s, decode_time_s=start_s + packet.decode_time_s)


def make_stream(
    kind: str = "h264",
    count: int = 50,
    *,
    size_hw: tuple[int, int] = (96, 160),
    rate_hz: float = 25.0,
    wrapping: Literal["start codes", "lengths"] = "start codes",
    first: int = 0,
    noise: int = 0,
) -> Stream:
    """A stream of numbered pictures, from number `first` on.

    Args:
        kind: "h264" (a key frame every 10), "h264-b" (with B-frames), "h264-open" (open groups of pictures),
            "h264-refresh" (renewed piece by piece), "h264-endless" (one key frame in all), "hevc" or "mjpeg".
        wrapping: How H.264 and HEVC are wrapped.
        noise: Added to the pictures, so that they cost more.
    """
    encoder, options, to_start_codes = _ENCODERS[kind]
    file = io.BytesIO()
    generator = np.random.default_rng(1)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=Fraction(rate_hz).limit_denominator(1001), options=dict(options))
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuvj420p" if kind == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for number in range(count):
            picture = numbered_picture((first + number) % 256, size_hw)
            if noise:
                shift = generator.integers(-noise, noise + 1, picture.shape)
                picture = np.clip(picture + shift, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(number / rate_hz * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        video = container.streams.video[0]
        extradata = video.codec_context.extradata or b""
        packets = [packet for packet in container.demux(video) if packet.size]
        if wrapping == "start codes":
            unwrap = av.BitStreamFilterContext(to_start_codes, video)
            packets = [bare for packet in packets for bare in unwrap.filter(packet)]
            extradata = b""
        if kind in {"h264-open", "h264-refresh"}:
            packets = _marked_by_parser(packets)
        encoded = tuple(
            EncodedPacket(
                bytes(packet),
                float(packet.pts * packet.time_base),
                float(packet.dts * packet.time_base),
                packet.is_keyframe,
            )
            for packet in packets
        )
    return Stream(VideoParameters(kind.partition("-")[0], size_hw, extradata, rate_hz), encoded)


def _marked_by_parser(packets: list[av.Packet]) -> list[av.Packet]:
    """Key frames as FFmpeg sees them in a bare stream, from RTSP for instance: recovery points are some too."""
    with av.open(io.BytesIO(b"".join(bytes(packet) for packet in packets)), format="h264") as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    for packet, is_key in zip(packets, keys, strict=True):
        packet.is_keyframe = is_key
    return packets


@contextmanager
def recording(folder: Path, cameras: Iterable[str] = ("front",), **options: Any) -> Iterator[Recorder]:
    """A recorder that is closed at the end."""
    recorder = Recorder(folder, tuple(cameras), started_at=BEGAN, **options)
    try:
        yield recorder
    finally:
        recorder.close()


def send(camera: CameraRecorder, stream: Stream, start_s: float = 0.0) -> None:
    """One connection, from beginning to end."""
    assert camera.begin(stream.parameters)
    for packet in stream.at(start_s):
        camera.packet(packet)
    camera.end()


def wait_until(holds: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Let other threads work until something holds."""
    until_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < until_s, "it did not come true in time"
        time.sleep(0.005)


def recorded(folder: Path, **options: float) -> list[Frame]:
    """Every frame of a recording, as `replay` reads it."""
    source = open_source(str(folder), **options)
    try:
        return list(source.frames())
    finally:
        source.close()


def numbers(frames: Iterable[Frame]) -> list[int]:
    """What the pictures show."""
    return [number_of(frame.image) for frame in frames]


def times(frames: Iterable[Frame]) -> list[float]:
    """When they were taken."""
    return [frame.source_time_s for frame in frames]


def videos(folder: Path) -> list[Path]:
    """The segments of all cameras and runs in a folder."""
    return sorted(folder.rglob("*.mp4"))
