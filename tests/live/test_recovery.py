"""What a live run does while its camera is away, and how soon after its return it sees again.

Every picture carries the time at which it was taken, so that "recovered" means a picture taken after the return, and
"invented" means a scene that shows, or claims, what no camera saw.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cameras.camera import CameraLimits
from tests.live.cameras import MjpegCamera, RtspCamera
from tests.live.network import CorruptingProxy, LossyNetwork
from tests.live.witness import WitnessedRun

RtspCameras = Callable[..., RtspCamera]
Witnessed = Callable[..., WitnessedRun]

TARGET_S = 2.0
BUSY_S = float(os.environ.get("CLEARWAY_TEST_SLACK_S", "2"))
"""What a machine that runs other tests besides may take longer; CLEARWAY_TEST_SLACK_S=0 holds the target itself."""

GOP_OF_HALF_A_SECOND = ("--gop", "12")
SLOW = pytest.mark.slow


def in_order(states: list[str], expected: list[str]) -> bool:
    """Whether states were passed in that order; `stale` may come before any `reconnecting`."""
    rest = iter(states)
    return all(state in rest for state in expected)


def assert_recovered(run: WitnessedRun, recovery_s: float, through: list[str], sees: int = 20) -> None:
    run.end()
    assert recovery_s < TARGET_S + BUSY_S
    assert run.witness.invented() == []
    assert in_order(run.witness.states(), ["live", *through, "live"]), run.witness.states()
    assert len(run.witness.live()) >= sees


@pytest.mark.parametrize("away_s", [1.0, pytest.param(5.0, marks=SLOW), pytest.param(60.0, marks=SLOW)])
def test_a_camera_that_was_off(rtsp_camera: RtspCameras, witnessed: Witnessed, away_s: float):
    camera = rtsp_camera(*GOP_OF_HALF_A_SECOND)
    run = witnessed(camera.uri)
    run.wait_for_pictures(10)
    camera.kill()
    time.sleep(away_s)
    camera.start()
    assert_recovered(run, run.see_recovery(time.monotonic()), ["reconnecting"])
    assert run.runner.status().cameras[0].reconnects == 1


def test_a_camera_that_comes_back_with_another_size_and_codec(rtsp_camera: RtspCameras, witnessed: Witnessed):
    camera = rtsp_camera(*GOP_OF_HALF_A_SECOND)
    run = witnessed(camera.uri)
    run.wait_for_pictures(10)
    camera.kill()
    for options in (("--size", "800x448", "--codec", "h265"), ("--size", "320x240", "--codec", "mjpeg")):
        camera.start(*options, *GOP_OF_HALF_A_SECOND)
        recovery_s = run.see_recovery(time.monotonic())
        assert recovery_s < TARGET_S + BUSY_S
    assert_recovered(run, recovery_s, ["reconnecting"])
    sizes_hw = list(dict.fromkeys(seen.size_hw for seen in run.witness.live()))
    assert sizes_hw == [(360, 640), (448, 800), (240, 320)]


def test_a_camera_that_changes_size_in_the_middle_of_its_stream(rtsp_camera: RtspCameras, witnessed: Witnessed):
    camera = rtsp_camera(*GOP_OF_HALF_A_SECOND)
    run = witnessed(camera.uri)
    run.wait_for_pictures(10)
    camera.tell("resize 320x240")
    run.see_recovery(time.monotonic())
    run.wait_until(lambda: run.witness.live()[-1].size_hw == (240, 320), 20, "pictures of the new size")
    run.end()
    assert run.witness.invented() == []
    assert "reconnecting" not in run.witness.states()


def test_a_half_open_connection(rtsp_camera: RtspCameras, witnessed: Witnessed):
    """The camera's machine hangs: its connections stay open, and nothing comes through them."""
    camera = rtsp_camera(*GOP_OF_HALF_A_SECOND)
    run = witnessed(camera.uri, limits=CameraLimits(grab_s=1.0))
    run.wait_for_pictures(10)
    camera.pause()
    run.wait_until(lambda: run.witness.states()[-1] == "reconnecting", 10, "giving the connection up")
    camera.resume()
    assert_recovered(run, run.see_recovery(time.monotonic()), ["stale", "reconnecting"])


def test_a_camera_that_answers_and_sends_no_pictures(rtsp_camera: RtspCameras, witnessed: Witnessed):
    camera = rtsp_camera(*GOP_OF_HALF_A_SECOND)
    run = witnessed(camera.uri)
    run.wait_for_pictures(10)
    camera.tell("freeze")
    run.wait_until(lambda: run.witness.states()[-1] in {"stale", "reconnecting"}, 10, "saying that nothing comes")
    camera.tell("thaw")
    assert_recovered(run, run.see_recovery(time.monotonic()), ["stale"])


def test_an_http_camera_that_was_off(mjpeg_camera: Callable[..., MjpegCamera], witnessed: Witnessed):
    camera = mjpeg_camera()
    run = witnessed(camera.uri)
    run.wait_for_pictures(10)
    camera.stop()
    run.wait_until(lambda: run.witness.states()[-1] == "reconnecting", 10, "saying that the camera is gone")
    camera.start()
    assert_recovered(run, run.see_recovery(time.monotonic()), ["reconnecting"])


