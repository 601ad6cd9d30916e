"""The pitch follows the middle of what is observed: slowly, within bounds, unmoved by mistakes and while parked."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.geometry import CameraModel, CameraPose, GroundRefiner, RoadView, VanishingPointFinder
from pipeline.geometry.ground_refiner import RefinerRules
from pipeline.geometry.vanishing_point import Heading, fit_heading
from pipeline.synthetic import SyntheticDrive

CAMERA = CameraModel((360, 640), 480.0, 480.0, 320.0, 180.0)
VIEW = RoadView(CAMERA, CameraPose(1.5, 0.03, 0.01))
RULES = RefinerRules()
anything = st.floats(allow_nan=True, allow_infinity=True)
degrees = st.floats(-1.2, 1.2)


@given(st.lists(st.one_of(anything, st.floats(-0.1, 0.1)), max_size=400))
@settings(max_examples=50, deadline=None)
def test_whatever_is_observed_the_pitch_stays_within_its_bounds_and_moves_slowly(pitches: list[float]):
    refiner = GroundRefiner(VIEW)
    before = VIEW.pose.pitch_rad
    for pitch in pitches:
        after = refiner.observe_pitch(pitch).pose.pitch_rad
        assert abs(after - VIEW.pose.pitch_rad) <= RULES.bound_rad + 1e-12
        assert abs(after - before) <= RULES.gain * RULES.clip_rad + RULES.step_rad + 1e-12
        before = after
    assert refiner.view.pose == replace(VIEW.pose, pitch_rad=refiner.view.pose.pitch_rad)


@given(degrees, st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_it_converges_to_the_middle_of_noisy_observations(shift_deg: float, seed: int):
    rng = np.random.default_rng(seed)
    true = VIEW.pose.pitch_rad + math.radians(shift_deg)
    refiner = GroundRefiner(VIEW)
    for pitch in rng.normal(true, math.radians(0.3), 500):
        refiner.observe_pitch(float(pitch))
    assert math.degrees(refiner.view.pose.pitch_rad - true) == pytest.approx(0.0, abs=0.15)


@given(st.integers(0, 2**32 - 1), st.floats(3.5, 20.0))
@settings(max_examples=30, deadline=None)
def test_mistakes_do_not_move_it(seed: int, off_deg: float):
    rng = np.random.default_rng(seed)
    refiner = GroundRefiner(VIEW)
    for index, noise in enumerate(rng.normal(0.0, math.radians(0.3), 400).tolist()):
        refiner.observe_pitch(VIEW.pose.pitch_rad + (math.radians(off_deg) if index % 3 == 0 else noise))
    assert math.degrees(refiner.offset_rad) == pytest.approx(0.0, abs=0.15)


@given(degrees, degrees, degrees)
@settings(max_examples=50, deadline=None)
def test_a_heading_on_the_horizon_tells_the_pitch(pitch_deg: float, roll_deg: float, yaw_deg: float):
    pose = CameraPose(1.5, *np.radians([pitch_deg, 10.0 * roll_deg, 3.0 * yaw_deg]))
    heading = Heading(pose.camera_from_road_rotation[:, 0], 50)
    assert heading.pitch_rad(pose.roll_rad) == pytest.approx(pose.pitch_rad, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.3))
@settings(max_examples=30, deadline=None)
def test_the_way_is_found_among_points_that_move_by_themselves(seed: int, misled: float):
    rng = np.random.default_rng(seed)
    way = np.array([rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), 1.0])
    points = rng.uniform([-12.0, -4.0, 6.0], [12.0, 2.0, 40.0], (80, 3))
    turn = cv2.Rodrigues(rng.uniform(-0.008, 0.008, 3))[0]
    moved = (points - way) @ turn.T
    moved[: int(misled * 80)] += rng.uniform(-1.0, 1.0, (int(misled * 80), 3))
    rays = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (points, moved)]
    heading = fit_heading(rays[0], rays[1] + rng.normal(0.0, 0.1 / 240.0, (80, 3)), 240.0)
    assert heading is not None
    middle = way / np.linalg.norm(way)
    middle = cv2.Rodrigues(cv2.Rodrigues(turn)[0] / 2.0)[0] @ middle
    assert math.degrees(math.acos(min(1.0, float(heading.direction @ middle)))) < 3.0


def test_a_drive_with_a_knocked_camera_is_put_right():
    drive = SyntheticDrive(seed=4, frame_count=90)
    at = drive.camera(0)
    camera = CameraModel(drive.size_hw, at.fx, at.fy, at.cx, at.cy)
    true = float(np.mean([drive.camera(index).pitch_rad for index in range(90)]))
    refiner = GroundRefiner(RoadView(camera, CameraPose(at.height_m, true + math.radians(0.8), at.roll_rad)))
    finder = VanishingPointFinder(camera)
    pitches = []
    for index in range(90):
        rendered = drive.render(index)
        ignore = np.isin(rendered.class_ids, (11, 12, 13)).astype(np.uint8)
        heading = finder.look(cv2.cvtColor(rendered.image, cv2.COLOR_BGR2GRAY), ignore)
        if heading is not None:
            pitches.append(heading.pitch_rad(at.roll_rad))
        refiner.observe(heading)
    assert refiner.observations == len(pitches) > 8
    assert math.degrees(np.median(pitches) - true) == pytest.approx(0.0, abs=0.2)
    farthest = len(pitches) * RULES.gain * RULES.clip_rad
    assert -farthest <= refiner.offset_rad < -0.6 * farthest


def test_parked_nothing_changes():
    rng = np.random.default_rng(1)
    picture = SyntheticDrive(seed=4, frame_count=1).render(0).image
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    finder, refiner = VanishingPointFinder(CAMERA), GroundRefiner(VIEW)
    for _ in range(130):
        noisy = np.clip(grey + rng.normal(0.0, 2.0, grey.shape), 0, 255).astype(np.uint8)
        assert refiner.observe(finder.look(noisy)) is VIEW
    assert refiner.observations == 0


def test_a_covered_lens_changes_nothing():
    finder = VanishingPointFinder(CAMERA)
    assert all(finder.look(np.full((360, 640), 30, np.uint8)) is None for _ in range(5))
