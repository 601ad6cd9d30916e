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
