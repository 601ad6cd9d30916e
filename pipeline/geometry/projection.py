"""`RoadView` point by point, compiled: for the loops that ask for some thousand points of every frame.

The same formulas as `pipeline.geometry.lens` and `pipeline.geometry.road_view`, which say where they come from; tests
hold the two together. A view is handed over as one array (`packed_view`), so that kernels need no objects.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.camera_model import CameraModel
from pipeline.geometry.camera_pose import CameraPose
from pipeline.geometry.lens import BrownConrady
from pipeline.jit import kernel

__all__ = ["distance_and_std", "pack_view", "pixel_of_road", "road_of_pixel"]

FloatArray = NDArray[np.float64]

_FX, _FY, _CX, _CY, _LENS, _LIMIT, _HEIGHT = range(7)
_LENS_AT, _TURN_AT, _BY_PITCH_AT, _BY_ROLL_AT, _COVARIANCE_AT, _SIZE = 7, 15, 24, 33, 42, 51
"""Where things lie in the array: 8 coefficients, then the rotation and its derivatives, row by row."""

_PINHOLE, _BROWN, _FISHEYE = 0.0, 1.0, 2.0
_PIXEL_STEP = 0.1
_STEPS, _TOLERANCE, _ARRIVED = 50, 1e-12, 1e-9


def pack_view(camera: CameraModel, pose: CameraPose, pose_covariance: FloatArray) -> FloatArray:
    """(51,) everything that kernels need of a view, of whose height, pitch and roll the covariance is (3, 3)."""
    lens = camera.lens
    packed = np.zeros(_SIZE)
    packed[:_LENS] = camera.fx, camera.fy, camera.cx, camera.cy
    if isinstance(lens, BrownConrady):
        packed[_LENS] = _BROWN if any(lens.coefficients) else _PINHOLE
        packed[_LIMIT] = lens.radius_limit
    else:
        packed[_LENS], packed[_LIMIT] = _FISHEYE, camera.lens.angle_limit_rad  # type: ignore[attr-defined]
    packed[_HEIGHT] = pose.height_m
    packed[_LENS_AT : _LENS_AT + len(camera.distortion)] = camera.distortion
    turn = pose.camera_from_road_rotation
    packed[_TURN_AT:_BY_PITCH_AT] = turn.ravel()
    # Pitch turns about what was the right axis before the roll, roll about the optical axis.
    sine, cosine = math.sin(pose.roll_rad), math.cos(pose.roll_rad)
    by_pitch = packed[_BY_PITCH_AT:_BY_ROLL_AT].reshape(3, 3)
    by_pitch[0], by_pitch[1], by_pitch[2] = -sine * turn[2], -cosine * turn[2], sine * turn[0] + cosine * turn[1]
    by_roll = packed[_BY_ROLL_AT:_COVARIANCE_AT].reshape(3, 3)
    by_roll[0], by_roll[1] = turn[1], -turn[0]
    packed[_COVARIANCE_AT:] = pose_covariance.ravel()
    return packed


@kernel()
def pixel_of_road(packed: FloatArray, x_m: float, y_m: float) -> tuple[float, float]:
    """Where a point of the road appears; NaN behind the camera and where the lens sees nothing."""
    turn, down = packed[_TURN_AT:_BY_PITCH_AT], -packed[_HEIGHT]
    x = turn[0] * x_m + turn[1] * y_m + turn[2] * down
    y = turn[3] * x_m + turn[4] * y_m + turn[5] * down
    z = turn[6] * x_m + turn[7] * y_m + turn[8] * down
    if packed[_LENS] == _FISHEYE:
        across = math.hypot(x, y)
        angle = math.atan2(across, z)
        if not angle < packed[_LIMIT]:
            return math.nan, math.nan
        share = _fisheye_radius(packed, angle)[0] / across if across > 0.0 else 0.0
        u, v = x * share, y * share
    else:
        if not z > 0.0:
            return math.nan, math.nan
        u, v = x / z, y / z
        if packed[_LENS] == _BROWN:
            if not math.hypot(u, v) < packed[_LIMIT]:
                return math.nan, math.nan
            u, v, _, _, _ = _distorted(packed, u, v)
    return u * packed[_FX] + packed[_CX], v * packed[_FY] + packed[_CY]


@kernel()
def road_of_pixel(packed: FloatArray, column: float, row: float) -> tuple[float, float]:
    """Where the ray of a pixel meets the road; NaN at and above the horizon, and where no ray leads to it."""
    x, y, z = _ray(packed, column, row)
    turn = packed[_TURN_AT:_BY_PITCH_AT]
    descent = -(turn[2] * x + turn[5] * y + turn[8] * z)
    if not descent > 0.0:
        return math.nan, math.nan
    way = packed[_HEIGHT] / descent
    return (turn[0] * x + turn[3] * y + turn[6] * z) * way, (turn[1] * x + turn[4] * y + turn[7] * z) * way


@kernel()
def distance_and_std(
    packed: FloatArray, column: float, row: float, pixel_std_px: float
) -> tuple[float, float, float, float]:
    """(x, y) where the ray of a pixel meets the road, the ground distance, and its standard deviation.

    As `RoadView.distance_std_m`: pixel, height, pitch and roll errors, carried over to first order.
    """
    x_m, y_m = road_of_pixel(packed, column, row)
    distance = math.hypot(x_m, y_m)
    if not distance > 0.0:
        return x_m, y_m, distance, math.nan
    towards_x, towards_y = x_m / distance, y_m / distance
    right, left = road_of_pixel(packed, column + _PIXEL_STEP, row), road_of_pixel(packed, column - _PIXEL_STEP, row)
    below, above = road_of_pixel(packed, column, row + _PIXEL_STEP), road_of_pixel(packed, column, row - _PIXEL_STEP)
    across = towards_x * (right[0] - left[0]) + towards_y * (right[1] - left[1])
    down = towards_x * (below[0] - above[0]) + towards_y * (below[1] - above[1])
    variance = (across * across + down * down) * (0.5 * pixel_std_px / _PIXEL_STEP) ** 2
    ray = _ray(packed, column, row)
    by_pitch = _outward(packed, ray, packed[_BY_PITCH_AT:_BY_ROLL_AT], towards_x, towards_y)
    by_roll = _outward(packed, ray, packed[_BY_ROLL_AT:_COVARIANCE_AT], towards_x, towards_y)
    by = (distance / packed[_HEIGHT], by_pitch, by_roll)
    for i in range(3):
        for j in range(3):
            variance += by[i] * by[j] * packed[_COVARIANCE_AT + 3 * i + j]
    return x_m, y_m, distance, math.sqrt(variance)


@kernel(inner=True)
def _outward(
    packed: FloatArray, ray: tuple[float, float, float], by: FloatArray, towards_x: float, towards_y: float
) -> float:
    """Metres by radian: how a landing point moves away when the camera turns."""
    x, y, z = ray
    turn = packed[_TURN_AT:_BY_PITCH_AT]
    descent = -(turn[2] * x + turn[5] * y + turn[8] * z)
    steeper = -(by[2] * x + by[5] * y + by[8] * z)
    way = packed[_HEIGHT] / descent
    forward, leftward = turn[0] * x + turn[3] * y + turn[6] * z, turn[1] * x + turn[4] * y + turn[7] * z
    moved_x = (by[0] * x + by[3] * y + by[6] * z) - forward * steeper / descent
    moved_y = (by[1] * x + by[4] * y + by[7] * z) - leftward * steeper / descent
    outward: float = (towards_x * moved_x + towards_y * moved_y) * way
    return outward


@kernel(inner=True)
def _ray(packed: FloatArray, column: float, row: float) -> tuple[float, float, float]:
    """The direction that a pixel looks along, of any length; NaN where there is none."""
    u, v = (column - packed[_CX]) / packed[_FX], (row - packed[_CY]) / packed[_FY]
    if packed[_LENS] == _FISHEYE:
        radius = math.hypot(u, v)
        angle = _fisheye_angle(packed, radius)
        share = math.sin(angle) / radius if radius > 0.0 else 0.0
        return u * share, v * share, math.cos(angle)
    if packed[_LENS] == _BROWN:
        u, v = _undistorted(packed, u, v)
    return u, v, 1.0


@kernel(inner=True)
def _distorted(packed: FloatArray, x: float, y: float) -> tuple[float, float, float, float, float]:
    """A point behind a Brown–Conrady lens, and dx'/dx, dx'/dy = dy'/dx, dy'/dy there."""
    k1, k2, p1, p2 = packed[_LENS_AT], packed[_LENS_AT + 1], packed[_LENS_AT + 2], packed[_LENS_AT + 3]
    k3, k4, k5, k6 = packed[_LENS_AT + 4], packed[_LENS_AT + 5], packed[_LENS_AT + 6], packed[_LENS_AT + 7]
    s = x * x + y * y
    over, under = 1.0 + s * (k1 + s * (k2 + s * k3)), 1.0 + s * (k4 + s * (k5 + s * k6))
    radial = over / under
    slope = (k1 + s * (2.0 * k2 + s * 3.0 * k3) - radial * (k4 + s * (2.0 * k5 + s * 3.0 * k6))) / under
    return (
        x * radial + 2.0 * p1 * x * y + p2 * (s + 2.0 * x * x),
        y * radial + 2.0 * p2 * x * y + p1 * (s + 2.0 * y * y),
        radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x,
        2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y,
        radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x,
    )


@kernel(inner=True)
def _undistorted(packed: FloatArray, u: float, v: float) -> tuple[float, float]:
    """Newton's method, started at the distorted point."""
    x, y = u, v
    for _ in range(_STEPS):
        at_x, at_y, xx, xy, yy = _distorted(packed, x, y)
        off_x, off_y = at_x - u, at_y - v
        if not (abs(off_x) > _TOLERANCE or abs(off_y) > _TOLERANCE):
            break
        determinant = xx * yy - xy * xy
        x -= (yy * off_x - xy * off_y) / determinant
        y -= (xx * off_y - xy * off_x) / determinant
    at_x, at_y, _, _, _ = _distorted(packed, x, y)
    arrived = abs(at_x - u) < _ARRIVED and abs(at_y - v) < _ARRIVED and math.hypot(x, y) < packed[_LIMIT]
    return (x, y) if arrived else (math.nan, math.nan)


@kernel(inner=True)
def _fisheye_radius(packed: FloatArray, angle: float) -> tuple[float, float]:
    """The radius at an angle off the axis, and how fast it grows there."""
    k1, k2, k3, k4 = packed[_LENS_AT], packed[_LENS_AT + 1], packed[_LENS_AT + 2], packed[_LENS_AT + 3]
    s = angle * angle
    radius = angle * (1.0 + s * (k1 + s * (k2 + s * (k3 + s * k4))))
    slope = 1.0 + s * (3.0 * k1 + s * (5.0 * k2 + s * (7.0 * k3 + s * 9.0 * k4)))
    return radius, slope


@kernel(inner=True)
def _fisheye_angle(packed: FloatArray, radius: float) -> float:
    limit: float = packed[_LIMIT]
    angle = min(radius, limit)
    for _ in range(_STEPS):
        at, slope = _fisheye_radius(packed, angle)
        if not abs(at - radius) > _TOLERANCE:
            break
        angle = min(max(angle - (at - radius) / slope, 0.0), limit)
    arrived = abs(_fisheye_radius(packed, angle)[0] - radius) < _ARRIVED and angle < limit
    return angle if arrived else math.nan
