"""The strip over time: steady where masks are not, and quick enough for bends."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.metric import Corridor, VehicleMotion
from pipeline.road.corridor_filter import CorridorFilter

COVARIANCE = np.array([[0.02**2, 0.0], [0.0, 0.002**2]])
DRIVING = VehicleMotion(10.0, 0.2, 0.0, 0.01)


def strip(slope: float, curvature_1_m: float) -> Corridor:
    return Corridor(1.1, slope, curvature_1_m, COVARIANCE)


def test_the_first_strip_and_the_first_after_a_gap_are_taken_as_they_are():
    corridors = CorridorFilter()
    assert corridors.update(strip(0.02, 0.001), 0.0, None).slope == 0.02
    assert corridors.update(strip(-0.05, -0.01), 1.5, None).slope == -0.05
    assert corridors.update(strip(0.03, 0.0), 0.2, None).slope == 0.03, "time went back"


def test_a_single_wrong_mask_hardly_moves_it():
    corridors = CorridorFilter()
    for index in range(20):
        corridors.update(strip(0.0, 0.0), index / 30, DRIVING)
    thrown = corridors.update(strip(0.1, 0.02), 20 / 30, DRIVING)
    assert abs(thrown.slope) < 0.01
    assert abs(thrown.curvature_1_m) < 0.002


@pytest.mark.parametrize("rate_hz", [10.0, 30.0])
def test_it_follows_into_a_bend_within_a_second_and_tells_how_sure_it_is(rate_hz: float):
    corridors, generator = CorridorFilter(), np.random.default_rng(1)
    errors = []
    for index in range(round(4 * rate_hz)):
        time_s = index / rate_hz
        curvature = min(max(time_s - 1.0, 0.0), 1.0) / 80.0
        noise = generator.normal(0.0, [0.02, 0.002])
        motion = VehicleMotion(10.0, 0.2, 10.0 * curvature, 0.01)
        found = corridors.update(strip(float(noise[0]), curvature + float(noise[1])), time_s, motion)
        if time_s > 3.0:
            errors.append((found.curvature_1_m - curvature) / np.sqrt(found.covariance[1, 1]))
    assert found.curvature_1_m == pytest.approx(1 / 80, abs=0.002)
    assert np.sqrt(np.mean(np.square(errors))) < 2.0


def off_at_20_m(found: Corridor, slope: float) -> float:
    return float(found.lateral_m(np.array([20.0]))[0]) - 20.0 * slope


def test_masks_that_are_wrong_for_a_second_at_a_time_are_mended_by_the_vehicles_motion():
    """Straight on, along parked cars: the masks' strip swings by 2 m at 20 m."""
    corridors, off = CorridorFilter(), []
    for index in range(180):
        wrong = 0.1 * np.sin(2.0 * np.pi * index / 60.0)
        found = corridors.update(strip(wrong, 0.0), index / 30, DRIVING)
        off.append(off_at_20_m(found, 0.0))
    assert np.abs(off[30:]).max() < 0.6


@pytest.mark.parametrize("lasts_s", [4.0, 6.0])
def test_a_change_of_lanes_is_not_taken_for_the_road(lasts_s: float):
    """3.5 m to the left: the vehicle does not head along its road then, and does not turn as that does."""
    corridors, generator = CorridorFilter(), np.random.default_rng(1)
    off = []
    for index in range(300):
        phase = min(max(index / 30 - 2.0, 0.0), lasts_s) / lasts_s * 2.0 * np.pi
        heading = 3.5 / lasts_s * (1.0 - np.cos(phase)) / 10.0
        turning = 3.5 / lasts_s * (2.0 * np.pi / lasts_s) * np.sin(phase) / 10.0
        slope, curvature = generator.normal([-heading, 0.0], [0.02, 0.002]).tolist()
        found = corridors.update(strip(slope, curvature), index / 30, VehicleMotion(10.0, 0.2, turning, 0.01))
        off.append(off_at_20_m(found, -heading))
    assert np.abs(off).max() < 0.9  # 0.7 m; with masks alone 0.5.
    assert np.abs(off[-60:]).max() < 0.4


def test_who_stands_tells_nothing_of_the_road():
    corridors, standing = CorridorFilter(), VehicleMotion(0.0, 0.1, 0.0, 0.01)
    for index in range(90):
        found = corridors.update(strip(0.06, 0.0), index / 30, standing)
    assert found.slope == pytest.approx(0.06)


def test_time_that_stands_still_tells_nothing_new():
    corridors = CorridorFilter()
    for time_s in (0.0, 0.1, 0.2):
        before = corridors.update(strip(0.02, 0.001), time_s, None)
    again = corridors.update(strip(-0.1, 0.01), 0.2, None)
    assert (again.slope, again.curvature_1_m) == (before.slope, before.curvature_1_m)
