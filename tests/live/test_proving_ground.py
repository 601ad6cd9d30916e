"""The proving ground itself, seen by the simplest of viewers: what it claims to do to a stream, it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from tests.live import clock
from tests.live.cameras import MjpegCamera, RtspCamera
from tests.live.network import CorruptingProxy, LossyNetwork
from tests.live.processes import wait_until

LOW_DELAY = {"fflags": "nobuffer", "flags": "low_delay", "probesize": "32", "analyzeduration": "0"}


@contextmanager
def viewing(uri: str, transport: str = "tcp", timeout_s: float = 5.0) -> Iterator[Iterator[np.ndarray]]:
    options = LOW_DELAY | ({"rtsp_transport": transport} if uri.startswith("rtsp") else {})
    with av.open(uri, options=options, timeout=timeout_s) as container:
        container.streams.video[0].thread_type = "SLICE"
        yield (frame.to_ndarray(format="bgr24") for packet in container.demux(video=0) for frame in decoded(packet))


def decoded(packet: av.Packet) -> list[av.VideoFrame]:
    """What the decoder can make of it; a picture that it can make nothing of is passed over."""
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []


def see_it_break(pictures: Iterator[np.ndarray]) -> None:
    """View until the stream ends, in one way or the other; some pictures may still be on their way."""
    for _ in range(200):
        next(pictures)


def test_an_rtsp_camera_is_live_and_clocked(rtsp_camera: Callable[..., RtspCamera], driving_data: Path):
    clip = driving_data / "clips" / "udacity_solidWhiteRight.mp4"
    camera = rtsp_camera("--clip", str(clip), "--gop", "5")
    with viewing(camera.uri) as pictures:
        ages_ms = [clock.age_ms(clock.read(next(pictures)) or 0) for _ in range(30)]
        assert camera.tell("clients") == "1"
    assert np.median(ages_ms) < 500


@pytest.mark.parametrize("codec", ["h265", "mjpeg"])
def test_it_speaks_other_codecs_over_udp(rtsp_camera: Callable[..., RtspCamera], codec: str):
    camera = rtsp_camera("--codec", codec, "--size", "320x240", "--gop", "5")
    with viewing(camera.uri, "udp") as pictures:
        assert clock.read(next(pictures)) is not None


def test_it_changes_size_in_the_middle_of_a_stream(rtsp_camera: Callable[..., RtspCamera]):
    camera = rtsp_camera("--gop", "5")
    with viewing(camera.uri) as pictures:
        assert next(pictures).shape == (360, 640, 3)
        camera.tell("resize 320x240")
        assert any(next(pictures).shape == (240, 320, 3) for _ in range(50))


def test_frozen_it_sends_nothing_and_thawed_it_goes_on(rtsp_camera: Callable[..., RtspCamera]):
    camera = rtsp_camera("--gop", "5", "--rate", "20")
    with viewing(camera.uri) as pictures:
        seen_ms = [clock.read(next(pictures)) for _ in range(5)]
        camera.tell("freeze")
        time.sleep(0.5)
        camera.tell("thaw")
        seen_ms += [clock.read(next(pictures)) for _ in range(10)]
    gaps_ms = np.diff([ms for ms in seen_ms if ms is not None])
    assert len(seen_ms) == len(gaps_ms) + 1
    assert gaps_ms.max() > 400


def test_killed_and_restarted_it_is_another_camera_at_the_same_address(rtsp_camera: Callable[..., RtspCamera]):
    camera = rtsp_camera("--gop", "5")
    with viewing(camera.uri) as pictures:
        next(pictures)
        camera.kill()
        with pytest.raises((av.FFmpegError, StopIteration)):
            see_it_break(pictures)
    camera.start("--size", "320x240", "--codec", "mjpeg")
    with viewing(camera.uri) as pictures:
        assert next(pictures).shape == (240, 320, 3)


def test_paused_it_leaves_the_connection_open_and_silent(rtsp_camera: Callable[..., RtspCamera]):
    camera = rtsp_camera("--gop", "5")
    with viewing(camera.uri, timeout_s=1.0) as pictures:
        next(pictures)
        camera.pause()
        with pytest.raises(av.FFmpegError, match=r"timed out|Immediate exit"):
            see_it_break(pictures)
    camera.resume()


def test_it_asks_for_a_password(rtsp_camera: Callable[..., RtspCamera]):
    camera = rtsp_camera("--user", "driver:secret", "--gop", "5")
    with pytest.raises(av.FFmpegError, match=r"401|nauthorized"), viewing(camera.uri):
        pass
    with viewing(camera.uri.replace("//", "//driver:secret@")) as pictures:
        assert clock.read(next(pictures)) is not None


def test_an_http_camera_is_live_and_can_be_switched_off(mjpeg_camera: Callable[..., MjpegCamera]):
    camera = mjpeg_camera()
    with viewing(camera.uri) as pictures:
        ages_ms = [clock.age_ms(clock.read(next(pictures)) or 0) for _ in range(20)]
        camera.stop()
        with pytest.raises((av.FFmpegError, StopIteration)):
            see_it_break(pictures)
    assert np.median(ages_ms) < 500
    camera.start()
    with viewing(camera.uri) as pictures:
        assert clock.read(next(pictures)) is not None


def test_the_proxy_damages_pictures_and_not_the_protocol(
    rtsp_camera: Callable[..., RtspCamera], corrupting_proxy: Callable[[RtspCamera], CorruptingProxy]
):
    proxy = corrupting_proxy(rtsp_camera("--gop", "10"))
    with viewing(proxy.uri) as pictures:
        assert clock.read(next(pictures)) is not None
        proxy.share = 0.5
        for _ in range(25):
            next(pictures)
    assert proxy.corrupted > 5


@pytest.mark.parametrize("transport", ["udp", pytest.param("tcp", marks=pytest.mark.slow)])
def test_the_network_loses_packets(lossy_network: LossyNetwork, rtsp_camera: Callable[..., RtspCamera], transport: str):
    camera = rtsp_camera("--gop", "10", address=lossy_network.camera_address, prefix=lossy_network.camera_prefix)
    with viewing(camera.uri, transport, timeout_s=20.0) as pictures:
        first_ms = clock.read(next(pictures))
        assert first_ms is not None
        lossy_network.lose(0.3)
        times_ms = [clock.read(next(pictures)) for _ in range(20)]
    readable = [ms for ms in times_ms if ms is not None]
    assert readable, f"no picture came through with 30 % loss by {lossy_network.means_of_loss}"
    if transport == "udp":
        assert len(set(readable)) < 20 or np.diff(readable).max() > 60, "nothing was lost"


@pytest.mark.slow
def test_a_pulled_cable_is_silence(lossy_network: LossyNetwork, rtsp_camera: Callable[..., RtspCamera]):
    camera = rtsp_camera("--gop", "5", address=lossy_network.camera_address, prefix=lossy_network.camera_prefix)
    with viewing(camera.uri, timeout_s=1.0) as pictures:
        next(pictures)
        lossy_network.pull_cable()
        with pytest.raises(av.FFmpegError):
            see_it_break(pictures)
    lossy_network.plug_cable()

    def back() -> bool:
        try:
            with viewing(camera.uri, timeout_s=2.0) as pictures:
                return next(pictures) is not None
        except av.FFmpegError:
            return False

    wait_until(back, 20.0, "the camera behind the plugged cable")
