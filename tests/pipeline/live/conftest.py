"""Live runs of real parts, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from engines.artifact import find_model, load_artifact
from engines.base import Engine
from engines.factory import open_engine
from pipeline.cameras.address import CameraConfig, name_cameras
from pipeline.cameras.camera import Camera, CameraLimits
from pipeline.cameras.mailbox import Mailbox
from pipeline.live.runner import LiveOutput, LiveRunner
from pipeline.perception import Perception
from pipeline.scene import BgrImage, Scene
from pipeline.sinks.base import Sink
from pipeline.timings import StageTimings

DRIVE = "synthetic://drive?seed=2&size=160x96&fps=30"


class KeepingSink:
    """A sink that keeps the scenes it was given."""

    on_main_thread = False

    def __init__(self, *, overlay: bool = False, fail_after: int | None = None, delay_s: float = 0.0) -> None:
        self.name = "keeping" if fail_after is None else "failing"
        self.needs_overlay = overlay
        self.scenes: list[Scene] = []
        self.pictures: list[BgrImage | None] = []
        self.closed = 0
        self._fail_after, self._delay_s = fail_after, delay_s

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        time.sleep(self._delay_s)
        if len(self.scenes) == self._fail_after:
            from pipeline.errors import SinkError

            raise SinkError("cannot write failing: the disk is full")
        self.scenes.append(scene)
        self.pictures.append(picture)

    def close(self) -> None:
        self.closed += 1

    @property
    def seen(self) -> list[Scene]:
        """Those in which somebody looked at a frame."""
        return [scene for scene in self.scenes if scene.has_signal and not scene.alerts]


@dataclass
class LiveRun:
    """A live run that tests can watch and end."""

    uris: list[str]
    sinks: list[Sink]
    wrap: Callable[[Engine], Engine] = lambda engine: engine
    limits: CameraLimits = field(default_factory=CameraLimits)
    max_age_s: float = 1.0
    duration_s: float | None = None
    exit_on_loss: bool = False

    def __post_init__(self) -> None:
        cameras = name_cameras([CameraConfig(uri) for uri in self.uris])
        names = [camera.name for camera in cameras]
        mailbox, self.timings, started_s = Mailbox(names), StageTimings(), time.monotonic()
        self.cameras = [Camera(camera, mailbox, self.timings, started_s, self.limits) for camera in cameras]
        self.runner = LiveRunner(
            self.cameras,
            mailbox,
            self._open,
            [LiveOutput(sink) for sink in self.sinks],
            self.timings,
            started_s=started_s,
            max_age_s=self.max_age_s,
            duration_s=self.duration_s,
            exit_on_loss=self.exit_on_loss,
        )
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _open(self, size_hw: tuple[int, int], cameras: int) -> Perception:
        artifact = load_artifact(find_model("clearway-lite"))
        return Perception(self.wrap(open_engine(artifact, size_hw=(96, 160), batch=cameras, threads=1)), self.timings)

    def _run(self) -> None:
        try:
            self.runner.run()
        except BaseException as error:
            self.error = error

    def start(self) -> LiveRun:
        self._thread.start()
        return self

    def until(self, condition: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Wait; a condition that never comes true is a failure, however slow the machine is."""
        deadline_s = time.monotonic() + limit_s
        while not condition():
            assert self._thread.is_alive(), f"the run ended first: {self.error}"
            assert time.monotonic() < deadline_s, self.runner.status()
            time.sleep(0.01)

    def end(self) -> None:
        """End the run, if it has not, and see that it leaves nothing behind."""
        if self._thread.ident is None:
            return
        self.runner.stop()
        self.join()

    def join(self) -> None:
        """Wait for a run that ends by itself."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("clearway-")]
        assert not left


@pytest.fixture
def live() -> Iterator[Callable[..., LiveRun]]:
    """Starts live runs; those that a test leaves are ended."""
    runs: list[LiveRun] = []

    def start(uris: list[str], sinks: list[Sink], **settings: object) -> LiveRun:
        runs.append(LiveRun(uris, sinks, **settings))  # type: ignore[arg-type]
        return runs[-1].start()

    yield start
    for run in runs:
        run.end()
