"""One fit of a camera to views of a board, by OpenCV; the differences between its versions end here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.boards import board_points
from calibration.views import View
from pipeline.errors import SourceError
from pipeline.geometry.camera_model import CameraModel

__all__ = ["Fit", "Solver", "board_bend", "board_stretch"]

FloatArray = NDArray[np.float64]
Board = NDArray[np.float32]
Arrays = list[NDArray[np.float32]]
Solution = tuple[Any, Any, Any, Any, Board]
"""Matrix, coefficients, rotation and translation vectors as OpenCV gives them, and the board."""

_LOST_PX2 = 1e8
"""Squared error of a corner that the fitted camera cannot see at all."""

_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-9)


@dataclass(frozen=True, eq=False)
class Fit:
    """A camera, the board, and how well they explain the views that they were fitted to.

    Attributes:
        camera: In Clearway's pixel coordinates.
        board: (K, 3) float32 corners of the board in squares; not all at z = 0 where it was found bent.
        squares_px2: By view, the (N,) squared distances of corners from their reprojection.
    """

    camera: CameraModel
    board: Board
    squares_px2: list[FloatArray]

    @property
    def rms_px(self) -> float:
        """Root mean square reprojection error over all views."""
        return float(np.sqrt(np.mean(np.concatenate(self.squares_px2))))

    @property
    def view_rms_px(self) -> list[float]:
        """Root mean square reprojection error by view."""
        return [float(np.sqrt(squares.mean())) for squares in self.squares_px2]

    def squares_of(self, view: View) -> FloatArray:
        """(N,) squared distances of a view's corners from their reprojection; only its pose is fitted."""
        corners, points = view.corners.pixels.astype(np.float64) + 0.5, self.board[view.corners.ids].astype(np.float64)
        rays = self.camera.camera_from_image(corners)
        with np.errstate(divide="ignore", invalid="ignore"):
            plane = rays[:, :2] / np.where(rays[:, 2:] > 0.0, rays[:, 2:], np.nan)
        usable = np.isfinite(plane).all(axis=1)
        if usable.sum() < 6:
            return np.full(len(corners), _LOST_PX2)
        _, turn, shift = cv2.solvePnP(points[usable], plane[usable], np.eye(3), None)
        placed = points @ cv2.Rodrigues(turn)[0].T + shift.ravel()
        off = self.camera.image_from_camera(placed) - corners
        return np.asarray(np.nan_to_num((off**2).sum(axis=1), nan=_LOST_PX2))


@dataclass(frozen=True)
class Solver:
    """Fits one model.

    Attributes:
        columns: Inner corners along the board.
        rows: Inner corners across the board.
        size_hw: (H, W) of the photos.
        fisheye: Kannala–Brandt instead of Brown–Conrady.
        oblong: Estimate the pixels' shape too: fx and fy apart. Pinholes have square pixels otherwise.
        bent: Estimate the board's shape too; every view must show all of it.
        high_order: Estimate the highest radial coefficients too: k3 of a pinhole, k3 and k4 of a fisheye.
    """

    columns: int
    rows: int
    size_hw: tuple[int, int]
    fisheye: bool = False
    oblong: bool = False
    bent: bool = False
    high_order: bool = False

    def fit(self, views: Sequence[View]) -> Fit:
        """Fit the camera and the pose of the board in every view.

        Raises:
            SourceError: No camera explains the views.
        """
        board = board_points(self.columns, self.rows)
        points = [board[view.corners.ids] for view in views]
        pixels = [view.corners.pixels for view in views]
        try:
            matrix, distortion, turns, shifts, board = self._solve(board, points, pixels)
        except cv2.error as error:
            kind = "fisheye" if self.fisheye else "pinhole"
            raise SourceError(
                f"no {kind} camera explains these photos: the equations have no solution; "
                "take some with the board tilted, near and far, and in all parts of the picture"
            ) from error
        camera = CameraModel.from_opencv(matrix, distortion, self.size_hw, fisheye=self.fisheye)
        squares = [
            _squares(camera, board[view.corners.ids], turn, shift, view)
            for view, turn, shift in zip(views, turns, shifts, strict=True)
        ]
        return Fit(camera, board, squares)

    @property
    def _flags(self) -> int:
        higher = 0 if self.high_order else cv2.CALIB_FIX_K3
        return higher if self.oblong else higher | cv2.CALIB_FIX_ASPECT_RATIO

    def _solve(self, board: Board, points: Arrays, pixels: Arrays) -> Solution:
        if self.fisheye:
            return (*self._solve_fisheye(points, pixels), board)
        guess, size_wh = (np.eye(3), np.zeros(5)), self.size_hw[::-1]  # Of the guess only the aspect ratio is used.
        if not self.bent:
            _, matrix, distortion, turns, shifts = cv2.calibrateCamera(
                points, pixels, size_wh, *guess, flags=self._flags, criteria=_CRITERIA
            )
            return matrix, self._coefficients(distortion), turns, shifts, board
        flags = self._flags | cv2.CALIB_USE_LU  # QR, the default, takes fifty times as long for the same result.
        fixed = self.columns - 1  # With the first and the last corner it defines the board's frame and scale.
        _, matrix, distortion, turns, shifts, shape = cv2.calibrateCameraRO(
            points, pixels, size_wh, fixed, *guess, flags=flags, criteria=_CRITERIA
        )
        return matrix, self._coefficients(distortion), turns, shifts, np.asarray(shape, np.float32).reshape(-1, 3)

    def _solve_fisheye(self, points: Arrays, pixels: Arrays) -> tuple[Any, Any, Any, Any]:
        # OpenCV 5 moved the flags out of cv2.fisheye and gave them other values.
        names: Any = cv2.fisheye if hasattr(cv2.fisheye, "CALIB_FIX_SKEW") else cv2
        flags = names.CALIB_FIX_SKEW | names.CALIB_RECOMPUTE_EXTRINSIC
        if not self.high_order:
            flags |= names.CALIB_FIX_K3 | names.CALIB_FIX_K4
        _, matrix, distortion, turns, shifts = cv2.fisheye.calibrate(
            [entry.reshape(1, -1, 3).astype(np.float64) for entry in points],
            [entry.reshape(1, -1, 2).astype(np.float64) for entry in pixels],
            self.size_hw[::-1],
            np.zeros((3, 3)),
            np.zeros((4, 1)),
            flags=flags,
            criteria=_CRITERIA,
        )
        return matrix, distortion, turns, shifts

    def _coefficients(self, distortion: Any) -> FloatArray:
        return np.asarray(distortion).ravel()[: 5 if self.high_order else 4]


def board_bend(board: Board) -> float:
    """How far corners rise over or sink under the plane that fits them best, in squares."""
    centred = board.astype(np.float64) - board.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][2]
    return float(np.abs(centred @ normal).max()) if np.any(board[:, 2]) else 0.0


def board_stretch(board: Board) -> float:
    """How far any corner lies from where a perfect board has it, in squares."""
    columns = round(float(board[:, 0].max())) + 1
    return float(np.linalg.norm(board - board_points(columns, len(board) // columns), axis=1).max())


def _squares(camera: CameraModel, points: Board, turn: Any, shift: Any, view: View) -> FloatArray:
    placed = points.astype(np.float64) @ cv2.Rodrigues(turn)[0].T + np.asarray(shift).ravel()
    off = camera.image_from_camera(placed) - (view.corners.pixels + 0.5)
    return np.asarray(np.nan_to_num((off**2).sum(axis=1), nan=_LOST_PX2))
