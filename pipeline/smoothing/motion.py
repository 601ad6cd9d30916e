"""How the picture moved since the last frame, on the grid of the logits."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.base import ModelSpec, Tensor
from pipeline.jit import kernel

__all__ = ["Flow", "Grey", "GreyCells", "MotionField", "share_above"]

Flow = NDArray[np.float32]
"""(h, w, 2) float32: where the content of each cell was in the frame before, as (x, y) cells to go from here."""

Grey = NDArray[np.uint8]
"""(h, w) uint8: a picture in grey levels, one a cell."""

_GREEN = 1
_LATTICE_STEP = 12
_WINDOW = (9, 9)
_LEVELS = 2
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 5, 0.05)
_LEAST_SIDE = 12


class GreyCells:
    """Makes the network's own input as small as the logits' grid: what motion is found in.

    Args:
        spec: Of the model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._stride_hw = (spec.input_shape[2] / spec.output_shape[2], spec.input_shape[3] / spec.output_shape[3])
        self._scale, self._shift = np.float32(spec.std[_GREEN]), np.float32(spec.mean[_GREEN])

    def average(self, tensor: Tensor, grid_hw: tuple[int, int]) -> Grey:
        """The green channel of one picture, averaged over each cell.

        Args:
            tensor: (3, H, W), of the network's input (N, 3, H, W).
            grid_hw: (h, w), the part of the logits' grid that the picture fills.
        """
        height = min(tensor.shape[1], round(grid_hw[0] * self._stride_hw[0]))
        width = min(tensor.shape[2], round(grid_hw[1] * self._stride_hw[1]))
        plane = tensor[_GREEN, :height, :width]
        picture = np.empty(grid_hw, np.uint8)
        if (height, width) == (4 * grid_hw[0], 4 * grid_hw[1]):
            _average_4x4(plane, self._scale, self._shift, picture)
        else:
            small = cv2.resize(plane, (grid_hw[1], grid_hw[0]), interpolation=cv2.INTER_AREA)
            np.clip(small * self._scale + self._shift, 0, 255, out=small)
            picture[:] = small
        return picture


class MotionField:
    """Follows the picture from frame to frame, at the resolution of the logits.

    Points on a lattice of every twelfth cell are followed by the pyramidal Lucas-Kanade method (Bouguet, 2000), and
    what lies between them is interpolated. A cell is four pixels wide, so that this is a tenth of a megapixel at most.
    """

    def __init__(self) -> None:
        self._lattice: NDArray[np.float32] = np.empty((0, 0, 2), np.float32)
        self._cells: NDArray[np.float32] = np.empty((0, 0, 2), np.float32)
        self._before: Grey | None = None

    def forget(self) -> None:
        """The next picture follows none."""
        self._before = None

    def follow(self, picture: Grey) -> tuple[Flow | None, NDArray[np.float32]]:
        """Take in the next picture.

        Args:
            picture: (h, w), as `GreyCells` made it; kept until the next.

        Returns:
            The flow, None for the first picture; and (h, w) float32 by how many of 255 grey levels the surroundings of
            each cell differ from where the flow says that they were; infinite where that is outside the picture.
        """
        before, self._before = self._before, picture
        if before is None or before.shape != picture.shape:
            return None, np.full(picture.shape, np.inf, np.float32)
        flow = self._flow(before, picture)
        return flow, self._compare(picture, before, flow)

    def _compare(self, picture: Grey, before: Grey, flow: Flow) -> NDArray[np.float32]:
        """(h, w) by how much the surroundings of each cell differ from where the flow leads; infinite outside."""
        height, width = picture.shape
        if self._cells.shape[:2] != picture.shape:
            self._cells = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
        places = cv2.add(flow, self._cells)
        # The nearest pixel beyond the edge: cells less than one outside still have something to be compared with.
        moved = cv2.remap(before, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        unlike = np.asarray(cv2.blur(cv2.subtract(picture, moved, dtype=cv2.CV_32F), (3, 3)), np.float32)
        _judge(unlike, np.asarray(places, np.float32))
        return unlike

    def _flow(self, before: Grey, picture: Grey) -> Flow:
        height, width = picture.shape
        if min(height, width) < _LEAST_SIDE:
            return np.zeros((height, width, 2), np.float32)
        rows, columns = max(2, round(height / _LATTICE_STEP)), max(2, round(width / _LATTICE_STEP))
        if self._lattice.shape[:2] != (rows, columns):
            x = (np.arange(columns) + 0.5) * width / columns - 0.5
            y = (np.arange(rows) + 0.5) * height / rows - 0.5
            self._lattice = np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)
        found, is_found, _ = cv2.calcOpticalFlowPyrLK(
            picture, before, self._lattice.reshape(-1, 1, 2), None, winSize=_WINDOW, maxLevel=_LEVELS, criteria=_STOP
        )  # type: ignore[call-overload]
        step = found.reshape(self._lattice.shape) - self._lattice
        step[is_found.reshape(rows, columns) == 0] = 0
        return np.asarray(cv2.resize(step, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


@kernel(fastmath=True)
def _average_4x4(plane: NDArray[np.float32], scale: np.float32, shift: np.float32, out: Grey) -> None:
    """Means of 4x4 pixels, brought back from the network's units to grey levels."""
    height, width = out.shape
    sums = np.empty(4 * width, np.float32)
    for y in range(height):
        first, second, third, fourth = plane[4 * y], plane[4 * y + 1], plane[4 * y + 2], plane[4 * y + 3]
        for x in range(4 * width):
            sums[x] = first[x] + second[x] + third[x] + fourth[x]
        for x in range(width):
            mean = (sums[4 * x] + sums[4 * x + 1] + sums[4 * x + 2] + sums[4 * x + 3]) * np.float32(0.0625)
            out[y, x] = np.uint8(min(max(mean * scale + shift, np.float32(0.0)), np.float32(255.0)))


def share_above(values: NDArray[np.float32], limit: float) -> float:
    """The share of the values (h, w) that are above the limit."""
    return _count_above(values, np.float32(limit)) / values.size


@kernel()
def _count_above(values: NDArray[np.float32], limit: np.float32) -> int:
    count = 0
    for value in values.ravel():
        if value > limit:
            count += 1
    return count


@kernel()
def _judge(unlike: NDArray[np.float32], places: NDArray[np.float32]) -> None:
    """Differences become their amounts, and infinite where their place is outside of the picture."""
    height, width = unlike.shape
    for y in range(height):
        for x in range(width):
            from_x, from_y = places[y, x, 0], places[y, x, 1]
            inside = (from_x > -1.0) & (from_y > -1.0) & (from_x < width) & (from_y < height)
            unlike[y, x] = abs(unlike[y, x]) if inside else np.float32(np.inf)
