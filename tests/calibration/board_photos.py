"""Photos of boards that were never printed: rendered through a known camera, so that the truth is exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from calibration.boards import Corners, board_points
from calibration.views import PhotoSet, View
from pipeline.geometry.camera_model import CameraModel

CAMERA = CameraModel((360, 640), 520.0, 520.0, 331.0, 174.0, (-0.22, 0.05, 0.0, 0.0))
"""A dashcam with its principal point off the middle."""


@dataclass(frozen=True)
class Placing:
    """Where a board is: tilts in radians, the middle of the board in the camera frame in squares."""

    tilt_x: float
    tilt_y: float
    turn: float
    middle: tuple[float, float, float]

    def camera_from_board(self, points: np.ndarray, board_middle: np.ndarray) -> np.ndarray:
        """(N, 3) points of the board in the camera frame."""
        rotation = np.eye(3)
        for axis, angle in enumerate((self.tilt_x, self.tilt_y, self.turn)):
            vector = np.zeros(3)
            vector[axis] = angle
            rotation = cv2.Rodrigues(vector)[0] @ rotation
        return (points - board_middle) @ rotation.T + np.array(self.middle)


def placings(count: int, seed: int = 0) -> list[Placing]:
    """Boards all over the picture, tilted all ways, near and far."""
    rng = np.random.default_rng(seed)
    chosen = []
    for _ in range(count):
        depth = rng.uniform(11.0, 17.0)
        across, down = rng.uniform(-0.3, 0.3) * depth, rng.uniform(-0.13, 0.13) * depth
        tilts = rng.uniform(0.15, 0.6, 2) * rng.choice([-1.0, 1.0], 2)
        chosen.append(Placing(tilts[0], tilts[1], rng.uniform(-0.15, 0.15), (across, down, depth)))
    return chosen


def views_of(
    camera: CameraModel,
    placed: list[Placing],
    columns: int = 9,
    rows: int = 6,
    *,
    noise_px: float = 0.1,
    bend_squares: float = 0.0,
    seed: int = 0,
) -> PhotoSet:
    """Corners as a perfect detector would see them, with noise; `bend_squares` lets the board's middle sag."""
    rng = np.random.default_rng(seed)
    board = board_points(columns, rows).astype(np.float64)
    middle = board.mean(axis=0)
    radius = np.linalg.norm((board - middle) / middle[:2].max(), axis=1)
    board[:, 2] = bend_squares * (1.0 - radius**2)
    ids = np.arange(len(board), dtype=np.int32)
    views = []
    for number, placing in enumerate(placed):
        pixels = camera.image_from_camera(placing.camera_from_board(board, middle)) - 0.5
        pixels += rng.normal(0.0, noise_px, pixels.shape)
        views.append(View(f"view{number}.png", camera.size_hw, Corners(pixels.astype(np.float32), ids)))
    return PhotoSet(camera.size_hw, tuple(views))


def photograph(camera: CameraModel, placing: Placing, columns: int = 9, rows: int = 6) -> np.ndarray:
    """(H, W) uint8 photo of a chessboard on a grey wall, four samples a pixel."""
    texture = np.indices((rows + 1, columns + 1)).sum(axis=0) % 2 * 215 + 20
    return _shot(camera, placing, np.kron(texture, np.ones((40, 40))).astype(np.uint8), columns, rows)


def photograph_charuco(camera: CameraModel, placing: Placing, dictionary: int, columns: int, rows: int) -> np.ndarray:
    """The same of a ChArUco board."""
    markers = cv2.aruco.getPredefinedDictionary(dictionary)
    board = cv2.aruco.CharucoBoard((columns + 1, rows + 1), 1.0, 0.75, markers)
    texture = board.generateImage((40 * (columns + 1), 40 * (rows + 1)))
    return _shot(camera, placing, texture, columns, rows)


def _shot(camera: CameraModel, placing: Placing, texture: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Cast a ray through every pixel and read the board's texture where it lands; a margin of paper is white."""
    height, width = camera.size_hw
    paper = cv2.copyMakeBorder(texture, 24, 24, 24, 24, cv2.BORDER_CONSTANT, value=235)
    paper = cv2.copyMakeBorder(paper, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=120)
    rays = _rays(camera)
    board_middle = np.array([(columns - 1) / 2, (rows - 1) / 2, 0.0])
    frame = placing.camera_from_board(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), board_middle)
    axes = np.stack([frame[1] - frame[0], frame[2] - frame[0]], axis=1)
    normal = np.cross(axes[:, 0], axes[:, 1])
    with np.errstate(all="ignore"):
        points = rays * ((frame[0] @ normal) / (rays @ normal))[:, None]
        squares = (points - frame[0]) @ axes
        squares[~(points[:, 2] > 0.0)] = -100.0
    # Corner (0, 0) lies one square, 24 px of paper and 2 px of wall into the texture.
    places = ((squares + 1.0) * 40.0 + 26.0 - 0.5).astype(np.float32).reshape(2 * height, 2 * width, 2)
    sampled = cv2.remap(paper, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    photo = sampled.reshape(height, 2, width, 2).mean(axis=(1, 3))
    noise = np.random.default_rng(1).normal(0.0, 2.0, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


@lru_cache(maxsize=2)
def _rays(camera: CameraModel) -> np.ndarray:
    """(4 H W, 3) directions of the quarters of all pixels."""
    height, width = camera.size_hw
    grid = np.indices((2 * height, 2 * width)).reshape(2, -1).T[:, ::-1] / 2.0 + 0.25
    return camera.camera_from_image(grid)
