"""When alerts are raised and cleared, told by scenes made by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts import OF_OUR_OWN, AlertDesk
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.metric import ClearDistance, Corridor, FreeSpace, RoadScene, VehicleMotion, Whereabouts
from pipeline.scene import Alert, CameraView, RoadUser, Scene, Visibility
from tests.pipeline.scenes import PERSON, ROAD, SKY, make_scene

NOWHERE = np.full(1, np.nan)


def road(clear_m: float, *, speed_mps: float | None = None, is_open: bool = False) -> RoadScene:
    camera = CameraModel((120, 160), 130.0, 130.0, 80.0, 60.0)
    return RoadScene(
        RoadView(camera, CameraPose(1.4, 0.02)),
        Corridor(1.1, 0.0, 0.0, np.zeros((2, 2))),
        ClearDistance(clear_m, 0.1, is_open, (80.0, 70.0)),
        FreeSpace(NOWHERE, np.full((1, 2), np.nan), NOWHERE, NOWHERE),
        None if speed_mps is None else VehicleMotion(speed_mps, 0.1, 0.0, 0.01),
    )


def person(
    distance_m: float, *, enters_s: float | None = 0.0, velocity_mps: tuple[float, float] | None = None, id_: int = 7
):
    where = Whereabouts(
        position_m=(distance_m, 0.0),
        distance_m=distance_m,
        distance_std_m=0.3,
        velocity_mps=velocity_mps,
        in_path=enters_s == 0.0,
        enters_path_in_s=enters_s,
        time_to_reach_s=1.8,
    )
    return RoadUser(id_, "person", (70, 40, 90, 90), (80.0, 90.0), 600, 0.9, np.ones((50, 20), np.uint8), where)


def scene_at(time_s: float, *users: RoadUser, clear: RoadScene | None = None) -> Scene:
    return replace(make_scene(time_s=time_s), road_users=users, road=clear or road(80.0, is_open=True))


def kinds(alerts: tuple[Alert, ...]) -> list[str]:
    return [alert.kind for alert in alerts]


@pytest.mark.parametrize("rate_hz", [4.0, 10.0, 30.0, 60.0])
def test_a_pedestrian_in_the_path_is_told_within_a_third_of_a_second_at_any_frame_rate(rate_hz: float):
    desk = AlertDesk()
    raised = [desk.raise_for(scene_at(frame / rate_hz, person(12.0))) for frame in range(20)]
    first = next(frame for frame, alerts in enumerate(raised) if alerts)
    assert 0 < first / rate_hz <= 0.34
    (alert,) = raised[-1]
    assert alert.message == "person 7 in the path, 12 m ahead, reached in 1.8 s"
    assert alert.evidence == {
        "id": 7, "people": 1, "enters_path_in_s": 0.0, "distance_m": 12.0, "time_to_reach_s": 1.8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("confidence", "in_metres", "in_pixels"), [(0.4, False, False), (0.5, True, False), (0.65, True, True)]
)
def test_who_is_hardly_likely_to_be_there_raises_nothing(confidence: float, in_metres: bool, in_pixels: bool):
    for is_calibrated, expected in ((True, in_metres), (False, in_pixels)):
        desk = AlertDesk()
        for k in range(30):
            scene = scene_at(k / 30, replace(person(12.0), confidence=confidence))
            alerts = desk.raise_for(scene if is_calibrated else replace(scene, road=None))
        assert bool(alerts) is expected


def test_no_single_frame_raises_or_clears_an_alert():
    desk = AlertDesk()
    assert [desk.raise_for(scene_at(k / 30, *([person(12.0)] if k == 5 else []))) for k in range(10)] == [()] * 10
    for k in range(10, 20):
        desk.raise_for(scene_at(k / 30, person(12.0)))
    (alert,) = desk.raise_for(scene_at(20 / 30))
    assert alert.message.endswith("; last seen 0.0 s ago")
    assert kinds(desk.raise_for(scene_at(21 / 30, person(11.0)))) == ["pedestrian_in_path"]


def test_it_is_cleared_when_the_pedestrian_has_been_gone_for_a_while():
    desk = AlertDesk()
    for k in range(15):
        desk.raise_for(scene_at(k / 30, person(12.0)))
    after = [bool(desk.raise_for(scene_at(0.5 + k / 30))) for k in range(40)]
    assert after[15]
    assert not after[28]
    assert after == sorted(after, reverse=True)


def test_who_is_about_to_enter_counts_and_who_is_leaving_goes_on_to_count_a_little_longer():
    desk = AlertDesk()
    steps = [desk.raise_for(scene_at(k / 10, person(20.0, enters_s=2.5))) for k in range(10)]
    assert not any(steps), "later than two seconds is too early to tell"
    for k in range(10, 20):
        alerts = desk.raise_for(scene_at(k / 10, person(20.0, enters_s=1.5)))
    assert "enters the path in 1.5 s" in alerts[0].message
    for k in range(20, 60):
        alerts = desk.raise_for(scene_at(k / 10, person(20.0, enters_s=2.5)))
    assert kinds(alerts) == ["pedestrian_in_path"]
    for k in range(60, 80):
        alerts = desk.raise_for(scene_at(k / 10, person(20.0, enters_s=None)))
    assert not alerts


def test_the_most_urgent_is_named_and_the_others_are_counted():
    desk = AlertDesk()
    far, near = person(30.0, id_=3), replace(person(9.0, id_=4))
    assert near.whereabouts is not None
    near = replace(near, whereabouts=replace(near.whereabouts, time_to_reach_s=0.9))
    for k in range(10):
        alerts = desk.raise_for(scene_at(k / 10, far, near))
    assert alerts[0].message == "person 4 in the path, 9 m ahead, reached in 0.9 s, and 1 more"


def test_a_path_is_blocked_where_the_vehicle_needs_more_than_is_clear():
    """At 36 km/h: 4 m standing, 10 m of reaction, 14.7 m of braking."""
    desk = AlertDesk()
    for k in range(10):
        alerts = desk.raise_for(scene_at(k / 10, clear=road(20.0, speed_mps=10.0)))
    assert alerts[0].message == "clear for 20 m, 29 m are needed at 36 km/h"
    assert alerts[0].evidence == {"clear_m": 20.0, "need_m": 28.71, "speed_mps": 10.0}
    for k in range(10, 30):
        alerts = desk.raise_for(scene_at(k / 10, clear=road(32.0, speed_mps=10.0)))
    assert alerts, "32 m are enough, but not by a margin: it stays as it was"
    for k in range(30, 50):
        alerts = desk.raise_for(scene_at(k / 10, clear=road(40.0, speed_mps=10.0)))
    assert not alerts


def test_following_a_car_that_drives_as_fast_is_no_blocked_path():
    def car(speed_mps: float) -> RoadUser:
        return replace(person(15.0, velocity_mps=(speed_mps, 0.0)), class_name="car")

    for speed, blocked in ((10.0, False), (0.0, True)):
        desk = AlertDesk()
        for k in range(10):
            alerts = desk.raise_for(scene_at(k / 10, car(speed), clear=road(15.0, speed_mps=10.0)))
        assert (kinds(alerts) == ["path_blocked"]) is blocked


def test_standing_in_a_queue_is_no_alert_and_an_unknown_speed_is_said():
    desk = AlertDesk()
    for k in range(10):
        assert not desk.raise_for(scene_at(k / 10, clear=road(5.0, speed_mps=0.0)))
    desk.forget()
    for k in range(10):
        alerts = desk.raise_for(scene_at(k / 10, clear=road(8.0)))
    assert alerts[0].message == "clear for 8 m, 10 m are needed at unknown speed"


def test_low_confidence_says_why():
    scene = replace(scene_at(0.0), visibility=Visibility(0.61, ("rain", "unsure mask"), is_low=True))
    assert [alert.message for alert in AlertDesk().raise_for(scene)] == [
        "the road cannot be told: rain, unsure mask; 61% sure of it"
    ]
    assert "low_confidence" in OF_OUR_OWN


def test_scenes_without_a_signal_raise_nothing_of_the_road_and_void_what_was_before():
    desk = AlertDesk()
    for k in range(15):
        desk.raise_for(scene_at(k / 30, person(12.0)))
    lost = Alert("no_signal", "front: no signal")
    silent = replace(scene_at(0.5, person(12.0)), camera=CameraView("front", "stale", 400.0), alerts=(lost,))
    assert desk.raise_for(silent) == (lost,)
    assert desk.raise_for(scene_at(0.6, person(12.0))) == ()


@given(st.floats(2.01, 1e4) | st.floats(-1e4, -0.01))
def test_a_gap_or_time_that_goes_back_voids_what_was_before(gap_s: float):
    desk = AlertDesk()
    for k in range(15):
        raised = desk.raise_for(scene_at(100 + k / 30, person(12.0)))
    assert raised
    assert desk.raise_for(scene_at(100 + 14 / 30 + gap_s, person(12.0))) == ()


def test_without_calibration_who_stands_on_the_road_straight_ahead_is_told_and_no_distance():
    ids = np.full((120, 160), SKY, np.uint8)
    ids[50:] = ROAD
    for column, foot, expected in ((80, 90, True), (10, 90, False), (150, 90, False), (80, 52, False)):
        street = ids.copy()
        street[foot - 30 : foot, column - 4 : column + 4] = PERSON  # The last one stands where nothing can be told.
        desk = AlertDesk()
        for k in range(10):
            alerts = desk.raise_for(make_scene(time_s=k / 10, ids=street))
        assert bool(alerts) is expected
        if alerts:
            assert re.fullmatch(r"person \d+ in the path, distance unknown", alerts[0].message)
            assert "distance_m" not in alerts[0].evidence
