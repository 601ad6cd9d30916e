"""How a camera hangs over the road, from marked road points whose distances from each other were measured.

Four or more points of a flat piece of road, picked in one picture and measured with a tape: the corners of a parking
bay, a zebra crossing, chalk crosses. Where they lie as a whole need not be known. A homography gives a first pose
(Collins and Bartoli 2014), Levenberg–Marquardt the one that fits best, with both the pixels and the tape allowed
their errors; its normal equations give the uncertainty.

    format = "clearway-marks/1"
    size_hw = [720, 1280]             # of the picture that they were picked in
    pixel_std_px = 1.0                # how well they were picked: standard deviation
    metre_std_m = 0.01                # and measured
    marks = [                         # pixels from the upper left corner; metres with y to the *left* of x
      {px = [412.0, 655.0], m = [0.0, 1.2]},
      ...
    ]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.geometry.calibration_files import Pixels, read_file

__all__ = ["GroundFit", "Mark", "MarksFile", "pose_from_marks", "read_marks"]

FloatArray = NDArray[np.float64]

MARKS_FORMAT: Final = "clearway-marks/1"

_FARTHEST_OFF = 5.0
"""A mark that lies off by more standard deviations than that was picked or measured wrong."""

_LEAST_SPREAD = 0.05
"""Marks whose width is less than this share of their length are a line, and a line does not fix a plane."""


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point of the road, in the picture and on the tape."""

    px: tuple[float, float]
    m: tuple[float, float]


class MarksFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of marks; the module's docstring shows one."""

    format: Literal["clearway-marks/1"] = MARKS_FORMAT
    size_hw: tuple[Pixels, Pixels]
    pixel_std_px: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    metre_std_m: Annotated[float, msgspec.Meta(ge=0)] = 0.01
    marks: tuple[Mark, ...]


