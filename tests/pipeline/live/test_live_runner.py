"""A live run in one process: fresh frames, honest silence, and failures that are declared and survived."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engines.base import Engine, Tensor
from engines.errors import EngineError
from pipeline.cameras.camera import CameraLimits
from pipeline.errors import LossError, SinkError, SourceError
from pipeline.live.status import DROP_CAUSES
from tests.pipeline.live.conftest import DRIVE, KeepingSink, LiveRun

Live = Callable[..., LiveRun]

PIPELINE = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=96,framerate=30/1"
needs_gstreamer = pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="gst-launch-1.0 is not installed")


class FailingEngine:
    """An engine that fails at the calls that it is told to, and waits as long as it is told to."""

    def __init__(self, engine: Engine, fails: Callable[[], bool] = lambda: False, delay_s: float = 0.0) -> None:
        self._engine, self._fails, self._delay_s = engine, fails, delay_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def infer(self, tensor: Tensor) -> Tensor:
        time.sleep(self._delay_s)
        if self._fails():
            raise EngineError("the device was lost")
        return self._engine.infer(tensor)


def test_every_scene_is_of_a_new_frame_and_knows_its_age(live: Live):
    sink = KeepingSink()
    run = live([DRIVE], [sink])
    run.until(lambda: len(sink.seen) > 20)
    run.end()
    assert run.error is None
    indices = [scene.frame.index for scene in sink.seen]
    assert indices == sorted(set(indices))
    assert all(scene.camera is not None and 0 < scene.camera.age_ms < 60_000 for scene in sink.seen)
    assert all(abs(scene.camera.captured_unix_s - time.time()) < 120 for scene in sink.seen if scene.camera)
    status = run.runner.status().cameras[0]
    assert status.scenes == len(sink.seen)
    assert status.age_ms["p50"] <= status.age_ms["p99"]


def test_every_frame_is_accounted_for(live: Live):
    run = live([DRIVE, f"{DRIVE}&seed=3".replace("seed=2&", "")], [KeepingSink()])
    run.until(lambda: all(camera.scenes > 10 for camera in run.runner.status().cameras))
    run.end()
    for camera in run.runner.status().cameras:
        assert set(camera.dropped) == set(DROP_CAUSES)
        in_the_mailbox = camera.received - camera.scenes - sum(camera.dropped.values())
        assert 0 <= in_the_mailbox <= 1


def test_an_engine_slower_than_the_camera_sees_new_frames_only(live: Live):
    sink = KeepingSink()
    run = live([DRIVE], [sink], wrap=lambda engine: FailingEngine(engine, delay_s=0.2))
    run.until(lambda: len(sink.seen) > 12)
    run.end()
    # 30 frames a second came, some five were looked at, and none was older than a period when its turn came.
    waits_s = [scene.camera.age_ms / 1e3 - sum(scene.timings_ms.values()) / 1e3 for scene in sink.seen if scene.camera]
    assert np.median(waits_s) < 0.1
    assert run.runner.status().cameras[0].dropped["superseded"] > 3 * len(sink.seen)


def test_frames_older_than_allowed_are_dropped_as_late(live: Live):
    sink = KeepingSink()
    run = live([DRIVE], [sink], max_age_s=0.0)
    run.until(lambda: run.runner.status().cameras[0].dropped["late"] > 5)
    run.end()
    assert not sink.seen


def test_several_cameras_share_the_engine_fairly(live: Live):
    sink = KeepingSink()
    uris = [f"front={DRIVE}", f"rear={DRIVE}&seed=9".replace("seed=2&", ""), "slow=synthetic://drive?fps=5&size=200x96"]
    run = live(uris, [sink])
    run.until(lambda: all(camera.scenes > 8 for camera in run.runner.status().cameras))
    run.end()
    assert {scene.frame.camera for scene in sink.seen} == {"front", "rear", "slow"}
    by_camera = {
        name: [s.frame.index for s in sink.seen if s.frame.camera == name] for name in ("front", "rear", "slow")
    }
    for indices in by_camera.values():
        assert indices == sorted(set(indices))
    assert 0.5 < len(by_camera["front"]) / len(by_camera["rear"]) < 2
    assert {s.segmentation.class_ids.shape for s in sink.seen if s.frame.camera == "slow"} == {(96, 200)}


def test_before_the_first_picture_scenes_say_that_there_is_none(live: Live):
    sink, page = KeepingSink(), KeepingSink(overlay=True)
    run = live(["rtsp://127.0.0.1:1/nothing"], [sink, page])
    run.until(lambda: len(sink.scenes) > 3 and len(page.scenes) > 3)
    run.end()
    assert isinstance(run.error, SourceError)
    assert "Connection refused" in str(run.error)
    for scene in sink.scenes:
        assert not scene.has_signal
        assert scene.alerts[0].kind == "no_signal"
        assert (scene.drivable.area_px, scene.road_users) == (0, ())
        assert (scene.drivable.free_space_px == -1).all()
    assert all(picture is not None and picture.shape == (360, 640, 3) for picture in page.pictures)


@needs_gstreamer
def test_a_camera_that_dies_is_declared_and_comes_back(live: Live):
    sink = KeepingSink()
    run = live([PIPELINE], [sink], limits=CameraLimits(grab_s=1.0))
    run.until(lambda: len(sink.seen) > 5)
    subprocess.run(["pkill", "-KILL", "-f", "gst-launch-1.0.*pattern=ball"], check=True)
    run.until(lambda: any(not scene.has_signal for scene in sink.scenes[-3:]))
    before = len(sink.seen)
    run.until(lambda: len(sink.seen) > before + 5)
    run.end()
    states = [key for key, _ in itertools.groupby(s.camera.state for s in sink.scenes[5:] if s.camera)]
    assert states[0] == "live"
    assert "reconnecting" in states
    assert states[-1] == "live"
    assert run.runner.status().cameras[0].reconnects == 1
    indices = [scene.frame.index for scene in sink.seen]
    assert indices == sorted(set(indices))
    times_s = [scene.frame.source_time_s for scene in sink.seen]
    assert times_s == sorted(times_s)


def test_an_engine_that_fails_once_is_opened_anew(live: Live):
    calls = itertools.count()
    sink = KeepingSink()
    run = live([DRIVE], [sink], wrap=lambda engine: FailingEngine(engine, lambda: next(calls) == 10))
    run.until(lambda: len(sink.seen) > 25)
    run.end()
    assert run.error is None
    status = run.runner.status()
    assert (status.engine_state, status.engine_failure) == ("running", "the device was lost")
    assert status.cameras[0].dropped["engine"] == 1


def test_an_engine_that_fails_again_is_given_up_and_nothing_is_claimed(live: Live):
    calls = itertools.count()
    sink = KeepingSink()
    run = live([DRIVE], [sink], wrap=lambda engine: FailingEngine(engine, lambda: next(calls) > 10))
    run.until(lambda: run.runner.status().engine_state == "degraded")
    seen, said = len(sink.seen), len(sink.scenes)
    run.until(lambda: len(sink.scenes) > said + 10)
    run.end()
    assert run.error is None
    assert len(sink.seen) == seen
    for scene in sink.scenes[said + 1 :]:
        assert scene.has_signal  # the picture is shown …
        assert scene.alerts[0].kind == "engine_failed"  # … with a warning, and nothing is said of the road
        assert (scene.drivable.area_px, scene.road_users) == (0, ())


def test_an_output_that_fails_is_declared_and_the_others_go_on(live: Live):
    failing, other = KeepingSink(fail_after=3), KeepingSink()
    run = live([DRIVE], [failing, other])
    run.until(lambda: run.runner.status().outputs["failing"] != "")
    before = len(other.seen)
    run.until(lambda: len(other.seen) > before + 10)
    run.end()
    assert isinstance(run.error, SinkError)
    assert "the disk is full" in str(run.error)
    assert failing.closed


def test_a_slow_output_loses_scenes_and_slows_nobody(live: Live):
    slow, fast = KeepingSink(overlay=True, delay_s=0.4), KeepingSink()
    slow.name = "slow"
    run = live([DRIVE], [slow, fast])
    run.until(lambda: run.runner.status().cameras[0].scenes > 100)
    assert len(slow.scenes) < len(fast.scenes) / 3
    run.until(lambda: run.runner.status().output_drops["slow"] > 10)
    run.end()
    assert run.error is None


@needs_gstreamer
def test_a_lost_camera_ends_a_run_that_is_to_end_with_it(live: Live):
    run = live([PIPELINE.replace("ball", "snow")], [], exit_on_loss=True)
    run.until(lambda: run.runner.status().cameras[0].scenes > 3)
    subprocess.run(["pkill", "-KILL", "-f", "gst-launch-1.0.*pattern=snow"], check=True)
    run.join()
    assert isinstance(run.error, LossError)
    assert run.error.exit_code == 3
    assert "the camera camera was lost" in str(run.error)


def test_a_degraded_engine_ends_a_run_that_is_to_end_with_it(live: Live):
    calls = itertools.count()
    run = live([DRIVE], [], exit_on_loss=True, wrap=lambda engine: FailingEngine(engine, lambda: next(calls) > 10))
    run.join()
    assert isinstance(run.error, LossError)
    assert "the engine was lost: the device was lost" in str(run.error)


def test_a_recording_played_once_ends_the_run_well(live: Live):
    sink = KeepingSink()
    run = live([f"{DRIVE}&frames=15"], [sink], exit_on_loss=True)
    run.join()
    assert run.error is None
    assert run.runner.status().cameras[0].received == 15


def test_the_duration_counts_from_the_open_engine(live: Live):
    run = live([DRIVE], [], duration_s=1.0)
    run.join()
    assert run.error is None
    assert 1.0 <= run.runner.status().elapsed_s < 10
    assert threading.active_count() < 20
