"""`calibrate camera` before a live camera: views are taken by themselves, and nothing that was taken is lost."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import live_views
from calibration.boards import open_finder
from calibration.live_views import take_views
from pipeline.cli import main
from pipeline.geometry.camera_model import CameraModel
from pipeline.scene import Frame
from tests.calibration.board_photos import CAMERA, photograph, placings
from tests.live.cameras import MjpegCamera, free_port


def frames_of(pictures: list[np.ndarray], step_s: float) -> Iterator[Frame]:
    for index, picture in enumerate(pictures):
        image = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        yield Frame(index, index * step_s, 0.0, picture.shape, partial(np.asarray, image))


class BoardCamera(MjpegCamera):
    """An HTTP camera before which somebody moves a board about, half a second at every place."""

    def __init__(self, shots: list[np.ndarray]) -> None:
        self._jpegs = [bytes(cv2.imencode(".jpg", shot, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]) for shot in shots]
        super().__init__((360, 640), 20.0)

    def _jpeg(self) -> bytes:
        return self._jpegs[int(time.monotonic() / 0.5) % len(self._jpegs)]


@pytest.fixture(scope="module")
def shots() -> list[np.ndarray]:
    return [photograph(CAMERA, placing) for placing in placings(7)]


def test_a_board_that_is_held_still_is_taken_once_at_every_place(shots: list[np.ndarray]):
    wall = np.full((360, 640), 120, np.uint8)
    moving = [np.roll(shots[2], 9 * step, axis=1) for step in range(4)]
    pictures = [wall, *[shots[0]] * 4, *moving, *[shots[1]] * 3, *[shots[0]] * 2]
    said: list[str] = []
    taking = take_views(frames_of(pictures, 0.3), open_finder(9, 6), 5, said.append)
    assert [view.name for view in taking.views] == ["view-01.png", "view-02.png"]
    assert taking.looks == len(pictures)
    assert taking.passed_over["no board with 9x6 inner corners found"] == 1
    assert taking.passed_over["the board moves"] == 4 + 1  # Also to where it is held next.
    assert taking.passed_over["taken there already"] == 2 + 1 + 2
    assert said[2].startswith("1 of 5 views; not seen yet: ")


def test_what_was_taken_is_kept_when_the_user_interrupts(shots: list[np.ndarray]):
    def interrupted() -> Iterator[Frame]:
        yield from frames_of([*[shots[0]] * 2, *[shots[1]] * 2], 0.3)
        raise KeyboardInterrupt

    assert len(take_views(interrupted(), open_finder(9, 6), 5).views) == 2


def test_a_live_camera_becomes_a_camera_file(shots: list[np.ndarray], tmp_path: Path):
    kept, figures_file, again = tmp_path / "kept", tmp_path / "c.json", tmp_path / "again.json"
    with BoardCamera(shots) as camera:
        options = ("--board", "9x6", "--views", "6", "--keep", str(kept), "--json", str(figures_file))
        assert main(["calibrate", "camera", camera.uri, *options, "--out", str(tmp_path / "camera.toml")]) == 0
    figures = json.loads(figures_file.read_text())
    assert figures["rms_px"] < 0.3
    assert figures["used"] == [f"view-{number:02}.png" for number in range(1, 7)]
    assert abs(CameraModel.load(tmp_path / "camera.toml").fx - CAMERA.fx) < 0.03 * CAMERA.fx
    assert main(["calibrate", "camera", str(kept), "--board", "9x6", "--json", str(again)]) == 0
    np.testing.assert_allclose(json.loads(again.read_text())["matrix"], figures["matrix"], atol=1e-3)
    assert main(["calibrate", "camera", "0", "--board", "9x6", "--keep", str(kept)]) == 2  # Full of pictures already.


def test_a_video_of_a_board_will_do_as_well(shots: list[np.ndarray], tmp_path: Path):
    video = tmp_path / "board.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 5.0, (640, 360))
    for shot in itertools.chain.from_iterable([shot] * 3 for shot in shots):
        writer.write(cv2.cvtColor(shot, cv2.COLOR_GRAY2BGR))
    writer.release()
    assert main(["calibrate", "camera", str(video), "--board", "9x6", "--json", str(tmp_path / "c.json")]) == 0
    assert len(json.loads((tmp_path / "c.json").read_text())["used"]) >= 6


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["calibrate", "camera", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.startswith("clearway: error:") for line in lines] == [True]
    return lines[0]


def test_cameras_that_show_no_board_or_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    out = ("--board", "9x6", "--out", str(tmp_path / "camera.toml"))
    with MjpegCamera((120, 160)) as camera:
        line = refused(capsys, camera.uri, *out, "--within-s", "1.5")
    assert "too few views of the board: 0 taken in" in line
    assert "x no board with 9x6 inner corners found" in line
    monkeypatch.setattr(live_views, "_UNREACHED_S", 0.5)
    assert f"127.0.0.1:{free_port()}"[:10] in refused(capsys, f"http://127.0.0.1:{free_port()}/x", *out)
    assert "no camera is known by ftp://" in refused(capsys, "ftp://somewhere/x", *out)
    assert "--views 3" in refused(capsys, "/dev/video9", *out, "--views", "3")
    assert "--within-s nan" in refused(capsys, "/dev/video9", *out, "--within-s", "nan")
    assert "not for photos" in refused(capsys, str(tmp_path), *out, "--keep", str(tmp_path / "kept"))
    assert not (tmp_path / "camera.toml").exists()
