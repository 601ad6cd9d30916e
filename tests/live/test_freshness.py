"""How old a scene really is when it is published, read from the clock in its picture.

The bounds here are loose, because tests run beside others; figures of a machine at rest are in docs/reliability.md.
What cannot be loose: no picture is looked at twice, and under an engine that is too slow the age does not grow.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.live.cameras import MjpegCamera, RtspCamera
from tests.live.witness import WitnessedRun

PERIOD_MS = 40.0
ON_THE_WAY_MS = 400.0
"""Encoding, network and FFmpeg's parser, which holds H.264 and H.265 back by one period; on a machine that is busy."""


@pytest.mark.parametrize(("codec", "transport"), [("h264", "tcp"), ("h264", "udp"), ("h265", "tcp"), ("mjpeg", "tcp")])
def test_scenes_are_of_the_newest_picture(
    rtsp_camera: Callable[..., RtspCamera],
    witnessed: Callable[..., WitnessedRun],
    driving_data: Path,
    codec: str,
    transport: str,
):
    clip = driving_data / "clips" / "udacity_solidWhiteRight.mp4"
    camera = rtsp_camera("--codec", codec, "--gop", "10", "--clip", str(clip))
    run = witnessed(camera.uri, transport=transport)
    run.wait_for_pictures(25)
    run.end()
    ages_ms = np.array([seen.true_age_ms for seen in run.witness.live()])
    said_ms = np.array([seen.said_age_ms for seen in run.witness.live()])
    assert run.witness.invented() == []
    assert np.quantile(ages_ms, 0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS
    # What is constant on the way cannot be seen from here; what is said must never be more than what is true.
    assert (said_ms <= ages_ms + 5).all()


def test_scenes_of_an_http_camera_are_of_the_newest_picture(
    mjpeg_camera: Callable[..., MjpegCamera], witnessed: Callable[..., WitnessedRun]
):
    run = witnessed(mjpeg_camera().uri)
    run.wait_for_pictures(25)
    run.end()
    assert run.witness.invented() == []
    assert run.witness.true_age_ms(0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS


def test_under_an_engine_slower_than_the_camera_the_age_does_not_grow(
    rtsp_camera: Callable[..., RtspCamera], witnessed: Callable[..., WitnessedRun]
):
    run = witnessed(rtsp_camera("--gop", "10").uri, engine_delay_s=0.2)
    run.wait_for_pictures(20)
    run.end()
    ages_ms = [seen.true_age_ms for seen in run.witness.live()]
    camera = run.runner.status().cameras[0]
    assert run.witness.invented() == []
    assert camera.dropped["superseded"] > 2 * camera.scenes
    # Frames that queued up would be 160 ms older with every scene: 2 s over the thirteen between the medians.
    assert np.median(ages_ms[-7:]) < np.median(ages_ms[:7]) + 200
    assert np.quantile(ages_ms, 0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS


def test_several_cameras_are_all_fresh(
    rtsp_camera: Callable[..., RtspCamera],
    mjpeg_camera: Callable[..., MjpegCamera],
    witnessed: Callable[..., WitnessedRun],
):
    rtsp, http = rtsp_camera("--gop", "10"), mjpeg_camera(size_hw=(240, 320))
    run = witnessed(f"front={rtsp.uri}", f"rear={http.uri}", engine_delay_s=0.1)
    run.wait_until(lambda: all(len(run.witness.live(name)) > 10 for name in ("front", "rear")), 40, "both cameras")
    run.end()
    scenes = {name: len(run.witness.live(name)) for name in ("front", "rear")}
    assert run.witness.invented() == []
    assert min(scenes.values()) > 0.5 * max(scenes.values()), scenes
    assert run.witness.true_age_ms(0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS
