"""Clips made from a clip: other sizes, other rates, other lengths. They are kept where they are made."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

__all__ = ["lengthened", "retimed", "scaled"]


def scaled(clip: Path, folder: Path, height: int, frames: int) -> Path:
    """The clip's first frames at another size, re-encoded as a camera would: H.264, veryfast, constant quality.

    Args:
        clip: A video.
        folder: Where it goes.
        height: Rows of the pictures; columns follow, a multiple of 16.
        frames: How many at most.
    """
    target = folder / f"{clip.stem}-{height}p-{frames}.mp4"
    if target.exists():
        return target
    partial = target.with_suffix(".partial.mp4")
    with av.open(str(clip)) as source, av.open(str(partial), "w") as out:
        read = source.streams.video[0]
        width = round(height * read.width / read.height / 16) * 16
        written = out.add_stream("libx264", rate=read.average_rate, options={"preset": "veryfast", "crf": "23"})
        written.width, written.height, written.pix_fmt = width, height, "yuv420p"
        for number, picture in enumerate(source.decode(read)):
            if number == frames:
                break
            smaller = picture.reformat(width, height, "yuv420p")
            smaller.pts, smaller.time_base = picture.pts, picture.time_base
            out.mux(written.encode(smaller))
        out.mux(written.encode(None))
    return partial.replace(target)


def retimed(clip: Path, folder: Path, rate_hz: float) -> Path:
    """The same packets at another rate."""
    target = folder / f"{clip.stem}-{rate_hz:.2f}hz.mp4"
    if not target.exists():
        _remux(clip, target, Fraction(rate_hz).limit_denominator(1000), passes=1)
    return target


def lengthened(clip: Path, folder: Path, rate_hz: float, duration_s: float) -> Path:
    """The same packets again and again at a rate, until the recording is so long."""
    target = folder / f"{clip.stem}-{rate_hz:.2f}hz-{duration_s:.0f}s.mp4"
    if not target.exists():
        with av.open(str(clip)) as source:
            frames = sum(1 for packet in source.demux(video=0) if packet.size)
        passes = -(-round(duration_s * rate_hz) // frames)
        _remux(clip, target, Fraction(rate_hz).limit_denominator(1000), passes)
    return target


def _remux(clip: Path, target: Path, rate_hz: Fraction, passes: int) -> None:
    partial = target.with_suffix(".partial.mp4")
    ticks = 1000
    with av.open(str(partial), "w") as out:
        with av.open(str(clip)) as source:
            stream = out.add_stream_from_template(source.streams.video[0])
        # The container may choose a finer one for itself.
        time_base = stream.time_base = 1 / (rate_hz * ticks)
        written = 0
        for _ in range(passes):
            begun = written
            with av.open(str(clip)) as source:
                read = source.streams.video[0]
                period = 1 / (read.average_rate * read.time_base)
                for packet in source.demux(read):
                    if not packet.size:
                        continue
                    # Distances between decoding and presentation stay whole frames, as they were.
                    decoded, shown = (
                        begun + round((time - (read.start_time or 0)) / period) for time in (packet.dts, packet.pts)
                    )
                    packet.dts, packet.pts, packet.duration = decoded * ticks, shown * ticks, ticks
                    packet.time_base, packet.stream = time_base, stream
                    out.mux(packet)
                    written += 1
    partial.replace(target)