@dataclass(frozen=True, eq=False)
class GroundFit:
    """What was measured.

    Attributes:
        pose: The camera over the road; its yaw is counted from the x axis of the marks.
        covariance: (3, 3) of (height_m, pitch_rad, roll_rad).
        rms_px: Root mean square distance between marks and their reprojection.
    """

    pose: CameraPose
    covariance: FloatArray
    rms_px: float

    @property
    def deviations(self) -> FloatArray:
        """Standard deviations of (height_m, pitch_rad, roll_rad)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))


def read_marks(path: Path) -> MarksFile:
    """Read a file of marks.

    Raises:
        ConfigError: It does not fit its format, or holds fewer than four marks.
    """
    content = read_file(path, MarksFile, MARKS_FORMAT)
    if len(content.marks) < 4:
        raise ConfigError(f"{path}: {len(content.marks)} marks; four or more are needed, spread over the road")
    return content


def pose_from_marks(camera: CameraModel, content: MarksFile) -> GroundFit:
    """Find the pose that explains the marks best.

    Args:
        camera: At the size of the picture that the marks were picked in.
        content: Four marks or more.

    Raises:
        ConfigError: The marks lie on a line, are mirrored, or contradict each other.
    """
    pixels = np.array([mark.px for mark in content.marks])
    metres = np.array([mark.m for mark in content.marks])
    start = _first_pose(camera, pixels, metres)
    whiten = _whitening(_tape_jacobian(camera, start, metres), content)
    values = _descend(lambda parameters: _residuals(camera, parameters, pixels, metres, whiten), start)
    off = _project(camera, values, metres) - pixels
    whitened = np.linalg.norm(_residuals(camera, values, pixels, metres, whiten).reshape(-1, 2), axis=1)
    worst = int(np.argmax(whitened))
    if not whitened[worst] < _FARTHEST_OFF:
        raise ConfigError(
            f"the marks contradict each other: mark {worst + 1} would lie {np.linalg.norm(off[worst]):.0f} px "
            "from where it was picked; check its pixels, its metres, and that the road is flat there"
        )
    jacobian = _jacobian(lambda parameters: _residuals(camera, parameters, pixels, metres, whiten), values)
    freedom = max(2 * len(metres) - 6, 1)
    scatter = max(1.0, float((whitened**2).sum()) / freedom)  # Believe the marks where they scatter more than was said.
    covariance = np.asarray(np.linalg.inv(jacobian.T @ jacobian)[:3, :3] * scatter, np.float64)
    return GroundFit(_pose(values), covariance, float(np.sqrt((off**2).sum(axis=1).mean())))


def _pose(parameters: FloatArray) -> CameraPose:
    height, pitch, roll, yaw = parameters[:4].tolist()
    return CameraPose(height, pitch, roll, yaw)


def _project(camera: CameraModel, parameters: FloatArray, metres: FloatArray) -> FloatArray:
    """(N, 2) pixels of marks; parameters are height, pitch, roll, yaw, and where among the marks the camera stands."""
    return RoadView(camera, _pose(parameters)).image_from_road(metres - parameters[4:])


def _first_pose(camera: CameraModel, pixels: FloatArray, metres: FloatArray) -> FloatArray:
    centred = metres - metres.mean(axis=0)
    length, width = np.linalg.svd(centred, compute_uv=False)
    if not width > _LEAST_SPREAD * length:
        raise ConfigError("the marks lie on a line; spread them over the width of the road too")
    rays = camera.camera_from_image(pixels)
    if not (rays[:, 2] > 0.0).all():
        raise ConfigError("a mark lies where the lens sees nothing; pick them nearer to the middle of the picture")
    flat = np.concatenate([centred, np.zeros((len(centred), 1))], axis=1)
    _, turns, shifts, errors = cv2.solvePnPGeneric(
        flat, rays[:, :2] / rays[:, 2:], np.eye(3), np.zeros(4), flags=cv2.SOLVEPNP_IPPE
    )
    best: FloatArray | None = None
    for turn, shift, _ in sorted(zip(turns, shifts, np.ravel(errors), strict=True), key=lambda entry: float(entry[2])):
        rotation = np.asarray(cv2.Rodrigues(turn)[0], np.float64)
        place = -rotation.T @ np.ravel(shift)
        if best is None and place[2] > 0.0:
            best = _parameters(rotation, place, metres.mean(axis=0))
    if best is None:
        raise ConfigError(
            "the marks are mirrored or in another order than in the picture; seen along x, y grows to the left"
        )
    return best


def _parameters(camera_from_marks: FloatArray, place: FloatArray, middle: FloatArray) -> FloatArray:
    """Height, pitch, roll, yaw and place, read off a rotation as `CameraPose` builds it."""
    up, forward = camera_from_marks[:, 2], camera_from_marks[2]
    pitch = np.arcsin(np.clip(-up[2], -1.0, 1.0))
    roll, yaw = np.arctan2(-up[0], -up[1]), np.arctan2(forward[1], forward[0])
    return np.array([place[2], pitch, roll, yaw, place[0] + middle[0], place[1] + middle[1]])


def _tape_jacobian(camera: CameraModel, parameters: FloatArray, metres: FloatArray) -> FloatArray:
    """(N, 2, 2) pixels by metre at each mark."""
    step = 1e-4
    columns = [
        (_project(camera, parameters, metres + offset) - _project(camera, parameters, metres - offset)) / (2.0 * step)
        for offset in (np.array([step, 0.0]), np.array([0.0, step]))
    ]
    return np.stack(columns, axis=2)


def _whitening(tape: FloatArray, content: MarksFile) -> FloatArray:
    """(N, 2, 2) that turn a mark's offset in pixels into standard deviations: picking and tape together."""
    spread = content.pixel_std_px**2 * np.eye(2) + content.metre_std_m**2 * tape @ tape.transpose(0, 2, 1)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(spread)))


def _residuals(
    camera: CameraModel, parameters: FloatArray, pixels: FloatArray, metres: FloatArray, whiten: FloatArray
) -> FloatArray:
    off = _project(camera, parameters, metres) - pixels
    return np.asarray(np.nan_to_num(np.einsum("nij,nj->ni", whiten, off), nan=1e6).ravel())


def _jacobian(residuals: Any, parameters: FloatArray) -> FloatArray:
    step = 1e-6
    shifts = np.eye(len(parameters)) * step
    columns = [(residuals(parameters + shift) - residuals(parameters - shift)) / (2.0 * step) for shift in shifts]
    return np.stack(columns, axis=1)


def _descend(residuals: Any, start: FloatArray) -> FloatArray:
    """Levenberg–Marquardt."""
    values, damping = start, 1e-3
    off = residuals(values)
    for _ in range(100):
        jacobian = _jacobian(residuals, values)
        normal = jacobian.T @ jacobian
        step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), jacobian.T @ off)
        attempt = residuals(values + step)
        if attempt @ attempt <= off @ off:
            values, off, damping = values + step, attempt, damping / 5.0
            if float(np.abs(step).max()) < 1e-10:
                break
        else:
            damping *= 5.0
    return values
