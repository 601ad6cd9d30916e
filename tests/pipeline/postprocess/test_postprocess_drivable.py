"""The drivable area on drawn streets, and its free space against a loop over columns."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.outline import outline
from pipeline.postprocess import DrivableRules, encode_runs, find_drivable
from pipeline.scene import DrivableArea

ROAD, GROUND, PERSON, CAR = range(4)
HEIGHT, WIDTH = 120, 200


def street() -> NDArray[np.uint8]:
    """Road narrowing from the full width at the bottom to a fifth of it at half height."""
    image = np.full((HEIGHT, WIDTH), GROUND, np.uint8)
    corners = np.array([[0, HEIGHT - 1], [WIDTH - 1, HEIGHT - 1], [120, 60], [80, 60]], np.int32)
    cv2.fillConvexPoly(image, corners, ROAD)
    return image


def drivable_of(class_ids: NDArray[np.uint8], rules: DrivableRules | None = None) -> DrivableArea:
    return find_drivable(encode_runs(class_ids), ROAD, [PERSON, CAR], rules)


def test_the_whole_road_is_drivable() -> None:
    image = street()
    drivable = drivable_of(image)
    np.testing.assert_array_equal(drivable.mask, image == ROAD)
    assert drivable.area_px == np.count_nonzero(image == ROAD)
    assert drivable.free_space_px[100] == 60
    assert drivable.mask.dtype == np.uint8
    assert drivable.free_space_px.dtype == np.int32


def test_a_piece_of_road_that_is_not_connected_is_left_out() -> None:
    image = street()
    image[62:80, 2:22] = ROAD  # a road beyond the verge: 18 x 20, far above any limit for noise
    drivable = drivable_of(image)
    assert not drivable.mask[62:80, 2:22].any()
    assert drivable.mask[70, 100]


def test_a_small_hole_is_closed_and_a_large_one_is_not() -> None:
    image = street()
    image[100:104, 60:65] = GROUND  # 20 px: below a thousandth of 24,000
    image[100:110, 120:140] = GROUND  # 200 px
    drivable = drivable_of(image)
    assert drivable.mask[100:104, 60:65].all()
    assert not drivable.mask[100:110, 120:140].any()
    assert drivable.area_px == drivable.mask.sum()


@pytest.mark.parametrize("obstacle", [PERSON, CAR])
def test_somebody_on_the_road_is_not_a_hole(obstacle: int) -> None:
    image = street()
    image[100:105, 100:104] = obstacle
    image[105, 99] = GROUND  # touching the hole only at a corner: a hole of its own
    drivable = drivable_of(image)
    assert not drivable.mask[100:105, 100:104].any()
    assert drivable.mask[105, 99]
    assert drivable.free_space_px[101] == 105


def test_a_hole_partly_of_ground_and_partly_of_somebody_stays_open() -> None:
    image = street()
    image[100:105, 100:102] = PERSON
    image[100:105, 102:104] = GROUND
    assert not drivable_of(image).mask[100:105, 100:104].any()


def test_a_notch_at_the_border_of_the_image_is_not_a_hole() -> None:
    image = street()
    image[-2:, 100:103] = GROUND
    assert not drivable_of(image).mask[-2:, 100:103].any()


def test_the_own_lane_is_seen_over_the_bonnet() -> None:
    image = street()
    image[95:] = CAR
    drivable = drivable_of(image)
    np.testing.assert_array_equal(drivable.mask, image == ROAD)


def test_reflections_on_the_bonnet_do_not_hide_the_road() -> None:
    image = street()
    image[95:] = CAR
    image[110, 90:112] = ROAD  # 22 px of "road" mirrored in the bonnet, a fifth as wide as the zone
    drivable = drivable_of(image)
    assert not drivable.mask[95:].any()
    assert drivable.mask[80, 100]


def test_a_car_ahead_does_not_cut_the_road_beyond_it_off() -> None:
    image = street()
    image[75:100, 85:115] = CAR
    drivable = drivable_of(image)
    np.testing.assert_array_equal(drivable.mask, image == ROAD)
    assert drivable.free_space_px[100] == 100


def test_road_only_at_the_far_sides_is_not_the_own_lane() -> None:
    image = np.full((HEIGHT, WIDTH), GROUND, np.uint8)
    image[80:, :40] = ROAD
    image[80:, 160:] = ROAD
    drivable = drivable_of(image)
    assert drivable.area_px == 0
    assert (drivable.free_space_px == -1).all()


@pytest.mark.parametrize("road", [None, 17])
def test_without_any_road_nothing_is_drivable(road: int | None) -> None:
    drivable = find_drivable(encode_runs(street()), road, [])
    assert drivable.area_px == 0
    assert not drivable.mask.any()
    assert drivable.polygon.shape == (0, 2)


def test_all_road() -> None:
    drivable = drivable_of(np.zeros((HEIGHT, WIDTH), np.uint8))
    assert drivable.area_px == HEIGHT * WIDTH
    assert (drivable.free_space_px == 0).all()


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    block=st.sampled_from([1, 2, 4]),
    size_hw=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_mask_and_free_space_on_noise(seed: int, block: int, size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    rng = np.random.default_rng(seed)
    image = (rng.random((height // block + 1, width // block + 1)) < 0.35).astype(np.uint8)
    image = np.ascontiguousarray(image.repeat(block, 0).repeat(block, 1)[:height, :width])
    rules = DrivableRules(ego_share=0.0, min_area=0.0, max_hole_area=0.01)  # every piece belongs to the own lane
    drivable = drivable_of(image, rules)

    expected = image == ROAD
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~expected).astype(np.uint8), connectivity=4)
    for hole in range(1, count):
        x, y, w, h, area = stats[hole]
        inside = x > 0 and y > 0 and x + w < width and y + h < height
        if inside and area <= 0.01 * height * width:
            expected[labels == hole] = True
    np.testing.assert_array_equal(drivable.mask, expected)
    assert drivable.area_px == expected.sum()

    for x in range(width):
        rows = np.flatnonzero(expected[:, x])
        top = -1
        if len(rows):
            top = rows[-1]
            while top > 0 and expected[top - 1, x]:
                top -= 1
        assert drivable.free_space_px[x] == top


def test_the_outline_follows_the_largest_part() -> None:
    mask = np.zeros((100, 150), np.uint8)
    cv2.fillConvexPoly(mask, np.array([[10, 90], [140, 90], [90, 20], [60, 20]], np.int32), 1)
    mask[5:10, 5:10] = 1
    polygon = outline(mask)
    assert polygon.dtype == np.int32
    assert 4 <= len(polygon) <= 8
    filled = np.zeros_like(mask)
    cv2.fillPoly(filled, [polygon], 1)
    assert np.count_nonzero(filled != mask) < 25 + 0.02 * mask.sum()


def test_the_outline_of_nothing_is_empty() -> None:
    assert outline(np.zeros((10, 10), np.uint8)).shape == (0, 2)
    assert outline(np.zeros((0, 0), np.uint8)).shape == (0, 2)
