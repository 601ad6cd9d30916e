"""Marked road points tell how the camera hangs over the road, and how surely."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.ground import GroundFit, Mark, MarksFile, pose_from_marks
from pipeline.cli import main
from pipeline.errors import ConfigError
from pipeline.geometry import CameraPose, RoadView
from pipeline.geometry.camera_model import CameraModel

DASHCAM = CameraModel((720, 1280), 1163.0, 1158.9, 669.2, 388.2, (-0.2432, -0.0264, -0.0003, 0.0001))
FISHEYE = CameraModel((800, 1200), 340.0, 341.0, 603.0, 398.0, (0.05, -0.012, 0.004, -0.0008), fisheye=True)
BAY = np.array([[0.0, 0.0], [0.0, 2.5], [5.0, 2.5], [5.0, 0.0]])
"""A parking bay, from its near right corner."""


def marks_of(camera: CameraModel, pose: CameraPose, metres: np.ndarray, place: tuple[float, float]) -> MarksFile:
    """Marks as they appear when the bay's first corner lies at `place` in the road frame."""
    pixels = RoadView(camera, pose).image_from_road(metres + place)
    marks = tuple(Mark(tuple(px), tuple(m)) for px, m in zip(pixels.tolist(), metres.tolist(), strict=True))
    return MarksFile(size_hw=camera.size_hw, marks=marks)


@given(
    st.sampled_from([DASHCAM, FISHEYE]),
    st.builds(CameraPose, st.floats(0.8, 3.0), st.floats(-0.05, 0.25), st.floats(-0.1, 0.1), st.floats(-0.2, 0.2)),
    st.tuples(st.floats(6.0, 9.0), st.floats(-2.0, 0.5)),
)
@settings(max_examples=40, deadline=None)
def test_perfect_marks_give_the_pose_exactly(camera: CameraModel, pose: CameraPose, place: tuple[float, float]):
    fit = pose_from_marks(camera, marks_of(camera, pose, BAY, place))
    found = (fit.pose.height_m, fit.pose.pitch_rad, fit.pose.roll_rad, fit.pose.yaw_rad)
    assert found == pytest.approx((pose.height_m, pose.pitch_rad, pose.roll_rad, pose.yaw_rad), abs=1e-6)
    assert fit.rms_px < 1e-4
    assert (fit.deviations > 0.0).all()


def noisy_fit(rng: np.random.Generator, pose: CameraPose, metres: np.ndarray) -> GroundFit:
    perfect = marks_of(DASHCAM, pose, metres, (6.0, -1.0))
    marks = tuple(
        Mark(tuple(np.add(mark.px, rng.normal(0.0, 1.0, 2))), tuple(np.add(mark.m, rng.normal(0.0, 0.01, 2))))
        for mark in perfect.marks
    )
    return pose_from_marks(DASHCAM, MarksFile(size_hw=perfect.size_hw, marks=marks))


@pytest.mark.parametrize(
    "metres", [BAY, np.concatenate([BAY, BAY + np.array([10.0, 1.0])])], ids=["four marks", "eight marks"]
)
def test_deviations_are_those_of_repeated_measurements(metres: np.ndarray):
    rng, pose = np.random.default_rng(7), CameraPose(1.5, 0.05, 0.01)
    fits = [noisy_fit(rng, pose, metres) for _ in range(120)]
    errors = np.array([[f.pose.height_m - 1.5, f.pose.pitch_rad - 0.05, f.pose.roll_rad - 0.01] for f in fits])
    told = np.median([fit.deviations for fit in fits], axis=0)
    assert told == pytest.approx(errors.std(axis=0), rel=0.35)
    assert np.abs(errors.mean(axis=0)) == pytest.approx(0.0, abs=3.0 * told.max() / np.sqrt(120))


def test_the_distance_inside_the_bay_is_surer_than_height_and_pitch_alone_say():
    rng = np.random.default_rng(7)
    fit = noisy_fit(rng, CameraPose(1.5, 0.05, 0.01), BAY)
    together = RoadView(DASHCAM, fit.pose, fit.covariance)
    apart = RoadView(DASHCAM, fit.pose, np.diag(np.diag(fit.covariance)))
    pixel = together.image_from_road([[8.0, 0.0]])
    assert together.distance_std_m(pixel)[0] < apart.distance_std_m(pixel)[0]


def good_marks() -> MarksFile:
    return marks_of(DASHCAM, CameraPose(1.5, 0.05, 0.01), BAY, (6.0, -1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m * [1.0, -1.0], "the marks are mirrored"),
        (lambda m: m * [1.0, 0.01], "the marks lie on a line"),
        (lambda m: m * [[1, 1], [1, 1], [1, 1], [1.6, 1]], "the marks contradict each other: mark"),
        (lambda m: m[[0, 2, 1, 3]], "mirrored or in another order"),
    ],
)
def test_marks_that_cannot_be_are_refused(change, message: str):
    content = good_marks()
    metres = change(np.array([mark.m for mark in content.marks]))
    marks = tuple(Mark(mark.px, tuple(m)) for mark, m in zip(content.marks, metres.tolist(), strict=True))
    with pytest.raises(ConfigError, match=message) as caught:
        pose_from_marks(DASHCAM, MarksFile(size_hw=content.size_hw, marks=marks))
    assert "\n" not in str(caught.value)


CAMERA_TOML = """
format = "clearway-camera/1"
model = "pinhole"
size_hw = [720, 1280]
matrix = [[1163.0, 0.0, 668.7], [0.0, 1158.9, 387.7], [0.0, 0.0, 1.0]]
distortion = [-0.2432, -0.0264, -0.0003, 0.0001]
"""


def write_files(folder: Path, marks: int = 4) -> tuple[Path, Path]:
    camera, file = folder / "camera.toml", folder / "marks.toml"
    camera.write_text(CAMERA_TOML)
    rows = [f"{{px = {list(mark.px)}, m = {list(mark.m)}}}" for mark in good_marks().marks[:marks]]
    text = 'format = "clearway-marks/1"\nsize_hw = [720, 1280]\nmarks = [' + ",\n".join(rows) + "]\n"
    file.write_text(text)
    return camera, file


def test_marks_become_a_ground_file(tmp_path: Path):
    camera, marks = write_files(tmp_path)
    ground, figures_file = tmp_path / "ground.toml", tmp_path / "g.json"
    options = ["--camera", str(camera), "--marks", str(marks), "--out", str(ground), "--json", str(figures_file)]
    assert main(["calibrate", "ground", *options]) == 0
    figures = json.loads(figures_file.read_text())
    assert figures["height_m"] == pytest.approx(1.5, abs=1e-4)
    assert figures["pitch_rad"] == pytest.approx(0.05, abs=1e-5)
    assert set(figures["uncertainty"]) == {"height_m", "pitch_rad", "roll_rad"}
    view = RoadView.load(camera, ground, size_hw=(360, 640))
    assert view.pose.height_m == pytest.approx(1.5, abs=1e-4)
    pixel = view.image_from_road([[20.0, 0.0]])
    np.testing.assert_allclose(view.road_from_image(pixel), [[20.0, 0.0]], atol=1e-6)
    assert 0.0 < view.distance_std_m(pixel)[0] < 3.0


def test_three_marks_are_refused_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    camera, marks = write_files(tmp_path, marks=3)
    options = ["--camera", str(camera), "--marks", str(marks), "--out", str(tmp_path / "ground.toml")]
    assert main(["calibrate", "ground", *options]) == 2
    assert "3 marks; four or more are needed" in capsys.readouterr().err
    assert not (tmp_path / "ground.toml").exists()
