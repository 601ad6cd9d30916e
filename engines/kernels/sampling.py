"""Which pixels of a picture make one pixel of the network's input, and with which weights: the kernels' tables.

What depends on sizes alone is computed here once, in the arithmetic of OpenCV's `resize` (modules/imgproc/src/
resize.cpp), so that the kernels sample the same 8-bit values as the CPU path, and stay short.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["AREA_FROM_FACTOR", "AXIS_DTYPE", "Mode", "Sampling", "TableBuilder", "Taps", "interpolate", "resample"]

AREA_FROM_FACTOR = 2.0
"""Where an image shrinks by this factor or more, a plain bilinear look-up would skip pixels: average them."""

AXIS_DTYPE = np.dtype([("first", "<u8"), ("last", "<u8"), ("weights", "<u8"), ("stride", "<i8")])
"""`struct Axis` of pixel.cuh: three device pointers and a stride in numbers."""

_WEIGHT_ONE = np.float32(2048)
"""OpenCV's bilinear weights have 11 bits."""

_ALIGNMENT_BYTES = 16


class Mode(IntEnum):
    """How a plane is sampled; the values are those of `enum Mode` in letterbox.cu."""

    LINEAR = 0
    """Two points an axis with weights of 11 bits: `cv2.INTER_LINEAR`."""
    AREA = 1
    """Every point that a pixel covers, by its share: `cv2.INTER_AREA`."""
    WHOLE = 2
    """The same where the factors are whole numbers: a plain mean."""


