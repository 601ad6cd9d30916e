"""Cameras that hang upside down: planes and picture are turned alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.cameras.flip import turned
from pipeline.scene import Frame, YuvPlanes

TURNS = {
    "none": lambda image: image,
    "rotate-180": lambda image: image[::-1, ::-1],
    "horizontal": lambda image: image[:, ::-1],
    "vertical": lambda image: image[::-1],
    "clockwise": lambda image: np.rot90(image, -1),
    "counterclockwise": np.rot90,
}


@pytest.mark.parametrize("flip", TURNS)
def test_planes_and_picture_are_turned_alike(flip: str):
    rng = np.random.default_rng(3)
    y, u, v = (rng.integers(0, 256, size, np.uint8) for size in ((48, 64), (24, 32), (24, 32)))
    image = rng.integers(0, 256, (48, 64, 3), np.uint8)
    frame = Frame(0, 0.0, 0.0, (48, 64), image.copy, planes=YuvPlanes(y, u, v, "bt709", full_range=False))
    result = turned(frame, flip)
    assert result.planes is not None
    expected = TURNS[flip]
    np.testing.assert_array_equal(result.image, expected(image))
    for plane, before in zip((result.planes.y, result.planes.u, result.planes.v), (y, u, v), strict=True):
        np.testing.assert_array_equal(plane, expected(before))
    assert result.size_hw == expected(image).shape[:2]


def test_what_is_not_wanted_costs_nothing():
    frame = Frame(0, 0.0, 0.0, (2, 2), lambda: cv2.UMat(0, 0))  # would fail if it were called
    assert turned(frame, "none") is frame
    assert turned(frame, "rotate-180").size_hw == (2, 2)
