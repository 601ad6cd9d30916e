"""A recording keeps how its cameras hang over the road, so that whoever replays it years later has metres too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.config import load_calibration, load_view
from pipeline.errors import ConfigError
from pipeline.geometry.calibration_files import Calibration
from pipeline.sources import open_source
from tests.pipeline.calibration import write_calibration
from tests.pipeline.recording.streams import make_stream, recording, send, wait_until


def calibrated(folder: Path, size_hw: tuple[int, int]) -> Calibration:
    kept = load_calibration(*map(str, write_calibration(folder, size_hw)), bonnet_m=1.5)
    assert kept is not None
    return kept


def test_a_saved_recording_knows_its_camera_and_its_neighbour_without_calibration_does_not(tmp_path: Path) -> None:
    kept = calibrated(tmp_path, (192, 320))
    rides = tmp_path / "rides"
    with recording(rides, ("front", "rear"), calibrations={"front": kept}) as recorder:
        for camera in ("front", "rear"):
            send(recorder.for_camera(camera), make_stream())
        wait_until(lambda: recorder.status.pictures == 100)
        saved = Path(recorder.save("button"))
    for folder in (Path(recorder.status.folder), saved):
        info = open_source(str(folder / "front")).info
        assert info.view == load_view(*map(str, write_calibration(tmp_path, (192, 320))))
        assert info.bonnet_m == 1.5
        assert open_source(str(folder / "rear")).info.view is None


def test_pictures_of_another_shape_have_no_metres(tmp_path: Path) -> None:
    with recording(tmp_path / "rides", calibrations={"front": calibrated(tmp_path, (300, 320))}) as recorder:
        send(recorder.for_camera("front"), make_stream())
    assert open_source(str(tmp_path / "rides")).info.view is None


def test_a_damaged_calibration_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with recording(tmp_path / "rides", calibrations={"front": calibrated(tmp_path, (192, 320))}) as recorder:
        send(recorder.for_camera("front"), make_stream())
    manifest = Path(recorder.status.folder) / "front" / "recording.json"
    content = json.loads(manifest.read_text())
    content["calibration"]["camera"]["matrix"][0][0] = -320.0
    manifest.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"recording\.json: matrix must be"):
        open_source(str(tmp_path / "rides"))
    assert main(["replay", str(tmp_path / "rides"), "--quiet"]) == 2
    assert "Traceback" not in capsys.readouterr().err