def test_an_http_camera_that_sends_broken_pictures(mjpeg_camera: Callable[..., MjpegCamera], witnessed: Witnessed):
    camera = mjpeg_camera()
    run = witnessed(camera.uri)
    run.wait_for_pictures(10)
    camera.damaged.set()
    run.wait_until(lambda: run.runner.status().cameras[0].dropped["corrupt"] > 20, 20, "counting broken pictures")
    camera.damaged.clear()
    assert_recovered(run, run.see_recovery(time.monotonic()), ["stale"])


@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
def test_packets_with_flipped_bits(
    rtsp_camera: RtspCameras,
    corrupting_proxy: Callable[[RtspCamera], CorruptingProxy],
    witnessed: Witnessed,
    driving_data: Path,
    codec: str,
):
    """Damage that no checksum of the network stopped: whatever the decoder cannot restore is not shown as the road."""
    clip = driving_data / "clips" / "udacity_solidWhiteRight.mp4"
    proxy = corrupting_proxy(rtsp_camera("--codec", codec, "--clip", str(clip), *GOP_OF_HALF_A_SECOND))
    run = witnessed(proxy.uri)
    run.wait_for_pictures(10)
    proxy.share = 0.1
    run.wait_until(lambda: run.runner.status().cameras[0].dropped["corrupt"] > 10, 20, "counting damaged pictures")
    proxy.share = 0.0
    recovery_s = run.see_recovery(time.monotonic())
    run.end()
    assert recovery_s < TARGET_S + BUSY_S
    # Bits flipped in a picture without a checksum can make another valid picture: see docs/reliability.md.
    assert len(run.witness.invented()) <= 0.1 * proxy.corrupted


@pytest.mark.parametrize(
    ("transport", "codec"),
    [
        ("tcp", "h264"),
        ("udp", "h264"),
        pytest.param("udp", "h265", marks=SLOW),
        pytest.param("udp", "mjpeg", marks=SLOW),
    ],
)
def test_a_network_that_loses_a_third(
    lossy_network: LossyNetwork, rtsp_camera: RtspCameras, witnessed: Witnessed, transport: str, codec: str
):
    place = {"address": lossy_network.camera_address, "prefix": lossy_network.camera_prefix}
    camera = rtsp_camera("--codec", codec, *GOP_OF_HALF_A_SECOND, **place)
    run = witnessed(camera.uri, transport=transport)
    run.wait_for_pictures(10)
    lossy_network.lose(0.3)
    time.sleep(4.0)
    lossy_network.lose(0.0)
    recovery_s = run.see_recovery(time.monotonic())
    run.end()
    # TCP has the lost packets to send again first, and doubles its pauses while they are lost (RFC 6298).
    assert recovery_s < TARGET_S + BUSY_S + (3.0 if transport == "tcp" else 0.0)
    assert run.witness.invented() == []


@pytest.mark.parametrize("transport", ["tcp", pytest.param("udp", marks=SLOW)])
def test_a_cable_that_was_pulled(
    lossy_network: LossyNetwork, rtsp_camera: RtspCameras, witnessed: Witnessed, transport: str
):
    camera = rtsp_camera(
        *GOP_OF_HALF_A_SECOND, address=lossy_network.camera_address, prefix=lossy_network.camera_prefix
    )
    run = witnessed(camera.uri, transport=transport, limits=CameraLimits(grab_s=1.0))
    run.wait_for_pictures(10)
    lossy_network.pull_cable()
    run.wait_until(lambda: run.witness.states()[-1] == "reconnecting", 10, "giving the connection up")
    time.sleep(1.0)
    lossy_network.plug_cable()
    assert_recovered(run, run.see_recovery(time.monotonic()), ["stale", "reconnecting"])


def test_one_camera_of_two_that_is_off_takes_nothing_from_the_other(
    rtsp_camera: RtspCameras, mjpeg_camera: Callable[..., MjpegCamera], witnessed: Witnessed
):
    steady, failing = mjpeg_camera(size_hw=(240, 320)), rtsp_camera(*GOP_OF_HALF_A_SECOND)
    run = witnessed(f"steady={steady.uri}", f"failing={failing.uri}")
    run.wait_until(lambda: all(len(run.witness.live(name)) > 10 for name in ("steady", "failing")), 40, "both cameras")
    failing.kill()
    off_s = time.monotonic()
    time.sleep(1.5)
    failing.start()
    back_s = time.monotonic()
    run.wait_until(lambda: len(run.witness.live("failing", since_s=back_s)) > 5, 20, "the camera that was off")
    run.end()
    meanwhile = run.witness.live("steady", since_s=off_s)
    assert run.witness.states("steady") == ["live"] or run.witness.states("steady") == ["connecting", "live"]
    assert len(meanwhile) > 15
    assert run.witness.invented() == []
