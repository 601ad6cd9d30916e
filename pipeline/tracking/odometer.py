"""How the vehicle moves over the road, from the picture alone.

The road is a plane whose place is known, so one number, the way since the last picture, says how all of its pixels
move. It is found directly on the brightness (Lucas and Kanade 1981, over a plane rather than a window; Irani and
Anandan 1999 call such methods direct), together with the turn and with the nod of the springs, which moves the picture
as well.
No points are chosen, so worn asphalt is enough. A Kalman filter makes speed and yaw rate of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.geometry.median import median
from pipeline.jit import kernel
from pipeline.metric import VehicleMotion
from pipeline.scene import Frame
from pipeline.tracking.matrices import apply, inverse, product

__all__ = ["RoadOdometer", "luma_of"]

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
Indices = NDArray[np.intp]

_WIDTH_PX = 320
_SPACING_PX = (3, 8)
"""Rows and columns of the small picture between the pixels that are compared."""

_FARTHEST = 12.0
"""Road is compared up to this many heights of the camera ahead, ..."""
_WIDEST = 3.0
"""... and this many to either side."""

_LEAST_PIXELS = 60
_ADVANCES = np.linspace(-0.1, 1.2, 40)
"""Ways in heights of the camera that are tried where nothing is known yet."""

_ACCELERATION_MPS2 = 2.0
_YAW_ACCELERATION_RAD_S2 = 0.3
"""How much chance changes the motion within a second."""

_NEIGHBOURS = 10.0
"""Neighbouring pixels share texture and noise: this many count as one."""

_NOD_RAD = 0.003
"""How far the springs let the camera nod between two pictures."""

_LEAST_LIKENESS = 0.35
_SHORTEST_STEP_S = 0.04
"""More often than this no picture is looked at: a longer way is seen better, and costs the same."""

_LONGEST_STEP_S = 0.6
_LOST_MPS = 3.0
"""Who is less sure of the speed than this does not know it."""


def luma_of(frame: Frame) -> Picture:
    """(H, W) brightness of a frame: the decoder's own where there is one."""
    return frame.planes.y if frame.planes is not None else np.asarray(cv2.extractChannel(frame.image, 1), np.uint8)


@dataclass(frozen=True, eq=False)
class _Lattice:
    """Pixels of the small picture that look at near road, where nothing stands on it.

    Attributes:
        view: For which view of the road.
        small: (N,) which of its pixels, row after row.
        large: (N,) which of the large picture's.
        places_m: (N, 2) where they look.
        scale: (2,) pixels of the small picture for each of the large one.
    """

    view: RoadView
    small: Indices
    large: Indices
    places_m: Floats
    scale: Floats


