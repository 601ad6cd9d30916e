"""Between pixels and the road: round trips, the horizon, lenses against OpenCV, and how sure a distance is."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.geometry import CameraPose, RoadView
from pipeline.geometry.camera_model import CameraModel
from pipeline.geometry.lens import BrownConrady, KannalaBrandt
from pipeline.synthetic.camera import SyntheticCamera
from pipeline.synthetic.drive import SyntheticDrive

DASHCAM = CameraModel((720, 1280), 1163.0, 1158.9, 669.2, 388.2, (-0.2432, -0.0264, -0.0003, 0.0001))
WIDE = CameraModel((720, 1280), 800.0, 801.0, 641.0, 362.0, (-0.28, 0.09, 0.0008, -0.0005, -0.012))
RATIONAL = CameraModel((720, 1280), 900.0, 905.0, 650.0, 352.0, (0.4, -0.1, 0.0006, -0.0004, 0.01, 0.6, 0.02, 0.003))
FISHEYE = CameraModel((800, 1200), 340.0, 341.0, 603.0, 398.0, (0.05, -0.012, 0.004, -0.0008), fisheye=True)
PINHOLE = CameraModel((360, 640), 500.0, 500.0, 320.0, 180.0)
CAMERAS = {"dashcam": DASHCAM, "wide": WIDE, "rational": RATIONAL, "fisheye": FISHEYE, "pinhole": PINHOLE}

cameras = st.sampled_from(list(CAMERAS.values()))
poses = st.builds(
    CameraPose,
    height_m=st.floats(0.5, 4.0),
    pitch_rad=st.floats(-0.1, 0.3),
    roll_rad=st.floats(-0.15, 0.15),
    yaw_rad=st.floats(-0.3, 0.3),
)
quick = settings(max_examples=50, deadline=None)


def pixels_of(camera: CameraModel, count: int = 400) -> np.ndarray:
    """Pixels all over the picture, its edges included."""
    height, width = camera.size_hw
    rng = np.random.default_rng(5)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    return np.concatenate([corners, rng.uniform([0, 0], [width, height], (count, 2))])


@given(cameras, poses)
@quick
def test_pixels_that_see_the_road_come_back_from_it(camera: CameraModel, pose: CameraPose):
    view = RoadView(camera, pose)
    pixels = pixels_of(camera)
    road = view.road_from_image(pixels)
    seen = np.linalg.norm(road, axis=1) < 1000.0
    assert seen.sum() > 50
    np.testing.assert_allclose(view.image_from_road(road[seen]), pixels[seen], atol=1e-6)


@given(cameras, poses, st.floats(4.0, 60.0), st.floats(-5.0, 5.0))
@quick
def test_the_road_comes_back_from_the_picture(camera: CameraModel, pose: CameraPose, ahead_m: float, left_m: float):
    view = RoadView(camera, pose)
    pixel = view.image_from_road([[ahead_m, left_m]])
    height, width = camera.size_hw
    if ((pixel >= 0) & (pixel <= [width, height])).all():
        np.testing.assert_allclose(view.road_from_image(pixel), [[ahead_m, left_m]], rtol=1e-7, atol=1e-7)


def test_what_stands_on_a_pavement_is_told_by_its_height():
    view = RoadView(DASHCAM, CameraPose(1.5, 0.03, 0.01))
    feet = np.array([[10.0, 3.0, 0.12], [25.0, -4.0, 0.15], [15.0, 0.0, 0.0]])
    pixels = view.image_from_road(feet)
    np.testing.assert_allclose(view.road_from_image(pixels, feet[:, 2]), feet[:, :2], atol=1e-6)
    taken_for_road = view.road_from_image(pixels[:1])
    np.testing.assert_allclose(taken_for_road, feet[:1, :2] * 1.5 / (1.5 - 0.12), atol=1e-6)


def test_the_truth_of_a_rendered_drive_is_met_within_the_deviation_told():
    """A pixel is half a pixel sure; over many road users the errors are as large as they are said to be."""
    drive, errors = SyntheticDrive(seed=3, frame_count=60), []
    for index in range(0, 60, 6):
        frame = drive.render(index)
        theirs = frame.camera
        pose = CameraPose(theirs.height_m, theirs.pitch_rad, theirs.roll_rad, theirs.yaw_rad)
        view = RoadView(CameraModel((360, 640), theirs.fx, theirs.fy, theirs.cx, theirs.cy), pose)
        for user in frame.road_users:
            foot = view.image_from_road([user.foot_m])
            row = user.box_xyxy[3] - 0.5
            if user.distance_m < 40.0 and abs(foot[0, 1] - row) < 2.0:  # Its foot is in the picture and not hidden.
                lowest = np.array([[foot[0, 0], row]])
                distance_m = np.linalg.norm(view.road_from_image(lowest, user.foot_m[2]))
                errors.append((distance_m - user.distance_m) / view.distance_std_m(lowest, pixel_std_px=0.5)[0])
    assert len(errors) > 20
    assert 0.5 < np.sqrt(np.mean(np.square(errors))) < 2.0


@given(cameras, poses)
@quick
def test_nothing_above_the_horizon_is_road(camera: CameraModel, pose: CameraPose):
    view = RoadView(camera, pose)
    pixels = pixels_of(camera)
    horizon = view.horizon_rows_px(pixels[:, 0])
    known = np.isfinite(horizon)
    assert known.mean() > 0.9
    mapped = np.isfinite(camera.camera_from_image(pixels)).all(axis=1)
    assert mapped.mean() > 0.99
    above, below = known & (pixels[:, 1] < horizon - 0.01), known & mapped & (pixels[:, 1] > horizon + 0.01)
    road = view.road_from_image(pixels)
    assert np.isnan(road[above]).all()
    assert np.isfinite(road[below]).all()
    assert np.isnan(view.distance_std_m(pixels[above])).all()


@given(cameras, poses)
@quick
def test_points_at_the_horizon_are_level_with_the_camera(camera: CameraModel, pose: CameraPose):
    view = RoadView(camera, pose)
    bearing = pose.yaw_rad + np.linspace(-0.4, 0.4, 9)
    far = np.stack([np.cos(bearing) * 1e7, np.sin(bearing) * 1e7, np.full(9, pose.height_m)], axis=1)
    pixels = view.image_from_road(far)
    np.testing.assert_allclose(view.horizon_rows_px(pixels[:, 0]), pixels[:, 1], atol=1e-4)


@pytest.mark.parametrize("name", ["dashcam", "wide", "rational", "pinhole"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_lens_agrees_with_opencv(name: str, seed: int):
    camera = CAMERAS[name]
    rng = np.random.default_rng(seed)
    points = rng.uniform([-0.9, -0.5, 1.0], [0.9, 0.5, 1.0], (100, 3)) * rng.uniform(0.5, 80.0, (100, 1))
    still = np.zeros(3)
    theirs, _ = cv2.projectPoints(points, still, still, camera.opencv_matrix, np.array(camera.distortion or [0.0] * 4))
    np.testing.assert_allclose(camera.image_from_camera(points) - 0.5, theirs.reshape(-1, 2), atol=1e-8)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_fisheye_agrees_with_opencv(seed: int):
    rng = np.random.default_rng(seed)
    points = rng.uniform([-2.0, -2.0, 0.3], [2.0, 2.0, 3.0], (1, 100, 3))
    still, coefficients = np.zeros(3), np.array(FISHEYE.distortion)
    theirs, _ = cv2.fisheye.projectPoints(points, still, still, FISHEYE.opencv_matrix, coefficients)
    np.testing.assert_allclose(FISHEYE.image_from_camera(points[0]) - 0.5, theirs.reshape(-1, 2), atol=1e-8)


def test_a_fisheye_sees_beyond_a_right_angle():
    behind = np.array([[1.0, 0.0, -0.2], [0.0, -1.0, -0.1]])
    pixels = FISHEYE.image_from_camera(behind)
    assert np.isfinite(pixels).all()
    np.testing.assert_allclose(
        FISHEYE.camera_from_image(pixels), behind / np.linalg.norm(behind, axis=1, keepdims=True), atol=1e-9
    )


def test_what_a_barrel_lens_would_fold_back_into_the_picture_is_nan():
    lens = BrownConrady((-0.3, 0.0, 0.0, 0.0))
    assert lens.radius_limit == pytest.approx(1.0 / math.sqrt(0.9))
    sideways = np.array([[3.0, 0.0, 1.0], [1.04, 0.0, 1.0], [1.07, 0.0, 1.0]])
    seen = np.isfinite(lens.plane_from_direction(sideways)).all(axis=1)
    assert seen.tolist() == [False, True, False]
    unreachable = np.array([[0.9, 0.0], [0.5, 0.0]])  # The image plane of this lens ends at radius 0.7027.
    assert np.isfinite(lens.direction_from_plane(unreachable)).all(axis=1).tolist() == [False, True]


def test_a_fisheye_polynomial_that_turns_round_is_cut_there():
    lens = KannalaBrandt((-0.2, 0.0, 0.0, 0.0))
    assert lens.angle_limit_rad == pytest.approx(1.0 / math.sqrt(0.6))
    angles = np.array([1.2, 1.35])
    rays = np.stack([np.sin(angles), np.zeros(2), np.cos(angles)], axis=1)
    assert np.isfinite(lens.plane_from_direction(rays)).all(axis=1).tolist() == [True, False]


def test_points_behind_a_pinhole_are_not_seen():
    view = RoadView(PINHOLE, CameraPose(1.5, 0.0))
    pixels = view.image_from_road([[10.0, 0.0], [-10.0, 0.0], [0.0, 0.0]])
    assert np.isfinite(pixels).all(axis=1).tolist() == [True, False, False]


@given(poses, st.floats(-3.0, 3.0))
@quick
def test_the_camera_of_the_rendered_drive_is_one_of_ours(pose: CameraPose, heading: float):
    theirs = SyntheticCamera(
        500.0, 510.0, 321.0, 179.0, pose.height_m, pose.pitch_rad, pose.roll_rad, pose.yaw_rad, 3.0, 4.0, heading, 9.0
    )
    camera = CameraModel((360, 640), theirs.fx, theirs.fy, theirs.cx, theirs.cy)
    view = RoadView(camera, pose)
    np.testing.assert_allclose(camera.matrix, theirs.matrix)
    np.testing.assert_allclose(pose.camera_from_road_rotation, theirs.camera_from_road_rotation, atol=1e-15)
    points = np.random.default_rng(1).uniform([5.0, -2.0, 0.0], [60.0, 2.0, 2.0], (50, 3))
    np.testing.assert_allclose(view.image_from_road(points), theirs.image_from_road(points), atol=1e-9)
    depth_m = theirs.road_depth_m((360, 640))[340, :]
    centres = np.stack([np.arange(640) + 0.5, np.full(640, 340.5)], axis=1)
    road = np.concatenate([view.road_from_image(centres), np.zeros((640, 1))], axis=1)
    np.testing.assert_allclose(pose.camera_from_road(road)[:, 2], depth_m, rtol=1e-9)


@given(cameras, poses, st.sampled_from([0.5, 0.75, 1.5]))
@quick
def test_a_resized_picture_sees_the_same_road(camera: CameraModel, pose: CameraPose, factor: float):
    height, width = camera.size_hw
    resized = camera.scaled_to((int(height * factor), int(width * factor)))
    pixels = pixels_of(camera, 50)
    np.testing.assert_allclose(
        RoadView(resized, pose).road_from_image(pixels * factor),
        RoadView(camera, pose).road_from_image(pixels),
        rtol=1e-6,
    )


def test_a_picture_of_another_shape_is_refused():
    assert DASHCAM.scaled_to((480, 854)).size_hw == (480, 854)  # A 16:9, rounded.
    with pytest.raises(ConfigError, match="measured on 1280x720 pictures, these are 1024x512: another shape"):
        DASHCAM.scaled_to((512, 1024))


@pytest.mark.parametrize("camera", [DASHCAM, FISHEYE], ids=["dashcam", "fisheye"])
@pytest.mark.parametrize("distance_m", [8.0, 20.0, 35.0])
def test_the_deviation_of_a_distance_is_that_of_a_monte_carlo(camera: CameraModel, distance_m: float):
    pose = CameraPose(1.5, 0.03, 0.01)
    deviations = np.array([0.02, 0.0015, 0.004])
    correlation = np.array([[1.0, -0.4, 0.0], [-0.4, 1.0, 0.1], [0.0, 0.1, 1.0]])
    covariance = np.outer(deviations, deviations) * correlation
    view = RoadView(camera, pose, covariance)
    pixel = view.image_from_road([[distance_m, 2.0]])
    std_px = 0.7
    told = view.distance_std_m(pixel, std_px)[0]

    rng = np.random.default_rng(3)
    errors = rng.multivariate_normal(np.zeros(3), covariance, 1500)
    noisy = pixel + rng.normal(0.0, std_px, (1500, 2))
    landed = [
        RoadView(camera, CameraPose(1.5 + dh, 0.03 + dp, 0.01 + dr)).road_from_image(noisy[i : i + 1])[0]
        for i, (dh, dp, dr) in enumerate(errors)
    ]
    assert told == pytest.approx(np.std(np.linalg.norm(landed, axis=1)), rel=0.1)


def test_a_distance_known_exactly_has_no_deviation():
    view = RoadView(PINHOLE, CameraPose(1.5, 0.05))
    pixel = view.image_from_road([[20.0, 1.0]])
    assert view.distance_std_m(pixel, pixel_std_px=0.0)[0] == pytest.approx(0.0, abs=1e-12)
    assert view.distance_std_m(pixel, pixel_std_px=1.0)[0] == pytest.approx(20.0**2 / (500.0 * 1.5), rel=0.02)


CAMERA_TOML = """
format = "clearway-camera/1"
model = "pinhole"
size_hw = [720, 1280]
matrix = [[1163.0, 0.0, 668.7], [0.0, 1158.9, 387.7], [0.0, 0.0, 1.0]]
distortion = [-0.2432, -0.0264, -0.0003, 0.0001]
"""

GROUND_TOML = """
format = "clearway-ground/1"
height_m = 1.5
pitch_rad = 0.03
[uncertainty]
height_m = 0.02
pitch_rad = 0.001
"""


def test_files_become_a_view_of_the_road(tmp_path: Path):
    camera, ground = tmp_path / "camera.toml", tmp_path / "ground.toml"
    camera.write_text(CAMERA_TOML)
    ground.write_text(GROUND_TOML)
    view = RoadView.load(camera, ground, size_hw=(360, 640))
    assert view.camera == replace(DASHCAM.scaled_to((360, 640)), cx=669.2 / 2, cy=388.2 / 2)
    assert view.pose == CameraPose(1.5, 0.03)
    np.testing.assert_allclose(np.diag(view.pose_covariance), [4e-4, 1e-6, 0.0])
    np.testing.assert_allclose(CameraModel.load(camera).opencv_matrix[:2, 2], [668.7, 387.7])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("camera/1", "camera/2", "format is 'clearway-camera/2', expected 'clearway-camera/1'"),
        ('format = "clearway-camera/1"', "", "no key 'format'"),
        ("distortion", "distortoin", "unknown key 'distortoin'; did you mean 'distortion'"),
        ("pinhole", "telescope", "telescope"),
        ("[720, 1280]", "[720]", "size_hw"),
        ("1163.0", "nan", r"matrix\[0\]\[0\] must be a finite number"),
        ("1163.0", "-3.0", "matrix must be"),
        ("[0.0, 0.0, 1.0]", "[0.0, 0.1, 1.0]", "matrix must be"),
        (", 0.0001]", "]", "a pinhole has 0 or 4 or 5 or 8 distortion coefficients, not 3"),
        ("[720, 1280]", "[720, 1280", "not valid TOML"),
        ('model = "pinhole"', "", "missing required field `model`"),
    ],
)
def test_a_camera_file_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str):
    assert old in CAMERA_TOML
    file = tmp_path / "camera.toml"
    file.write_text(CAMERA_TOML.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        CameraModel.load(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1.5", "-1.5", "height_m"),
        ("0.03", "2.0", "pitch_rad"),
        ("pitch_rad = 0.03", "picth_rad = 0.03", "unknown key 'picth_rad'; did you mean 'pitch_rad'"),
        ("0.001", "0.001\ncorrelation = [[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1]]", "no correlation of"),
    ],
)
def test_a_ground_file_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str):
    camera, ground = tmp_path / "camera.toml", tmp_path / "ground.toml"
    camera.write_text(CAMERA_TOML)
    ground.write_text(GROUND_TOML.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        RoadView.load(camera, ground)
    assert str(caught.value).startswith(str(ground))
    assert "\n" not in str(caught.value)


def test_a_camera_file_of_another_shape_is_refused_by_name(tmp_path: Path):
    file = tmp_path / "camera.toml"
    file.write_text(CAMERA_TOML)
    with pytest.raises(ConfigError, match=r"camera\.toml: the camera was measured on 1280x720"):
        CameraModel.load(file, size_hw=(480, 640))
    with pytest.raises(ConfigError, match="cannot be read"):
        CameraModel.load(tmp_path / "nothing.toml")
