"""What programs are told: /status, /metrics, /healthz, stills."""

from __future__ import annotations

import dataclasses
import json
import urllib.error
import urllib.request
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.metric import ClearDistance
from pipeline.scene import Alert
from pipeline.web import WebServer
from pipeline.web.board import ailments, scene_facts
from pipeline.web.feed import CameraFeed
from pipeline.web.metrics import Metrics
from tests.pipeline.scenes import in_metres, make_scene
from tests.pipeline.web.feeder import Run, until


def get(server: WebServer, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(server.url + path, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def samples(server: WebServer) -> dict[tuple[str, ...], float]:
    """(name, label value, …) → value."""
    families = text_string_to_metric_families(get(server, "metrics")[1].decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_the_status_is_that_of_the_run(server: WebServer, run: Run) -> None:
    run.cameras["front"].alerts = (Alert("person_ahead", "A person stands ahead"),)
    assert until(lambda: '"alerts":[{' in get(server, "status")[1].decode() and run.cameras["front"].count > 20)
    status = json.loads(get(server, "status")[1])
    assert [camera["name"] for camera in status["cameras"]] == ["front", "rear"]
    front = status["cameras"][0]
    assert front["state"] == "live"
    assert front["size_hw"] == [180, 320]
    assert front["age_ms"] == {"p50": 21.0, "p95": 33.0, "p99": 47.0}
    assert front["scene"]["road_users"] == {"car": 1, "person": 1}
    assert 0 < front["scene"]["road_share"] < 1
    assert status["outputs"]["scenes.jsonl"].endswith("the disk is full")
    assert status["ailments"] == []


def test_a_run_without_a_frame_yet_has_no_figures_but_a_status() -> None:
    run = Run("front")
    server = WebServer(("127.0.0.1", 0), status=run.status)
    server.start()
    try:
        front = json.loads(get(server, "status")[1])["cameras"][0]
        assert (front["last_age_ms"], front["age_ms"], front["scene"]) == (None, {}, None)
        assert get(server, "metrics")[0] == 200
    finally:
        server.close()


def test_metrics_tell_the_same_as_the_status(server: WebServer, run: Run) -> None:
    assert until(lambda: samples(server).get(("clearway_age_seconds_count", "front"), 0) > 5)
    before = run.status().cameras[0]
    told = samples(server)
    assert before.scenes <= told["clearway_scenes_total", "front"] <= before.scenes + 50
    assert told["clearway_frames_total", "front"] == told["clearway_scenes_total", "front"] + 3
    assert told["clearway_frames_dropped_total", "front", "superseded"] == 3
    assert told["clearway_frames_dropped_total", "front", "corrupt"] == 0
    assert told["clearway_camera_state", "front", "live"] == 1
    assert told["clearway_camera_state", "front", "failed"] == 0
    assert told["clearway_engine_state", "running"] == 1
    assert told["clearway_stage_seconds", "0.95", "engine"] == pytest.approx(0.014)
    assert told["clearway_output_up", "page"] == 1
    assert told["clearway_output_up", "scenes.jsonl"] == 0
    assert told["clearway_output_scenes_dropped_total", "scenes.jsonl"] == 7
    assert told["clearway_age_seconds_bucket", "front", "0.02"] == 0
    assert told["clearway_age_seconds_bucket", "front", "0.03"] == told["clearway_age_seconds_count", "front"]
    run.cameras["front"].die()
    told = samples(server)
    assert told["clearway_camera_state", "front", "reconnecting"] == 1
    assert told["clearway_camera_state", "front", "live"] == 0


def test_a_calibrated_camera_tells_how_far_the_road_is_clear_and_who_is_in_the_path() -> None:
    scene = in_metres(make_scene())
    feed = CameraFeed("front")
    feed.put(scene, None)
    facts = scene_facts(feed.newest)
    assert facts is not None
    assert facts["clear"] == {"distance_m": 12.0, "is_open": False, "is_seen": True}
    assert facts["in_path"] == [{"id": 2, "class": "person", "distance_m": 12.01}]
    assert facts["visibility"]["causes"] == ["glare"]
    unseen = ClearDistance(0.0, 0.0, is_open=False, place_px=None)
    feed.put(in_metres(make_scene(), clear=unseen), None)
    assert scene_facts(feed.newest)["clear"]["is_seen"] is False  # type: ignore[index]
    feed.put(make_scene(), None)
    assert scene_facts(feed.newest)["clear"] is None  # type: ignore[index]


def test_metrics_tell_clear_distance_and_alerts() -> None:
    metrics = Metrics(Run("front").status, dict)
    for scene in (in_metres(make_scene()), in_metres(make_scene()), make_scene(), in_metres(make_scene())):
        metrics.observe("front", scene)
    metrics.observe("rear", make_scene())
    families = text_string_to_metric_families(metrics.text().decode())
    told = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
    assert told["clearway_clear_distance_meters", "front"] == 12.0
    assert ("clearway_clear_distance_meters", "rear") not in told, "unknown is no figure"
    assert told["clearway_alert", "front", "pedestrian_in_path"] == 1
    assert told["clearway_alert", "front", "path_blocked"] == 0
    assert told["clearway_alerts_total", "front", "pedestrian_in_path"] == 2, "raised twice, not for three scenes"


def test_nothing_but_the_run_is_in_the_registry(server: WebServer) -> None:
    assert {name.partition("_")[0] for name, *_ in samples(server)} == {"clearway"}


@pytest.mark.parametrize(
    ("befalls", "reason"),
    [
        (lambda run: None, ""),
        (lambda run: run.cameras["front"].die(), ""),
        (lambda run: [camera.die("no route") for camera in run.cameras.values()], "no camera has a signal"),
        (lambda run: setattr(run, "engine_state", "degraded"), "the engine has failed"),
        (lambda run: setattr(run, "engine_state", "restarting"), ""),
    ],
    ids=["all well", "one camera of two", "all cameras", "engine degraded", "engine restarting"],
)
def test_when_a_run_is_well(befalls: Callable[[Run], object], reason: str) -> None:
    run = Run("front", "rear")
    befalls(run)
    reasons = ailments(run.status(), silent_s=0.1)
    assert [reason in line for line in reasons] == [True] * bool(reason)


def test_a_run_that_hangs_is_not_well_and_one_that_starts_is() -> None:
    status = Run("front").status()
    assert ailments(status, silent_s=9.0) == ["no scene has come for more than 5 s: the run hangs"]
    assert ailments(dataclasses.replace(status, engine_state="opening"), silent_s=90.0) == []


def test_health_is_a_status_code(server: WebServer, run: Run) -> None:
    assert get(server, "healthz") == (200, b"well\n")
    run.engine_state, run.engine_failure = "degraded", "out of memory"
    assert until(lambda: get(server, "healthz")[0] == 503)
    assert b"out of memory" in get(server, "healthz")[1]


def test_a_still_is_the_overlay_in_full_size(server: WebServer) -> None:
    status, data = get(server, "still/front.jpg")
    assert status == 200
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (180, 320, 3)


def test_a_still_is_never_old(server: WebServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.web.jpeg._STILL_WAIT_S", 1.0)
    assert get(server, "still/front.jpg")[0] == 200
    run.is_paused = True
    assert until(lambda: get(server, "still/front.jpg")[0] == 503)
    assert get(server, "still/nowhere.jpg")[0] == 404
