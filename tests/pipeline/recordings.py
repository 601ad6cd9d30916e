"""Small recordings made by real encoders, for tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def numbered_picture(number: int, size_hw: tuple[int, int] = (96, 160)) -> np.ndarray:
    """A BGR picture that shows its number: 8 vertical bars, white for the bits that are set."""
    image = np.full((*size_hw, 3), 60, np.uint8)
    width = size_hw[1] // 8
    for bit in range(8):
        if number >> bit & 1:
            image[:, bit * width : (bit + 1) * width] = 220
    return image


def number_of(image: np.ndarray) -> int:
    """The number that a picture shows."""
    width = image.shape[1] // 8
    bars = [image[:, bit * width + 2 : (bit + 1) * width - 2].mean() > 140 for bit in range(8)]
    return sum(1 << bit for bit, white in enumerate(bars) if white)


def write_video(
    path: Path,
    pictures: list[np.ndarray],
    times_s: list[float] | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode pictures, at given times or 25 a second."""
    times_s = [index / 25 for index in range(len(pictures))] if times_s is None else times_s
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for picture, time_s in zip(pictures, times_s, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