class RoadOdometer:
    """Watches consecutive frames. Owned by one thread."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next frame follows none."""
        self._lattice: _Lattice | None = None
        self._before: tuple[Floats, Floats] | None = None  # Places of the road, and how bright they were.
        self._state = np.zeros(2)  # Speed, yaw rate.
        self._covariance = np.diag([20.0**2, 0.5**2])
        self._known = False
        self._since_s = 0.0  # The last picture that was looked at.

    def look(self, frame: Frame, road: NDArray[np.uint8], view: RoadView, step_s: float) -> VehicleMotion | None:
        """See the next frame.

        Args:
            frame: The picture.
            road: (H, W) uint8, not 0 where it shows clear road.
            view: How the camera hangs over it.
            step_s: Time since the last frame.

        Returns:
            How the vehicle moves; None as long as that was not seen.
        """
        if step_s > _LONGEST_STEP_S:
            self._known, self._before = False, None
            self._covariance = np.diag([20.0**2, 0.5**2])
        self._since_s += step_s
        self._covariance[0, 0] += _ACCELERATION_MPS2**2 * step_s
        self._covariance[1, 1] += _YAW_ACCELERATION_RAD_S2**2 * step_s
        if self._before is None or self._since_s >= _SHORTEST_STEP_S:
            self._compare(frame, road, view)
            self._since_s = 0.0
        self._known &= bool(self._covariance[0, 0] < _LOST_MPS**2)
        if not self._known:
            return None
        (speed, yaw_rate), (variance, yaw_variance) = self._state.tolist(), np.diag(self._covariance).tolist()
        return VehicleMotion(speed, math.sqrt(variance), yaw_rate, math.sqrt(yaw_variance))

    def _compare(self, frame: Frame, road: NDArray[np.uint8], view: RoadView) -> None:
        luma = luma_of(frame)
        factor = min(1.0, _WIDTH_PX / luma.shape[1])
        size_wh = (max(16, round(luma.shape[1] * factor)), max(16, round(luma.shape[0] * factor)))
        small = np.asarray(cv2.resize(luma, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        if self._lattice is None or self._lattice.view is not view:
            self._lattice = _lattice(view, size_wh)
        before, self._before = self._before, _choose(small, road, self._lattice)
        if before is not None and len(before[0]) >= _LEAST_PIXELS:
            self._measure(*before, small, self._lattice, self._since_s)

    def _measure(self, places_m: Floats, brightness: Floats, small: Picture, lattice: _Lattice, step_s: float) -> None:
        height = lattice.view.pose.height_m
        guess = np.array([self._state[0] * step_s, self._state[1] * step_s, 0.0])
        if not self._known:
            tries = np.zeros((len(_ADVANCES), 3))
            tries[:, 0] = _ADVANCES * height
            likeness = [_likeness(small, pixels, brightness) for pixels in _project(places_m, tries, lattice)]
            guess[0] = tries[int(np.argmax(likeness)), 0]
        steps = np.diag([0.02 * height, 1e-3, 1e-3])
        for _ in range(1 if self._known else 2):
            pixels, *moved = _project(places_m, np.concatenate([guess[None], guess + steps]), lattice)
            partial = np.stack([(other - pixels) / step for other, step in zip(moved, np.diag(steps), strict=True)], 2)
            change, covariance, likeness_now = _align(small, pixels, partial, brightness)
            if not np.isfinite(change).all():
                return
            guess = guess + change
        if likeness_now >= _LEAST_LIKENESS:
            self._take_in(guess[:2] / step_s, covariance[:2, :2] * _NEIGHBOURS / step_s**2)

    def _take_in(self, measured: Floats, noise: Floats) -> None:
        if _filter(self._state, self._covariance, measured, noise, 25.0 if self._known else np.inf):
            self._known = True


def _lattice(view: RoadView, size_wh: tuple[int, int]) -> _Lattice:
    scale = np.array(size_wh) / np.array(view.camera.size_hw[::-1])
    rows = np.arange(_SPACING_PX[0] // 2, size_wh[1], _SPACING_PX[0])
    columns = np.arange(_SPACING_PX[1] // 2, size_wh[0], _SPACING_PX[1])
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    places = view.road_from_image((np.stack([x, y], axis=1) + 0.5) / scale)
    with np.errstate(invalid="ignore"):
        near = (places[:, 0] < _FARTHEST * view.pose.height_m) & (np.abs(places[:, 1]) < _WIDEST * view.pose.height_m)
    y, x = y[near], x[near]
    large = ((y + 0.5) / scale[1]).astype(np.intp) * view.camera.size_hw[1] + ((x + 0.5) / scale[0]).astype(np.intp)
    return _Lattice(view, y * size_wh[0] + x, large, places[near], scale)


def _choose(small: Picture, road: NDArray[np.uint8], lattice: _Lattice) -> tuple[Floats, Floats]:
    """Places of the clear road, and how bright they are."""
    clear = road.ravel()[lattice.large] > 0
    return lattice.places_m[clear], small.ravel()[lattice.small[clear]].astype(np.float64)


def _project(places_m: Floats, motions: Floats, lattice: _Lattice) -> Floats:
    """(K, N, 2) pixels of the small picture where places (N, 2) of the road are after K ways, turns and nods (K, 3)."""
    pose = lattice.view.pose
    points = _camera_points(places_m, motions, pose.camera_from_road_rotation, pose.height_m)
    pixels = lattice.view.camera.image_from_camera(points.reshape(-1, 3)) * lattice.scale - 0.5
    return np.asarray(pixels.reshape(len(motions), -1, 2))


@kernel()
def _filter(state: Floats, covariance: Floats, measured: Floats, noise: Floats, gate: float) -> bool:
    """Take a measurement (2,) into a state (2,) and its covariance (2, 2); False where it is too far off."""
    off = measured - state
    precision = inverse(covariance + noise)
    if np.sum(off * apply(precision, off)) > gate:
        return False
    gain = product(covariance, precision)
    state += apply(gain, off)
    covariance -= product(gain, covariance)
    return True


@kernel()
def _camera_points(places_m: Floats, motions: Floats, rotation: Floats, height_m: float) -> Floats:
    """(K, N, 3) places of the road in the camera frame after each of K ways, turns and nods."""
    points = np.empty((len(motions), len(places_m), 3))
    for k in range(len(motions)):
        way, turn, nod = motions[k]
        cos_turn, sin_turn, cos_nod, sin_nod = math.cos(turn), math.sin(turn), math.cos(nod), math.sin(nod)
        # The way is an arc: its chord points half the turn to the left.
        ahead, aside = way * math.cos(0.5 * turn), way * math.sin(0.5 * turn)
        for n in range(len(places_m)):
            x, y = places_m[n, 0] - ahead, places_m[n, 1] - aside
            x, y = cos_turn * x + sin_turn * y, cos_turn * y - sin_turn * x
            right = rotation[0, 0] * x + rotation[0, 1] * y - rotation[0, 2] * height_m
            down = rotation[1, 0] * x + rotation[1, 1] * y - rotation[1, 2] * height_m
            depth = rotation[2, 0] * x + rotation[2, 1] * y - rotation[2, 2] * height_m
            points[k, n, 0] = right
            points[k, n, 1] = cos_nod * down - sin_nod * depth
            points[k, n, 2] = cos_nod * depth + sin_nod * down
    return points


@kernel(inner=True)
def _sample(picture: Picture, x: float, y: float) -> tuple[float, float, float, bool]:
    """Brightness between pixels, its slope across and down, and whether it is inside the picture."""
    if not (1.0 <= x < picture.shape[1] - 2.0 and 1.0 <= y < picture.shape[0] - 2.0):
        return 0.0, 0.0, 0.0, False
    i, j = int(y), int(x)
    u, v = x - j, y - i
    a, b, c, d = float(picture[i, j]), float(picture[i, j + 1]), float(picture[i + 1, j]), float(picture[i + 1, j + 1])
    top, bottom = a + u * (b - a), c + u * (d - c)
    return top + v * (bottom - top), (1.0 - v) * (b - a) + v * (d - c), bottom - top, True


@kernel()
def _likeness(picture: Picture, pixels: Floats, brightness: Floats) -> float:
    """Correlation of the brightness at pixels with what it was, over those inside the picture; -1 where too few are."""
    n, a, b, aa, bb, ab = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(len(pixels)):
        value, _, _, inside = _sample(picture, pixels[k, 0], pixels[k, 1])
        if inside:
            n += 1
            a += value
            b += brightness[k]
            aa += value * value
            bb += brightness[k] * brightness[k]
            ab += value * brightness[k]
    if n < 30:
        return -1.0
    spread = (aa - a * a / n) * (bb - b * b / n)
    return (ab - a * b / n) / math.sqrt(spread) if spread > 1e-9 else -1.0


@kernel()
def _align(picture: Picture, pixels: Floats, partial: Floats, brightness: Floats) -> tuple[Floats, Floats, float]:
    """By how much three values must change so that the picture at `pixels` is as bright as it was.

    Args:
        picture: (h, w).
        pixels: (N, 2) where the places are now, with the values as they are.
        partial: (N, 2, 3) how those change with the values.
        brightness: (N,) what it was.

    Returns:
        (3,) the changes, NaN where too few pixels were inside the picture; (3, 3) their covariance, pixels taken for
        independent; and the correlation of what was and is, with the changes made.
    """
    change, covariance = np.zeros(3), np.eye(4)
    off, rows = np.empty(len(pixels)), np.empty((len(pixels), 4))
    moved = pixels.copy()
    drift = 0.0
    for _ in range(5):
        count = _differences(picture, moved, partial, brightness, drift, off, rows)
        if count < _LEAST_PIXELS // 2:
            change[:] = np.nan
            return change, covariance, -1.0
        inverse_normal, delta, variance = _solve(off[:count], rows[:count])
        drift += delta[3]
        covariance = inverse_normal * variance
        for i in range(3):
            change[i] += delta[i]
            for k in range(len(pixels)):
                moved[k, 0] += partial[k, 0, i] * delta[i]
                moved[k, 1] += partial[k, 1, i] * delta[i]
        if delta[0] * delta[0] < 0.01 * covariance[0, 0] and delta[1] * delta[1] < 0.01 * covariance[1, 1]:
            break
    return change, covariance[:3, :3], _likeness(picture, moved, brightness)


@kernel(inner=True)
def _differences(
    picture: Picture, pixels: Floats, partial: Floats, brightness: Floats, drift: float, off: Floats, rows: Floats
) -> int:
    """How many pixels are inside the picture; and into `off` (N,) how much brighter it is at each of them.

    Into `rows` (N, 4) goes what each value and a change of the light do to that.
    """
    count = 0
    for k in range(len(pixels)):
        value, across, down, inside = _sample(picture, pixels[k, 0], pixels[k, 1])
        if inside:
            off[count] = value - brightness[k] - drift
            for i in range(3):
                rows[count, i] = across * partial[k, 0, i] + down * partial[k, 1, i]
            rows[count, 3] = 1.0
            count += 1
    return count


@kernel(inner=True)
def _solve(off: Floats, rows: Floats) -> tuple[Floats, Floats, float]:
    """A step of Gauss and Newton under Cauchy's loss: the inverse normal matrix, the step, the variance."""
    amounts = np.empty(len(off))
    for k in range(len(off)):
        amounts[k] = abs(off[k])
    scale = max(1.4826 * median(amounts), 0.3)
    normal, right, total, squares = np.zeros((4, 4)), np.zeros(4), 0.0, 0.0
    for k in range(len(off)):
        weight = 1.0 / (1.0 + (off[k] / (2.0 * scale)) ** 2)
        total += weight
        squares += weight * off[k] * off[k]
        for i in range(4):
            right[i] -= weight * rows[k, i] * off[k]
            for j in range(i + 1):
                normal[i, j] += weight * rows[k, i] * rows[k, j]
    # A nod by more than some thousandths of a radian between two pictures is not believed without need.
    normal[2, 2] += scale**2 / _NOD_RAD**2
    for i in range(4):
        normal[i, i] += 1e-6
        for j in range(i):
            normal[j, i] = normal[i, j]
    covariance = inverse(normal)
    return covariance, apply(covariance, right), squares / total
