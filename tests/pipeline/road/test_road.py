"""Metres of the road against the exact truth of the rendered drive."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.postprocess import encode_runs, find_drivable
from pipeline.road import clear_distance, find_corridor, free_space
from pipeline.scene import Frame, Scene, Segmentation
from pipeline.synthetic import SyntheticDrive
from pipeline.synthetic.drive import SyntheticFrame

OBSTACLES = (4, 5, 7, 11, 12, 13)
HALF_WIDTH_M = 1.1


def seen_on(drive: SyntheticDrive, every: int = 10) -> Iterator[tuple[SyntheticFrame, Scene, RoadView]]:
    """Some frames of a drive, as a network that makes no mistake would see them."""
    for index in range(0, len(drive), every):
        frame = drive.render(index)
        at = frame.camera
        pose = CameraPose(at.height_m, at.pitch_rad, at.roll_rad, at.yaw_rad)
        view = RoadView(CameraModel(drive.size_hw, at.fx, at.fy, at.cx, at.cy), pose)
        drivable = find_drivable(encode_runs(frame.class_ids), 0, OBSTACLES)
        segmentation = Segmentation(frame.class_ids, (), np.ones((45, 80), np.float32))
        picture = Frame(index, frame.time_s, 0.0, drive.size_hw, lambda image=frame.image: image)
        yield frame, Scene(picture, segmentation, drivable, ()), view


def true_middle(drive: SyntheticDrive, frame: SyntheticFrame, ahead_m: np.ndarray) -> np.ndarray:
    """How far to the left a vehicle that keeps its place on the road will be."""
    course, at = drive._street.course, frame.camera
    offset = (at.world_y_m - float(course.center(at.world_x_m))) / math.sqrt(
        1.0 + float(course.slope(at.world_x_m)) ** 2
    )
    x = at.world_x_m + np.linspace(0.0, 60.0, 600)
    world = np.stack([x, course.place(x, offset), np.zeros(600)], axis=1)
    road = at.road_from_world(world)
    return np.interp(ahead_m, road[:, 0], road[:, 1])


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_corridor_follows_the_road(seed: int):
    drive = SyntheticDrive(seed=seed, frame_count=200)
    ahead = np.array([10.0, 20.0, 30.0])
    errors, scaled = [], []
    for frame, scene, view in seen_on(drive):
        corridor = find_corridor(scene, view)
        off = corridor.lateral_m(ahead) - true_middle(drive, frame, ahead)
        errors.append(np.abs(off))
        scaled.append(off / corridor.lateral_std_m(ahead))
    assert (np.median(errors, axis=0) < [0.3, 0.6, 1.0]).all()
    assert np.sqrt(np.mean(np.square(scaled))) < 2.0


def in_the_way(drive: SyntheticDrive, frame: SyntheticFrame) -> float | None:
    """Ahead, where the nearest road user stands well inside the strip; None if nobody does, or not clearly."""
    near = []
    for user in frame.road_users:
        x, y, _ = user.foot_m
        off = abs(y - float(true_middle(drive, frame, np.array([x]))[0]))
        if x > 3.0 and off < HALF_WIDTH_M + 1.2:
            near.append((x, off))
    near.sort()
    if not near or near[0][1] > HALF_WIDTH_M - 0.15 or near[0][0] > 40.0:
        return None
    return near[0][0]


def test_the_clear_distance_is_that_to_whoever_is_in_the_way():
    relative, scaled = [], []
    for seed in (2, 10, 20, 22, 24, 26):
        drive = SyntheticDrive(seed=seed, frame_count=200)
        for frame, scene, view in seen_on(drive, 14):
            true_m = in_the_way(drive, frame)
            if true_m is None:
                continue
            found = clear_distance(scene, view, find_corridor(scene, view, HALF_WIDTH_M))
            relative.append(found.distance_m / true_m - 1.0)
            scaled.append((found.distance_m - true_m) / max(found.std_m, 1e-9))
    assert len(relative) >= 10
    assert np.quantile(np.abs(relative), 0.9) < 0.03
    assert np.sqrt(np.mean(np.square(scaled))) < 1.5


def test_free_space_ends_where_the_truth_has_the_end_of_the_road():
    drive = SyntheticDrive(seed=3, frame_count=200)
    checked = 0
    for frame, scene, view in seen_on(drive, 40):
        space = free_space(scene, view)
        for column, row, end, distance, std in zip(
            space.columns_px, scene.drivable.free_space_px[::4], space.ends_m, space.distance_m, space.distance_std_m,
            strict=True,
        ):  # fmt: skip
            if row < 0:
                assert distance == 0.0
                continue
            depth = float(frame.depth_m[row, int(column)])  # Exact on the road.
            if frame.class_ids[row, int(column)] != 0 or distance > 40.0:
                continue
            truth = view.camera.camera_from_image([[column, row + 0.5]])[0]
            truth = (truth * depth / truth[2]) @ view.pose.camera_from_road_rotation
            assert abs(float(np.hypot(*end)) - float(np.hypot(*truth[:2]))) < max(1.0 * std, 0.03 * distance)
            checked += 1
    assert checked > 200


def synthetic_scene(mask: np.ndarray) -> Scene:
    drivable = find_drivable(encode_runs(np.where(mask, 0, 1).astype(np.uint8)), 0, (1,))
    size_hw = (mask.shape[0], mask.shape[1])
    frame = Frame(0, 0.0, 0.0, size_hw, lambda: np.zeros((*size_hw, 3), np.uint8))
    return Scene(frame, Segmentation(mask.astype(np.uint8), (), np.ones((4, 4), np.float32)), drivable, ())


@pytest.mark.parametrize("curvature", [-1 / 80, -1 / 300, 0.0, 1 / 150])
@pytest.mark.parametrize("blocked_m", [12.0, 25.0, 39.0])
def test_a_drawn_road_is_measured_along_its_bend(curvature: float, blocked_m: float):
    view = RoadView(CameraModel((720, 1280), 1000.0, 1000.0, 640.0, 360.0), CameraPose(1.5, 0.05, 0.01))
    rows, columns = np.mgrid[:720, :1280] + 0.5
    road = view.road_from_image(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(720, 1280, 2)
    with np.errstate(invalid="ignore"):
        off = road[..., 1] - 0.5 * curvature * road[..., 0] ** 2
        mask = (np.abs(off - 0.8) < 3.5) & (road[..., 0] < 90.0)
        mask &= ~((np.abs(off) < 0.5) & (road[..., 0] > blocked_m))
    scene = synthetic_scene(mask)
    corridor = find_corridor(scene, view)
    assert corridor.curvature_1_m == pytest.approx(curvature, abs=0.0015)
    found = clear_distance(scene, view, corridor)
    assert not found.is_open
    length_m = np.trapezoid(
        np.sqrt(1.0 + (curvature * np.linspace(0, blocked_m, 200)) ** 2), np.linspace(0, blocked_m, 200)
    )
    assert found.distance_m == pytest.approx(length_m, rel=0.03)
    assert 0.0 < found.std_m < 0.1 * blocked_m


def test_where_no_border_is_seen_the_strip_is_straight_and_says_how_unsure_it_is():
    view = RoadView(CameraModel((360, 640), 500.0, 500.0, 320.0, 180.0), CameraPose(1.5, 0.05))
    everywhere = np.ones((360, 640), bool)
    corridor = find_corridor(synthetic_scene(everywhere), view)
    assert corridor.slope == corridor.curvature_1_m == 0.0
    assert corridor.lateral_std_m(np.array([30.0]))[0] > 2.0
    found = clear_distance(synthetic_scene(everywhere), view, corridor)
    assert found.is_open
    assert found.place_px is None
    assert found.distance_m > 90.0
    nothing = clear_distance(synthetic_scene(~everywhere), view, corridor)
    assert not nothing.is_open
    assert nothing.distance_m < 6.0  # As near as the picture shows the road.
