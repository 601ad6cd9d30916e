"""Two lenses: how a direction before the camera becomes a point of the image plane, and back.

Both are written out in NumPy rather than called from OpenCV, for three reasons: OpenCV's inverse stops after a fixed
number of steps whether it has arrived or not; beyond the radius where a distortion polynomial turns round, its
forward models fold the world back into the picture; and rays 90° and more off the axis, which a fisheye sees, have no
x/z. Here such points are NaN, and the inverse is exact to 1e-12 or NaN. The tests hold both against OpenCV.

The image plane is the one at depth 1: no pixels yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

__all__ = ["BrownConrady", "KannalaBrandt", "Lens"]

FloatArray = NDArray[np.float64]

_STEPS = 50
"""Newton's method takes 3 to 6 where a lens behaves; close to the fold it only halves the error in each."""

_TOLERANCE = 1e-12


class Lens(Protocol):
    """What both lenses do."""

    def plane_from_direction(self, directions: FloatArray) -> FloatArray:
        """(N, 3) directions of any length in the camera frame to (N, 2) points; NaN where the lens sees nothing."""

    def direction_from_plane(self, points: FloatArray) -> FloatArray:
        """(N, 2) points to (N, 3) unit directions in the camera frame; NaN where no direction leads there."""


@dataclass(frozen=True)
class BrownConrady:
    """The usual lens: radial and tangential distortion of x/z and y/z (Brown 1966; Conrady 1919).

    Attributes:
        coefficients: k1, k2, p1, p2, k3, k4, k5, k6 in OpenCV's order; fewer mean zeros, none a perfect pinhole.
    """

    coefficients: tuple[float, ...] = ()

    def plane_from_direction(self, directions: FloatArray) -> FloatArray:
        """See `Lens`; NaN also behind the camera and beyond `radius_limit`."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            straight = directions[:, :2] / np.where(directions[:, 2:] > 0.0, directions[:, 2:], np.nan)
            if not any(self.coefficients):
                return straight
            radius = np.hypot(straight[:, 0], straight[:, 1])
            straight[~(radius < self.radius_limit)] = np.nan
            return self._distort(straight)

    def direction_from_plane(self, points: FloatArray) -> FloatArray:
        """See `Lens`."""
        straight = self._undistort(points) if any(self.coefficients) else points
        directions = np.concatenate([straight, np.ones((len(straight), 1))], axis=1)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        directions[np.isnan(straight).any(axis=1)] = np.nan
        return directions

    @cached_property
    def radius_limit(self) -> float:
        """Undistorted radius from which on the distorted radius no longer grows; infinite where it always grows."""
        k1, k2, _, _, k3, k4, k5, k6 = _padded(self.coefficients, 8)
        above, below = Polynomial([1.0, k1, k2, k3]), Polynomial([1.0, k4, k5, k6])
        # The derivative of r above(r²)/below(r²), times below², with s = r².
        slope = above * below + Polynomial([0.0, 2.0]) * (above.deriv() * below - above * below.deriv())
        return float(np.sqrt(min(_first_positive_root(slope), _first_positive_root(below))))

    def _distort(self, straight: FloatArray) -> FloatArray:
        return self._distort_with_jacobian(straight)[0]

    def _distort_with_jacobian(self, straight: FloatArray) -> tuple[FloatArray, tuple[FloatArray, ...]]:
        """Distorted points, and dx'/dx, dx'/dy = dy'/dx, dy'/dy there."""
        k1, k2, p1, p2, k3, k4, k5, k6 = _padded(self.coefficients, 8)
        x, y = straight[:, 0], straight[:, 1]
        s = x * x + y * y
        above, below = 1.0 + s * (k1 + s * (k2 + s * k3)), 1.0 + s * (k4 + s * (k5 + s * k6))
        radial = above / below
        slope = (k1 + s * (2.0 * k2 + s * 3.0 * k3) - radial * (k4 + s * (2.0 * k5 + s * 3.0 * k6))) / below
        distorted = np.stack(
            [
                x * radial + 2.0 * p1 * x * y + p2 * (s + 2.0 * x * x),
                y * radial + 2.0 * p2 * x * y + p1 * (s + 2.0 * y * y),
            ],
            axis=1,
        )
        xx = radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
        xy = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y
        yy = radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
        return distorted, (xx, xy, yy)

    def _undistort(self, points: FloatArray) -> FloatArray:
        """Newton's method in two dimensions; started at the distorted point it comes from the safe side of the fold."""
        straight = np.array(points, np.float64)
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                distorted, (xx, xy, yy) = self._distort_with_jacobian(straight)
                off = distorted - points
                if not (np.abs(off) > _TOLERANCE).any():
                    break
                determinant = xx * yy - xy * xy
                straight[:, 0] -= (yy * off[:, 0] - xy * off[:, 1]) / determinant
                straight[:, 1] -= (xx * off[:, 1] - xy * off[:, 0]) / determinant
            off = self._distort(straight) - points
            arrived = (np.abs(off) < 1e-9).all(axis=1) & (np.hypot(straight[:, 0], straight[:, 1]) < self.radius_limit)
        straight[~arrived] = np.nan
        return straight


