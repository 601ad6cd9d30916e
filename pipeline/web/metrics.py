"""The run's figures for Prometheus.

Names follow its conventions: base units (seconds), ``_total`` for what only grows, states as one series for each state
with 1 for the one that holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pipeline.alerts import KINDS
from pipeline.live.status import DROP_CAUSES, EngineState, LiveStatus
from pipeline.scene import CameraState, Scene

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_AGE_BUCKETS_S = (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is told of a camera's newest scene; the scene itself would hold pictures."""

    alerts: frozenset[str]
    clear_m: float | None
    confidence: float | None


class Metrics:
    """A registry of its own: other parts of the process cannot add to it.

    Args:
        status: What the run says of itself; asked at every scrape.
        watchers: How many pages and streams are being watched, by kind.
    """

    def __init__(self, status: Callable[[], LiveStatus], watchers: Callable[[], dict[str, int]]) -> None:
        self._status = status
        self._watchers = watchers
        self._registry = CollectorRegistry()
        self._ages = Histogram(
            "clearway_age_seconds",
            "From the capture of a frame to its scene.",
            ["camera"],
            buckets=_AGE_BUCKETS_S,
            registry=self._registry,
        )
        self._alerts = Counter(
            "clearway_alerts", "Alerts that were raised, by kind.", ["camera", "kind"], registry=self._registry
        )
        self._known: dict[str, _Known] = {}
        self._registry.register(self)

    def observe(self, camera: str, scene: Scene) -> None:
        """Count the age of one scene, and the alerts that the one before it did not have."""
        kinds = frozenset(alert.kind for alert in scene.alerts)
        for kind in kinds - (self._known[camera].alerts if camera in self._known else frozenset()):
            self._alerts.labels(camera, kind).inc()
        self._known[camera] = _Known(
            kinds,
            scene.road.clear.distance_m if scene.road is not None and scene.has_signal else None,
            scene.visibility.mask_confidence if scene.visibility is not None and scene.has_signal else None,
        )
        if scene.camera is not None and scene.has_signal and math.isfinite(scene.camera.age_ms):
            self._ages.labels(camera).observe(scene.camera.age_ms / 1e3)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing beforehand, so that registering does not ask for the status of a run that has not begun."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at every scrape."""
        status = self._status()
        yield from _camera_counters(status)
        yield from _camera_gauges(status)
        yield from _run_figures(status)
        yield from _output_figures(status)
        yield from _scene_figures(dict(self._known))
        watchers = GaugeMetricFamily("clearway_watchers", "Who looks at the moment, by kind.", labels=["kind"])
        for kind, count in self._watchers().items():
            watchers.add_metric([kind], count)
        yield watchers


def _camera_counters(status: LiveStatus) -> Iterator[Metric]:
    frames = CounterMetricFamily("clearway_frames", "Frames that the camera gave.", labels=["camera"])
    scenes = CounterMetricFamily("clearway_scenes", "Frames that became scenes.", labels=["camera"])
    dropped = CounterMetricFamily(
        "clearway_frames_dropped", "Frames that did not become scenes, by cause.", labels=["camera", "cause"]
    )
    reconnects = CounterMetricFamily("clearway_reconnects", "Connections made anew.", labels=["camera"])
    for camera in status.cameras:
        frames.add_metric([camera.name], camera.received)
        scenes.add_metric([camera.name], camera.scenes)
        reconnects.add_metric([camera.name], camera.reconnects)
        for cause in dict.fromkeys((*DROP_CAUSES, *camera.dropped)):
            dropped.add_metric([camera.name, cause], camera.dropped.get(cause, 0))
    yield from (frames, scenes, dropped, reconnects)


def _camera_gauges(status: LiveStatus) -> Iterator[Metric]:
    state = GaugeMetricFamily("clearway_camera_state", "1 for the camera's state.", labels=["camera", "state"])
    rate = GaugeMetricFamily("clearway_scenes_per_second", "Over the last second or so.", labels=["camera"])
    age = GaugeMetricFamily("clearway_last_age_seconds", "From capture to the newest scene.", labels=["camera"])
    silent = GaugeMetricFamily(
        "clearway_silent_seconds", "Since the camera's last frame was captured.", labels=["camera"]
    )
    for camera in status.cameras:
        for name in get_args(CameraState):
            state.add_metric([camera.name, name], camera.state == name)
        rate.add_metric([camera.name], camera.fps)
        age.add_metric([camera.name], camera.last_age_ms / 1e3)
        silent.add_metric([camera.name], camera.silent_s)
    yield from (state, rate, age, silent)


def _run_figures(status: LiveStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily("clearway_uptime_seconds", "Since the run began.", value=status.elapsed_s)
    info = GaugeMetricFamily("clearway_run_info", "Always 1: what runs.", labels=["model", "engine"])
    info.add_metric([status.model, status.engine], 1)
    yield info
    state = GaugeMetricFamily("clearway_engine_state", "1 for the engine's state.", labels=["state"])
    for name in get_args(EngineState):
        state.add_metric([name], status.engine_state == name)
    yield state
    stages = GaugeMetricFamily(
        "clearway_stage_seconds", "Time of each stage, over the whole run.", labels=["stage", "quantile"]
    )
    for stage, figures in status.timings_ms.items():
        for name, quantile in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")):
            stages.add_metric([stage, quantile], figures.get(name, math.nan) / 1e3)
    yield stages


def _scene_figures(known: dict[str, _Known]) -> Iterator[Metric]:
    """What the newest scenes say. A camera of which nothing is known in metres, or now, has no clear distance."""
    clear = GaugeMetricFamily(
        "clearway_clear_distance_meters", "How far the road ahead is clear; 0 where it is not seen.", labels=["camera"]
    )
    sure = GaugeMetricFamily("clearway_mask_confidence_ratio", "How far the mask can be trusted.", labels=["camera"])
    alerts = GaugeMetricFamily("clearway_alert", "1 while an alert of that kind is raised.", labels=["camera", "kind"])
    for camera, newest in known.items():
        if newest.clear_m is not None:
            clear.add_metric([camera], newest.clear_m)
        if newest.confidence is not None:
            sure.add_metric([camera], newest.confidence)
        for kind in dict.fromkeys((*KINDS, *newest.alerts)):
            alerts.add_metric([camera, kind], kind in newest.alerts)
    yield from (clear, sure, alerts)


def _output_figures(status: LiveStatus) -> Iterator[Metric]:
    working = GaugeMetricFamily("clearway_output_up", "1 while the output works.", labels=["output"])
    for output, failure in status.outputs.items():
        working.add_metric([output], not failure)
    yield working
    dropped = CounterMetricFamily(
        "clearway_output_scenes_dropped", "Scenes that the output was too slow for.", labels=["output"]
    )
    for output, count in status.output_drops.items():
        dropped.add_metric([output], count)
    yield dropped
