"""Properties of the parts: boxes, assignment, sharing, the road plane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from pipeline.metric import Corridor, VehicleMotion
from pipeline.scene import RoadUser
from pipeline.tracking.association import assign, costs
from pipeline.tracking.boxes import correct_boxes, predict_boxes, predicted_xyxy, start_box
from pipeline.tracking.following import Follower
from pipeline.tracking.path import PathRules, foresee
from pipeline.tracking.places import Feet, carry_boxes, correct_places, predict_places, standing
from pipeline.tracking.sharing import share_out
from pipeline.tracking.tracks import TRACK, new_track
from tests.pipeline.tracking.street import VIEW

boxes_xyxy = st.tuples(st.integers(0, 500), st.integers(0, 250), st.integers(2, 140), st.integers(2, 100)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


def user_of(box: tuple[int, int, int, int], mask: np.ndarray | None = None, class_name: str = "person") -> RoadUser:
    mask = np.ones((box[3] - box[1], box[2] - box[0]), np.uint8) if mask is None else mask
    return RoadUser(1, class_name, box, ((box[0] + box[2]) / 2, box[3]), int(mask.sum()), 0.9, mask)


@given(arrays(np.float64, st.tuples(st.integers(0, 6), st.integers(0, 6)), elements=st.floats(0.0, 1.5)))
def test_assignments_cost_as_little_as_scipys(cost: np.ndarray):
    chosen = assign(cost)
    limit = 0.9
    gain = np.clip(limit - cost, 0.0, None)
    rows, columns = linear_sum_assignment(-gain) if cost.size else ([], [])
    best = gain[rows, columns].sum() if cost.size else 0.0
    pairs = [(row, column) for row, column in enumerate(chosen.tolist()) if column >= 0]
    assert len({column for _, column in pairs}) == len(pairs)
    assert sum(gain[pair] for pair in pairs) == pytest.approx(best, abs=1e-9)


@given(boxes_xyxy)
def test_a_box_that_stays_is_expected_where_it_is(box: tuple[int, int, int, int]):
    tracks = np.array([new_track(user_of(box), 0.0)], TRACK)
    start_box(tracks, np.array(box, np.float64))
    for _ in range(30):
        predict_boxes(tracks, 1 / 30)
        correct_boxes(tracks, np.array([0]), np.array([box], np.float64), np.ones((1, 4)))
    expected, deviations = predicted_xyxy(tracks)
    assert np.allclose(expected[0], box, atol=1e-6 * max(box))
    assert (deviations > 0.0).all()
    same = costs(expected, deviations, *(np.array([1]),) * 2, np.array([box], np.float64), *(np.array([1]),) * 2)
    assert same[0, 0] == pytest.approx(0.0, abs=1e-6)


@given(boxes_xyxy, st.lists(boxes_xyxy, min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_shares_are_a_partition(box: tuple[int, int, int, int], others: list[tuple[int, int, int, int]], seed: int):
    width, height = box[2] - box[0], box[3] - box[1]
    mask = (np.random.default_rng(seed).random((height, width)) < 0.7).astype(np.uint8)
    mask[0, 0] = 1
    parts = share_out(user_of(box, mask), np.array(others, np.float64), np.full(len(others), 0.6))
    painted = np.zeros((400, 700), np.int64)
    for part in parts:
        if part is not None:
            x1, y1, x2, y2 = part.box_xyxy
            painted[y1:y2, x1:x2] += part.mask
    assert (painted[box[1] : box[3], box[0] : box[2]] == mask).all()
    assert painted.sum() == mask.sum()


@pytest.mark.parametrize("walk_mps", [(0.0, 0.0), (1.3, 0.0), (0.0, -1.4), (-6.0, 0.5)])
@pytest.mark.parametrize("yaw_rate_rad_s", [0.0, 0.2])
def test_velocities_are_over_the_ground_though_the_vehicle_drives_and_turns(
    walk_mps: tuple[float, float], yaw_rate_rad_s: float
):
    speed, step_s = 7.0, 1 / 30
    motion = VehicleMotion(speed, 0.05, yaw_rate_rad_s, 0.005)
    tracks = np.array([new_track(user_of((0, 0, 20, 40)), 0.0)], TRACK)
    place, velocity = np.array([38.0, 2.0]), np.array(walk_mps)
    turn = np.array([[np.cos(yaw_rate_rad_s * step_s), np.sin(yaw_rate_rad_s * step_s)], [0.0, 0.0]])
    turn[1] = [-turn[0, 1], turn[0, 0]]
    for index in range(75):
        if index:
            half = 0.5 * yaw_rate_rad_s * step_s
            way = speed * step_s * np.array([np.cos(half), np.sin(half)])
            place, velocity = turn @ (place + velocity * step_s - way), turn @ velocity
            predict_places(tracks, motion, motion, step_s)
        pixels = VIEW.image_from_road(place[None])
        feet = Feet(np.array([0]), pixels, np.ones(1), np.zeros(1, np.bool_), np.zeros(1), 1.0)
        correct_places(tracks, feet, VIEW, motion, index * step_s)
        if place[0] < 6.0:
            break
    said = tracks["place"][0, 2:] + [speed, 0.0]
    assert tracks["place"][0, :2] == pytest.approx(place, abs=0.1)
    assert said == pytest.approx(velocity, abs=0.35)


def test_a_foot_that_jumps_once_is_not_believed_and_one_that_stays_is():
    tracks = np.array([new_track(user_of((0, 0, 20, 40)), 0.0)], TRACK)

    def see(distance_m: float, index: int) -> float:
        predict_places(tracks, None, None, 1 / 30)
        feet = Feet(
            np.array([0]),
            VIEW.image_from_road([[distance_m, 0.0]]),
            np.ones(1),
            np.zeros(1, np.bool_),
            np.zeros(1),
            1.0,
        )
        correct_places(tracks, feet, VIEW, None, index / 30)
        return float(tracks["place"][0, 0])

    for index in range(60):
        see(15.0, index)
    assert see(25.0, 60) == pytest.approx(15.0, abs=0.2)
    assert see(15.0, 61) == pytest.approx(15.0, abs=0.2)
    for index in range(62, 70):
        now = see(25.0, index)
    assert now == pytest.approx(25.0, abs=0.5)


def follow_two(class_name: str, ends_at: int) -> list[tuple[int, tuple[int, int, int, int], bool]]:
    """Rows, boxes, and who is a part, where two whom a cut parts were followed as two before.

    One has been seen whole from column 438 to 512; the other, who leaves the picture, only from 590 on. Now both are
    seen, and a cut lies between them.
    """
    follower = Follower()
    for index in range(10):
        apart = [user_of((438, 165, 512, 208), None, class_name), user_of((590, 165, 640, 235), None, class_name)]
        follower.predict(1 / 30)
        follower.follow(apart, (360, 640), index / 30, 1 / 30)
    follower.predict(1 / 30)
    now = [user_of((438, 165, ends_at, 209), None, class_name), user_of((ends_at, 165, 640, 236), None, class_name)]
    seen = follower.follow(now, (360, 640), 10 / 30, 1 / 30)
    return sorted((sighting.row, sighting.user.box_xyxy, sighting.is_part) for sighting in seen)


def test_a_cut_that_fits_one_of_two_vehicles_is_believed_and_both_are_parts():
    assert follow_two("car", 514) == [(0, (438, 165, 514, 209), True), (1, (514, 165, 640, 236), True)]


def test_a_cut_that_fits_only_one_of_two_people_is_undone_and_made_where_they_are_expected():
    (_, first, is_part), (_, second, _) = follow_two("person", 514)
    assert is_part
    assert min(first[2], second[0]) > 540


def test_who_is_expected_far_outside_the_picture_is_no_trouble():
    expected, seen = np.array([[640.0, 360.0, 640.0, 360.0]]), np.array([[600.0, 300.0, 640.0, 360.0]])
    kinds = np.array([2], np.int64)
    assert costs(expected, np.ones((1, 2)), kinds, kinds, seen, kinds, kinds)[0, 0] >= 1.0


UNKNOWN = np.zeros(6, np.int64)


def spread(places: np.ndarray) -> np.ndarray:
    """(N, 4, 4): 0.3 m and 0.4 m/s, the two of them correlated as a filter leaves them."""
    covariance = np.diag([0.09, 0.09, 0.16, 0.16])
    covariance[0, 2] = covariance[2, 0] = covariance[1, 3] = covariance[3, 1] = 0.05
    return np.repeat(covariance[None], len(places), axis=0)


def test_who_will_be_in_the_path_is_foreseen():
    corridor = Corridor(1.1, 0.0, 0.0, np.zeros((2, 2)))
    motion = VehicleMotion(8.0, 0.1, 0.0, 0.01)
    places = np.array(
        [
            [24.0, 0.0, -8.0, 0.0],  # Stands in the lane: reached in 3 s.
            [24.0, 4.4, -8.0, -1.5],  # Walks towards it: 3 m to go, the margin included.
            [24.0, 4.4, -8.0, 1.5],  # Walks away from it.
            [24.0, 4.4, -8.0, 0.0],  # Stands beside it.
            [6.0, 4.4, -8.0, -1.5],  # Walks towards it, behind the vehicle.
            [24.0, 0.0, 1.0, 0.0],  # Drives off.
        ]
    )
    told = foresee(
        places, spread(places), places[:, :2], UNKNOWN[: len(places)], corridor, motion, PathRules(margin_m=0.3)
    )
    assert told.in_path.tolist() == [True, False, False, False, False, True]
    assert told.enters_s[[0, 5]].tolist() == [0.0, 0.0]
    assert told.enters_s[1] == pytest.approx(2.05, abs=0.06)  # In steps of a tenth
    assert np.isnan(told.enters_s[[2, 3, 4]]).all()
    assert told.reach_s[:4] == pytest.approx(np.full(4, 3.0))
    assert np.isnan(told.reach_s[5])
    unknown = foresee(places, spread(places), places[:, :2], UNKNOWN[: len(places)], corridor, None, PathRules())
    assert np.isnan(unknown.enters_s[[1, 2, 3, 4]]).all()


def test_a_time_to_reach_is_as_unsure_as_place_and_speed_make_it():
    places = np.array([[24.0, 0.0, -8.0, 0.0], [30.0, 0.0, -12.0, 0.0], [24.0, 0.0, 1.0, 0.0]])
    told = foresee(places, spread(places), places[:, :2], UNKNOWN[:3], None, None, PathRules())
    rng = np.random.default_rng(2)
    for place, covariance, std_s in zip(places[:2], spread(places), told.reach_std_s, strict=False):
        drawn = rng.multivariate_normal(place, covariance, 4000)
        assert std_s == pytest.approx((-drawn[:, 0] / drawn[:, 2]).std(), rel=0.08)
    assert np.isnan(told.reach_std_s[2])


def test_the_foot_on_the_ground_says_who_is_in_the_path():
    corridor = Corridor(1.1, 0.0, 0.0, np.zeros((2, 2)))
    places = np.array([[12.0, 1.5, -8.0, 0.0], [12.0, 1.3, -8.0, 0.0]])
    feet = np.array([[12.0, 1.2], [12.0, 1.6]])
    told = foresee(places, spread(places), feet, UNKNOWN[: len(places)], corridor, None, PathRules(margin_m=0.3))
    assert told.in_path.tolist() == [True, False]
    assert told.enters_s[0] == 0.0


def test_who_walks_along_the_edge_of_the_path_does_not_flicker():
    corridor, rules = Corridor(1.1, 0.0, 0.0, np.zeros((2, 2))), PathRules(margin_m=0.3, hold_m=0.03)
    places = np.array([[12.0, 1.42, -8.0, 0.0], [12.0, 1.38, -8.0, 0.0], [12.0, 1.44, -8.0, 0.0]])
    for before, told in ((1, [True, True, False]), (-1, [False, False, False]), (0, [False, True, False])):
        found = foresee(places, spread(places), places[:, :2], np.full(3, before), corridor, None, rules)
        assert found.in_path.tolist() == told


def test_a_foot_stands_in_its_own_direction_as_far_ahead_as_was_filtered():
    places = np.array([[12.0, 1.5, -8.0, 0.0], [12.0, 1.5, -8.0, 0.0], [12.0, 1.5, -8.0, 0.0]])
    horizon_px = float(VIEW.horizon_rows_px([320.0])[0])
    pixels = np.vstack([VIEW.image_from_road([[11.0, 1.1], [11.0, 1.1]]), [[300.0, horizon_px - 5.0]]])
    feet = standing(places, pixels, np.array([False, True, False]), VIEW.packed)
    assert feet == pytest.approx(np.array([[12.0, 1.2], [12.0, 1.5], [12.0, 1.5]]))


def test_the_path_bends_with_the_road():
    corridor = Corridor(1.1, 0.0, 1 / 60, np.zeros((2, 2)))
    y_m = 0.5 * 24.0**2 / 60
    places = np.array([[24.0, y_m, -8.0, 0.0], [24.0, 0.0, -8.0, 0.0]])
    assert foresee(
        places, spread(places), places[:, :2], UNKNOWN[: len(places)], corridor, None, PathRules()
    ).in_path.tolist() == [
        True,
        False,
    ]


def test_the_box_of_a_parked_car_moves_as_its_place_does():
    tracks = np.array([new_track(user_of((400, 170, 450, 210)), 0.0)], TRACK)
    start_box(tracks, np.array([400.0, 170.0, 450.0, 210.0]))
    tracks["kind"], tracks["placed"] = 2, True
    tracks["place"][0] = 20.0, -3.0, -8.0, 0.0
    tracks["place_covariance"][0] = np.eye(4) * 0.1
    before = tracks.copy()
    predict_boxes(tracks, 0.5)
    predict_places(tracks, None, None, 0.5)
    carry_boxes(tracks, before, VIEW.packed, 0.5)
    was, now = VIEW.image_from_road([[20.0, -3.0], [16.0, -3.0]])
    box = tracks["box"][0]
    assert box[:2] - before["box"][0, :2] == pytest.approx(now - was)
    assert np.exp(box[2:] - before["box"][0, 2:]) == pytest.approx(20.0 / 16.0)
    assert tracks["box_rate"][0, :2] == pytest.approx((now - was) / 0.5)
