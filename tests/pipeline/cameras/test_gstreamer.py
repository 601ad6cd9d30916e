"""Pipelines of GStreamer, real ones, in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import closing

import numpy as np
import pytest

from pipeline.cameras.address import CameraConfig
from pipeline.cameras.base import SignalLostError
from pipeline.cameras.gstreamer import GStreamerConnection, pipeline_of

needs_gstreamer = pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="gst-launch-1.0 is not installed")

RED = "videotestsrc is-live=true pattern=red ! video/x-raw,width=322,height=182,framerate=30/1"


def connect(pipeline: str, open_s: float = 10.0, grab_s: float = 2.0) -> GStreamerConnection:
    return GStreamerConnection(CameraConfig(pipeline), "gstreamer", open_s, grab_s)


def read_on(connection: GStreamerConnection) -> None:
    for _ in range(1000):
        connection.read()


@needs_gstreamer
@pytest.mark.parametrize(("width", "height"), [(320, 180), (322, 182), (333, 181)])
def test_pictures_arrive_as_planes_with_the_right_colours(width: int, height: int):
    pipeline = f"videotestsrc is-live=true pattern=red ! video/x-raw,width={width},height={height},framerate=30/1"
    with closing(connect(pipeline)) as connection:
        frames = [taken.frame for _ in range(5) for taken in connection.read().pictures]
    assert connection.description == f"GStreamer {width}x{height}, 30 Hz"
    assert [frame.size_hw for frame in frames] == [(height, width)] * 5
    assert frames[0].planes is not None
    assert frames[0].planes.u.shape == ((height + 1) // 2, (width + 1) // 2)
    np.testing.assert_allclose(frames[0].image.reshape(-1, 3).mean(axis=0), (0, 0, 255), atol=4)


@needs_gstreamer
def test_a_pipeline_that_dies_is_a_lost_signal_and_leaves_no_process():
    with closing(connect(RED)) as connection:
        child = connection._child
        connection.read()
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(SignalLostError, match="pipeline ended"):
            read_on(connection)
        connection.close()
    assert child.returncode is not None


@needs_gstreamer
def test_a_pipeline_that_hangs_is_given_up_in_time_and_killed():
    with closing(connect(RED, grab_s=0.5)) as connection:
        child = connection._child
        os.kill(child.pid, signal.SIGSTOP)
        began_s = time.monotonic()
        with pytest.raises(SignalLostError, match=r"no picture for 0\.5 s"):
            read_on(connection)
    assert child.returncode is not None
    assert time.monotonic() - began_s < 10


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "complaint"),
    [("nosuchelement ! video/x-raw", "no element"), ("videotestsrc num-buffers=0 ! video/x-raw", "gave no picture")],
)
def test_what_gstreamer_says_is_passed_on_in_one_line(pipeline: str, complaint: str):
    with pytest.raises(SignalLostError, match=complaint) as caught:
        connect(pipeline)
    assert "\n" not in str(caught.value)


def test_without_gstreamer_there_is_no_point_in_trying_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SignalLostError, match=r"apt-get install gstreamer1\.0-tools") as caught:
        connect(RED)
    assert caught.value.permanent


def test_a_jetsons_camera_is_asked_for_its_size_rate_and_flip():
    config = CameraConfig("csi://1", size=[1080, 1920], rate=60, flip="rotate-180")
    words = pipeline_of(config, "csi")
    assert "nvarguscamerasrc sensor-id=1" in words
    assert "width=1920,height=1080,framerate=60/1" in words
    assert "flip-method=2" in words


def test_a_jetson_decodes_network_cameras_on_its_hardware():
    words = pipeline_of(CameraConfig("rtsp://10.0.0.2/a b", transport="udp"), "rtsp")
    assert words.startswith(
        "uridecodebin uri='rtsp://10.0.0.2/a b' source::latency=0 source::protocols=udp ! nvvidconv"
    )


@needs_gstreamer
def test_elsewhere_it_says_which_element_is_missing_and_keeps_the_password():
    with pytest.raises(SignalLostError, match="nvvidconv") as caught:
        GStreamerConnection(CameraConfig("rtsp://me:secret@127.0.0.1:1/x"), "rtsp", 5.0, 1.0)
    assert "secret" not in str(caught.value)
