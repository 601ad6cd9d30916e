"""Run-length encoding of a class map: what every step after the class map works on.

A 1280x720 map of a street has a million pixels but only some ten thousand horizontal runs of one class, so finding
components, holes and boundaries on runs costs a hundredth of doing it on pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["RunBuffers", "Runs", "encode_runs", "join_runs", "select_runs"]

ClassIds = NDArray[np.uint8]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Runs:
    """The maximal horizontal runs of equal class in a class map, row by row from the left.

    Attributes:
        size_hw: (H, W) of the class map.
        row_offsets: (H + 1,) int32; the runs of row ``y`` are ``row_offsets[y]`` to ``row_offsets[y + 1]``.
        row: (R,) int32, the row of each run.
        start: (R,) int32, its first column.
        stop: (R,) int32, the column after its last one.
        class_id: (R,) uint8, its class.
    """

    size_hw: tuple[int, int]
    row_offsets: Ints = field(repr=False)
    row: Ints = field(repr=False)
    start: Ints = field(repr=False)
    stop: Ints = field(repr=False)
    class_id: ClassIds = field(repr=False)

    def __len__(self) -> int:
        return len(self.start)


class RunBuffers:
    """Room for the runs of any class map of one size, kept from frame to frame.

    It has room for a run per pixel, the worst a map can do; the operating system hands out memory only for the
    part that was ever written, which is a hundredth of it on pictures of streets.
    """

    def __init__(self, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        self.size_hw = size_hw
        self.row_offsets: Ints = np.zeros(height + 1, np.int32)
        self.row: Ints = np.empty(height * width, np.int32)
        self.start: Ints = np.empty(height * width, np.int32)
        self.stop: Ints = np.empty(height * width, np.int32)
        self.class_id: ClassIds = np.empty(height * width, np.uint8)

    def copy_of(self, runs: Runs) -> Runs:
        """The same runs, kept in these buffers; of the same size."""
        self.row_offsets[:] = runs.row_offsets
        for kept, given in (
            (self.row, runs.row),
            (self.start, runs.start),
            (self.stop, runs.stop),
            (self.class_id, runs.class_id),
        ):
            kept[: len(runs)] = given
        return self.first(len(runs))

    def first(self, count: int) -> Runs:
        """The first `count` runs, as views that the next use of the buffers overwrites."""
        return Runs(
            self.size_hw,
            self.row_offsets,
            self.row[:count],
            self.start[:count],
            self.stop[:count],
            self.class_id[:count],
        )


def encode_runs(class_ids: ClassIds, buffers: RunBuffers | None = None) -> Runs:
    """Encode a class map, for instance a ground truth, as runs.

    Args:
        class_ids: (H, W) uint8.
        buffers: Room of the same size to write into; the runs are then views of it. None: the runs own theirs.
    """
    size_hw = (class_ids.shape[0], class_ids.shape[1])
    if buffers is None or buffers.size_hw != size_hw:
        buffers = RunBuffers(size_hw)
    count = _encode(
        np.ascontiguousarray(class_ids),
        buffers.row_offsets,
        buffers.row,
        buffers.start,
        buffers.stop,
        buffers.class_id,
    )
    return buffers.first(count)


@kernel()
def _encode(class_ids: ClassIds, row_offsets: Ints, row: Ints, start: Ints, stop: Ints, class_id: ClassIds) -> int:
    """Fill the run arrays; returns how many runs there are."""
    height, width = class_ids.shape
    words = (width + 7) // 8
    changes = np.zeros(words * 8, np.uint8)
    changes_8 = changes.view(np.uint64)  # eight pixels per comparison: most of a street does not change
    count = 0
    row_offsets[0] = 0
    for y in range(height):
        line = class_ids[y]
        for x in range(1, width):
            changes[x] = line[x] != line[x - 1]
        begin = 0
        for word in range(words):
            if changes_8[word] == 0:
                continue
            for x in range(word * 8, min(word * 8 + 8, width)):
                if changes[x]:
                    row[count], start[count], stop[count], class_id[count] = y, begin, x, line[begin]
                    count += 1
                    begin = x
        if width > 0:
            row[count], start[count], stop[count], class_id[count] = y, begin, width, line[begin]
            count += 1
        row_offsets[y + 1] = count
    return count


def select_runs(runs: Runs, wanted: NDArray[np.bool_]) -> tuple[Runs, Ints]:
    """The runs of some classes only.

    Args:
        runs: All of them.
        wanted: (256,) which classes to select.

    Returns:
        The S selected runs, and (S,) their indices among all runs.
    """
    offsets, index, row, start, stop, class_id = _select(
        runs.row_offsets, runs.row, runs.start, runs.stop, runs.class_id, wanted
    )
    return Runs(runs.size_hw, offsets, row, start, stop, class_id), index


@kernel()
def _select(
    row_offsets: Ints, row: Ints, start: Ints, stop: Ints, class_id: ClassIds, wanted: NDArray[np.bool_]
) -> tuple[Ints, Ints, Ints, Ints, Ints, ClassIds]:
    """Where each row's selected runs begin among those, their indices, and the arrays of the selected ones."""
    offsets = np.zeros(len(row_offsets), np.int32)
    index = np.empty(len(class_id), np.int32)
    count = 0
    for y in range(len(row_offsets) - 1):
        for run in range(row_offsets[y], row_offsets[y + 1]):
            index[count] = run
            count += wanted[class_id[run]]
        offsets[y + 1] = count
    index = index[:count].copy()
    return offsets, index, row[index], start[index], stop[index], class_id[index]


@kernel()
def join_runs(row_offsets: Ints, start: Ints, stop: Ints, group: ClassIds, reach: int, component: Ints) -> int:
    """Connected components of runs, by union-find (Wu, Otoo & Suzuki, "Optimizing two-pass connected-component
    labeling algorithms", Pattern Analysis and Applications 12, 2009: the smaller root wins, so that one pass in
    order flattens the forest).

    Args:
        row_offsets: (H + 1,) where each row's runs begin.
        start: (R,) first columns, ascending within a row.
        stop: (R,) columns after the last.
        group: (R,) only runs of equal group are joined.
        reach: 1 joins runs of neighbouring rows that touch at a corner (8-connectivity), 0 only those that share a
            column (4-connectivity).
        component: (R,) out: the component of each run, numbered from 0 in order of the first run.

    Returns:
        The number of components.
    """
    for run in range(len(start)):
        component[run] = run
    for y in range(1, len(row_offsets) - 1):
        above, above_end = row_offsets[y - 1], row_offsets[y]
        for run in range(row_offsets[y], row_offsets[y + 1]):
            while above < above_end and stop[above] + reach <= start[run]:
                above += 1
            other = above
            while other < above_end and start[other] < stop[run] + reach:
                if group[other] == group[run]:
                    _unite(component, other, run)
                other += 1
    count = 0
    for run in range(len(start)):
        if component[run] == run:
            component[run] = count
            count += 1
        else:
            component[run] = component[component[run]]
    return count


@kernel(inner=True)
def _unite(parent: Ints, first: int, second: int) -> None:
    """Join the trees of two runs under the smaller of their roots, halving the paths walked."""
    while parent[first] != first:
        parent[first] = parent[parent[first]]
        first = parent[first]
    while parent[second] != second:
        parent[second] = parent[parent[second]]
        second = parent[second]
    if first < second:
        parent[second] = first
    elif second < first:
        parent[first] = second
