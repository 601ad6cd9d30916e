"""Finds calibration boards in photos, or says why a photo cannot be used.

Two boards: the plain chessboard, which must lie wholly in the picture (sector-based detector of Duda and Frese,
"Accurate detection and localization of checkerboard corners for calibration", BMVC 2018), and ChArUco, whose markers
name every corner, so that a board may be cut off (Garrido-Jurado et al. 2014). Corners are in OpenCV's pixels: (0, 0)
is the centre of the upper left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError

__all__ = ["BoardFinder", "CharucoFinder", "ChessboardFinder", "Corners", "Unusable", "open_finder"]

GrayImage = NDArray[np.uint8]

_SEARCH_PX = (1600, 1000)
"""Boards are searched for in pictures reduced to these sizes, one after the other; then refined in the photo itself."""

_EDGE_SHARE = 0.25
"""Black-to-white edges wider than this share of a square make a photo blurred."""

_CONTRAST = 20.0
"""Grey levels between dark and light squares."""

_CHARUCO_CORNERS = 8
"""Fewer corners than that pin down too little of a view."""


class Unusable(Exception):  # noqa: N818 - not an error of the program: it carries a reason to the report
    """Why a photo cannot be used, in words for the user."""


@dataclass(frozen=True, eq=False, slots=True)
class Corners:
    """The inner corners of a board in one photo.

    Attributes:
        pixels: (N, 2) float32, OpenCV's pixel coordinates.
        ids: (N,) int32 indices into `BoardFinder.points`.
    """

    pixels: NDArray[np.float32]
    ids: NDArray[np.int32]


class BoardFinder(Protocol):
    """Something that knows one kind of board.

    Attributes:
        columns: Inner corners along the board.
        rows: Inner corners across the board.
        turnable: Whether the board looks the same after half a turn, so that nobody can say which corner is first.
    """

    columns: int
    rows: int
    turnable: bool

    def find(self, image: GrayImage) -> Corners:
        """The corners in an (H, W) uint8 photo.

        Raises:
            Unusable: The board is not there, or not well enough.
        """


def open_finder(columns: int, rows: int, dictionary: str | None = None, marker_ratio: float = 0.75) -> BoardFinder:
    """A finder for a chessboard, or for a ChArUco board where a dictionary is named.

    Args:
        columns: Inner corners along the board: one less than squares.
        rows: Inner corners across the board.
        dictionary: Name of an ArUco dictionary, for instance ``"DICT_5X5_100"``, with or without ``DICT_``.
        marker_ratio: Side of a marker over side of a square.

    Raises:
        ConfigError: There is no such board or dictionary.
    """
    if min(columns, rows) < 3:
        raise ConfigError(
            f"--board {columns}x{rows}: at least 3x3 inner corners are needed (count corners, not squares)"
        )
    if dictionary is None:
        return ChessboardFinder(columns, rows)
    return CharucoFinder(columns, rows, dictionary, marker_ratio)


def board_points(columns: int, rows: int) -> NDArray[np.float32]:
    """(columns * rows, 3) float32 inner corners in units of a square, row by row, on the plane z = 0."""
    grid = np.mgrid[0:rows, 0:columns].astype(np.float32)
    return np.stack([grid[1].ravel(), grid[0].ravel(), np.zeros(rows * columns, np.float32)], axis=1)


class ChessboardFinder:
    """A plain chessboard, wholly in the picture."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.turnable = (columns + rows) % 2 == 0

    def find(self, image: GrayImage) -> Corners:
        """See `BoardFinder`."""
        for size_px in _SEARCH_PX:
            scale = min(1.0, size_px / max(image.shape))
            small = _shrunk(image, scale)
            found = self._search(small)
            if found is not None or scale == 1.0:
                break
        if found is None:
            raise Unusable(self._why_not(small))
        grid = _refined(image, (self._in_order(small, found) + 0.5) / scale - 0.5)
        self._refuse_blur(image, grid)
        return Corners(grid.reshape(-1, 2), np.arange(self.columns * self.rows, dtype=np.int32))

    def _search(self, image: GrayImage) -> NDArray[np.float32] | None:
        """(rows, columns, 2) corners in any order, or None: first the quick way, then the thorough one."""
        for effort in (0, cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY):
            flags = cv2.CALIB_CB_NORMALIZE_IMAGE | effort
            found, corners = cv2.findChessboardCornersSB(image, (self.columns, self.rows), flags=flags)
            if found:
                return np.asarray(corners, np.float32).reshape(self.rows, self.columns, 2)
        return None

    def _in_order(self, image: GrayImage, grid: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same corner first in every photo: columns turn clockwise into rows, the first square is dark."""
        along, across = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
        if along[0] * across[1] - along[1] * across[0] < 0.0:
            grid = grid[::-1]
        if not self.turnable and _cell_mean(image, grid[:2, :2]) > _cell_mean(image, grid[:2, 1:3]):
            grid = grid[::-1, ::-1]
        return np.ascontiguousarray(grid)

    def _refuse_blur(self, image: GrayImage, grid: NDArray[np.float32]) -> None:
        width_px = _edge_width_px(image, grid)
        square_px = float(np.median(np.linalg.norm(np.diff(grid, axis=1), axis=2)))
        if width_px > _EDGE_SHARE * square_px:
            raise Unusable(f"blurred: edges are {width_px:.1f} px wide on squares of {square_px:.0f} px")

    def _why_not(self, image: GrayImage) -> str:
        """What is wrong with a photo in which the board was not found."""
        wanted = f"{self.columns}x{self.rows}"
        piece = self._search_piece(image)
        if piece is None:
            quarter = _shrunk(image, 0.25)
            if min(quarter.shape) >= 60 and self._search(quarter) is not None:
                return "blurred: the board only shows in a picture of a quarter of the size"
            return f"no board with {wanted} inner corners found"
        rows, columns = piece.shape[:2]
        part = f"{max(rows, columns)}x{min(rows, columns)}"
        if rows * columns < self.rows * self.columns and _reaches_edge(piece, image.shape):
            return f"the board is cut off by the edge of the picture: {part} of its {wanted} inner corners are seen"
        return (
            f"no board with {wanted} inner corners found, only a pattern of {part} (hidden in part, or another board?)"
        )

    @staticmethod
    def _search_piece(image: GrayImage) -> NDArray[np.float32] | None:
        """(r, c, 2) corners of the largest chessboard pattern of any size, or None."""
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_LARGER
        found, corners, meta = cv2.findChessboardCornersSBWithMeta(image, (3, 3), flags)
        if not found:
            return None
        rows, columns = np.asarray(meta).shape[:2]
        piece = np.asarray(corners, np.float32).reshape(rows, columns, 2)
        # An equalised histogram makes chessboards of the noise of a wall; real ones have contrast.
        contrast = abs(_cell_mean(image, piece[:2, :2]) - _cell_mean(image, piece[:2, 1:3]))
        return piece if contrast > _CONTRAST else None


class CharucoFinder:
    """A chessboard with ArUco markers in its white squares; it may be cut off or hidden in part.

    Args:
        columns: Inner corners along the board.
        rows: Inner corners across the board.
        dictionary: Name of the ArUco dictionary.
        marker_ratio: Side of a marker over side of a square.
    """

    turnable = False

    def __init__(self, columns: int, rows: int, dictionary: str, marker_ratio: float) -> None:
        name = dictionary.upper() if dictionary.upper().startswith("DICT_") else f"DICT_{dictionary.upper()}"
        number = getattr(cv2.aruco, name, None)
        if number is None:
            raise ConfigError(
                f"--charuco {dictionary}: no such ArUco dictionary; for instance DICT_4X4_50, DICT_5X5_100"
            )
        if not 0.0 < marker_ratio < 1.0:
            raise ConfigError(f"--marker-ratio {marker_ratio:g}: markers are smaller than squares, between 0 and 1")
        self.columns, self.rows = columns, rows
        markers = cv2.aruco.getPredefinedDictionary(number)
        self._detectors = [self._detector(markers, marker_ratio, legacy) for legacy in (False, True)]

    def _detector(self, markers: Any, marker_ratio: float, legacy: bool) -> Any:
        """`legacy`: boards from before OpenCV 4.6 start with a marker where newer ones start with a black square."""
        board = cv2.aruco.CharucoBoard((self.columns + 1, self.rows + 1), 1.0, marker_ratio, markers)
        board.setLegacyPattern(legacy)
        return cv2.aruco.CharucoDetector(board)

    def find(self, image: GrayImage) -> Corners:
        """See `BoardFinder`."""
        corners = self._best(image)
        if len(corners.ids) >= _CHARUCO_CORNERS and self._spans(corners.ids):
            return corners
        if len(self._best(np.ascontiguousarray(image[:, ::-1])).ids) > max(_CHARUCO_CORNERS, len(corners.ids)):
            raise Unusable("mirrored: switch off mirroring in the camera, and do not mirror the photos")
        if not len(corners.ids):
            raise Unusable("no board found (is it this dictionary, and are the markers sharp and lit?)")
        total = self.columns * self.rows
        raise Unusable(
            f"too few corners: {len(corners.ids)} of {total} seen, {_CHARUCO_CORNERS} in two rows are needed"
        )

    def _best(self, image: GrayImage) -> Corners:
        attempts = [self._detect(detector, image) for detector in self._detectors]
        return max(attempts, key=lambda attempt: len(attempt.ids))

    def _detect(self, detector: Any, image: GrayImage) -> Corners:
        corners, ids, _, _ = detector.detectBoard(image)
        if corners is None or ids is None:
            return Corners(np.empty((0, 2), np.float32), np.empty(0, np.int32))
        names = np.asarray(ids, np.int32).ravel()
        pixels = np.asarray(corners, np.float32).reshape(-1, 2)
        neighbours = (np.diff(names) == 1) & (np.diff(names // self.columns) == 0)
        if not neighbours.any():
            return Corners(pixels, names)
        # OpenCV 4 gives these corners half a pixel off, OpenCV 5 does not; markers begin an eighth of a square away.
        spacing_px = float(np.linalg.norm(np.diff(pixels, axis=0), axis=1)[neighbours].min())
        return Corners(_settled(image, pixels, int(np.clip(spacing_px / 10.0, 2, 8))), names)

    def _spans(self, ids: NDArray[np.int32]) -> bool:
        """Whether the corners lie in more than one row and column: a line tells nothing about a plane."""
        return len(np.unique(ids // self.columns)) > 1 and len(np.unique(ids % self.columns)) > 1


def _shrunk(image: GrayImage, scale: float) -> GrayImage:
    if scale >= 1.0:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _refined(image: GrayImage, grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners put right in the photo itself (Förstner's method).

    The search works on an equalised histogram, which shifts its corners by some 0.2 px.
    """
    spacing_px = min(float(np.linalg.norm(np.diff(grid, axis=axis), axis=2).min()) for axis in (0, 1))
    return _settled(image, grid.reshape(-1, 2), int(np.clip(spacing_px / 6.0, 3, 12))).reshape(grid.shape)


def _settled(image: GrayImage, corners: NDArray[np.float32], reach_px: int) -> NDArray[np.float32]:
    """(N, 2) corners moved to where the gradients within reach say that they are."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 60, 1e-4)
    flat = np.ascontiguousarray(corners.reshape(-1, 1, 2), np.float32)
    moved = cv2.cornerSubPix(image, flat, (reach_px, reach_px), (-1, -1), criteria)
    return np.asarray(moved, np.float32).reshape(-1, 2)


def _cell_mean(image: GrayImage, cell: NDArray[np.float32]) -> float:
    """Mean brightness of the middle of a square, given its (2, 2, 2) corners."""
    middle = cell.reshape(4, 2).mean(axis=0)
    reach = max(1, int(np.linalg.norm(cell[0, 1] - cell[0, 0]) / 6.0))
    column, row = (round(float(value)) for value in middle)
    patch = image[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    return float(patch.mean()) if patch.size else 0.0


def _edge_width_px(image: GrayImage, grid: NDArray[np.float32]) -> float:
    """Median 10-90 % width of the edges between squares; a reflection on some of them does not count."""
    rows, columns = grid.shape[:2]
    corners = np.ascontiguousarray(grid.reshape(-1, 1, 2))
    _, edges = cv2.estimateChessboardSharpness(image, (columns, rows), corners)
    return float(np.median(np.asarray(edges)[:, 2]))


def _reaches_edge(piece: NDArray[np.float32], shape: tuple[int, ...]) -> bool:
    """Whether the squares around the piece leave the picture; the outermost ones are never found."""
    height, width = shape[:2]
    beyond = np.concatenate(
        [
            3 * piece[0] - 2 * piece[1],
            3 * piece[-1] - 2 * piece[-2],
            3 * piece[:, 0] - 2 * piece[:, 1],
            3 * piece[:, -1] - 2 * piece[:, -2],
        ]
    )
    return bool((beyond < 0).any() or (beyond > [width - 1, height - 1]).any())