@dataclass(frozen=True)
class KannalaBrandt:
    """The fisheye of OpenCV: the radius is a polynomial of the angle off the axis (Kannala and Brandt 2006).

    Attributes:
        coefficients: k1 to k4; fewer mean zeros, none is the equidistant lens.
    """

    coefficients: tuple[float, ...] = ()

    def plane_from_direction(self, directions: FloatArray) -> FloatArray:
        """See `Lens`; rays up to 180° off the axis count."""
        across = np.hypot(directions[:, 0], directions[:, 1])
        angle = np.arctan2(across, directions[:, 2])
        angle[~(angle < self.angle_limit_rad)] = np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            heading = np.where(across[:, None] > 0.0, directions[:, :2] / across[:, None], 0.0)
        return heading * self._radius(angle)[:, None]

    def direction_from_plane(self, points: FloatArray) -> FloatArray:
        """See `Lens`."""
        radius = np.hypot(points[:, 0], points[:, 1])
        angle = self._angle(radius)
        with np.errstate(divide="ignore", invalid="ignore"):
            heading = np.where(radius[:, None] > 0.0, points / radius[:, None], 0.0)
        return np.concatenate([heading * np.sin(angle)[:, None], np.cos(angle)[:, None]], axis=1)

    @cached_property
    def angle_limit_rad(self) -> float:
        """Angle off the axis from which on the radius no longer grows, at most 180°."""
        k1, k2, k3, k4 = _padded(self.coefficients, 4)
        root = _first_positive_root(Polynomial([1.0, 3.0 * k1, 5.0 * k2, 7.0 * k3, 9.0 * k4]))
        return float(min(np.sqrt(root), np.pi))

    def _radius(self, angle: FloatArray) -> FloatArray:
        k1, k2, k3, k4 = _padded(self.coefficients, 4)
        s = angle * angle
        return np.asarray(angle * (1.0 + s * (k1 + s * (k2 + s * (k3 + s * k4)))))

    def _angle(self, radius: FloatArray) -> FloatArray:
        """Newton's method, kept between 0 and the limit."""
        k1, k2, k3, k4 = _padded(self.coefficients, 4)
        limit = self.angle_limit_rad
        angle = np.minimum(radius, limit)
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                off = self._radius(angle) - radius
                if not (np.abs(off) > _TOLERANCE).any():
                    break
                s = angle * angle
                slope = 1.0 + s * (3.0 * k1 + s * (5.0 * k2 + s * (7.0 * k3 + s * 9.0 * k4)))
                angle = np.clip(angle - off / slope, 0.0, limit)
            arrived = (np.abs(self._radius(angle) - radius) < 1e-9) & (angle < limit)
        return np.where(arrived, angle, np.nan)


def _padded(coefficients: Sequence[float], count: int) -> list[float]:
    return [*coefficients, *([0.0] * (count - len(coefficients)))]


def _first_positive_root(polynomial: Polynomial) -> float:
    """Smallest positive real root; infinite where there is none."""
    roots = polynomial.trim().roots()
    real = roots[np.abs(np.imag(roots)) < 1e-9 * np.maximum(np.abs(roots), 1e-300)].real
    positive = real[real > 0.0]
    return float(positive.min()) if positive.size else float("inf")