@dataclass(frozen=True, slots=True)
class Taps:
    """How the n pixels of one axis are made from the points of another grid.

    Attributes:
        first: (n,) int32, the first point of each.
        last: (n,) int32, the last.
        weights: (n, t) float32 of its points, or whatever the mode needs.
    """

    first: NDArray[np.int32]
    last: NDArray[np.int32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a plane of one size is made from a plane of another."""

    mode: Mode
    rows: Taps
    columns: Taps


def resample(source_hw: tuple[int, int], target_hw: tuple[int, int]) -> Sampling:
    """How the CPU path would resize: averaging where an axis shrinks by 2 or more, else bilinear.

    Args:
        source_hw: (H, W) of the plane.
        target_hw: (H, W) it is brought to.
    """
    (source_h, source_w), (target_h, target_w) = source_hw, target_hw
    # OpenCV's own order of operations: the inverse of the inverse is not always the quotient.
    factor_y, factor_x = 1.0 / (target_h / source_h), 1.0 / (target_w / source_w)
    if max(source_h / target_h, source_w / target_w) < AREA_FROM_FACTOR:
        return Sampling(
            Mode.LINEAR, _bilinear(source_h, target_h, rows=True), _bilinear(source_w, target_w, rows=False)
        )
    if min(factor_y, factor_x) < 1:  # one axis grows: OpenCV falls back to a blocky kind of bilinear
        return Sampling(Mode.LINEAR, _blocky(source_h, target_h, rows=True), _blocky(source_w, target_w, rows=False))
    if _is_whole(factor_y) and _is_whole(factor_x):
        share = 1.0 / (round(factor_y) * round(factor_x))
        return Sampling(Mode.WHOLE, _whole(target_h, round(factor_y), share), _whole(target_w, round(factor_x), share))
    return Sampling(Mode.AREA, _covered(source_h, target_h, factor_y), _covered(source_w, target_w, factor_x))


def interpolate(points: int, size: int) -> Taps:
    """Where the pixels of an image lie between the points of a grid that spans it, with half-pixel centres.

    Returns:
        The two points around each pixel (the same one beyond the outermost), and the share of the second.
    """
    position = np.clip((np.arange(size) + 0.5) * points / size - 0.5, 0, points - 1)
    first = np.floor(position).astype(np.int32)
    weights = (position - np.floor(position)).astype(np.float32)
    # Beyond the outermost points the CPU path has cells with both corners on the same point.
    beyond = (np.arange(size) + 0.5) * points / size < 0.5
    last = np.where(beyond, first, np.minimum(first + 1, points - 1)).astype(np.int32)
    return Taps(first, last, weights[:, None])


def _bilinear(source: int, target: int, *, rows: bool) -> Taps:
    position = ((np.arange(target) + 0.5) * (1.0 / (target / source)) - 0.5).astype(np.float32)
    first = np.floor(position).astype(np.int64)
    return _two_taps(first, position - first.astype(np.float32), source, rows=rows)


def _blocky(source: int, target: int, *, rows: bool) -> Taps:
    inverse = target / source
    first = np.floor(np.arange(target) * (1.0 / inverse)).astype(np.int64)
    fraction = ((np.arange(target) + 1) - (first + 1) * inverse).astype(np.float32)
    fraction = np.where(fraction <= 0, 0, fraction - np.floor(fraction))
    return _two_taps(first, fraction, source, rows=rows)


def _two_taps(first: NDArray[np.int64], fraction: NDArray[np.float32], source: int, *, rows: bool) -> Taps:
    """Clamp to the plane as OpenCV does: columns give all weight to the border, rows use it twice."""
    if not rows:
        fraction = np.where((first < 0) | (first >= source - 1), 0, fraction)
        first = np.clip(first, 0, source - 1)
    fraction = fraction.astype(np.float32)
    weights = np.stack([np.rint((1 - fraction) * _WEIGHT_ONE), np.rint(fraction * _WEIGHT_ONE)], axis=1)
    last = np.clip(first + 1, 0, source - 1)
    return Taps(np.clip(first, 0, source - 1).astype(np.int32), last.astype(np.int32), weights.astype(np.float32))


def _whole(target: int, factor: int, share: float) -> Taps:
    first = np.arange(target, dtype=np.int32) * factor
    return Taps(first, (first + factor - 1).astype(np.int32), np.full((target, 1), share, np.float32))


def _covered(source: int, target: int, factor: float) -> Taps:
    """Every point that pixel i covers from i * factor to (i + 1) * factor, those at the edges by their share."""
    firsts, lasts, rows = [], [], []
    for i in range(target):
        begin = i * factor
        end, length = begin + factor, min(factor, source - begin)
        whole_end = min(int(np.floor(end)), source - 1)
        whole_begin = min(int(np.ceil(begin)), whole_end)
        weights = [1.0 / length] * (whole_end - whole_begin)
        first, last = whole_begin, whole_end - 1
        if whole_begin - begin > 1e-3:
            weights.insert(0, (whole_begin - begin) / length)
            first -= 1
        if end - whole_end > 1e-3:
            weights.append(min(end - whole_end, 1.0, length) / length)
            last += 1
        firsts.append(first)
        lasts.append(last)
        rows.append(weights)
    table = np.zeros((target, max(len(weights) for weights in rows)), np.float32)
    for i, weights in enumerate(rows):
        table[i, : len(weights)] = weights
    return Taps(np.array(firsts, np.int32), np.array(lasts, np.int32), table)


def _is_whole(factor: float) -> bool:
    return bool(abs(factor - round(factor)) < np.finfo(np.float64).eps)


class TableBuilder:
    """Lays tables one after the other into one block of bytes, which is uploaded once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add_axis(self, taps: Taps) -> NDArray[np.void]:
        """Add one axis; returns its `AXIS_DTYPE` with offsets where the kernel will want pointers."""
        axis = np.zeros((), AXIS_DTYPE)
        axis["first"], axis["last"] = self.add(taps.first), self.add(taps.last)
        axis["weights"], axis["stride"] = self.add(taps.weights), taps.weights.shape[1]
        return axis

    def add(self, table: NDArray[np.generic]) -> int:
        """Add one array; returns the offset of its first byte."""
        offset = self._size
        data = np.ascontiguousarray(table).tobytes()
        data += bytes(-len(data) % _ALIGNMENT_BYTES)
        self._parts.append(data)
        self._size += len(data)
        return offset

    def build(self) -> NDArray[np.uint8]:
        """All of it, (bytes,) uint8."""
        return np.frombuffer(b"".join(self._parts), np.uint8)
