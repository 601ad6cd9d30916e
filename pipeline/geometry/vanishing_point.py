"""Where the vehicle goes, seen cheaply while it drives: the vanishing point of its motion.

Some dozens of points are followed through a small grey picture until they have moved far enough; then the turn and the
direction of motion are fitted to all of them together (the epipolar constraint of Longuet-Higgins 1981, which needs no
depths): first to some at random, to see what most agree on (Fischler and Bolles 1981), then with Cauchy's loss, so that
traffic does not count. Most frames cost one small step of Lucas and Kanade's tracker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.camera_model import CameraModel
from pipeline.geometry.median import median
from pipeline.jit import kernel

__all__ = ["Heading", "VanishingPointFinder"]

FloatArray = NDArray[np.float64]
Points = NDArray[np.float32]

_WIDTH_PX = 320
_POINTS = 70
_LEAST_POINTS = 25
_FAR_ENOUGH = 0.025
"""Median way of the points, as a share of the focal length, after which the motion is fitted."""

_PATIENCE = 60
"""Frames after which points that have not moved far enough are given up: the vehicle stands or crawls."""

_STRAIGHT_RAD = 0.02
"""A vehicle that turns by more between the two pictures leans in a bend; nothing is said then."""

_LEAST_AGREEMENT = 0.5
_SAMPLES = 96
_SCALE_PX = 0.3
"""Points that are farther off than this count less and less."""

_WINDOW: dict[str, Any] = {
    "winSize": (13, 13),
    "maxLevel": 2,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 12, 0.03),
}


@dataclass(frozen=True, eq=False)
class Heading:
    """Where the camera went.

    Attributes:
        direction: (3,) unit vector in the camera frame, halfway between how either end of the way sees it.
        points: How many points agree.
    """

    direction: FloatArray
    points: int

    def pitch_rad(self, roll_rad: float) -> float:
        """How far the optical axis points below the way, of a camera with that roll; on average its pitch."""
        x, y, z = self.direction.tolist()
        return math.atan2(-(x * math.sin(roll_rad) + y * math.cos(roll_rad)), z)


class VanishingPointFinder:
    """Watches consecutive frames. Owned by one thread.

    Args:
        camera: At the size of the frames.
    """

    def __init__(self, camera: CameraModel) -> None:
        self._camera = camera
        height, width = camera.size_hw
        factor = min(1.0, _WIDTH_PX / width)
        self._size_wh = (max(16, round(width * factor)), max(16, round(height * factor)))
        self._far_px = _FAR_ENOUGH * camera.fx * factor
        self._start = self._moved = np.empty((0, 2), np.float32)
        self._last: NDArray[np.uint8] | None = None
        self._age = 0

    def look(self, luma: NDArray[np.uint8], ignore: NDArray[np.uint8] | None = None) -> Heading | None:
        """See the next frame.

        Args:
            luma: (H, W) uint8, its brightness.
            ignore: (H, W) uint8, not 0 where no points shall be followed: road users, the own bonnet.

        Returns:
            Where the vehicle went since the points were found, once they have moved far enough on a straight; None in
            most frames, and always while it stands.
        """
        picture = np.asarray(cv2.resize(luma, self._size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        heading = None
        if self._last is not None and len(self._start) >= _LEAST_POINTS:
            self._follow(self._last, picture)
            way_px = float(np.median(np.linalg.norm(self._moved - self._start, axis=1))) if len(self._start) else 0.0
            if len(self._start) >= _LEAST_POINTS and way_px >= self._far_px:
                heading = self._fit()
                self._start = self._start[:0]
            elif self._age >= _PATIENCE:
                self._start = self._start[:0]
        if len(self._start) < _LEAST_POINTS:
            self._find(picture, ignore)
        self._last = picture
        return heading

    def _find(self, picture: NDArray[np.uint8], ignore: NDArray[np.uint8] | None) -> None:
        mask = None
        if ignore is not None:
            small = cv2.resize(ignore, self._size_wh, interpolation=cv2.INTER_AREA)
            mask = np.where(small > 0, 0, 255).astype(np.uint8)
        found: Any = cv2.goodFeaturesToTrack(picture, _POINTS, 0.01, 8.0, mask=mask, blockSize=5)
        self._start = np.empty((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)
        self._moved, self._age = self._start, 0

    def _follow(self, last: NDArray[np.uint8], picture: NDArray[np.uint8]) -> None:
        moved, found, _ = cv2.calcOpticalFlowPyrLK(last, picture, self._moved, self._moved.copy(), **_WINDOW)
        inside = (moved >= 1.0).all(axis=1) & (moved < np.array(self._size_wh) - 1.0).all(axis=1)
        good = (found.ravel() == 1) & inside
        self._start, self._moved = self._start[good], np.asarray(moved, np.float32)[good]
        self._age += 1

    def _fit(self) -> Heading | None:
        height, width = self._camera.size_hw
        scale = np.array([width / self._size_wh[0], height / self._size_wh[1]])
        rays = self._camera.camera_from_image((np.concatenate([self._start, self._moved]) + 0.5) * scale)
        first, second = rays.reshape(2, -1, 3)
        seen = np.isfinite(rays[:, 0]).reshape(2, -1).all(axis=0)
        return fit_heading(first[seen], second[seen], self._camera.fx / float(scale[0]))


def fit_heading(first: FloatArray, second: FloatArray, focal_px: float) -> Heading | None:
    """The direction of motion that most rays agree on.

    Args:
        first: (N, 3) unit rays to points that stand still, most of them.
        second: (N, 3) the same, later.
        focal_px: Turns angles into pixels of the picture that they were followed in.

    Returns:
        None where fewer than half agree, the vehicle turned, or went anywhere but ahead.
    """
    if len(first) < _LEAST_POINTS:
        return None
    samples = np.random.default_rng(0).integers(0, len(first), (_SAMPLES, 6))
    values, off = np.zeros(5), np.zeros(len(first))  # Turn (3), and the way's x and y at depth 1, as seen at its end.
    _fit_way(first, second, focal_px, samples, values, off)
    if not (np.abs(values) < 1.0).all():
        return None
    agree = int((np.abs(off) < 1.0).sum())
    if agree < max(_LEAST_POINTS, _LEAST_AGREEMENT * len(first)) or abs(values[1]) > _STRAIGHT_RAD:
        return None
    way = np.array([values[3], values[4], 1.0])
    before = way - np.cross(values[:3], way)
    direction = way / np.linalg.norm(way) + before / np.linalg.norm(before)
    return Heading(direction / np.linalg.norm(direction), agree)


@kernel()
def _fit_way(
    first: FloatArray,
    second: FloatArray,
    focal_px: float,
    samples: NDArray[np.int64],
    values: FloatArray,
    off: FloatArray,
) -> None:
    """The turn and way that most points agree on, into `values` (5,); and how far off points are, into `off` (N,)."""
    everybody = np.arange(len(first))
    # Element by element: whole arrays at once compile several times as long.
    attempt, weights, amounts, best_score = np.empty(5), np.empty(len(first)), np.empty(len(first)), -1.0
    for sample in range(len(samples)):
        for value in range(5):
            attempt[value] = 0.0
        for point in range(len(first)):
            weights[point] = 1.0
        for _ in range(3):
            _step(first, second, focal_px, samples[sample], weights, attempt)
        _distances(first, second, focal_px, attempt, off)
        score = 0.0
        for point in range(len(off)):
            score += 1.0 / (1.0 + (off[point] / _SCALE_PX) ** 2)
        if score > best_score:
            best_score = score
            for value in range(5):
                values[value] = attempt[value]
    for _ in range(8):
        _distances(first, second, focal_px, values, off)
        for point in range(len(off)):
            amounts[point] = abs(off[point])
        scale = min(max(1.4826 * median(amounts), 0.5 * _SCALE_PX), 2.0 * _SCALE_PX)
        for point in range(len(off)):
            weights[point] = 1.0 / (1.0 + (off[point] / scale) ** 2)
        _step(first, second, focal_px, everybody, weights, values)
    _distances(first, second, focal_px, values, off)


@kernel(inner=True)
def _distances(first: FloatArray, second: FloatArray, focal_px: float, values: FloatArray, off: FloatArray) -> None:
    row = np.empty(5)
    for point in range(len(first)):
        off[point] = _row(first[point], second[point], focal_px, values, row)


@kernel(inner=True)
def _step(
    first: FloatArray,
    second: FloatArray,
    focal_px: float,
    chosen: NDArray[np.int64],
    weights: FloatArray,
    values: FloatArray,
) -> None:
    """One step of Gauss and Newton on the chosen points."""
    table, row = np.zeros((5, 6)), np.empty(5)
    for point in chosen:
        off = _row(first[point], second[point], focal_px, values, row)
        for i in range(5):
            for j in range(5):
                table[i, j] += weights[point] * row[i] * row[j]
            table[i, 5] += weights[point] * row[i] * off
    for i in range(5):
        table[i, i] = table[i, i] * 1.000001 + 1e-9
    for i in range(5):  # Gauss and Jordan; the table is positive definite.
        pivot = table[i, i]
        for k in range(6):
            table[i, k] /= pivot
        for j in range(5):
            factor = table[j, i]
            if j != i:
                for k in range(6):
                    table[j, k] -= table[i, k] * factor
    for i in range(5):
        values[i] -= table[i, 5]


@kernel(inner=True)
def _row(here: FloatArray, there: FloatArray, focal_px: float, values: FloatArray, row: FloatArray) -> float:
    """How far a point is off its epipolar plane, in pixels; and into `row` (5,) what each value does to that.

    The turn is taken to first order: between two pictures it is a hundredth of a radian.
    """
    a, b, c = here[0], here[1], here[2]
    x = a + values[1] * c - values[2] * b
    y = b + values[2] * a - values[0] * c
    z = c + values[0] * b - values[1] * a
    u, v, w = there[0], there[1], there[2]
    p, q = values[3], values[4]
    normal_x, normal_y, normal_z = y * w - z * v, z * u - x * w, x * v - y * u
    side_x, side_y, side_z = v - w * q, w * p - u, u * q - v * p  # There × way.
    scale = focal_px / max(math.sqrt(side_x * side_x + side_y * side_y + side_z * side_z), 1e-3)
    row[0] = (b * side_z - c * side_y) * scale
    row[1] = (c * side_x - a * side_z) * scale
    row[2] = (a * side_y - b * side_x) * scale
    row[3] = normal_x * scale
    row[4] = normal_y * scale
    off: float = (normal_x * p + normal_y * q + normal_z) * scale
    return off
