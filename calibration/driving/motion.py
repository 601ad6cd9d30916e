"""What one pair of pictures says: how the camera turned, which way it went, and where the road lies.

With X = Z x for a point of the first picture, R the turn and T the shift into the second camera's frame, and the road
the plane n·X = h, every point of the road moves by the homography x' ~ (R + T nᵀ/h) x, and every other point that
stands still keeps to its epipolar line (Hartley and Zisserman 2004, chapters 9 and 13). Both are fitted together:
turn (3), direction of the shift (2), and m = n |T|/h (3). Monocular pictures do not tell |T|, only |T|/h, how far the
camera went in units of its height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.driving.tracks import LEAST_POINTS, Pair, find_points, follow
from pipeline.geometry.camera_model import CameraModel

__all__ = ["Failure", "Motion", "measure_motion"]

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

Failure = Literal["few points", "only turning", "not ahead", "no road"]
"""Why a pair says nothing."""

_LEAST_ROAD_POINTS = 25

_LEAST_STRIP_PX = 400
_MOST_STRIP_PX = 8000
_LEAST_LIKENESS = 0.1
_ADVANCES = (0.15, 3.0)
"""How the first guess of the way is found: least and most pixels, least correlation, range in heights of the camera."""

_LEAST_AGREEMENT = 0.4
"""Share of the points on the road that must move as the plane does."""

_ROUNDS = 3
"""How often the road is followed again with the homography of the round before."""

_TURN_PX = 0.8
"""A pair whose points a mere turn of the camera explains this well shows no motion."""

_LOOSEST_PX = 0.7
_TIGHTEST_PX = 0.15
"""Bounds of the scale beyond which a residual counts less and less (Cauchy's loss)."""

_AHEAD = 0.8
"""Cosine of the angle between the optical axis and the way of the vehicle, at least."""

_LEAST_TRACE = 2.5
"""Of a rotation by some 40 degrees: no vehicle turns more within a pair."""

_STRIP = 1.3
_WIDE_STRIP = 2.6
"""Half the width of the strip of road that is measured, in heights of the camera: what the vehicle drives over.
Farther out there are kerbs, verges and the other side of a cambered road; but where asphalt is so smooth that the
strip has too few points, as on motorways, the lines on both sides are needed."""

_ENOUGH_ROAD_POINTS = 60

_FARTHEST = 25.0
"""How far ahead the strip reaches, in heights of the camera."""

_LEVEL_RAD = math.radians(0.5)
"""How far off the road plane a vehicle may move within a pair: its springs. A loose prior, one standard deviation."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What one pair says, in the first camera's frame.

    Attributes:
        start: Index of the first picture's frame.
        stop: Index of the second picture's frame.
        start_s: When the first was taken.
        stop_s: When the second was taken.
        up: (3,) unit normal of the road, away from it.
        heading: (3,) unit direction that the camera went, halfway between its direction as seen from either end.
        turn_rad: Turn about the road's normal, positive to the left.
        advance: How far the camera went, in units of its height over the road.
        road_points: How many points of the road agree.
        rest_points: How many other points agree.
        rms_px: Root mean square residual of those.
    """

    start: int
    stop: int
    start_s: float
    stop_s: float
    up: FloatArray = field(repr=False)
    heading: FloatArray = field(repr=False)
    turn_rad: float
    advance: float
    road_points: int
    rest_points: int
    rms_px: float

    @property
    def pitch_rad(self) -> float:
        """How far the optical axis points below the horizon of the road."""
        return float(np.arcsin(np.clip(-self.up[2], -1.0, 1.0)))

    @property
    def roll_rad(self) -> float:
        """How far the camera's left side is lifted over the road."""
        return float(np.arctan2(-self.up[0], -self.up[1]))

    @property
    def climb_rad(self) -> float:
        """How far the camera moved away from the road plane, as an angle."""
        return float(np.arcsin(np.clip(self.heading @ self.up, -1.0, 1.0)))

    @property
    def yaw_rad(self) -> float:
        """How far the optical axis points to the left of where the camera went."""
        left = np.cross(self.up, np.array([0.0, 0.0, 1.0]))
        left /= np.linalg.norm(left)
        ahead = np.cross(left, self.up)
        return float(-np.arctan2(self.heading @ left, self.heading @ ahead))


def measure_motion(pair: Pair, camera: CameraModel) -> Motion | Failure:
    """Fit motion and road to a pair.

    Args:
        pair: Two pictures far enough apart.
        camera: The pinhole camera of its pictures.

    Returns:
        The motion; or why there is none: too few points could be followed, the camera turned but did not move, it
        does not look where it goes, or no plane explains how the road moved.
    """
    if len(pair.points) < LEAST_POINTS:
        return "few points"
    fit = _Fit.start(pair, camera)
    if isinstance(fit, str):
        return fit
    for _ in range(_ROUNDS):
        road = _follow_road(pair, camera, fit)
        if road is None:
            return "no road"
        fit = fit.with_road(*road).descend()
    return fit.motion(pair)


def _only_turned(first: FloatArray, second: FloatArray, camera: CameraModel) -> bool:
    """Whether a turn alone carries most points to where they went."""
    rays, went = (points / np.linalg.norm(points, axis=1, keepdims=True) for points in (first, second))
    weights = np.ones(len(rays))
    off = weights
    for _ in range(5):  # Kabsch's rotation, again without what does not follow it.
        left, _, right = np.linalg.svd((went * weights[:, None]).T @ rays)
        turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
        off = np.linalg.norm(went - rays @ turn.T, axis=1) * camera.fx
        weights = 1.0 / (1.0 + (off / max(float(np.median(off)), 0.3)) ** 2)
    return float(np.quantile(off, 0.6)) < _TURN_PX


def _plane(points: NDArray[np.float32], camera: CameraModel) -> FloatArray:
    """(N, 3) points of the image plane at depth 1."""
    flat = (points.astype(np.float64) - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def _follow_road(pair: Pair, camera: CameraModel, fit: _Fit) -> tuple[FloatArray, FloatArray] | None:
    """Points of the road in both pictures, measured after the second was laid over the first by the homography.

    What comes near also grows; laid over each other the two look alike, and what is left to follow is small.
    """
    matrix = camera.opencv_matrix
    pixels = matrix @ fit.homography @ np.linalg.inv(matrix)
    if not np.isfinite(pixels).all() or abs(np.linalg.det(pixels)) < 1e-9:
        return None
    height, width = pair.first.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # What lies outside the second picture must not be followed.
    laid = np.asarray(cv2.warpPerspective(pair.second, pixels, (width, height), flags=flags), np.uint8)
    seen = np.asarray(cv2.warpPerspective(np.full_like(pair.second, 255), pixels, (width, height), flags=flags))
    road = np.asarray(cv2.erode(seen, np.ones((15, 15), np.uint8)), np.uint8) & pair.labels.road
    points = moved = np.empty((0, 2), np.float32)
    for strip in (_STRIP, _WIDE_STRIP):
        points = find_points(pair.first, road & _strip_mask(fit.heading, camera, strip), 400, 0.001)
        if len(points):
            moved, found = follow(pair.first, laid, points, there_and_back=True, levels=1, window=(19, 19))
            points, moved = points[found], moved[found]
        if len(points) >= _ENOUGH_ROAD_POINTS:
            break
    if len(points) < _LEAST_ROAD_POINTS:
        return None
    second = cv2.perspectiveTransform(moved[:, None].astype(np.float64), pixels)[:, 0]
    return _plane(points + np.float32(0.5), camera), _plane((second + 0.5).astype(np.float32), camera)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A motion and a road, and the points that they are fitted to.

    Attributes:
        rest: Two (N, 3) arrays: points beside the road in the first and in the second picture, at depth 1.
        road: The same of the road.
        rotation: (3, 3) R.
        shift: (3,) T / |T|.
        plane: (3,) m.
        focal_px: Turns distances at depth 1 into pixels.
    """

    rest: tuple[FloatArray, FloatArray]
    road: tuple[FloatArray, FloatArray]
    rotation: FloatArray
    shift: FloatArray
    plane: FloatArray
    focal_px: float

    @classmethod
    def start(cls, pair: Pair, camera: CameraModel) -> _Fit | Failure:
        """A first guess: the essential matrix that most points agree on (Barath et al. 2020), and a level road."""
        first, second = _plane(pair.points, camera), _plane(pair.moved, camera)
        if _only_turned(first, second, camera):
            return "only turning"
        focal = 0.5 * (camera.fx + camera.fy)
        essential, mask = cv2.findEssentialMat(
            first[:, :2], second[:, :2], np.eye(3), cv2.USAC_MAGSAC, 0.999, 0.7 / focal
        )
        if essential is None or essential.shape != (3, 3):
            return "few points"
        _, rotation, shift, _ = cv2.recoverPose(essential, first[:, :2], second[:, :2], np.eye(3), mask=mask)
        rotation, shift = _doubles(rotation), _doubles(shift).ravel()
        heading = -rotation.T @ shift
        if heading[2] < _AHEAD or np.trace(rotation) < _LEAST_TRACE:
            return "not ahead"
        rest = first[~pair.on_road], second[~pair.on_road]
        none = np.empty((0, 3))
        plane = _first_plane(rotation, shift, pair, camera)
        return "no road" if plane is None else cls(rest, (none, none), rotation, shift, plane, focal)

    @property
    def homography(self) -> FloatArray:
        """(3, 3) of the road, at depth 1."""
        return np.asarray(self.rotation + np.outer(self.shift, self.plane))

    @property
    def heading(self) -> FloatArray:
        """(3,) where the camera went, in the first camera's frame."""
        return np.asarray(-self.rotation.T @ self.shift)

    def with_road(self, first: FloatArray, second: FloatArray) -> _Fit:
        """The same with other points of the road."""
        return replace(self, road=(first, second))

    def moved(self, step: FloatArray) -> _Fit:
        """The fit after a step (8,): turn, shift across itself, plane."""
        turn = np.asarray(cv2.Rodrigues(step[:3])[0], np.float64)
        across = np.linalg.svd(self.shift[None, :])[2][1:]
        shift = self.shift + step[3:5] @ across
        shift /= np.linalg.norm(shift)
        return replace(self, rotation=turn @ self.rotation, shift=shift, plane=self.plane + step[5:])

    def residuals(self) -> tuple[FloatArray, FloatArray, float]:
        """(N,) distances from epipolar lines and (M, 2) errors on the road, in pixels; and the climb off the road."""
        (first, second), rotation, shift = self.rest, self.rotation, self.shift
        essential = _cross(shift) @ rotation
        lines, back = first @ essential.T, second @ essential
        length = np.sqrt((lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1))
        off = (second * lines).sum(axis=1) / np.maximum(length, 1e-12)
        went = self.road[0] @ self.homography.T
        slid = went[:, :2] / np.maximum(went[:, 2:], 1e-6) - self.road[1][:, :2]
        climb = float(self.heading @ self.plane / np.linalg.norm(self.plane))
        return off * self.focal_px, slid * self.focal_px, climb

    def descend(self) -> _Fit:
        """Levenberg–Marquardt on Cauchy's loss, whose scale follows the residuals."""
        fit, damping = self, 1e-3
        for _ in range(12):
            off, slid, climb = fit.residuals()
            scale = _scale(off, slid)
            weights = np.concatenate(
                [1.0 / (1.0 + (off / scale) ** 2), np.repeat(1.0 / (1.0 + (slid**2).sum(axis=1) / scale**2), 2), [1.0]]
            )
            values = _stack(off, slid, climb, scale)
            jacobian = np.stack(
                [(_stack(*fit.moved(step).residuals(), scale) - values) / 1e-6 for step in np.eye(8) * 1e-6], axis=1
            )
            normal = jacobian.T @ (jacobian * weights[:, None])
            step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), jacobian.T @ (values * weights))
            attempt = fit.moved(step)
            if _loss(*attempt.residuals(), scale) <= _loss(off, slid, climb, scale):
                fit, damping = attempt, damping / 5.0
                if float(np.abs(step).max()) < 1e-7:
                    break
            else:
                damping *= 10.0
        return fit

    def motion(self, pair: Pair) -> Motion | Failure:
        """What the fit says, if enough points agree."""
        off, slid, _ = self.residuals()
        distance = np.linalg.norm(slid, axis=1)
        limit = 3.0 * _scale(off, slid)
        rest, road = np.abs(off) < limit, distance < limit
        advance = float(np.linalg.norm(self.plane))
        credible = 0.5 * _ADVANCES[0] < advance < 2.0 * _ADVANCES[1]
        if road.sum() < _LEAST_ROAD_POINTS or road.mean() < _LEAST_AGREEMENT or not credible:
            return "no road"
        if rest.sum() < _LEAST_ROAD_POINTS:
            return "few points"
        up = -self.plane / advance
        leaving, arriving = self.heading, -self.shift
        heading = leaving + arriving
        turn = cv2.Rodrigues(self.rotation)[0].ravel()
        squares = np.concatenate([off[rest] ** 2, distance[road] ** 2 / 2.0])
        return Motion(
            pair.start, pair.stop, pair.start_s, pair.stop_s,
            up, heading / np.linalg.norm(heading), float(-turn @ up), advance,
            int(road.sum()), int(rest.sum()), float(np.sqrt(squares.mean())),
        )  # fmt: skip


