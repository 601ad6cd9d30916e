"""How old a scene really is when it is published, read from the clock in its picture.

The bounds here are loose, because tests run beside others; figures of a machine at rest are in docs/reliability.md.
What cannot be loose: no picture is looked at twice, and under an engine that is too slow the age does not grow.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.cameras.address import CameraConfig
from pipeline.cameras.ffmpeg import FfmpegConnection
from tests.live import clock
from tests.live.cameras import MjpegCamera, RtspCamera
from tests.live.witness import WitnessedRun

Note = Callable[..., None]

PICTURES = int(os.environ.get("CLEARWAY_PICTURES", "25"))
"""How many to look at; some hundreds for quantiles worth writing down."""

PERIOD_MS = 40.0
ON_THE_WAY_MS = 400.0
"""Encoding, network and FFmpeg's parser, which holds H.264 and H.265 back by one period; on a machine that is busy."""


def measured(run: WitnessedRun) -> dict[str, object]:
    """What is worth writing down of a run."""
    engine_ms = {quantile: sum_of_stages(run, quantile) for quantile in (0.5, 0.99)}
    said = run.runner.age_ms()
    return {
        "pictures": len(run.witness.live()),
        "true_age_ms": {f"p{q * 100:g}": round(run.witness.true_age_ms(q), 1) for q in (0.5, 0.95, 0.99, 1.0)},
        "said_age_ms": {name: said[name] for name in ("p50", "p95", "p99")},
        "engine_ms": {f"p{q * 100:g}": round(value, 1) for q, value in engine_ms.items()},
    }


def sum_of_stages(run: WitnessedRun, quantile: float) -> float:
    return sum(run.timings.quantile_ms(stage, quantile) for stage in ("preprocess", "engine", "postprocess"))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("codec", "transport"),
    [
        ("h264", "tcp"),
        pytest.param("h264", "udp", marks=SLOW),
        pytest.param("h265", "tcp", marks=SLOW),
        pytest.param("mjpeg", "tcp", marks=SLOW),
    ],
)
def test_scenes_are_of_the_newest_picture(
    rtsp_camera: Callable[..., RtspCamera],
    witnessed: Callable[..., WitnessedRun],
    driving_data: Path,
    note: Note,
    codec: str,
    transport: str,
):
    clip = driving_data / "clips" / "udacity_solidWhiteRight.mp4"
    camera = rtsp_camera("--codec", codec, "--gop", "10", "--clip", str(clip))
    run = witnessed(camera.uri, transport=transport)
    run.wait_for_pictures(PICTURES, limit_s=40 + PICTURES)
    run.end()
    ages_ms = np.array([seen.true_age_ms for seen in run.witness.live()])
    said_ms = np.array([seen.said_age_ms for seen in run.witness.live()])
    note(**measured(run))
    assert run.witness.invented() == []
    assert np.quantile(ages_ms, 0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS
    # What is constant on the way cannot be seen from here; what is said must never be more than what is true.
    assert (said_ms <= ages_ms + 5).all()


def test_scenes_of_an_http_camera_are_of_the_newest_picture(
    mjpeg_camera: Callable[..., MjpegCamera], witnessed: Callable[..., WitnessedRun], note: Note
):
    run = witnessed(mjpeg_camera().uri)
    run.wait_for_pictures(PICTURES, limit_s=40 + PICTURES)
    run.end()
    note(**measured(run))
    assert run.witness.invented() == []
    assert run.witness.true_age_ms(0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS


def test_under_an_engine_slower_than_the_camera_the_age_does_not_grow(
    rtsp_camera: Callable[..., RtspCamera], witnessed: Callable[..., WitnessedRun], note: Note
):
    run = witnessed(rtsp_camera("--gop", "10").uri, engine_delay_s=0.2)
    run.wait_for_pictures(max(20, PICTURES // 5), limit_s=40 + PICTURES)
    run.end()
    ages_ms = [seen.true_age_ms for seen in run.witness.live()]
    camera = run.runner.status().cameras[0]
    note(**measured(run))
    assert run.witness.invented() == []
    assert camera.dropped["superseded"] > 2 * camera.scenes
    # Frames that queued up would be 160 ms older with every scene: 2 s over the thirteen between the medians.
    assert np.median(ages_ms[-7:]) < np.median(ages_ms[:7]) + 200
    assert np.quantile(ages_ms, 0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS


def test_several_cameras_are_all_fresh(
    rtsp_camera: Callable[..., RtspCamera],
    mjpeg_camera: Callable[..., MjpegCamera],
    witnessed: Callable[..., WitnessedRun],
    note: Note,
):
    rtsp, http = rtsp_camera("--gop", "10"), mjpeg_camera(size_hw=(240, 320))
    run = witnessed(f"front={rtsp.uri}", f"rear={http.uri}", engine_delay_s=0.1)
    run.wait_until(lambda: all(len(run.witness.live(name)) > 10 for name in ("front", "rear")), 40, "both cameras")
    run.end()
    scenes = {name: len(run.witness.live(name)) for name in ("front", "rear")}
    note(**measured(run))
    assert run.witness.invented() == []
    assert min(scenes.values()) > 0.5 * max(scenes.values()), scenes
    assert run.witness.true_age_ms(0.9) < PERIOD_MS + run.engine_ms + ON_THE_WAY_MS


def test_the_key_frame_that_comes_while_connecting_is_not_lost(rtsp_camera: Callable[..., RtspCamera]):
    """The next one would come 20 s later. What came with it is old, though, and not shown."""
    camera = rtsp_camera("--gop", "500")
    config = CameraConfig(uri=camera.uri, name="camera")
    with contextlib.closing(
        FfmpegConnection(config, "rtsp", open_limit_s=10.0, grab_limit_s=5.0, with_packets=True)
    ) as connection:
        first = connection.read()
    assert [packet.is_keyframe for packet in first.before] == [True] + [False] * (len(first.before) - 1)
    assert first.packet is not None
    assert not first.packet.is_keyframe
    times_s = [packet.time_s for packet in (*first.before, first.packet)]
    assert times_s == sorted(times_s)
    assert np.diff(times_s).max() < 0.5  # RTSP gives the very first none: it is said to come one period earlier.
    (taken,) = first.pictures
    taken_ms = clock.read(taken.frame.image)
    assert taken_ms is not None
    assert clock.age_ms(taken_ms) < PERIOD_MS + ON_THE_WAY_MS
