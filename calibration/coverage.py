"""Where in the picture the board was seen. A lens is only known where corners fell; elsewhere it is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.views import View

__all__ = ["Coverage", "draw_coverage", "measure_coverage"]

_CELLS_ACROSS = 16
_FINER = 8
_REGIONS = (
    ("upper left", "top", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "bottom", "lower right"),
)
_WIDTH_PX = 1280
_BACKGROUND = (38, 32, 28)
_INK = (235, 232, 228)
_HOLE = (72, 84, 214)


@dataclass(frozen=True, eq=False)
class Coverage:
    """How often each cell of the picture was seen.

    Attributes:
        counts: (rows, columns) int32: photos whose board covers the cell.
        share: Share of the cells that at least one photo covers.
        holes: Ninths of the picture, by name, of which no cell is covered.
    """

    counts: NDArray[np.int32]
    share: float
    holes: tuple[str, ...]


def measure_coverage(views: Sequence[View], size_hw: tuple[int, int]) -> Coverage:
    """Count, cell by cell, the photos whose corners surround most of it."""
    height, width = size_hw
    rows = max(3, round(_CELLS_ACROSS * height / width))
    counts = np.zeros((rows, _CELLS_ACROSS), np.int32)
    for view in views:
        fine = np.zeros((rows * _FINER, _CELLS_ACROSS * _FINER), np.uint8)
        scaled = (view.corners.pixels + 0.5) * [fine.shape[1] / width, fine.shape[0] / height] - 0.5
        cv2.fillConvexPoly(fine, cv2.convexHull(np.round(scaled).astype(np.int32)), 1)
        counts += fine.reshape(rows, _FINER, _CELLS_ACROSS, _FINER).mean(axis=(1, 3)) > 0.5
    bands = [np.array_split(band, 3, axis=1) for band in np.array_split(counts, 3, axis=0)]
    holes = tuple(_REGIONS[i][j] for i in range(3) for j in range(3) if not bands[i][j].any())
    return Coverage(counts, float((counts > 0).mean()), holes)


def draw_coverage(
    coverage: Coverage, views: Sequence[View], size_hw: tuple[int, int], caption: str
) -> NDArray[np.uint8]:
    """A picture of it: cells by how often they were seen, every corner, the holes by name.

    Returns:
        (h, 1280, 3) uint8 BGR.
    """
    height, width = size_hw
    scale = _WIDTH_PX / width
    canvas = np.full((round(height * scale) + 56, _WIDTH_PX, 3), _BACKGROUND, np.uint8)
    picture = canvas[: round(height * scale)]
    _draw_cells(picture, coverage.counts)
    for view in views:
        for column, row in np.round((view.corners.pixels + 0.5) * scale * 16).astype(int).tolist():
            cv2.circle(picture, (column, row), 3 * 16, _INK, -1, cv2.LINE_AA, shift=4)
            cv2.circle(picture, (column, row), 2 * 16, (60, 40, 20), -1, cv2.LINE_AA, shift=4)
    for i, j in ((i, j) for i in range(3) for j in range(3) if _REGIONS[i][j] in coverage.holes):
        _name_hole(picture, (i, j))
    cv2.putText(canvas, caption, (16, len(canvas) - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.62, _INK, 1, cv2.LINE_AA)
    return canvas


def _draw_cells(picture: NDArray[np.uint8], counts: NDArray[np.int32]) -> None:
    rows, columns = counts.shape
    height, width = picture.shape[:2]
    shades = 70 + 185 * counts / max(int(counts.max()), 1)
    colours = cv2.applyColorMap(shades.astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    for row, column in np.ndindex(rows, columns):
        corner = column * width // columns + 1, row * height // rows + 1
        opposite = (column + 1) * width // columns - 2, (row + 1) * height // rows - 2
        if counts[row, column]:
            cv2.rectangle(picture, corner, opposite, colours[row, column].tolist(), -1)
        else:
            cv2.rectangle(picture, corner, opposite, (58, 50, 46), 1)


def _name_hole(picture: NDArray[np.uint8], region: tuple[int, int]) -> None:
    height, width = picture.shape[:2]
    i, j = region
    corner, opposite = (j * width // 3 + 6, i * height // 3 + 6), ((j + 1) * width // 3 - 6, (i + 1) * height // 3 - 6)
    cv2.rectangle(picture, corner, opposite, _HOLE, 2, cv2.LINE_AA)
    text = f"{_REGIONS[i][j]}: not seen"
    (across, down), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)
    place = (corner[0] + opposite[0] - across) // 2, (corner[1] + opposite[1] + down) // 2
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, _HOLE, 2, cv2.LINE_AA)
