"""Road users over time, as a reader of scenes sees them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.scene import CameraView
from pipeline.tracking import Tracking
from tests.pipeline.tracking.street import ID_OF, VIEW, Somebody, by_place, class_map, scene_of, straight_road

STEP_S = 1 / 30


def crossing(time_s: float) -> list[Somebody]:
    """Two people who pass each other at 12 m, one 0.6 m nearer than the other."""
    return [Somebody("person", 12.0, 2.0 - 1.4 * time_s), Somebody("person", 12.6, -2.0 + 1.4 * time_s)]


def test_somebody_keeps_the_id_while_walking():
    tracking = Tracking()
    for index in range(40):
        scene = tracking.follow(scene_of(class_map([Somebody("person", 15.0, 1.0 - 0.05 * index)]), index * STEP_S))
        assert [user.id for user in scene.road_users] == [1]
        assert scene.road_users[0].whereabouts is None
        assert scene.road is None


def test_two_who_cross_keep_their_ids():
    tracking = Tracking()
    ids = []
    for index in range(86):
        scene = tracking.follow(scene_of(class_map(crossing(index * STEP_S)), index * STEP_S))
        ids.append([user.id for user in by_place(scene)])
    first, second = ids[10]
    assert ids[-1] == [second, first]
    assert {identity for frame in ids for identity in frame} == {first, second}


def test_a_blob_is_shared_out_among_those_who_are_in_it():
    tracking = Tracking()
    for index in range(43):
        ids = class_map(crossing(index * STEP_S))
        before = scene_of(ids, index * STEP_S)
        scene = tracking.follow(before)
        if index > 5:
            masks = np.zeros(ids.shape, np.int64)
            for user in scene.road_users:
                x1, y1, x2, y2 = user.box_xyxy
                masks[y1:y2, x1:x2] += user.mask
                assert user.mask.any(axis=0)[[0, -1]].all()
                assert user.mask.any(axis=1)[[0, -1]].all()
                assert user.area_px == user.mask.sum()
            assert (masks == (ids == ID_OF["person"])).all()  # Every pixel is somebody's, and nobody else's.


@pytest.mark.parametrize("hidden_s", [0.5, 1.0, 1.5])
def test_who_walks_behind_a_van_comes_out_as_the_same(hidden_s: float):
    tracking = Tracking()
    for index in range(round((2.0 + hidden_s) / STEP_S)):
        time_s = index * STEP_S
        walker = Somebody("person", 15.0, 2.5 - 1.3 * time_s)
        is_hidden = 1.0 <= time_s < 1.0 + hidden_s
        scene = tracking.follow(scene_of(class_map([] if is_hidden else [walker]), time_s))
        assert [user.id for user in scene.road_users] == ([] if is_hidden else [1])


def test_scraps_that_flicker_use_up_no_ids():
    tracking = Tracking(VIEW)
    car = Somebody("car", 20.0, -3.0)
    for index in range(60):
        flicker = [Somebody("person", 60.0, 12.0 - 0.4 * index)] if index % 12 == 11 else []
        scene = tracking.follow(scene_of(class_map([car, *flicker]), index * STEP_S), straight_road())
        assert [(user.id, user.class_name) for user in scene.road_users] == [(1, "car")]
    for index in range(60, 64):
        people = [Somebody("person", 25.0, 6.0), Somebody("person", 70.0, 12.0)]
        scene = tracking.follow(scene_of(class_map([car, *people]), index * STEP_S), straight_road())
        # The nearer at the second look, the farther, of whom there is less to see, at the fourth.
        assert [user.id for user in scene.road_users] == {60: [1], 61: [1, 2], 62: [1, 2], 63: [1, 2, 3]}[index]


@pytest.mark.parametrize("tracking", [Tracking(VIEW), Tracking()], ids=["in metres", "in pixels"])
def test_who_is_suddenly_near_and_in_the_path_is_told_at_once(tracking: Tracking):
    road = straight_road() if tracking._view is not None else None
    tracking.follow(scene_of(class_map([]), 0.0), road)
    scene = tracking.follow(scene_of(class_map([Somebody("person", 14.0, 0.5)]), STEP_S), road)
    assert [user.id for user in scene.road_users] == [1]


def test_a_first_picture_tells_of_everybody():
    people = [Somebody("person", 60.0, 12.0), Somebody("person", 55.0, -14.0), Somebody("car", 20.0, -3.0)]
    scene = Tracking(VIEW).follow(scene_of(class_map(people), 0.0), straight_road())
    assert sorted(user.id for user in scene.road_users) == [1, 2, 3]


def test_who_stays_away_for_longer_is_somebody_else():
    tracking = Tracking()
    for index in range(30):
        tracking.follow(scene_of(class_map([Somebody("person", 15.0, 1.0)]), index * STEP_S))
    for index in range(30, 90):
        tracking.follow(scene_of(class_map([]), index * STEP_S))
    scene = tracking.follow(scene_of(class_map([Somebody("person", 15.0, 1.0)]), 3.0))
    assert [user.id for user in scene.road_users] == [2]


def test_a_class_that_flips_for_some_frames_is_not_believed():
    tracking = Tracking()
    names = []
    for index in range(60):
        seen_as = "rider" if 30 <= index < 36 else "person"
        scene = tracking.follow(scene_of(class_map([Somebody(seen_as, 14.0, 1.0)]), index * STEP_S))
        assert [user.id for user in scene.road_users] == [1]
        names.append(scene.road_users[0].class_name)
    assert set(names) == {"person"}


def test_a_class_that_stays_is_believed():
    tracking = Tracking()
    for index in range(60):
        seen_as = "person" if index < 20 else "rider"
        scene = tracking.follow(scene_of(class_map([Somebody(seen_as, 14.0, 1.0)]), index * STEP_S))
    assert [(user.id, user.class_name) for user in scene.road_users] == [(1, "rider")]


def test_somebody_who_walks_before_a_car_does_not_make_two_of_it():
    tracking = Tracking()
    cars = set()
    for index in range(60):
        walker = Somebody("person", 10.0, 1.5 - 1.5 * index * STEP_S)
        scene = tracking.follow(scene_of(class_map([Somebody("car", 14.0, 0.0), walker]), index * STEP_S))
        cars |= {user.id for user in scene.road_users if user.class_name == "car"}
        assert sum(user.class_name == "car" for user in scene.road_users) == 1
    assert len(cars) == 1


def test_what_shows_of_a_car_through_a_bicycle_is_that_car():
    tracking = Tracking(VIEW)
    car, rider = Somebody("car", 12.0, 0.0), Somebody("rider", 10.0, 0.1)
    left, _, right, bottom = rider.box()
    ids = class_map([car, rider])
    ids[bottom - 40 : bottom - 22, left + 12 : right - 8] = ID_OF["car"]
    scene = tracking.follow(scene_of(ids, 0.0), straight_road())
    assert len(scene_of(ids, 0.0).road_users) > 2
    assert sorted(user.class_name for user in scene.road_users) == ["car", "rider"]
    assert sum(user.area_px for user in scene.road_users) == np.isin(ids, [ID_OF["car"], ID_OF["rider"]]).sum()


def test_time_that_stands_still_and_frames_that_are_missing_change_no_id():
    tracking = Tracking(VIEW)
    for time_s in (0.0, 0.0, 0.0, 0.04, 0.08, 0.08, 0.5, 0.54, 1.3):
        scene = tracking.follow(scene_of(class_map([Somebody("car", 20.0, -1.0)]), time_s), straight_road())
        (user,) = scene.road_users
        assert user.id == 1
        assert user.whereabouts is not None
        assert user.whereabouts.distance_m == pytest.approx(20.0, rel=0.05)


@pytest.mark.parametrize("later_s", [-1.0, 5.0])
def test_a_jump_in_time_forgets_everybody_but_uses_no_id_again(later_s: float):
    tracking = Tracking()
    tracking.follow(scene_of(class_map([Somebody("car", 20.0, 0.0)]), 2.0))
    scene = tracking.follow(scene_of(class_map([Somebody("car", 20.0, 0.0)]), 2.0 + later_s))
    assert [user.id for user in scene.road_users] == [2]
    tracking.forget()
    scene = tracking.follow(scene_of(class_map([Somebody("car", 20.0, 0.0)]), 0.0))
    assert [user.id for user in scene.road_users] == [1]


def test_pictures_of_another_size_begin_anew():
    tracking = Tracking()
    tracking.follow(scene_of(class_map([Somebody("car", 20.0, 0.0)]), 0.0))
    smaller = class_map([Somebody("car", 20.0, 0.0)])[::2, ::2].copy()
    assert [user.id for user in tracking.follow(scene_of(smaller, 0.04)).road_users] == [2]


def test_an_empty_street_is_no_trouble():
    tracking = Tracking(VIEW)
    for index in range(5):
        scene = tracking.follow(scene_of(class_map([]), index * STEP_S), straight_road())
        assert scene.road_users == ()


def test_a_lost_camera_claims_nothing_and_is_survived():
    tracking = Tracking(VIEW)
    lost = CameraView("front", "reconnecting", 300.0, reason="unplugged")
    live = CameraView("front", "live", 30.0)
    ids = class_map([Somebody("car", 20.0, 0.0)])
    for index in range(10):
        tracking.follow(scene_of(ids, index * STEP_S, camera=live), straight_road())
    blank = scene_of(np.full_like(ids, 255), 0.5, camera=lost)
    assert tracking.follow(blank) is blank
    scene = tracking.follow(scene_of(ids, 0.9, camera=live), straight_road())
    assert [user.id for user in scene.road_users] == [1]
    tracking.follow(scene_of(np.full_like(ids, 255), 1.2, camera=lost))
    scene = tracking.follow(scene_of(ids, 9.0, camera=live), straight_road())
    assert [user.id for user in scene.road_users] == [2]


def test_the_same_frames_give_the_same_scenes():
    def told() -> list[object]:
        tracking = Tracking(VIEW)
        scenes = [
            tracking.follow(scene_of(class_map(crossing(index * STEP_S)), index * STEP_S), straight_road())
            for index in range(40)
        ]
        return [(user.id, user.box_xyxy, user.whereabouts) for scene in scenes for user in scene.road_users]

    assert told() == told()


def test_who_stands_in_the_corridor_is_in_the_path():
    tracking = Tracking(VIEW)
    people = [Somebody("person", 12.0, y_m) for y_m in (-3.0, -1.0, 1.2, 2.4)]
    for index in range(5):
        scene = tracking.follow(scene_of(class_map(people), index * STEP_S), straight_road(1.1))
    told = [user.whereabouts for user in by_place(scene)]
    assert [one is not None and one.in_path for one in told] == [False, True, True, False]  # From left to right.


def test_without_a_corridor_nobody_is_said_to_be_in_the_path():
    scene = Tracking(VIEW).follow(scene_of(class_map([Somebody("person", 12.0, 0.0)]), 0.0))
    (user,) = scene.road_users
    assert user.whereabouts is not None
    assert user.whereabouts.distance_m == pytest.approx(12.0, rel=0.05)
    assert not user.whereabouts.in_path
    assert user.whereabouts.velocity_mps is None


def test_feet_that_are_hidden_tell_a_direction_and_no_distance():
    """A car parks in front of somebody's legs: the lowest pixels are then much farther away than the feet are."""
    tracking = Tracking(VIEW)
    for index in range(60):
        hidden = index >= 20
        walker = Somebody("person", 14.0, 0.5)
        ids = class_map([walker])
        if hidden:
            x1, _, x2, y2 = walker.box()
            ids[y2 - 22 : y2 + 5, x1 - 30 : x2 + 30] = ID_OF["car"]
        scene = tracking.follow(scene_of(ids, index * STEP_S), straight_road())
        (person,) = (user for user in scene.road_users if user.class_name == "person")
        assert person.whereabouts is not None
        assert person.whereabouts.distance_m == pytest.approx(14.0, rel=0.06)


def test_how_unsure_a_distance_is_includes_the_calibration():
    unsure = dataclasses.replace(VIEW, pose_covariance=np.diag([0.02, 0.004, 0.004]) ** 2)
    told = []
    for view in (VIEW, unsure):
        tracking = Tracking(view)
        for index in range(30):
            scene = tracking.follow(scene_of(class_map([Somebody("car", 30.0, 0.0)]), index * STEP_S))
        (user,) = scene.road_users
        assert user.whereabouts is not None
        told.append(user.whereabouts.distance_std_m)
    # 0.004 rad of pitch are 2.6 m at 30 m, and no filter makes that less; nor springs, whose 0.001 rad are 0.6 m.
    assert 0.6 < told[0] < 1.5
    assert told[1] > 2.5
