"""Boards are found where they are; where they cannot be used, the reason is said."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from calibration.boards import Unusable, board_points, open_finder
from pipeline.errors import ConfigError
from pipeline.geometry.camera_model import CameraModel
from tests.calibration.board_photos import CAMERA, Placing, photograph, photograph_charuco, placings

FRONT = Placing(0.2, -0.25, 0.05, (0.5, -0.3, 14.0))


def true_corners(camera: CameraModel, placing: Placing, columns: int = 9, rows: int = 6) -> np.ndarray:
    board = board_points(columns, rows).astype(np.float64)
    return camera.image_from_camera(placing.camera_from_board(board, board.mean(axis=0))) - 0.5


@pytest.mark.parametrize("placing", placings(4, seed=3))
def test_corners_are_found_to_a_tenth_of_a_pixel(placing: Placing):
    corners = open_finder(9, 6).find(photograph(CAMERA, placing))
    off = np.linalg.norm(corners.pixels - true_corners(CAMERA, placing), axis=1)
    assert off.max() < 0.3
    assert np.sqrt((off**2).mean()) < 0.1
    assert corners.ids.tolist() == list(range(54))


def test_the_same_corner_comes_first_whichever_way_the_board_is_held():
    image = photograph(CAMERA, FRONT)
    finder = open_finder(9, 6)
    upright = finder.find(image).pixels
    upside_down = finder.find(np.ascontiguousarray(image[::-1, ::-1])).pixels
    np.testing.assert_allclose([639, 359] - upside_down, upright, atol=0.1)
    on_its_side = finder.find(np.ascontiguousarray(np.rot90(image))).pixels
    np.testing.assert_allclose(np.stack([639 - on_its_side[:, 1], on_its_side[:, 0]], axis=1), upright, atol=0.1)


def test_a_large_photo_is_searched_small_and_refined_large():
    large = replace(CAMERA, distortion=()).scaled_to((1080, 1920))
    corners = open_finder(9, 6).find(photograph(large, FRONT))
    assert np.abs(corners.pixels - true_corners(large, FRONT)).max() < 0.3


def test_a_board_that_is_cut_off_is_said_to_be():
    near_the_edge = replace(FRONT, middle=(8.5, -0.3, 14.0))
    with pytest.raises(Unusable, match=r"cut off by the edge of the picture: \d+x\d+ of its 9x6"):
        open_finder(9, 6).find(photograph(CAMERA, near_the_edge))


def test_a_blurred_board_is_said_to_be():
    with pytest.raises(Unusable, match="blurred"):
        open_finder(9, 6).find(np.asarray(cv2.GaussianBlur(photograph(CAMERA, FRONT), (0, 0), 5.0), np.uint8))


def test_a_wall_is_no_board_and_another_board_is_named():
    wall = np.random.default_rng(0).normal(120, 3, (360, 640)).clip(0, 255).astype(np.uint8)
    with pytest.raises(Unusable, match="no board with 9x6 inner corners found"):
        open_finder(9, 6).find(wall)
    with pytest.raises(Unusable, match="only a pattern of 7x5"):
        open_finder(9, 6).find(photograph(CAMERA, replace(FRONT, middle=(0.0, 0.5, 17.0)), 7, 5))


DICTIONARY = cv2.aruco.DICT_5X5_100


def test_charuco_corners_are_found_with_their_names_even_cut_off():
    finder = open_finder(8, 5, "DICT_5X5_100")
    whole = finder.find(photograph_charuco(CAMERA, FRONT, DICTIONARY, 8, 5))
    assert len(whole.ids) > 25
    assert np.abs(whole.pixels - true_corners(CAMERA, FRONT, 8, 5)[whole.ids]).max() < 0.3
    near_the_edge = replace(FRONT, middle=(8.0, -0.3, 14.0))
    part = finder.find(photograph_charuco(CAMERA, near_the_edge, DICTIONARY, 8, 5))
    assert 8 <= len(part.ids) < 40
    assert np.abs(part.pixels - true_corners(CAMERA, near_the_edge, 8, 5)[part.ids]).max() < 0.3


def test_a_mirrored_charuco_board_is_said_to_be():
    image = np.ascontiguousarray(photograph_charuco(CAMERA, FRONT, DICTIONARY, 8, 5)[:, ::-1])
    with pytest.raises(Unusable, match="mirrored"):
        open_finder(8, 5, "5X5_100").find(image)


def test_too_little_of_a_charuco_board_is_not_enough():
    image = photograph_charuco(CAMERA, FRONT, DICTIONARY, 8, 5)
    image[:, :380] = 120
    image[:150] = 120
    with pytest.raises(Unusable, match=r"too few corners: \d of 40 seen|no board found"):
        open_finder(8, 5, "DICT_5X5_100").find(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((2, 6, None), "--board 2x6: at least 3x3"),
        ((9, 6, "DICT_9X9_1"), "--charuco DICT_9X9_1: no such ArUco dictionary"),
        ((9, 6, "DICT_5X5_100", 1.5), "--marker-ratio 1.5"),
    ],
)
def test_a_board_that_cannot_be_is_refused(options: tuple, message: str):
    with pytest.raises(ConfigError, match=message):
        open_finder(*options)
