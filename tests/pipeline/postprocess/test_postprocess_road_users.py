"""Road users cut out of drawn class maps, of noise, of a rendered drive and of real label maps."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.classes import CITYSCAPES, SegmentationClass
from pipeline.postprocess import InstanceRules, encode_runs, find_road_users
from pipeline.scene import RoadUser
from pipeline.synthetic import SyntheticDrive

ROAD, BUILDING, POLE, PERSON, RIDER, CAR = 0, 2, 5, 11, 12, 13
SURE = np.ones((1, 1), np.float32)


def found_in(
    class_ids: NDArray[np.uint8],
    classes: Sequence[SegmentationClass] = CITYSCAPES,
    confidence: NDArray[np.float32] = SURE,
    rules: InstanceRules | None = None,
) -> tuple[RoadUser, ...]:
    return find_road_users(encode_runs(class_ids), classes, confidence, rules)


def street() -> NDArray[np.uint8]:
    image = np.full((360, 640), BUILDING, np.uint8)
    image[200:] = ROAD
    return image


def draw_person(image: NDArray[np.uint8], x: int, foot: int, height: int, class_id: int = PERSON) -> None:
    """A head, shoulders and legs; some 0.35 of its height wide."""
    head, body = height * 0.08, height * 0.175
    cv2.circle(image, (x, int(foot - height + head)), int(head), class_id, -1)
    cv2.rectangle(image, (int(x - body), int(foot - height * 0.86)), (int(x + body), foot - 1), class_id, -1)


def test_a_person_is_described() -> None:
    image = street()
    image[150:250, 300:330] = PERSON
    image[250:300, 300:310] = PERSON  # stands on the left leg
    (person,) = found_in(image)
    assert person.class_name == "person"
    assert person.id == 1
    assert person.box_xyxy == (300, 150, 330, 300)
    assert person.foot_px == (305.0, 300.0)
    assert person.area_px == 100 * 30 + 50 * 10
    assert person.confidence == 1
    assert person.mask.dtype == np.uint8
    np.testing.assert_array_equal(person.mask, image[150:300, 300:330] == PERSON)


def test_all_kinds_are_found_largest_first() -> None:
    image = street()
    draw_person(image, 100, 260, 80)
    draw_person(image, 200, 300, 120, RIDER)
    image[180:280, 400:560] = CAR
    assert [(user.id, user.class_name) for user in found_in(image)] == [(1, "car"), (2, "rider"), (3, "person")]


def test_two_people_shoulder_to_shoulder_are_two() -> None:
    image = street()
    draw_person(image, 300, 290, 100)
    draw_person(image, 334, 290, 96)
    first, second = sorted(found_in(image), key=lambda user: user.box_xyxy)
    assert abs(first.box_xyxy[2] - 317) <= 12
    assert first.box_xyxy[2] == second.box_xyxy[0]
    assert abs(first.foot_px[0] - 300) < 6
    assert abs(second.foot_px[0] - 334) < 6


def test_two_people_cut_through_by_a_flaw_of_the_map_are_two() -> None:
    image = street()
    draw_person(image, 300, 290, 100)
    draw_person(image, 334, 290, 96)
    image[240, 200:400] = ROAD
    assert sorted(user.box_xyxy[3] for user in found_in(image)) == [290, 290]


def test_a_row_of_people_is_counted() -> None:
    image = street()
    for i, x in enumerate(range(200, 200 + 5 * 33, 33)):
        draw_person(image, x, 290, 100 + 4 * (i % 2))
    assert len(found_in(image)) == 5


def test_two_cars_bumper_to_bumper_are_two() -> None:
    image = street()
    for x in (200, 320):
        cv2.fillPoly(
            image, [np.array([[x, 260], [x, 225], [x + 25, 200], [x + 90, 200], [x + 120, 230], [x + 120, 260]])], CAR
        )
    assert [user.class_name for user in found_in(image)] == ["car", "car"]


@pytest.mark.parametrize("height", [30, 60, 150])
def test_one_person_stays_one(height: int) -> None:
    image = street()
    draw_person(image, 320, 320, height)
    assert len(found_in(image)) == 1


def test_a_person_behind_a_pole_is_one() -> None:
    image = street()
    draw_person(image, 300, 290, 120)
    image[:, 297:303] = POLE
    (person,) = found_in(image)
    assert person.box_xyxy == (279, 171, 322, 290)
    assert not person.mask[:, 297 - 279 : 303 - 279].any()


def test_people_apart_stay_apart_even_with_a_pole_between_them() -> None:
    image = street()
    draw_person(image, 280, 290, 120)
    draw_person(image, 332, 290, 120)
    image[:, 303:309] = POLE
    assert len(found_in(image)) == 2


def test_people_on_both_sides_of_a_pole_are_too_broad_for_one() -> None:
    image = street()
    draw_person(image, 280, 290, 120)
    draw_person(image, 326, 290, 120)
    image[:, 301:306] = POLE
    assert len(found_in(image)) == 2


def test_the_jitter_of_an_edge_does_not_cut() -> None:
    image = street()
    image[240:252, 300:308] = PERSON
    image[240, 304] = BUILDING
    assert len(found_in(image)) == 1
    image[241, 304] = BUILDING
    assert len(found_in(image)) == 2


def test_a_cyclist_whose_upper_half_was_taken_for_a_person_is_one_rider() -> None:
    image = street()
    draw_person(image, 300, 290, 120, RIDER)
    image[:225][image[:225] == RIDER] = PERSON
    (rider,) = found_in(image)
    assert rider.class_name == "rider"
    assert rider.box_xyxy[1::2] == (170, 290)


def test_somebody_far_behind_a_rider_stays_a_person() -> None:
    image = street()
    draw_person(image, 300, 300, 120, RIDER)
    draw_person(image, 300, 180, 80, PERSON)
    assert [user.class_name for user in found_in(image)] == ["rider", "person"]


def test_something_thin_that_is_no_pole_does_separate() -> None:
    image = street()
    draw_person(image, 300, 290, 120)
    image[:, 297:303] = BUILDING
    assert len(found_in(image)) == 2


def test_a_flaw_of_the_map_does_not_cut_a_person() -> None:
    image = street()
    draw_person(image, 300, 290, 120)
    image[230, 200:400] = ROAD
    (person,) = found_in(image)
    assert person.box_xyxy[1::2] == (170, 290)


def test_the_own_bonnet_is_no_road_user_and_a_car_at_the_bottom_is() -> None:
    image = street()
    cv2.ellipse(image, (320, 360), (300, 60), 0, 180, 360, CAR, -1)
    assert found_in(image) == ()
    image = street()
    image[100:, 100:500] = CAR
    assert len(found_in(image)) == 1


def test_specks_are_no_road_users() -> None:
    image = street()
    image[100:104, 50:55] = PERSON  # 20 px of 230,400
    assert found_in(image) == ()
    assert len(found_in(image, rules=InstanceRules(min_area=0))) == 1


def test_confidence_is_the_mean_of_the_grid_inside_the_mask() -> None:
    image = street()
    image[100:300, 100:200] = PERSON
    grid = np.random.default_rng(0).random((36, 64), np.float32)
    (person,) = found_in(image, confidence=grid)
    assert person.confidence == pytest.approx(grid[10:30, 10:20].mean(), rel=1e-5)
    image[100:300, 100:200] = BUILDING
    image[102:104, 132:135] = CAR  # between the grid points
    (car,) = found_in(image, confidence=grid, rules=InstanceRules(min_area=0))
    assert car.confidence == pytest.approx(grid[10, 13])


def test_a_model_without_road_users_finds_none() -> None:
    image = street()
    draw_person(image, 100, 260, 80)
    assert found_in(image, classes=[SegmentationClass(f"thing {i}", (0, 0, 0)) for i in range(19)]) == ()


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    block=st.sampled_from([1, 3, 8]),
    size_hw=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_whatever_the_map_the_masks_are_true_disjoint_and_tight(
    seed: int, block: int, size_hw: tuple[int, int]
) -> None:
    height, width = size_hw
    rng = np.random.default_rng(seed)
    palette = np.array([ROAD, POLE, PERSON, PERSON, RIDER, CAR], np.uint8)
    image = palette[rng.integers(0, 6, (height // block + 1, width // block + 1))]
    image = np.ascontiguousarray(image.repeat(block, 0).repeat(block, 1)[:height, :width])
    users = found_in(image, confidence=rng.random((3, 4), np.float32), rules=InstanceRules(min_area=0.002))
    taken = np.zeros(size_hw, np.bool_)
    for user in users:
        x1, y1, x2, y2 = user.box_xyxy
        mask = user.mask.astype(np.bool_)
        assert mask.shape == (y2 - y1, x2 - x1)
        assert mask.sum() == user.area_px >= 0.002 * height * width
        seen = {CITYSCAPES[class_id].name for class_id in np.unique(image[y1:y2, x1:x2][mask])}
        assert user.class_name in seen
        assert seen == {"car"} or seen <= {"person", "rider"}
        assert mask[0].any()
        assert mask[-1].any()
        assert mask[:, 0].any()
        assert mask[:, -1].any()
        assert not taken[y1:y2, x1:x2][mask].any()
        taken[y1:y2, x1:x2] |= mask
        lowest = np.flatnonzero(mask[-max((y2 - y1) // 20, 1) :].any(axis=0))
        assert x1 + lowest[0] <= user.foot_px[0] <= x1 + lowest[-1] + 1
        assert user.foot_px[1] == y2
        assert 0 <= user.confidence <= 1
    assert [user.id for user in users] == list(range(1, len(users) + 1))
    assert [user.area_px for user in users] == sorted((user.area_px for user in users), reverse=True)


def test_a_checkerboard_of_people_and_boxes_in_boxes_stay_within_reason() -> None:
    board = np.where(np.indices((360, 640)).sum(axis=0) % 2, PERSON, CAR).astype(np.uint8)
    assert len(found_in(board)) <= 2
    rings = (np.minimum.reduce(np.indices((360, 640))) // 2 % 2 * CAR).astype(np.uint8)
    assert sum(user.mask.size for user in found_in(rings)) <= 4 * rings.size


def test_people_and_riders_of_a_rendered_drive_are_told_apart() -> None:
    hits, found, true = 0, 0, 0
    drive = SyntheticDrive(seed=2, frame_count=120)
    for index in range(0, 120, 12):
        frame = drive.render(index)
        people = np.isin(frame.class_ids, [PERSON, RIDER])
        numbers, sizes = np.unique(frame.instance_ids[people], return_counts=True)
        truth = {number: size for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True) if size >= 40}
        users = [user for user in found_in(frame.class_ids) if user.class_name != "car"]
        found, true = found + len(users), true + len(truth)
        for user in users:
            x1, y1, x2, y2 = user.box_xyxy
            inside = frame.instance_ids[y1:y2, x1:x2][user.mask > 0]
            number = np.bincount(inside).argmax()
            shared = np.count_nonzero(inside == number)
            hits += shared > 0.5 * (truth.pop(int(number), 10**9) + user.area_px - shared)
    assert true > 30
    assert hits / found > 0.75
    assert hits / true > 0.75
