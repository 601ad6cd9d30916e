"""From FFmpeg's decoded pictures to frames."""

from __future__ import annotations

import os
import time
from typing import Literal

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.scene import BgrImage, Frame, YuvPlanes

__all__ = ["decoder_threads", "frame_of"]

_ONE_THREAD_PX = 1280 * 720
"""Decoding one such picture takes some 3 ms of a core, a third of what the network takes."""
_MOST_THREADS = 4
"""Every further one holds a picture more, of each camera; four decode 2160 rows faster than any network sees them."""

_PLANAR_420 = ("yuv420p", "yuvj420p")
_BT709_CODE, _JPEG_RANGE_CODE, _UNSPECIFIED_MATRIX = 1, 2, 2
# Untagged pictures: standard definition is BT.601, anything larger BT.709, as players guess it (mpv, ffplay).
_LARGEST_SD_HW = (576, 1024)


def frame_of(picture: VideoFrame, index: int, source_time_s: float) -> Frame:
    """A decoded picture as a frame that keeps the decoder's memory: nothing is copied until somebody wants BGR.

    Args:
        picture: As FFmpeg decoded it, in any layout.
        index: `Frame.index`.
        source_time_s: `Frame.source_time_s`.
    """
    height, width = picture.height, picture.width
    rotation = picture.rotation % 360
    if rotation in {90, 270}:
        height, width = width, height

    def to_bgr() -> BgrImage:
        return _bgr(picture, rotation)

    return Frame(
        index=index,
        source_time_s=source_time_s,
        captured_at_s=time.monotonic(),
        size_hw=(height, width),
        to_bgr=to_bgr,
        planes=_planes(picture) if rotation == 0 else None,
    )


def decoder_threads(height: int, width: int) -> int:
    """How many threads decode pictures of that size; 0 pixels are not known yet.

    Small ones get one: more would only interrupt the engine's, which all wait for each other. Large ones take longer
    to decode than the network takes to see them.
    """
    return 1 if 0 < height * width <= _ONE_THREAD_PX else min(_MOST_THREADS, os.cpu_count() or 1)


def _matrix(picture: VideoFrame) -> Literal["bt601", "bt709"]:
    code = int(picture.colorspace)
    if code == _UNSPECIFIED_MATRIX:
        return "bt709" if picture.height > _LARGEST_SD_HW[0] or picture.width > _LARGEST_SD_HW[1] else "bt601"
    return "bt709" if code == _BT709_CODE else "bt601"


def _planes(picture: VideoFrame) -> YuvPlanes | None:
    """The decoder's planes without a copy, or None where it gives another layout."""
    if picture.format.name not in _PLANAR_420:
        return None
    height, width = picture.height, picture.width
    full_range = picture.format.name == "yuvj420p" or int(picture.color_range) == _JPEG_RANGE_CODE
    y = _plane(picture, 0, height, width)
    u = _plane(picture, 1, (height + 1) // 2, (width + 1) // 2)
    v = _plane(picture, 2, (height + 1) // 2, (width + 1) // 2)
    return YuvPlanes(y, u, v, _matrix(picture), full_range)


def _plane(picture: VideoFrame, position: int, height: int, width: int) -> NDArray[np.uint8]:
    plane = picture.planes[position]
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8)
    return rows.reshape(-1, plane.line_size)[:height, :width]


def _bgr(picture: VideoFrame, rotation: int) -> BgrImage:
    matrix = "ITU709" if _matrix(picture) == "bt709" else "ITU601"
    if picture.format.name.startswith("yuv"):
        image = picture.to_ndarray(format="bgr24", src_colorspace=matrix, threads=1)
    else:
        image = picture.to_ndarray(format="bgr24", threads=1)
    turned = np.rot90(image, rotation // 90) if rotation else image
    return np.ascontiguousarray(turned, np.uint8)