def _strip_mask(heading: FloatArray, camera: CameraModel, half_width: float) -> NDArray[np.uint8]:
    """(H, W) uint8, 255 on the strip of road that the vehicle will drive over.

    A point of the road at x ahead and y to the side is seen h/x below the horizon and y/x beside where one goes, so the
    strip is a triangle under the vanishing point, its far end cut off.
    """
    height, width = camera.size_hw
    column = camera.cx + camera.fx * heading[0] / heading[2]
    row = camera.cy + camera.fy * heading[1] / heading[2]
    top, bottom = camera.fy / _FARTHEST, max(height - row, camera.fy / _FARTHEST)
    aspect = half_width * camera.fx / camera.fy
    corners = np.array(
        [[-aspect * top, top], [aspect * top, top], [aspect * bottom, bottom], [-aspect * bottom, bottom]]
    )
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.round(np.add(corners, (column, row))).astype(np.int32), 255)
    return mask


def _first_plane(rotation: FloatArray, shift: FloatArray, pair: Pair, camera: CameraModel) -> FloatArray | None:
    """(3,) m of a road that the vehicle drives along and that is level from left to right.

    How far the vehicle went is found by laying the second picture's strip of road over the first's for one advance
    after the other: asphalt has few points that could be followed from afar, but its grain fits only where it belongs.
    """
    heading = -rotation.T @ shift
    down = np.array([0.0, 1.0, 0.0])
    down -= (down @ heading) * heading
    down /= np.linalg.norm(down)
    rows, columns = np.nonzero(pair.labels.road & _strip_mask(heading, camera, _STRIP))
    if len(rows) < _LEAST_STRIP_PX:
        return None
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_STRIP_PX)).astype(np.intp)
    rows, columns = rows[chosen], columns[chosen]
    points = _plane(np.stack([columns, rows], axis=1).astype(np.float32) + np.float32(0.5), camera)
    first, second = _grain(pair.first)[rows, columns], _grain(pair.second)
    turned, depth = points @ rotation.T, points @ down
    best, best_score = None, _LEAST_LIKENESS
    for advance in np.geomspace(*_ADVANCES, 36):
        went = turned + np.outer(depth * advance, shift)
        place = went[:, :2] / np.maximum(went[:, 2:], 1e-6) * (camera.fx, camera.fy) + (
            camera.cx - 0.5,
            camera.cy - 0.5,
        )
        x, y = place.astype(np.float32).T
        there = cv2.remap(second, x[None], y[None], cv2.INTER_LINEAR, borderValue=0.0).ravel()
        seen = (x > 0) & (x < pair.second.shape[1] - 1) & (y > 0) & (y < pair.second.shape[0] - 1) & (went[:, 2] > 0.05)
        if seen.sum() < _LEAST_STRIP_PX // 2:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            score = float(np.corrcoef(first[seen], there[seen])[0, 1])
        if score > best_score:  # It is NaN where there is no grain at all.
            best, best_score = advance, score
    return None if best is None else down * best


