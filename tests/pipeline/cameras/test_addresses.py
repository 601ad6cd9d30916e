"""What users type for a camera."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cameras.address import (
    CameraConfig,
    calibrate_cameras,
    camera_kind,
    is_camera,
    name_cameras,
    playback_address,
    redacted,
)
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("0", "v4l2"),
        ("/dev/video2", "v4l2"),
        ("v4l2:///dev/video0", "v4l2"),
        ("csi://1", "csi"),
        ("videotestsrc ! video/x-raw,width=640", "gstreamer"),
        ("rtsp://10.0.0.2:554/main", "rtsp"),
        ("rtsps://camera/main", "rtsp"),
        ("http://camera/video.mjpg", "http"),
        ("synthetic://drive", "playback"),
        ("drive.mp4?loop", "playback"),
    ],
)
def test_each_address_means_one_kind_of_camera(uri: str, kind: str):
    assert camera_kind(uri) == kind
    assert is_camera(uri)
    assert is_camera(f"front={uri}")


@pytest.mark.parametrize("output", ["overlay.mp4", "scenes.jsonl", "masks/", "display://", "out/7"])
def test_outputs_are_no_cameras(output: str):
    assert not is_camera(output)


def test_cameras_are_named_by_the_user_or_numbered():
    cameras = name_cameras([CameraConfig("front=rtsp://a/1?channel=2"), CameraConfig("/dev/video1")])
    assert [(camera.name, camera.uri) for camera in cameras] == [
        ("front", "rtsp://a/1?channel=2"),
        ("camera-2", "/dev/video1"),
    ]
    assert name_cameras([CameraConfig("0")])[0].name == "camera"


def test_a_file_whose_name_has_an_equals_sign_is_still_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("take=3.mp4").touch()
    assert name_cameras([CameraConfig("take=3.mp4")])[0].uri == "take=3.mp4"


def test_two_cameras_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two cameras are called 'front'"):
        name_cameras([CameraConfig("front=0"), CameraConfig("front=1")])


@pytest.mark.parametrize(("uri", "complaint"), [("gopher://camera", "gopher://"), ("nothing.mp4?loop", "no such file")])
def test_what_is_no_camera_is_refused_with_what_there_is(uri: str, complaint: str):
    with pytest.raises(ConfigError, match=f"{complaint}.*known are|{complaint}.*Give v4l2"):
        name_cameras([CameraConfig(uri)])


def test_recordings_say_whether_they_begin_again():
    assert playback_address("drive.mp4?loop") == ("drive.mp4", True)
    assert playback_address("drive.mp4") == ("drive.mp4", False)
    assert playback_address("synthetic://drive?seed=3&frames=20") == ("synthetic://drive?seed=3&frames=20", False)
    assert playback_address("synthetic://drive?seed=3") == ("synthetic://drive?seed=3&frames=900", True)


def test_passwords_are_never_shown():
    assert redacted("rtsp://admin:s3cret@10.0.0.2/main") == "rtsp://admin:***@10.0.0.2/main"
    assert redacted("rtsp://10.0.0.2:554/main") == "rtsp://10.0.0.2:554/main"


def test_calibration_files_go_to_the_camera_that_they_name():
    cameras = name_cameras([CameraConfig("front=rtsp://a/1"), CameraConfig("rear=rtsp://b/2")])
    front, rear = calibrate_cameras(cameras, ["rear=r.toml", "front=f.toml"], ["rear=rg.toml"])
    assert (front.camera, front.ground) == ("f.toml", "")
    assert (rear.camera, rear.ground) == ("r.toml", "rg.toml")
    (only,) = calibrate_cameras(name_cameras([CameraConfig("rtsp://a/1")]), ["c.toml"], ["camera=g.toml"])
    assert (only.camera, only.ground) == ("c.toml", "g.toml")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (["c.toml"], "--camera c.toml: whose\\? Name the camera, as in --camera front=c.toml"),
        (["side=c.toml"], "there is no camera 'side'; there are front, rear"),
        (["front=c.toml", "front=d.toml"], "was given another file already"),
    ],
)
def test_a_calibration_file_that_is_nobodys_is_refused(files: list[str], complaint: str):
    cameras = name_cameras([CameraConfig("front=rtsp://a/1"), CameraConfig("rear=rtsp://b/2")])
    with pytest.raises(ConfigError, match=complaint):
        calibrate_cameras(cameras, files, [])
