"""Rows of parked vehicles, cut one from the other: on the rendered drive, whose truth is exact, and on noise."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.following import seen_truly
from engines.classes import CITYSCAPES
from evaluation.followed_drive import counts, mean_view
from evaluation.following import box_overlap, match_boxes
from pipeline.geometry import RoadView
from pipeline.postprocess import encode_runs, find_road_users
from pipeline.road import find_corridor
from pipeline.scene import RoadUser, Scene
from pipeline.synthetic import SyntheticDrive, SyntheticFrame
from pipeline.tracking.rows import cut_rows
from tests.pipeline.tracking.street import ID_OF, VIEW

HIDES = np.zeros(256, np.bool_)
HIDES[[ID_OF[name] for name in ("person", "rider", "car", "pole", "traffic sign")]] = True


def cut(scene: Scene, view: RoadView) -> list[RoadUser]:
    corridor = find_corridor(scene, view, 1.1)
    return cut_rows(scene.road_users, scene.segmentation.class_ids, HIDES, view, corridor)


def cars_found(frame: SyntheticFrame, users: tuple[RoadUser, ...] | list[RoadUser]) -> tuple[int, int, int]:
    """How many of the true cars were found, how many there are, and how many were said to be there."""
    true = [user.box_xyxy for user in frame.road_users if user.class_name == "car" and counts(user, (360, 640))]
    seen = [user.box_xyxy for user in users if user.class_name == "car"]
    matches = match_boxes(box_overlap(np.array(true).reshape(-1, 4), np.array(seen).reshape(-1, 4)))
    return len(matches), len(true), len(seen)


def test_cars_in_a_row_are_told_apart():
    drive = SyntheticDrive(seed=3, frame_count=60)
    view, before, after = mean_view(drive), np.zeros(3), np.zeros(3)
    for frame, scene in seen_truly(drive):
        if frame.index % 10 == 0:
            before += cars_found(frame, scene.road_users)
            after += cars_found(frame, cut(scene, view))
    assert before[0] < 0.4 * before[1]
    assert after[0] > 0.55 * after[1]
    assert after[0] > 1.6 * before[0]


def test_cars_that_stand_or_drive_alone_stay_whole():
    alone, cut_up = 0, 0
    for seed in (1, 6):
        drive = SyntheticDrive(seed=seed, frame_count=120)
        view = mean_view(drive)
        for frame, scene in list(seen_truly(drive))[::10]:
            corridor = find_corridor(scene, view, 1.1)
            for user in scene.road_users:
                x1, y1, x2, y2 = user.box_xyxy
                inside = frame.instance_ids[y1:y2, x1:x2][user.mask > 0]
                if user.class_name == "car" and (inside == inside[0]).all():
                    alone += 1
                    cut_up += len(cut_rows([user], frame.class_ids, HIDES, view, corridor)) > 1
    assert alone > 15
    assert cut_up == 0


def test_the_nearer_keeps_its_windscreen_and_the_farther_shows_above_the_bonnet():
    """Two cars as boxes with bonnets: 5 m from the rear of one to that of the other, to the left of the road."""
    ids = np.full((360, 640), ID_OF["sky"], np.uint8)
    ids[172:] = ID_OF["road"]
    truth = np.zeros(ids.shape, np.uint8)
    for number, rear_m in ((2, 16.5), (1, 11.0)):  # The nearer covers the farther.
        for along in np.linspace(0.0, 4.4, 450):
            low = 0.0 if abs(along - 0.85) < 0.3 or abs(along - 3.55) < 0.3 else 0.4
            high = 1.45 if along < 3.1 else 1.45 - 0.65 * min((along - 3.1) / 0.9, 1.0)
            for aside in (2.2, 3.9) if along > 0.02 else np.linspace(2.2, 3.9, 200):
                corners = np.array([[rear_m + along, aside, low], [rear_m + along, aside, high]])
                (column, bottom), (_, top) = VIEW.image_from_road(corners).round().astype(int).tolist()
                truth[top:bottom, column] = number
    ids[truth > 0] = ID_OF["car"]
    (row,) = find_road_users(encode_runs(ids), CITYSCAPES, np.ones((1, 1), np.float32))
    nearer, farther = cut_rows([row], ids, HIDES, VIEW, None)
    for user, number in ((nearer, 1), (farther, 2)):
        y, x = np.nonzero(truth == number)
        true = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float64)
        assert box_overlap(true, np.array([user.box_xyxy], np.float64))[0, 0] > 0.75


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), block=st.sampled_from([1, 4, 12, 40]))
def test_parts_are_a_partition_whatever_the_blob(seed: int, block: int):
    rng = np.random.default_rng(seed)
    palette = np.array([ID_OF["road"], ID_OF["car"], ID_OF["car"], ID_OF["person"]], np.uint8)
    ids = palette[rng.integers(0, 4, (360 // block + 1, 640 // block + 1))]
    ids = np.ascontiguousarray(ids.repeat(block, 0).repeat(block, 1)[:360, :640])
    ids[:150] = ID_OF["sky"]
    users = find_road_users(encode_runs(ids), CITYSCAPES, np.ones((1, 1), np.float32))
    whole, parts = np.zeros(ids.shape, np.int64), np.zeros(ids.shape, np.int64)
    for painted, everybody in ((whole, users), (parts, cut_rows(users, ids, HIDES, VIEW, None))):
        for user in everybody:
            x1, y1, x2, y2 = user.box_xyxy
            painted[y1:y2, x1:x2] += user.mask
            assert user.area_px == user.mask.sum() > 0
            assert user.mask.any(axis=0)[[0, -1]].all()
            assert user.mask.any(axis=1)[[0, -1]].all()
            assert user.foot_px[1] == y2
    np.testing.assert_array_equal(whole, parts)
