"""Logits on the network's grid to classes at image size.

The class of a pixel is the argmax of the bilinearly interpolated logits. Interpolating every class at every pixel
would cost more than the network; but where the four grid points around a pixel agree on the winner, it wins every
mixture of them, so only the cells in which they differ (a tenth of a street) are interpolated at all, and in those
only the classes that could win.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.jit import kernel
from pipeline.postprocess.runs import RunBuffers, Runs
from pipeline.scene import Segmentation

__all__ = ["segment", "segment_with_runs"]

Floats = NDArray[np.float32]
Ids = NDArray[np.uint8]
Ints = NDArray[np.int32]


def segment(logits: Floats, classes: Sequence[SegmentationClass], size_hw: tuple[int, int]) -> Segmentation:
    """The class of every pixel of the image.

    Args:
        logits: (K, h, w) float32 on a grid of any size, coarser or finer than the image, that spans the image with
            half-pixel centres (``align_corners=False`` in PyTorch's terms). At most 255 classes.
        classes: The K classes, in the order of the channels.
        size_hw: (H, W) of the image in pixels.

    Returns:
        The argmax of the bilinearly interpolated logits (the first of equals), in arrays of its own.
    """
    return segment_with_runs(logits, classes, RunBuffers(size_hw))[0]


def segment_with_runs(
    logits: Floats, classes: Sequence[SegmentationClass], buffers: RunBuffers, out: Ids | None = None
) -> tuple[Segmentation, Runs]:
    """As `segment`, together with the runs of the class map, which cost next to nothing while it is made.

    Args:
        logits: (K, h, w) float32.
        classes: The K classes.
        buffers: Of the image's size; the runs are views of it.
        out: (H, W) uint8 to write the class ids into, or None for a new array.
    """
    if logits.ndim != 3 or logits.shape[0] != len(classes) or not 0 < len(classes) < 256 or not logits.size:
        message = f"expected logits (K, h, w) for {len(classes)} classes, got {logits.shape}"
        raise ValueError(message)
    logits = np.ascontiguousarray(logits, np.float32)
    _, grid_height, grid_width = logits.shape
    height, width = buffers.size_hw
    labels = np.empty((grid_height, grid_width), np.uint8)
    confidence = np.empty((grid_height, grid_width), np.float32)
    _classify_grid(logits, labels, confidence)
    rows, columns = _axis(grid_height, height), _axis(grid_width, width)
    class_ids = np.empty((height, width), np.uint8) if out is None else out
    count = _fill(
        logits,
        labels,
        rows.edges,
        rows.weights,
        columns.edges,
        columns.weights,
        class_ids,
        buffers.row_offsets,
        buffers.row,
        buffers.start,
        buffers.stop,
        buffers.class_id,
    )
    return Segmentation(class_ids, tuple(classes), confidence), buffers.first(count)


@dataclass(frozen=True, slots=True)
class _Axis:
    """How the pixels of one axis lie between the points of the grid.

    Attributes:
        edges: (n + 2,) int32. Cell ``c`` lies between the grid points ``c - 1`` and ``c`` (clamped to the grid) and
            holds the pixels ``edges[c]`` to ``edges[c + 1]``.
        weights: (size,) float32, the share of the cell's second point in each pixel.
    """

    edges: Ints
    weights: Floats


@lru_cache(maxsize=32)
def _axis(points: int, size: int) -> _Axis:
    position = np.clip((np.arange(size) + 0.5) * points / size - 0.5, 0, points - 1)
    before_first = (np.arange(size) + 0.5) * points / size < 0.5
    cell = np.where(before_first, 0, np.floor(position).astype(np.int64) + 1)
    edges = np.searchsorted(cell, np.arange(points + 2)).astype(np.int32)
    return _Axis(edges, (position - np.floor(position)).astype(np.float32))


@kernel()
def _classify_grid(logits: Floats, labels: Ids, confidence: Floats) -> None:
    """Argmax over the classes (the first of equals) and its softmax probability at every grid point."""
    classes, height, width = logits.shape
    best = np.empty(width, np.float32)
    total = np.empty(width, np.float32)
    for y in range(height):
        label = labels[y]
        best[:] = -np.inf
        label[:] = 0
        for k in range(classes):
            line = logits[k, y]
            for x in range(width):
                better = line[x] > best[x]
                best[x] = line[x] if better else best[x]
                label[x] = k if better else label[x]
        total[:] = 0.0
        for k in range(classes):
            line = logits[k, y]
            for x in range(width):
                total[x] += _exp(line[x] - best[x])
        for x in range(width):
            confidence[y, x] = np.float32(1.0) / total[x]


@kernel(inline=True)
def _exp(x: np.float32) -> np.float32:
    """e^x for x <= 0 with a relative error below 1e-5, in arithmetic that the compiler can vectorise.

    The whole part of x / ln 2 goes straight into the exponent bits; the rest into a polynomial of fourth degree.
    """
    doublings = max(x * np.float32(1.4426950408889634), np.float32(-100.0))
    whole = np.int32(doublings)
    rest = doublings - np.float32(whole)
    power = np.float32(0.0067603015986231986)
    power = power * rest + np.float32(0.053059920781671)
    power = power * rest + np.float32(0.23933169937889007)
    power = power * rest + np.float32(0.6930281531391977)
    power = power * rest + np.float32(0.9999973320084229)
    bits = np.int32((whole + np.int32(127)) << np.int32(23))
    return power * bits.view(np.float32)


@kernel()
def _fill(
    logits: Floats,
    labels: Ids,
    row_edges: Ints,
    row_weights: Floats,
    column_edges: Ints,
    column_weights: Floats,
    class_ids: Ids,
    row_offsets: Ints,
    row: Ints,
    start: Ints,
    stop: Ints,
    class_id: Ids,
) -> int:
    """Find the runs of the class map, one band of image rows between two grid rows at a time, and paint them.

    Runs can only end inside mixed cells and at their edges. Returns the number of runs.
    """
    grid_height, grid_width = labels.shape
    mixed = np.empty(grid_width + 1, np.int32)
    sizes = np.empty(grid_width + 1, np.int32)
    contenders = np.empty((grid_width + 1, logits.shape[0]), np.uint8)
    planes = np.empty((grid_width + 1, logits.shape[0], 4), np.float32)
    count = 0
    row_offsets[0] = 0
    for band in range(grid_height + 1):
        top, bottom = row_edges[band], row_edges[band + 1]
        if top == bottom:
            continue
        upper, lower = max(band - 1, 0), min(band, grid_height - 1)
        mixed_count = _find_mixed(labels[upper], labels[lower], mixed)
        for i in range(mixed_count):
            sizes[i] = _find_contenders(logits, labels, upper, lower, mixed[i], contenders[i], planes[i])
        for y in range(top, bottom):
            first = count
            count = _sweep_row(
                labels[upper], mixed, mixed_count, sizes, contenders, planes, row_weights[y],
                column_edges, column_weights, count, start, stop, class_id,
            )  # fmt: skip
            for run in range(first, count):
                row[run] = y
                class_ids[y, start[run] : stop[run]] = class_id[run]
            row_offsets[y + 1] = count
    return count


@kernel(inner=True)
def _find_mixed(upper: Ids, lower: Ids, mixed: Ints) -> int:
    """List the cells of a band whose four corners have not all the same winner; returns how many there are."""
    count = 0
    last = len(upper) - 1
    for cell in range(len(upper) + 1):
        left, right = max(cell - 1, 0), min(cell, last)
        if upper[left] != lower[left] or upper[right] != lower[right] or upper[left] != upper[right]:
            mixed[count] = cell
            count += 1
    return count


@kernel(inner=True)
def _find_contenders(
    logits: Floats, labels: Ids, upper: int, lower: int, cell: int, contenders: Ids, planes: Floats
) -> int:
    """List the classes that could win inside a cell, ascending, with their logits there.

    A class that is beaten at all four corners by one and the same winner of a corner is beaten everywhere inside.
    The logit at (u, v) from the upper left corner, 0 to 1 each, is ``p[0] + p[1] v + (p[2] + p[3] v) u``. Where there
    are two contenders, as in nine cells of ten, the first of their planes is the lead of the first over the second.
    """
    left, right = max(cell - 1, 0), min(cell, labels.shape[1] - 1)
    winners = (labels[upper, left], labels[upper, right], labels[lower, left], labels[lower, right])
    count = 0
    for k in range(logits.shape[0]):
        a, b = logits[k, upper, left], logits[k, upper, right]
        c, d = logits[k, lower, left], logits[k, lower, right]
        beaten = False
        for best in winners:
            if not beaten:
                beaten = (
                    a < logits[best, upper, left]
                    and b < logits[best, upper, right]
                    and c < logits[best, lower, left]
                    and d < logits[best, lower, right]
                )
        if not beaten:
            contenders[count] = k
            planes[count, 0], planes[count, 1], planes[count, 2], planes[count, 3] = a, c - a, b - a, d - c - (b - a)
            count += 1
    if count == 2:
        for corner in range(4):
            planes[0, corner] -= planes[1, corner]
    return count


@kernel(inner=True)
def _sweep_row(
    labels: Ids,
    mixed: Ints,
    mixed_count: int,
    sizes: Ints,
    contenders: Ids,
    planes: Floats,
    v: np.float32,
    column_edges: Ints,
    column_weights: Floats,
    count: int,
    start: Ints,
    stop: Ints,
    class_id: Ids,
) -> int:
    """Append the runs of one image row, `v` of the way down its band; returns the number of runs so far.

    Within a cell logits are linear along the row, so each class wins one stretch at most, and where a stretch ends
    is computed rather than searched.
    """
    width = len(column_weights)
    begin = 0
    label = labels[0]
    for i in range(mixed_count):
        cell = mixed[i]
        x, end = column_edges[cell], column_edges[cell + 1]
        while x < end:
            winner, ahead = _stretch(planes, i, sizes[i], v, column_weights, x, end)
            if contenders[i, winner] != label:
                if x > begin:
                    start[count], stop[count], class_id[count] = begin, x, label
                    count += 1
                    begin = x
                label = contenders[i, winner]
            x = ahead
        after = column_edges[mixed[i + 1]] if i + 1 < mixed_count else width
        if end < after and labels[cell] != label:  # a stretch of cells whose corners agree begins
            if end > begin:
                start[count], stop[count], class_id[count] = begin, end, label
                count += 1
                begin = end
            label = labels[cell]
    start[count], stop[count], class_id[count] = begin, width, label
    return count + 1


@kernel(inline=True)
def _stretch(
    planes: Floats, i: int, size: int, v: np.float32, column_weights: Floats, x: int, end: int
) -> tuple[int, int]:
    """Which contender wins at column `x` of cell `i`, and the column where it stops winning, at most `end`.

    Pasted into its caller: handing the arrays to a function costs more than what it does with them.
    """
    first, last = column_weights[x], column_weights[end - 1]
    level, slope = planes[i, 0, 0] + planes[i, 0, 1] * v, planes[i, 0, 2] + planes[i, 0, 3] * v
    winner = 0
    if size == 2:  # the plane is the lead of the first over the second
        winner = 0 if level + slope * first >= 0 else 1
        overtaken = winner != (0 if level + slope * last >= 0 else 1)
        overtaken_at = -level / slope
    else:
        for j in range(1, size):
            challenge = planes[i, j, 0] + planes[i, j, 1] * v
            gain = planes[i, j, 2] + planes[i, j, 3] * v
            if challenge + gain * first > level + slope * first:
                level, slope, winner = challenge, gain, j
        overtaken_at = np.float32(2.0)
        for j in range(size):
            lead = level - (planes[i, j, 0] + planes[i, j, 1] * v)
            gain = planes[i, j, 2] + planes[i, j, 3] * v - slope
            if lead < overtaken_at * gain:
                overtaken_at = lead / gain
        overtaken = overtaken_at < last
    if overtaken:
        end = min(x + max(int((overtaken_at - first) * np.float32(end - 1 - x) / (last - first)) + 1, 1), end)
    return winner, end
