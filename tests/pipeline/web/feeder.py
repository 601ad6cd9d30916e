"""A small live run: pictures that move, states that change on demand, no engine."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.live.status import CameraStatus, EngineState, LiveStatus
from pipeline.scene import Alert, BgrImage, CameraState, CameraView, Scene
from pipeline.sinks.base import Sink
from tests.pipeline.scenes import make_scene

RATE_HZ = 25.0


@dataclass
class FedCamera:
    """One camera of the run; its state is set by the test."""

    name: str
    state: CameraState = "live"
    reason: str = ""
    count: int = 0
    reconnects: int = 0
    alerts: tuple[Alert, ...] = ()
    last_frame_s: float = field(default_factory=time.monotonic)

    def die(self, reason: str = "the camera does not answer") -> None:
        self.state, self.reason = "reconnecting", reason

    def come_back(self) -> None:
        self.state, self.reason = "live", ""
        self.reconnects += 1


class Run:
    """Feeds a sink as a live run does: 25 scenes a second a camera, two without a signal."""

    def __init__(self, *names: str, size_hw: tuple[int, int] = (180, 320), noisy: bool = False) -> None:
        """Noisy pictures cannot be compressed: who does not take them fills all buffers at once."""
        self.cameras = {name: FedCamera(name) for name in names}
        self.engine_state: EngineState = "running"
        self.engine_failure = ""
        self.is_paused = False
        self.writes_s: list[float] = []
        self._size_hw = size_hw
        self._noise = np.random.default_rng(1).integers(0, 255, (4, *size_hw, 3), np.uint8) if noisy else None
        self._started_s = time.monotonic()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def feed(self, sink: Sink) -> None:
        self._thread = threading.Thread(target=self._feed, args=(sink,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def status(self) -> LiveStatus:
        return LiveStatus(
            elapsed_s=time.monotonic() - self._started_s,
            model="clearway-lite",
            engine="no engine",
            engine_state=self.engine_state,
            engine_failure=self.engine_failure,
            cameras=tuple(self._camera_status(camera) for camera in self.cameras.values()),
            outputs={"page": "", "scenes.jsonl": "cannot write scenes.jsonl: the disk is full"},
            output_drops={"page": 0, "scenes.jsonl": 7},
            timings_ms={"engine": {"p50": 12.0, "p95": 14.0, "p99": 19.0, "max": 21.0, "mean": 12.4}},
        )

    def _camera_status(self, camera: FedCamera) -> CameraStatus:
        is_live = camera.state == "live"
        return CameraStatus(
            name=camera.name,
            address=f"rtsp://camera/{camera.name}",
            state=camera.state,
            reason=camera.reason,
            size_hw=self._size_hw,
            received=camera.count + 3,
            scenes=camera.count,
            fps=RATE_HZ if is_live else 0.0,
            dropped={"late": 0, "superseded": 3, "corrupt": 0},
            reconnects=camera.reconnects,
            age_ms={"p50": 21.0, "p95": 33.0, "p99": 47.0} if camera.count else {},
            last_age_ms=24.0 if camera.count else math.nan,
            silent_s=time.monotonic() - camera.last_frame_s,
        )

    def _feed(self, sink: Sink) -> None:
        tick = 0
        while not self._stop.wait(1 / RATE_HZ):
            tick += 1
            for camera in self.cameras.values():
                if self.is_paused or (camera.state != "live" and tick % 12):
                    continue
                scene = self.scene(camera)
                if self._noise is None:
                    picture = moving_picture(camera.count, self._size_hw, lit=scene.has_signal)
                else:
                    picture = self._noise[tick % len(self._noise)]
                began_s = time.perf_counter()
                sink.write(scene, picture)
                self.writes_s.append(time.perf_counter() - began_s)

    def scene(self, camera: FedCamera) -> Scene:
        now_s = time.monotonic()
        if camera.state == "live":
            camera.count += 1
            camera.last_frame_s = now_s
        scene = make_scene(camera.count, time_s=now_s - self._started_s, size_hw=(32, 64), alerts=camera.alerts)
        age_ms = 24.0 if camera.state == "live" else (now_s - camera.last_frame_s) * 1e3
        return replace(scene, camera=CameraView(camera.name, camera.state, age_ms, camera.reason))


def moving_picture(number: int, size_hw: tuple[int, int], *, lit: bool = True) -> BgrImage:
    """A bright bar that stands elsewhere in every picture; black where there is no signal."""
    picture = np.zeros((*size_hw, 3), np.uint8)
    if lit:
        picture[:] = (60, 50, 40)
        left = number * 8 % size_hw[1]
        picture[:, left : left + 24] = (90, 220, 250)
    picture.flags.writeable = False
    return picture


def until(condition: Callable[[], bool], limit_s: float = 10.0) -> bool:
    """Whether it becomes true in time."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.05)
    return False
