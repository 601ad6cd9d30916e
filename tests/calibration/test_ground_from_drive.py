"""A recording of a drive tells how the camera hangs over the road; what tells nothing is refused with the reason."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.driving.ground import Survey, ground_from_motions
from calibration.driving.motion import Motion, measure_motion
from calibration.driving.views import Rectifier
from pipeline.cli import main
from pipeline.errors import SourceError
from pipeline.geometry import CameraPose, RoadView
from pipeline.geometry.camera_model import CameraModel
from pipeline.sources.synthetic import open_synthetic
from tests.calibration.driving_truth import camera_of, made_up_motions, rendered_pair
from tests.calibration.test_ground_on_stereo import plane_pose, stereo_road


def survey_of(motions: list[Motion], **failures: int) -> Survey:
    return Survey(tuple(motions), Counter({key.replace("_", " "): count for key, count in failures.items()}), 20.0, 0)


@pytest.mark.parametrize("seed", [1, 4, 8])
def test_two_rendered_pictures_give_the_road_plane_and_the_way(seed: int):
    rendered = rendered_pair(seed)
    found = measure_motion(rendered.pair, rendered.rectifier.camera)
    assert isinstance(found, Motion)
    truth = rendered.first.camera
    assert math.degrees(found.pitch_rad - truth.pitch_rad) == pytest.approx(0.0, abs=0.2)
    assert math.degrees(found.roll_rad - truth.roll_rad) == pytest.approx(0.0, abs=0.2)
    assert math.degrees(found.yaw_rad) == pytest.approx(0.0, abs=0.3)
    assert rendered.way_m / found.advance == pytest.approx(truth.height_m, rel=0.02)
    assert found.rms_px < 0.3


def test_a_pair_with_nothing_but_a_turn_is_known_as_such():
    rendered = rendered_pair(1)
    pair, camera = rendered.pair, rendered.rectifier.camera
    turn = camera.opencv_matrix @ cv2.Rodrigues(np.array([0.0, 0.04, 0.0]))[0] @ np.linalg.inv(camera.opencv_matrix)
    moved = cv2.perspectiveTransform(pair.points[:, None].astype(np.float64), turn)[:, 0].astype(np.float32)
    assert measure_motion(replace(pair, moved=moved), camera) == "only turning"
    assert measure_motion(replace(pair, points=pair.points[:30], moved=pair.moved[:30]), camera) == "few points"
    assert measure_motion(replace(pair, points=pair.moved, moved=pair.points), camera) == "not ahead"


poses = st.builds(CameraPose, st.just(1.5), st.floats(-0.05, 0.2), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))


@given(poses, st.integers(0, 2**32 - 1), st.floats(3.0, 30.0))
@settings(max_examples=30, deadline=None)
def test_pairs_together_give_the_pose_within_what_they_say(pose: CameraPose, seed: int, speed_mps: float):
    rng = np.random.default_rng(seed)
    motions = made_up_motions(rng, pose, advance=0.1 * speed_mps / pose.height_m)
    ground = ground_from_motions(survey_of(motions), "x", speed_mps=speed_mps)
    height_std_m, pitch_std, roll_std = ground.deviations
    assert abs(ground.pitch_rad - pose.pitch_rad) < 3.0 * pitch_std
    assert abs(ground.roll_rad - pose.roll_rad) < 3.0 * roll_std
    assert abs(ground.yaw_rad - pose.yaw_rad) < 3.0 * ground.yaw_std_rad
    assert abs(ground.height_m - pose.height_m) < 3.0 * height_std_m
    assert height_std_m < 0.05
    assert math.degrees(pitch_std) < 0.3


def test_deviations_grow_with_what_the_springs_do():
    """Without the floor for lens and road the deviation is that of repeated drives, swinging springs included."""
    grounds = [
        ground_from_motions(
            survey_of(made_up_motions(np.random.default_rng(seed), CameraPose(1.5, 0.05), 60, 0.01)), "x"
        )
        for seed in range(80)
    ]
    scatter = np.std([ground.pitch_rad for ground in grounds])
    told = np.sqrt(np.mean([ground.covariance[1, 1] for ground in grounds]) - math.radians(0.1) ** 2)
    assert scatter < told < 3.0 * scatter


@given(st.integers(0, 2**32 - 1), st.integers(1, 10))
@settings(max_examples=30, deadline=None)
def test_pairs_misled_by_traffic_are_left_out(seed: int, misled: int):
    rng = np.random.default_rng(seed)
    pose = CameraPose(1.5, 0.05, 0.01)
    motions = made_up_motions(rng, pose)
    for index in rng.choice(len(motions), misled, replace=False):
        motions[index] = made_up_motions(rng, CameraPose(1.5, 0.05 + rng.choice([-1, 1]) * 0.1, 0.2), 1)[0]
    ground = ground_from_motions(survey_of(motions), "x", height_m=1.5)
    assert ground.left_out == {"unlike the others": misled}
    assert math.degrees(ground.pitch_rad - 0.05) == pytest.approx(0.0, abs=0.2)
    assert ground.height_m == 1.5


@pytest.mark.parametrize(
    ("survey", "message"),
    [
        (Survey((), Counter(), 0.4, 0), "no motion: the picture moves by 0.4 px at most, so the vehicle is parked"),
        (survey_of([], few_points=30), "too few points can be followed"),
        (survey_of([], only_turning=30), "the camera turns but does not move"),
        (survey_of([], not_ahead=30), "does not look where the vehicle goes"),
        (survey_of([], no_road=30), "no flat road ahead"),
        (survey_of(made_up_motions(np.random.default_rng(1), CameraPose(1.5, 0.0), 4)), "too short: 4 measurements"),
        (
            survey_of(made_up_motions(np.random.default_rng(1), CameraPose(1.5, 0.0), turn_by_way=0.05)),
            "the vehicle turns nearly all the time",
        ),
        (
            survey_of(made_up_motions(np.random.default_rng(1), CameraPose(1.5, 0.0), noise_rad=0.1)),
            "contradict each other",
        ),
    ],
)
def test_what_tells_nothing_is_refused_in_one_line(survey: Survey, message: str):
    with pytest.raises(SourceError, match=message) as caught:
        ground_from_motions(survey, "drive.mp4", height_m=1.5)
    assert str(caught.value).startswith("drive.mp4: ")
    assert "\n" not in str(caught.value)


def test_pictures_are_taken_to_a_pinhole_camera_without_the_lens():
    lens = CameraModel((720, 1280), 900.0, 905.0, 650.0, 350.0, (-0.25, 0.05, 0.001, 0.0))
    rectifier = Rectifier(lens)
    assert rectifier.camera.size_hw[0] * rectifier.camera.size_hw[1] <= 461_000
    rows, columns = np.mgrid[:720, :1280] + 0.5
    smooth = 127.0 + 60.0 * np.sin(columns / 90.0) * np.cos(rows / 70.0)
    from pipeline.scene import Frame

    image = np.repeat(np.round(smooth).astype(np.uint8)[..., None], 3, axis=2)
    grey = rectifier.grey(Frame(0, 0.0, 0.0, (720, 1280), lambda: image))
    pixels = np.array([[300.5, 200.5], [450.5, 300.5], [600.5, 400.5]])
    there = lens.image_from_camera(rectifier.camera.camera_from_image(pixels))
    expected = 127.0 + 60.0 * np.sin(there[:, 0] / 90.0) * np.cos(there[:, 1] / 70.0)
    found = [grey[int(y), int(x)] for x, y in pixels]
    np.testing.assert_allclose(found, expected, atol=2.0)


def write_camera(file: Path, camera: CameraModel) -> Path:
    (fx, _, cx), (_, fy, cy), _ = camera.opencv_matrix.tolist()
    height, width = camera.size_hw
    file.write_text(
        f'format = "clearway-camera/1"\nmodel = "pinhole"\nsize_hw = [{height}, {width}]\n'
        f"matrix = [[{fx}, 0.0, {cx}], [0.0, {fy}, {cy}], [0.0, 0.0, 1.0]]\n"
    )
    return file


def calibrate(*arguments: str | Path) -> int:
    return main(["calibrate", "ground", *map(str, arguments)])


def test_a_drive_becomes_a_ground_file(tmp_path: Path):
    uri = "synthetic://drive?frames=40&seed=3"
    drive = open_synthetic(uri).drive
    camera = camera_of(drive).scaled_to((720, 1280))  # Measured on larger pictures of the same shape.
    camera_file, ground, figures_file = (
        write_camera(tmp_path / "camera.toml", camera),
        tmp_path / "g.toml",
        tmp_path / "g.json",
    )
    way_m = sum(drive.camera(index).speed_mps for index in range(40)) / 40.0
    assert calibrate(uri, "--camera", camera_file, "--speed-mps", way_m, "--out", ground, "--json", figures_file) == 0

    figures = json.loads(figures_file.read_text())
    truth = [drive.camera(index) for index in range(40)]
    sure = figures["uncertainty"]
    for name in ("pitch_rad", "roll_rad", "height_m"):
        true = np.mean([getattr(at, name) for at in truth])
        assert abs(figures[name] - true) < 3.0 * sure[name]
    assert math.degrees(figures["pitch_rad"] - np.mean([at.pitch_rad for at in truth])) == pytest.approx(0.0, abs=0.15)
    view = RoadView.load(camera_file, ground, size_hw=(360, 640))
    feet = truth[20].image_from_road(np.array([[10.0, 0.0, 0.0], [20.0, 1.0, 0.0], [40.0, -1.0, 0.0]]))
    told = np.linalg.norm(view.road_from_image(feet), axis=1)
    true = np.hypot([10.0, 20.0, 40.0], [0.0, 1.0, 1.0])
    np.testing.assert_array_less(np.abs(told - true), 3.0 * view.distance_std_m(feet, 1.0))


@pytest.fixture
def camera_file(tmp_path: Path) -> Path:
    return write_camera(tmp_path / "camera.toml", CameraModel((360, 640), 460.0, 460.0, 320.0, 180.0))


def folder_of(tmp_path: Path, images: list[np.ndarray]) -> Path:
    folder = tmp_path / "recording"
    folder.mkdir()
    for index, image in enumerate(images):
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


def refusal(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str | Path) -> str:
    """Run, expect exit code 2, one line and no file; give the line."""
    assert calibrate(*arguments, "--out", tmp_path / "g.toml", "--json", tmp_path / "g.json") == 2
    assert not (tmp_path / "g.toml").exists()
    assert not (tmp_path / "g.json").exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("clearway: error:")]
    assert len(lines) == 1
    return lines[0]


def street() -> np.ndarray:
    return open_synthetic("synthetic://drive?frames=2&seed=5").drive.render(0).image


def test_a_parked_recording_is_refused(camera_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(3)
    noisy = [np.clip(street() + rng.normal(0.0, 3.0, (360, 640, 3)), 0, 255).astype(np.uint8) for _ in range(6)]
    assert "so the vehicle is parked" in refusal(capsys, tmp_path, folder_of(tmp_path, noisy), "--camera", camera_file)


def test_a_camera_that_only_turns_is_refused(camera_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    matrix = CameraModel.load(camera_file).opencv_matrix
    images = []
    for index in range(10):
        turn = cv2.Rodrigues(np.array([0.0, 0.03 * index, 0.0]))[0]
        images.append(cv2.warpPerspective(street(), matrix @ turn @ np.linalg.inv(matrix), (640, 360)))
    line = refusal(capsys, tmp_path, folder_of(tmp_path, images), "--camera", camera_file)
    assert "turns but does not move" in line


def test_a_covered_lens_is_refused(camera_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = folder_of(tmp_path, [np.full((360, 640, 3), 20, np.uint8)] * 6)
    assert "too few points can be followed" in refusal(capsys, tmp_path, folder, "--camera", camera_file)


def test_pictures_of_another_shape_are_refused(camera_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = refusal(capsys, tmp_path, "synthetic://drive?frames=9&size=640x480", "--camera", camera_file)
    assert "the camera was measured on 640x360 pictures, these are 640x480: another shape" in line
    mixed = folder_of(tmp_path, [street(), cv2.resize(street(), (320, 180))])
    assert "a camera's pictures have one size" in refusal(capsys, tmp_path, mixed, "--camera", camera_file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either a RECORDING of a drive or --marks"),
        (["synthetic://drive", "--marks", "m.toml"], "give either a RECORDING"),
        (["synthetic://drive", "--height-m", "1.5", "--speed-mps", "9"], "give one of them"),
        (["synthetic://drive", "--height-m", "-1.5"], "0.1 to 100 metres"),
        (["synthetic://drive", "--speed-mps", "nan"], "0.1 to 150 metres a second"),
        (["synthetic://drive", "--aligned"], "--aligned is about --marks"),
        (["nowhere.mp4", "--height-m", "1.5"], "no such file or folder"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: list[str], message: str, camera_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert message in refusal(capsys, tmp_path, *options, "--camera", camera_file)


@pytest.mark.data
@pytest.mark.slow
def test_a_real_drive_gives_distances_as_stereo_does(driving_data: Path, tmp_path: Path):
    folder = driving_data / "kitti_stereo" / "seq1"
    camera, _, _ = stereo_road(folder, "000000.png")
    camera_file, ground, figures_file = (
        write_camera(tmp_path / "c.toml", camera),
        tmp_path / "g.toml",
        tmp_path / "g.json",
    )
    options = ("--camera", camera_file, "--height-m", "1.65", "--out", ground, "--json", figures_file)
    assert calibrate(folder / "image_l", *options) == 0
    figures = json.loads(figures_file.read_text())
    view = RoadView.load(camera_file, ground)
    pitches, errors = [], []
    for index in range(0, 51, 5):
        _, pixels, points = stereo_road(folder, f"{index:06d}.png")
        stereo = plane_pose(points)
        pitches.append(stereo.pitch_rad)
        true = np.linalg.norm((points @ stereo.camera_from_road_rotation)[:, :2], axis=1)
        there = (true > 10.0) & (true < 30.0)
        told = np.linalg.norm(view.road_from_image(pixels[there]), axis=1)
        errors.append(np.median(np.abs(told / true[there] - 1.0)))
    off = figures["pitch_rad"] - float(np.mean(pitches))
    assert abs(math.degrees(off)) < 0.3
    assert abs(off) < 3.0 * figures["uncertainty"]["pitch_rad"]
    assert np.median(errors) < 0.05


def test_without_height_or_speed_metres_are_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What a ground file without a height says: directions, and no metres."""
    from pipeline.errors import ConfigError
    from pipeline.geometry.calibration_files import read_ground

    ground = ground_from_motions(survey_of(made_up_motions(np.random.default_rng(1), CameraPose(1.5, 0.05))), "x")
    assert ground.height_m is None
    file = tmp_path / "ground.toml"
    file.write_text('format = "clearway-ground/1"\npitch_rad = 0.05\n')
    assert read_ground(file).height_m is None
    camera_file = write_camera(tmp_path / "c.toml", CameraModel((360, 640), 460.0, 460.0, 320.0, 180.0))
    with pytest.raises(ConfigError, match="the height of the camera is unknown, so nothing can be told in metres"):
        RoadView.load(camera_file, file)
