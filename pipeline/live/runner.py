"""The owner of a live run: starts the threads, watches them, stops them, closes everything.

    camera ─▶ mailbox ─┐                        ┌─▶ data sinks      one thread each, behind channels that never
    camera ─▶ mailbox ─┼─▶ perception (engine) ─┤                   make anybody wait: what is newest matters
    …                  ┘                        └─▶ painter ─▶ picture sinks, main thread (windows)

A camera that is lost does not end the run, nor does an output that fails, nor an engine: each is declared in `status`.
What ends it: the user, the duration, every camera's end, and with `exit_on_loss` the first loss.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.cameras.camera import Camera
from pipeline.cameras.mailbox import Mailbox
from pipeline.errors import ClearwayError, LossError, SinkError, SourceError
from pipeline.live.ledger import Ledger
from pipeline.live.status import CameraStatus, LiveStatus
from pipeline.live.supervisor import Supervisor
from pipeline.live.watch import OpenPerception, Watch
from pipeline.outlets import Outlet, draw_for, serve_windows
from pipeline.overlay import Hud, OverlayPainter
from pipeline.scene import Scene
from pipeline.sinks.base import Sink
from pipeline.stage import Failures, LossyChannel, StageThread
from pipeline.timings import StageTimings

__all__ = ["LiveOutput", "LiveRunner"]

_TURN_S = 0.1
_SCENES_WAITING = 64
_PICTURES_WAITING = 8
_FINISH_LIMIT_S = 20.0
_HUNG_AFTER_S = 10.0
"""A perception without a turn for so long is stuck in a library: the supervisor is not told that all is well."""


@dataclass(frozen=True, slots=True)
class LiveOutput:
    """An output of a live run.

    Attributes:
        sink: Where scenes go.
        camera: Name of the camera whose scenes it takes; None takes all.
    """

    sink: Sink
    camera: str | None = None


class LiveRunner:
    """One live run.

    Args:
        cameras: Started and closed here.
        mailbox: Where they leave their frames.
        open_perception: Opens the engine, in the thread that will own it.
        outputs: Closed here.
        timings: Shared with cameras and perception.
        started_s: `time.monotonic()` of the beginning of the run.
        model: Name of the model, for `status`.
        max_age_s: A frame that is older when its turn comes is dropped.
        duration_s: How long after the engine was opened the run ends by itself; None never.
        exit_on_loss: Whether the loss of a camera or of the engine ends the run.
        stop_limit_s: How long camera threads may take to end: as long as they may wait for a picture.
        birdseye: Whether pictures show the road from above too, where it is known in metres.
        on_turn: Called in the main thread some ten times a second.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        mailbox: Mailbox,
        open_perception: OpenPerception,
        outputs: Sequence[LiveOutput],
        timings: StageTimings,
        *,
        started_s: float,
        model: str = "",
        max_age_s: float = 1.0,
        duration_s: float | None = None,
        exit_on_loss: bool = False,
        stop_limit_s: float = 3.0,
        birdseye: bool = True,
        on_turn: Callable[[LiveStatus], None] = lambda _: None,
    ) -> None:
        self._cameras = tuple(cameras)
        self._mailbox = mailbox
        self._timings = timings
        self._model = model
        self._duration_s = duration_s
        self._exit_on_loss = exit_on_loss
        self._stop_limit_s = stop_limit_s
        self._birdseye = birdseye
        self.on_turn = on_turn
        self._stop, self._ready = threading.Event(), threading.Event()
        self._failures = Failures()
        self._output_failures: dict[str, str] = {}
        self._ledger = Ledger([camera.config.name for camera in cameras])
        self._watch = Watch(cameras, mailbox, open_perception, self._publish, self._ledger, started_s, max_age_s)
        self._outlets = [(self._outlet(output.sink), output.camera) for output in outputs]
        self._unpainted: LossyChannel[Scene] = LossyChannel(_PICTURES_WAITING)
        self._ended_s: float | None = None

    def run(self) -> None:
        """Run until something ends it.

        Raises:
            LossError: A camera or the engine was lost, and that was to end the run.
            SourceError: No camera ever gave a picture.
            SinkError: An output failed during the run.
            ClearwayError: The engine could not be opened.
            KeyboardInterrupt: The user interrupted.
        """
        threads = self._threads()
        supervisor = Supervisor()
        try:
            for thread in threads:
                thread.start()
            self._supervise(supervisor)
        finally:
            supervisor.stopping()
            hung = self._wind_down(threads)
        if self._failures.first is not None:
            raise self._failures.first
        self._complain()
        if hung:
            raise ClearwayError(f"the run was given up: {', '.join(hung)} did not end in time")

    def stop(self) -> None:
        """End the run soon, and well. Safe from any thread and from signal handlers."""
        self._stop.set()

    def status(self) -> LiveStatus:
        """What is known now. Safe from any thread, also after the run."""
        return LiveStatus(
            elapsed_s=self._elapsed_s(),
            model=self._model,
            engine=self._watch.engine_description,
            engine_state=self._watch.engine_state,
            engine_failure=self._watch.engine_failure,
            cameras=tuple(self._camera_status(camera) for camera in self._cameras),
            outputs={outlet.sink.name: self._trouble(outlet.sink) for outlet, _ in self._outlets},
            output_drops={
                outlet.sink.name: outlet.channel.lost
                for outlet, _ in self._outlets
                if isinstance(outlet.channel, LossyChannel)
            },
            timings_ms=self._timings.table(),
        )

    def _trouble(self, sink: Sink) -> str:
        """Why an output is not what it should be: it failed, or says itself that it cannot deliver at the moment."""
        return self._output_failures.get(sink.name, "") or str(getattr(sink, "trouble", ""))

    def _elapsed_s(self) -> float:
        """Since the engine was open: what came before, on a machine's first run a minute, would belittle the rest."""
        ready_s = self._watch.ready_s
        return 0.0 if ready_s is None else (self._ended_s or time.monotonic()) - ready_s

    def _camera_status(self, camera: Camera) -> CameraStatus:
        name, report = camera.config.name, camera.report()
        silent_s = float("nan") if report.last_captured_s is None else time.monotonic() - report.last_captured_s
        return CameraStatus(
            name=name,
            address=camera.address,
            state=report.state,
            reason=report.reason,
            size_hw=report.size_hw,
            received=report.received,
            scenes=self._ledger.scenes(name),
            fps=self._ledger.fps(name),
            dropped={
                "late": report.late + self._ledger.dropped(name, "late"),
                "superseded": self._mailbox.superseded(name) - self._ledger.dropped(name, "starting"),
                "corrupt": report.corrupt,
                "engine": self._ledger.dropped(name, "engine"),
                "starting": self._ledger.dropped(name, "starting"),
            },
            reconnects=max(0, report.connections - 1),
            age_ms=self._ledger.age_ms(name),
            last_age_ms=self._ledger.last_age_ms(name),
            silent_s=silent_s,
        )

    def age_ms(self) -> dict[str, float]:
        """Quantiles of the age of all cameras' scenes."""
        return self._ledger.age_ms()

    # The threads.

    def _threads(self) -> list[StageThread]:
        stages: list[tuple[str, Callable[[], None]]] = [
            *(
                (f"camera-{camera.config.name}", lambda camera=camera: camera.run(self._stop))
                for camera in self._cameras
            ),
            ("perception", lambda: self._watch.run(self._stop, self._ready)),
            ("painter", self._paint),
            *((outlet.sink.name, outlet.run) for outlet, _ in self._outlets if not outlet.sink.on_main_thread),
        ]
        return [StageThread(name, work, self._failures, self._stop.set) for name, work in stages]

    def _outlet(self, sink: Sink) -> Outlet:
        waiting = _PICTURES_WAITING if sink.needs_overlay else _SCENES_WAITING
        return Outlet(sink, LossyChannel(waiting), self._timings, self._output_failed, self._stop.set)

    def _output_failed(self, sink: Sink, error: Exception) -> None:
        if not isinstance(error, ClearwayError):
            self._failures.add(error)  # a defect of ours: better seen than survived
            self._stop.set()
        self._output_failures.setdefault(sink.name, str(error))

    def _publish(self, scene: Scene) -> None:
        """Hand a scene on, in the perception's thread: never waits."""
        self._unpainted.put(scene)
        for outlet, camera in self._outlets:
            if not outlet.sink.needs_overlay and camera in {None, scene.frame.camera}:
                outlet.channel.put((scene, None))

    def _paint(self) -> None:
        outlets = [(outlet, camera) for outlet, camera in self._outlets if outlet.sink.needs_overlay]
        painters = {camera.config.name: OverlayPainter(birdseye=self._birdseye) for camera in self._cameras}
        for scene in self._unpainted:
            wanting = [outlet for outlet, camera in outlets if camera in {None, scene.frame.camera}]
            if not wanting:
                continue
            picture = None
            if any(getattr(outlet.sink, "wants_picture", True) for outlet in wanting):
                with self._timings.measure("overlay"):
                    picture = draw_for(wanting, painters[scene.frame.camera], scene, self._hud(scene))
            for outlet in wanting:
                outlet.channel.put((scene, picture))

    def _hud(self, scene: Scene) -> Hud:
        camera = scene.frame.camera
        dropped = sum(self._ledger.dropped(camera, cause) for cause in ("late", "engine"))
        age_ms = scene.camera.age_ms if scene.camera is not None else 0.0
        return Hud(self._ledger.fps(camera), age_ms, self._watch.engine_description, dropped)

    # The main thread.

    def _supervise(self, supervisor: Supervisor) -> None:
        announced = False
        while not self._stop.is_set():
            if self._ready.is_set() and not announced:
                announced = True
                supervisor.ready()
            if not serve_windows([outlet for outlet, _ in self._outlets], _TURN_S):
                self._stop.wait(_TURN_S)
            status = self.status()
            if time.monotonic() - self._watch.last_turn_s < _HUNG_AFTER_S:
                supervisor.alive(_summary(status))
            self.on_turn(status)
            self._end_where_due(status)

    def _end_where_due(self, status: LiveStatus) -> None:
        over = self._duration_s is not None and status.elapsed_s >= self._duration_s
        if over or all(camera.state == "failed" for camera in status.cameras):
            self._stop.set()
        if not self._exit_on_loss:
            return
        for camera in status.cameras:
            ended = next(own.ended for own in self._cameras if own.config.name == camera.name)
            was_live = camera.received > 0
            if not ended and (camera.state == "failed" or (was_live and camera.state == "reconnecting")):
                self._failures.add(LossError(f"the camera {camera.name} was lost: {camera.reason}"))
                self._stop.set()
        if status.engine_state == "degraded":
            self._failures.add(LossError(f"the engine was lost: {status.engine_failure}"))
            self._stop.set()

    def _wind_down(self, threads: Sequence[StageThread]) -> list[str]:
        """Stop in the order of the flow: cameras and perception, then the painter, then outputs with what they have.

        Returns:
            The threads that did not end in time.
        """
        self._stop.set()
        started = [thread for thread in threads if thread.ident is not None]
        outputs = {f"clearway-{outlet.sink.name}" for outlet, _ in self._outlets}
        first = [thread for thread in started if thread.name not in outputs and thread.name != "clearway-painter"]
        hung = self._join(first, self._stop_limit_s)
        self._unpainted.close()
        hung += self._join([thread for thread in started if thread.name == "clearway-painter"], _FINISH_LIMIT_S)
        for outlet, _ in self._outlets:
            if outlet.sink.on_main_thread:
                outlet.channel.abandon()
            outlet.channel.close()
        hung += self._join([thread for thread in started if thread.name in outputs], _FINISH_LIMIT_S)
        for outlet, _ in reversed(self._outlets):
            if f"clearway-{outlet.sink.name}" not in hung:
                outlet.close()
        self._ended_s = time.monotonic()
        return hung

    @staticmethod
    def _join(threads: Sequence[StageThread], limit_s: float) -> list[str]:
        until_s = time.monotonic() + limit_s
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        return [thread.name for thread in threads if thread.is_alive()]

    def _complain(self) -> None:
        """A run that ended by itself, but without having done what it was for."""
        silent = [(camera, camera.report()) for camera in self._cameras]
        if all(report.received == 0 for _, report in silent):
            reasons = "; ".join(report.reason or f"{camera.address}: no picture" for camera, report in silent)
            raise SourceError(f"no camera gave a picture: {reasons}")
        for name, reason in self._output_failures.items():
            raise SinkError(f"{reason}; the run went on without {name}")


def _summary(status: LiveStatus) -> str:
    cameras = ", ".join(f"{camera.name} {camera.state} {camera.fps:.0f} FPS" for camera in status.cameras)
    return f"{cameras}; engine {status.engine_state}"
