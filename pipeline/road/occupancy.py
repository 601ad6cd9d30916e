"""The road plane as a grid of cells: where it is free, where it is not, and where nobody can tell.

Elfes 1989, reduced to what one picture tells: each cell is looked up where it appears. A cell that shows drivable road
is free. One that shows other ground, such as a pavement, is occupied, and so is one that shows the foot of something
that stands on the ground. What lies behind such a foot is hidden, and unknown like what is out of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.geometry import RoadView
from pipeline.geometry.projection import pixel_of_road
from pipeline.jit import kernel
from pipeline.scene import Scene

__all__ = ["FREE", "OCCUPIED", "UNKNOWN", "OccupancyGrid", "occupancy_grid"]

UNKNOWN, FREE, OCCUPIED = 0, 1, 2

_GROUND = ("sidewalk", "terrain")
"""What is seen to be ground, and no road."""
_ROAD = "road"
"""Road that is not drivable, since nothing tells that it is connected to the vehicle's lane: unknown."""

_STANDING, _OTHER_GROUND, _OTHER_ROAD = 0, 1, 2


@dataclass(frozen=True, eq=False)
class OccupancyGrid:
    """The road plane ahead in square cells.

    Attributes:
        cells: (N, M) uint8, `UNKNOWN`, `FREE` or `OCCUPIED`. Row 0 is nearest, column 0 farthest to the left.
        cell_m: Side of a cell.
        aside_m: How far the grid reaches to each side. Cell (i, j) has its centre at x = (i + 0.5) cell_m,
            y = aside_m - (j + 0.5) cell_m of the road frame.
    """

    cells: NDArray[np.uint8] = field(repr=False)
    cell_m: float
    aside_m: float


def occupancy_grid(
    scene: Scene, view: RoadView, *, cell_m: float = 0.5, ahead_m: float = 50.0, aside_m: float = 12.0
) -> OccupancyGrid:
    """Look up every cell of the road plane.

    Args:
        scene: What was seen.
        view: Camera and road, at the size of the scene's frame.
        cell_m: Side of a cell.
        ahead_m: How far the grid reaches ahead.
        aside_m: How far it reaches to each side.
    """
    cells = np.empty((math.ceil(ahead_m / cell_m), math.ceil(2.0 * aside_m / cell_m)), np.uint8)
    segmentation = scene.segmentation
    _look_up(
        segmentation.class_ids, scene.drivable.mask, _kinds(segmentation.classes), view.packed, cell_m, aside_m, cells
    )
    return OccupancyGrid(cells, cell_m, aside_m)


def _kinds(classes: tuple[SegmentationClass, ...]) -> NDArray[np.uint8]:
    """(256,) whether a class stands on the ground or is ground; void counts as road that is not drivable: unknown."""
    kinds = np.full(256, _OTHER_ROAD, np.uint8)
    for index, entry in enumerate(classes):
        kinds[index] = _OTHER_ROAD if entry.name == _ROAD else _OTHER_GROUND if entry.name in _GROUND else _STANDING
    return kinds


@kernel()
def _look_up(
    class_ids: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    kinds: NDArray[np.uint8],
    packed: NDArray[np.float64],
    cell_m: float,
    aside_m: float,
    cells: NDArray[np.uint8],
) -> None:
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            x, y = (i + 0.5) * cell_m, aside_m - (j + 0.5) * cell_m
            cells[i, j] = _cell(class_ids, mask, kinds, packed, x, y, cell_m)


@kernel(inner=True)
def _cell(
    class_ids: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    kinds: NDArray[np.uint8],
    packed: NDArray[np.float64],
    x: float,
    y: float,
    cell_m: float,
) -> int:
    row, column = _pixel(mask, packed, x, y)
    if row < 0:
        return UNKNOWN
    if mask[row, column] != 0:
        return FREE
    kind = kinds[class_ids[row, column]]
    if kind != _STANDING:
        return OCCUPIED if kind == _OTHER_GROUND else UNKNOWN
    # It stands here if the ground is still seen a cell nearer; else this is its body, and hides what is behind.
    nearer = 1.0 - cell_m / math.hypot(x, y)
    row, column = _pixel(mask, packed, x * nearer, y * nearer)
    if row < 0 or (mask[row, column] == 0 and kinds[class_ids[row, column]] == _STANDING):
        return UNKNOWN
    return OCCUPIED


@kernel(inner=True)
def _pixel(mask: NDArray[np.uint8], packed: NDArray[np.float64], x: float, y: float) -> tuple[int, int]:
    """Row and column of the pixel that shows a place of the road; -1 where none does."""
    column, row = pixel_of_road(packed, x, y)
    if not (0.0 <= row < mask.shape[0] and 0.0 <= column < mask.shape[1]):
        return -1, -1
    return int(row), int(column)