def _grain(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) float32: what is finer than the shading, and as strong on dim asphalt as on bright markings."""
    values = picture.astype(np.float32)
    fine = cv2.GaussianBlur(values, (0, 0), 1.0) - cv2.GaussianBlur(values, (0, 0), 4.0)
    strength = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 8.0)) + 1.0
    return np.asarray(fine / strength, np.float32)


def _scale(off: FloatArray, slid: FloatArray) -> float:
    """Standard deviation of the good residuals, by the median of all."""
    sizes = np.concatenate([np.abs(off), np.abs(slid).ravel()])
    return float(np.clip(1.4826 * np.median(sizes), _TIGHTEST_PX, _LOOSEST_PX))


def _stack(off: FloatArray, slid: FloatArray, climb: float, scale: float) -> FloatArray:
    return np.concatenate([off / scale, slid.ravel() / scale, [climb / _LEVEL_RAD]])


def _loss(off: FloatArray, slid: FloatArray, climb: float, scale: float) -> float:
    squares = np.concatenate([off**2, (slid**2).sum(axis=1)]) / scale**2
    return float(np.log1p(squares).sum() + (climb / _LEVEL_RAD) ** 2)


def _doubles(array: object) -> FloatArray:
    return np.array(array, np.float64)


def _cross(vector: FloatArray) -> FloatArray:
    x, y, z = vector.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
