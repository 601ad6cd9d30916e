"""`calibrate camera` from photos to files, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.files import to_toml, write_whole
from calibration.views import find_photos
from pipeline.cli import main
from pipeline.errors import SinkError
from pipeline.geometry.calibration_files import GROUND_FORMAT, GroundFile, GroundUncertainty, read_file
from pipeline.geometry.camera_model import CameraModel
from tests.calibration.board_photos import CAMERA, photograph, photograph_charuco, placings


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight good photos, and one of each kind that cannot be used."""
    folder = tmp_path_factory.mktemp("photos")
    shots = [photograph(CAMERA, placing) for placing in placings(8)]
    for number, shot in enumerate(shots):
        cv2.imwrite(str(folder / f"good{number}.png"), shot)
    cv2.imwrite(str(folder / "again.png"), shots[0])
    cv2.imwrite(str(folder / "small.png"), photograph(CAMERA.scaled_to((288, 512)), placings(8)[3]))
    cv2.imwrite(str(folder / "blurred.png"), cv2.GaussianBlur(shots[1], (0, 0), 5.0))
    cv2.imwrite(str(folder / "wall.png"), np.full((360, 640), 120, np.uint8))
    (folder / "damaged.png").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("not a photo at all")
    return folder


def calibrate(*arguments: str | Path) -> int:
    return main(["calibrate", "camera", *map(str, arguments)])


def test_photos_become_a_camera_file_and_every_photo_left_out_has_its_reason(photos: Path, tmp_path: Path):
    toml, figures_file, picture = tmp_path / "out" / "camera.toml", tmp_path / "c.json", tmp_path / "cover.png"
    options = ("--board", "9x6", "--square-m", "0.03", "--out", toml, "--json", figures_file, "--coverage", picture)
    assert calibrate(photos, *options) == 0

    figures = json.loads(figures_file.read_text())
    assert figures["rms_px"] < 0.15
    assert figures["used"][1:] == [f"good{number}.png" for number in range(1, 8)]
    assert figures["used"][0] in {"again.png", "good0.png"}
    reasons = figures["rejected"]
    assert set(reasons) == {"good0.png", "small.png", "blurred.png", "wall.png", "damaged.png"}
    assert reasons["good0.png"].startswith("nearly the same view as again.png")
    assert reasons["small.png"] == "another image size: 512x288, the others are 640x360"
    assert reasons["blurred.png"].startswith("blurred")
    assert reasons["wall.png"].startswith("no board with 9x6")
    assert reasons["damaged.png"].startswith("not an image")

    camera = CameraModel.load(toml)
    np.testing.assert_allclose(camera.opencv_matrix, figures["matrix"], atol=1e-6)
    assert camera.size_hw == (360, 640)
    assert abs(camera.fx - CAMERA.fx) < 0.02 * CAMERA.fx
    assert CameraModel.load(toml, (720, 1280)).fx == pytest.approx(2 * camera.fx)
    assert cv2.imread(str(picture)).shape == (720 + 56, 1280, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "cover.png", "out"]


def test_charuco_photos_become_a_camera_too(tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, placing in enumerate(placings(8, seed=6)):
        shot = photograph_charuco(CAMERA, placing, cv2.aruco.DICT_5X5_100, 8, 5)
        cv2.imwrite(str(folder / f"{number}.png"), shot[:, ::-1] if number == 7 else shot)
    figures_file = tmp_path / "c.json"
    assert calibrate(folder, "--board", "8x5", "--charuco", "DICT_5X5_100", "--json", figures_file) == 0
    figures = json.loads(figures_file.read_text())
    assert figures["rms_px"] < 0.2
    assert figures["rejected"]["7.png"].startswith("mirrored")
    assert abs(figures["matrix"][0][0] - CAMERA.fx) < 0.05 * CAMERA.fx


def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str | Path) -> str:
    """Run, expect exit code 2, one line and no file; give the line."""
    assert calibrate(*arguments, "--out", tmp_path / "camera.toml", "--json", tmp_path / "c.json") == 2
    assert not (tmp_path / "camera.toml").exists()
    assert not (tmp_path / "c.json").exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("clearway: error:")]
    assert len(lines) == 1
    return lines[0]


