"""The rendered drive: the same seed gives the same bytes, and its truth agrees with its pictures."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.synthetic import SyntheticDrive, SyntheticFrame

SIZE_HW = (360, 640)
CLASS_OF = {"person": 11, "rider": 12, "car": 13}
SEEDS = (1, 2, 3, 5)


@pytest.fixture(scope="module")
def frames() -> list[SyntheticFrame]:
    """Some frames of several seeds."""
    return [SyntheticDrive(seed, 200, SIZE_HW).render(index) for seed in SEEDS for index in (0, 57, 140)]


def test_frames_need_no_order() -> None:
    there, back = SyntheticDrive(4, 60, (180, 320)), SyntheticDrive(4, 60, (180, 320))
    forwards = [there.render(index) for index in (0, 20, 59)]
    backwards = [back.render(index) for index in (59, 20, 0)][::-1]
    for first, second in zip(forwards, backwards, strict=True):
        assert first.image.tobytes() == second.image.tobytes()
        assert first.class_ids.tobytes() == second.class_ids.tobytes()
        assert first.instance_ids.tobytes() == second.instance_ids.tobytes()
        assert first.depth_m.tobytes() == second.depth_m.tobytes()
        assert first.road_users == second.road_users
        assert first.camera == second.camera


@pytest.mark.parametrize("threads", [2, 3])
def test_bands_make_the_same_picture(threads: int) -> None:
    whole, banded = SyntheticDrive(3, 60, SIZE_HW), SyntheticDrive(3, 60, SIZE_HW, threads=threads)
    for index in (0, 33):
        first, second = whole.render(index), banded.render(index)
        assert np.array_equal(first.class_ids, second.class_ids)
        assert np.array_equal(first.instance_ids, second.instance_ids)
        assert np.array_equal(first.depth_m, second.depth_m)
        assert np.array_equal(first.image, second.image)
        assert first.road_users == second.road_users
    banded.close()
    banded.close()


def test_a_longer_drive_begins_with_the_same_street_and_camera() -> None:
    short, long = SyntheticDrive(6, 30, (180, 320)).render(10), SyntheticDrive(6, 300, (180, 320)).render(10)
    assert short.camera == long.camera
    building = (short.class_ids == 2) & (long.class_ids == 2)
    assert building.mean() > 0.05
    assert np.mean(np.abs(short.image[building].astype(int) - long.image[building])) < 8


def test_frames_differ_over_time_and_between_seeds() -> None:
    drive, other = SyntheticDrive(1, 30, (180, 320)), SyntheticDrive(2, 30, (180, 320))
    first, next_, elsewhere = drive.render(0), drive.render(1), other.render(0)
    assert 0.2 < np.abs(first.image.astype(int) - next_.image).mean() < 25.0
    assert np.abs(first.image.astype(int) - elsewhere.image).mean() > 10.0
    assert first.camera.world_x_m < next_.camera.world_x_m


def test_arrays_are_what_they_say(frames: list[SyntheticFrame]) -> None:
    for frame in frames:
        assert frame.image.shape == (*SIZE_HW, 3)
        assert frame.image.dtype == np.uint8
        assert frame.class_ids.dtype == np.uint8
        assert frame.instance_ids.dtype == np.uint16
        assert frame.depth_m.dtype == np.float32
        assert set(np.unique(frame.class_ids)) <= {0, 1, 2, 4, 5, 7, 8, 10, 11, 12, 13}
        assert np.array_equal(np.isinf(frame.depth_m), frame.class_ids == 10)
        assert frame.depth_m.min() > 0.0
        assert 30 < frame.image.mean() < 225


def test_every_class_appears(frames: list[SyntheticFrame]) -> None:
    seen = np.zeros(256, bool)
    for frame in frames:
        seen[np.unique(frame.class_ids)] = True
    assert seen[[0, 1, 2, 5, 7, 8, 10, 11, 12, 13]].all()


def test_instances_agree_with_classes_and_boxes(frames: list[SyntheticFrame]) -> None:
    for frame in frames:
        assert {user.id for user in frame.road_users} == set(np.unique(frame.instance_ids).tolist()) - {0}
        assert np.array_equal(frame.instance_ids > 0, np.isin(frame.class_ids, list(CLASS_OF.values())))
        for user in frame.road_users:
            rows, columns = np.nonzero(frame.instance_ids == user.id)
            assert user.visible_px == len(rows)
            assert user.box_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert set(frame.class_ids[rows, columns].tolist()) == {CLASS_OF[user.class_name]}


def test_depth_of_the_road_is_that_of_its_plane(frames: list[SyntheticFrame]) -> None:
    for frame in frames:
        road = frame.class_ids == 0
        plane = frame.camera.road_depth_m(SIZE_HW)
        assert road.mean() > 0.1
        np.testing.assert_allclose(frame.depth_m[road], plane[road], rtol=1e-5)


def test_a_foot_projects_to_the_bottom_of_its_mask(frames: list[SyntheticFrame]) -> None:
    checked = 0
    for frame in frames:
        for user in frame.road_users:
            left, top, right, bottom = user.box_xyxy
            x, y = frame.camera.image_from_road(np.array([user.foot_m]))[0]
            inside = left > 2 and right < SIZE_HW[1] - 2 and 0 < y < SIZE_HW[0] - 2
            near_m = 10.0 if user.class_name == "car" else 6.0
            below = frame.class_ids[min(bottom, SIZE_HW[0] - 1), left:right]
            # Unoccluded: there is ground under the mask, and it is no sliver of somebody behind a pole.
            hidden = not np.isin(below, (0, 1)).all() or right - left < 0.2 * (bottom - top)
            if not inside or hidden or not near_m < user.distance_m < 40.0:
                continue
            checked += 1
            assert abs(bottom - y) < 2.5, user
            assert left - 2.0 <= x <= right + 2.0, user
    assert checked > 30


def test_distances_agree_with_depth(frames: list[SyntheticFrame]) -> None:
    for frame in frames:
        for user in frame.road_users:
            depth = np.median(frame.depth_m[frame.instance_ids == user.id])
            axis = frame.camera.camera_from_road(np.array([user.position_m]))[0, 2]
            assert abs(depth - axis) < 0.6 * user.size_m[0] + 0.02 * axis + 0.3, user
            assert user.distance_m == pytest.approx(np.hypot(*user.foot_m[:2]))


def test_positions_move_as_velocities_say() -> None:
    drive = SyntheticDrive(3, 60, SIZE_HW)
    first, second = drive.render(20), drive.render(21)
    later = {user.id: user for user in second.road_users}
    turn = second.camera.world_heading_rad - first.camera.world_heading_rad
    moved = np.array(
        [second.camera.world_x_m - first.camera.world_x_m, second.camera.world_y_m - first.camera.world_y_m]
    )
    heading = first.camera.world_heading_rad
    into_first = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    both = [user for user in first.road_users if user.id in later]
    assert len(both) > 5
    for user in both:
        x, y = later[user.id].position_m[:2]
        now = into_first @ moved + [np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y]
        np.testing.assert_allclose((now - user.position_m[:2]) * 30.0, user.velocity_mps, atol=0.05)
    speed = np.hypot(*moved) * 30.0
    assert speed == pytest.approx(first.camera.speed_mps, rel=0.02)


def test_ids_are_stable_and_people_keep_their_size() -> None:
    drive = SyntheticDrive(2, 90, (180, 320))
    sizes: dict[int, tuple[str, tuple[float, float, float]]] = {}
    for index in range(0, 90, 10):
        for user in drive.render(index).road_users:
            assert sizes.setdefault(user.id, (user.class_name, user.size_m)) == (user.class_name, user.size_m)
    assert len(sizes) > 10


def test_nobody_crosses_into_the_vehicle() -> None:
    for seed in SEEDS:
        drive = SyntheticDrive(seed, 200, (90, 160))
        for index in range(0, 200, 5):
            for user in drive.render(index).road_users:
                x, y, _ = user.position_m
                assert not (0.0 < x < 2.0 and abs(y) < 0.8), (seed, index, user)


def test_a_frame_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match="frame 5 of a drive with 5 frames"):
        SyntheticDrive(1, 5, (90, 160)).render(5)
