"""A view that is calibrated a little wrong comes right while driving, and only then."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from pipeline.road.ground_watch import GroundWatch
from pipeline.sources.synthetic import road_view_of
from pipeline.synthetic import SyntheticDrive
from tests.pipeline.test_situation import scene_of

COUNT = 240


def test_a_pitch_that_is_half_a_degree_off_comes_nearer():
    drive = SyntheticDrive(seed=4, frame_count=COUNT, size_hw=(270, 480))
    views = [road_view_of(drive.camera(index), drive.size_hw) for index in range(COUNT)]
    true = sum(view.pose.pitch_rad for view in views) / COUNT
    watch = GroundWatch(replace(views[0], pose=replace(views[0].pose, pitch_rad=true + math.radians(0.5))))
    pitches = [watch.view.pose.pitch_rad]
    for index in range(COUNT):
        watch.look(scene_of(drive, drive.render(index)))
        pitches.append(watch.view.pose.pitch_rad)
    assert abs(pitches[-1] - true) < math.radians(0.42)
    steps = [abs(after - before) for before, after in pairwise(pitches)]
    assert max(steps) <= math.radians(0.021), "never by a jump"


def test_while_nothing_moves_the_view_is_the_same_object():
    drive = SyntheticDrive(seed=4, frame_count=1, size_hw=(270, 480))
    scene = scene_of(drive, drive.render(0))
    view = road_view_of(drive.camera(0), drive.size_hw)
    watch = GroundWatch(view)
    for index in range(60):
        watch.look(replace(scene, frame=replace(scene.frame, index=index, source_time_s=index / 10.0)))
    assert watch.view is view