def test_too_few_boards_are_refused(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, tmp_path, f"{photos}/good[0-2].png", "--board", "9x6")
    assert "too few usable photos: 3 of 3, at least 4 are needed" in line


def test_mixed_sizes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, placing in enumerate(placings(4)):
        camera = CAMERA if number % 2 else CAMERA.scaled_to((288, 512))
        cv2.imwrite(str(folder / f"{number}.png"), photograph(camera, placing))
    line = refused(capsys, tmp_path, folder, "--board", "9x6")
    assert "mixed sizes: 2 photos are 512x288 and as many are 640x360" in line


def test_mirrored_boards_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, placing in enumerate(placings(4)):
        shot = photograph_charuco(CAMERA, placing, cv2.aruco.DICT_5X5_100, 8, 5)
        cv2.imwrite(str(folder / f"{number}.png"), shot[:, ::-1])
    line = refused(capsys, tmp_path, folder, "--board", "8x5", "--charuco", "5X5_100")
    assert "too few usable photos: 0 of 4" in line
    assert "they are mirrored: switch off mirroring" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "--board", "9x6"), "nowhere: no such folder"),
        (("{folder}", "--board", "9x6"), "no photos there"),
        (("{folder}", "--board", "nine"), "--board nine: give inner corners"),
        (("{folder}", "--board", "9x6", "--square-m", "-1"), "--square-m -1"),
    ],
)
def test_bad_options_are_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "empty"
    folder.mkdir()
    assert message in refused(capsys, tmp_path, *(argument.format(folder=folder) for argument in arguments))


def test_outputs_that_cannot_be_written_are_refused_before_the_work(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert calibrate(photos, "--board", "9x6", "--out", tmp_path) == 2
    assert "that is a folder" in capsys.readouterr().err
    assert calibrate(photos, "--board", "9x6", "--out", tmp_path / "x", "--json", tmp_path / "x") == 2
    assert "two outputs are the same file" in capsys.readouterr().err


def test_an_older_file_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "camera.toml"
    write_whole(file, b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SinkError, match="disk is full"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["camera.toml"]


def test_a_device_is_not_replaced_and_a_link_stays_a_link(tmp_path: Path):
    pipe, link, real = tmp_path / "pipe", tmp_path / "link", tmp_path / "real"
    os.mkfifo(pipe)
    with pytest.raises(SinkError, match="not a regular file"):
        write_whole(pipe, b"new")
    link.symlink_to(real)
    write_whole(link, b"new")
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_files_are_read_back_as_they_were_written(tmp_path: Path):
    uncertainty = GroundUncertainty(height_m=0.02, correlation=((1.0, 0.5, 0.0), (0.5, 1.0, 0.0), (0.0, 0.0, 1.0)))
    content = GroundFile(height_m=1.5, pitch_rad=0.02, method='marks "A"', uncertainty=uncertainty)
    file = tmp_path / "ground.toml"
    write_whole(file, to_toml(content, "A test."))
    assert read_file(file, GroundFile, GROUND_FORMAT) == content


def test_photos_come_in_natural_order_and_names_stay_distinct(tmp_path: Path):
    for name in ("a/10.png", "a/9.png", "b/9.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list(find_photos(str(tmp_path / "a"))) == ["9.png", "10.png"]
    assert list(find_photos(f"{tmp_path}/*/*.png")) == [
        str(tmp_path / name) for name in ("a/9.png", "a/10.png", "b/9.png")
    ]


@pytest.mark.data
def test_real_photos_of_a_printed_board(driving_data: Path, tmp_path: Path):
    folder, figures_file = driving_data / "calibration" / "chessboard_9x6", tmp_path / "c.json"
    assert calibrate(folder, "--board", "9x6", "--json", figures_file) == 0
    figures = json.loads(figures_file.read_text())
    assert figures["rms_px"] <= 0.9
    assert len(figures["used"]) == 9
    assert list(figures["rejected"]) == ["calibration1.jpg"]
    assert "cut off by the edge" in figures["rejected"]["calibration1.jpg"]
    assert 1120.0 < figures["matrix"][0][0] < 1210.0
    assert figures["board_bend_squares"] > 0.0  # It hangs on a wall, unglued.
