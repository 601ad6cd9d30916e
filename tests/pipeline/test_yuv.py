"""BGR to 4:2:0 against the standard's formulas in floating point."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.yuv import fill_planes, yuv_weights


def converted(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = picture.shape[:2]
    y, u, v = (np.empty(shape, np.uint8) for shape in ((height, width), *[(height // 2, width // 2)] * 2))
    fill_planes(picture.reshape(height, -1), yuv_weights(), y, u, v)
    return y, u, v


def by_the_standard(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ITU-R BT.709-6, 3.2 to 3.4, limited range; colour of the mean of four pixels."""

    def planes(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        blue, green, red = np.moveaxis(bgr / 255, -1, 0)
        luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748

    height, width = picture.shape[:2]
    quarter = picture.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    return planes(picture)[0], planes(quarter)[1], planes(quarter)[2]


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 20)).flatmap(
        lambda halves: arrays.arrays(np.uint8, (2 * halves[0], 2 * halves[1], 3))
    )
)
def test_planes_are_the_standards_rounded(picture: np.ndarray):
    for ours, exact in zip(converted(picture), by_the_standard(picture), strict=True):
        assert np.abs(ours - exact).max() <= 0.51  # coefficients of 16 bits


def test_black_white_and_the_primaries_keep_to_the_limited_range():
    colors = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    planes = [converted(np.tile(color, (2, 2, 1)).reshape(2, 2, 3)) for color in colors]
    assert [int(y[0, 0]) for y, _, _ in planes] == [16, 235, 32, 173, 63]
    assert [(int(u[0, 0]), int(v[0, 0])) for _, u, v in planes] == [
        (128, 128), (128, 128), (240, 118), (42, 26), (102, 240)
    ]  # fmt: skip


def test_rows_may_be_strided():
    picture = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    wide = [np.zeros((4, 64), np.uint8), np.zeros((2, 64), np.uint8), np.zeros((2, 64), np.uint8)]
    fill_planes(picture.reshape(4, -1), yuv_weights(), wide[0][:, :6], wide[1][:, :3], wide[2][:, :3])
    for plane, expected in zip(wide, converted(picture), strict=True):
        np.testing.assert_array_equal(plane[:, : expected.shape[1]], expected)
        assert not plane[:, expected.shape[1] :].any()
