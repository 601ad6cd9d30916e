"""Shrinking by whole factors gives OpenCV's bits, whatever it is that shrinks."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.kernels.sampling import AREA_FROM_FACTOR
from pipeline.shrinking import resized

FACTORS = st.integers(1, 13)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 13),
    st.integers(1, 13),
    st.integers(1, 9),
    st.integers(1, 70),
    st.booleans(),
)
def test_whole_factors(seed: int, down: int, across: int, rows: int, columns: int, has_ties: bool) -> None:
    noise = np.random.default_rng(seed)
    wide = noise.integers(0, 256, (rows * down, columns * across + 5), np.uint8)
    if has_ties:  # Sums that lie half way between two grey levels.
        wide = (wide & 1) + np.uint8(100)
    plane = wide[:, : columns * across]  # Rows do not follow one another, as in a decoder's planes.
    small = resized(plane, (rows, columns))
    assert small.shape == (rows, columns)
    mode = cv2.INTER_AREA if max(down, across) >= AREA_FROM_FACTOR else cv2.INTER_LINEAR
    np.testing.assert_array_equal(small, cv2.resize(plane, (columns, rows), interpolation=mode))


def test_a_white_picture_stays_white_however_large_it_was() -> None:
    assert (resized(np.full((257 * 3, 600), 255, np.uint8), (3, 6)) == 255).all()


def test_other_factors_and_colour_pictures_go_to_opencv() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    for size_hw in ((30, 40), (60, 80), (85, 110), (180, 240)):
        mode = cv2.INTER_AREA if 90 / size_hw[0] >= AREA_FROM_FACTOR else cv2.INTER_LINEAR
        np.testing.assert_array_equal(resized(picture, size_hw), cv2.resize(picture, size_hw[::-1], interpolation=mode))
    assert resized(picture, (90, 120)) is picture
