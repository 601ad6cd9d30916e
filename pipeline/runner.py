"""The only owner of a run: starts the threads, watches them, stops them, closes everything in reverse order.

    capture ─▶ perception ─▶ publishing ─┬─▶ sink        one thread each; bounded channels between them,
    (source)   (engine)      (overlay)   ├─▶ sink        so that nothing is lost and nothing piles up
                                         └─▶ main thread (windows, progress)

How a run ends:
- The source ends: channels close one after the other and everything in flight is finished.
- The source fails: the same, then its error is raised. Every frame that it gave is in the outputs.
- Another stage fails, or the user interrupts: no new frame is taken; scenes that exist are written; the first
  error is raised. A stage that does not end within `STOP_LIMIT_S` (outputs: `FINISH_LIMIT_S`) is left behind
  and named.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from pipeline.capture import Capture
from pipeline.errors import ClearwayError
from pipeline.outlets import Outlet, draw_for, serve_windows
from pipeline.overlay import Hud, OverlayPainter
from pipeline.perception import Perception
from pipeline.scene import Scene
from pipeline.sinks.base import Sink
from pipeline.stage import Channel, Failures, StageThread
from pipeline.timings import StageTimings, TimingsTable

__all__ = ["FINISH_LIMIT_S", "STOP_LIMIT_S", "Progress", "RunReport", "Runner"]

STOP_LIMIT_S = 2.0
"""How long capture and perception may take to end once they were told to."""

FINISH_LIMIT_S = 20.0
"""How long an output may take to finish what it was given: an encoder still holds some forty frames."""

_CHANNEL_CAPACITY = 4
_PROGRESS_PERIOD_S = 0.1
_STAGES_TO_A_SCENE = ("preprocess", "engine", "smoothing", "postprocess", "situation")
"""Not every run has all of them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        scenes: Scenes finished.
        fps: Scenes a second over the last second or so.
        latency_ms: Median milliseconds from a decoded frame to its scene, waiting in channels left out.
    """

    scenes: int
    fps: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class RunReport:
    """The figures of a run.

    Attributes:
        frames: Frames read from the source; each became a scene unless the run was cut short.
        scenes: Scenes made.
        elapsed_s: From the first frame asked for to the last output finished.
        engine: Description of the engine.
        timings_ms: Quantiles by stage, milliseconds.
    """

    frames: int
    scenes: int
    elapsed_s: float
    engine: str
    timings_ms: TimingsTable

    @property
    def fps(self) -> float:
        """Scenes a second over the whole run, outputs included."""
        return self.scenes / self.elapsed_s if self.elapsed_s > 0 else 0.0


class Runner:
    """One run from a source to its sinks.

    Args:
        capture: Reads the source; started and closed here.
        open_perception: Opens the engine, called in the thread that will own it.
        sinks: Closed here, whatever happens.
        timings: Shared with the perception.
        birdseye: Whether pictures show the road from above too, where it is known in metres.
        on_ready: Called in the main thread once the engine is open, with its description.
        on_progress: Called in the main thread some ten times a second.
    """

    def __init__(
        self,
        capture: Capture,
        open_perception: Callable[[], Perception],
        sinks: Sequence[Sink],
        timings: StageTimings,
        *,
        birdseye: bool = True,
        on_ready: Callable[[str], None] = lambda _: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._capture = capture
        self._open_perception = open_perception
        self._timings = timings
        self._birdseye = birdseye
        self._on_ready = on_ready
        self._on_progress = on_progress
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failures = Failures()
        self._scenes: Channel[Scene] = Channel(_CHANNEL_CAPACITY)
        self._outlets = [
            Outlet(sink, Channel(_CHANNEL_CAPACITY), timings, self._sink_failed, self._stop.set) for sink in sinks
        ]
        self._meter = _Meter(timings)
        self._engine_description = ""
        self._started_s = self._ended_s = 0.0

    def run(self) -> RunReport:
        """Run to the end of the source.

        Raises:
            ClearwayError: What a stage raised first; all outputs are finished by then.
            KeyboardInterrupt: The user interrupted; likewise.
        """
        threads = self._threads()
        interrupted = False
        try:
            for thread in threads:
                thread.start()
            self._supervise()
        except KeyboardInterrupt:
            interrupted = True
            self._stop.set()
        except BaseException as error:
            self._failures.add(error)
            self._stop.set()
        hung = self._wind_down(threads)
        if interrupted:
            raise KeyboardInterrupt
        if self._failures.first is not None:
            raise self._failures.first
        if hung:
            raise ClearwayError(f"the run was given up: {', '.join(hung)} did not end in time")
        return self.report()

    def report(self) -> RunReport:
        """The figures so far; also good after `run` has raised."""
        ended_s = self._ended_s or time.perf_counter()
        return RunReport(
            frames=self._capture.frame_count,
            scenes=self._meter.scenes,
            elapsed_s=ended_s - self._started_s if self._started_s else 0.0,
            engine=self._engine_description,
            timings_ms=self._timings.table(),
        )

    # The threads.

    def _threads(self) -> list[StageThread]:
        stages: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
            # A source that fails ends the stream early; what it gave before is still worth finishing.
            ("capture", lambda: self._capture.run(self._ready, self._stop), lambda: None),
            ("perception", self._perceive, self._stop.set),
            ("publishing", self._publish, self._stop.set),
        ]
        stages += [
            (outlet.sink.name, outlet.run, self._stop.set) for outlet in self._outlets if not outlet.sink.on_main_thread
        ]
        return [StageThread(name, work, self._failures, on_failure) for name, work, on_failure in stages]

    def _perceive(self) -> None:
        frames = self._capture.frames
        try:
            with self._open_perception() as perception:
                perception.warm_up(self._capture.size_hw)
                self._engine_description = perception.description
                self._started_s = time.perf_counter()
                self._ready.set()
                for scene in self._seen(perception):
                    self._meter.count()
                    self._scenes.put(scene)
        finally:
            frames.abandon()
            self._scenes.close()

    def _seen(self, perception: Perception) -> Iterator[Scene]:
        """The scenes of all frames until the run is stopped: in batches where the engine was opened for them."""
        frames = self._capture.frames
        if perception.capacity == 1:
            yield from perception.see_each(takewhile(lambda _: not self._stop.is_set(), frames), lambda: frames.waiting)
            return
        for batch in takewhile(lambda _: not self._stop.is_set(), frames.batches(perception.capacity)):
            yield from perception.see_all(batch)

    def _publish(self) -> None:
        needs_overlay = any(outlet.sink.needs_overlay for outlet in self._outlets)
        painter = OverlayPainter(birdseye=self._birdseye) if needs_overlay else None
        try:
            for scene in self._scenes:
                picture = None
                if painter is not None:
                    with self._timings.measure("overlay"):
                        picture = draw_for(self._outlets, painter, scene, self._hud())
                for outlet in self._outlets:
                    outlet.channel.put((scene, picture))
        finally:
            self._scenes.abandon()
            for outlet in self._outlets:
                outlet.channel.close()

    def _sink_failed(self, _: Sink, error: Exception) -> None:
        self._failures.add(error)
        self._stop.set()

    def _hud(self) -> Hud:
        progress = self._meter.progress()
        return Hud(fps=progress.fps, latency_ms=progress.latency_ms, engine=self._engine_description)

    # The main thread.

    def _supervise(self) -> None:
        """Serve windows and progress until every scene was published or something failed."""
        announced = False
        while not self._stop.is_set() and not self._finished():
            if self._ready.is_set() and not announced:
                announced = True
                self._on_ready(self._engine_description)
            if not serve_windows(self._outlets, _PROGRESS_PERIOD_S):
                self._stop.wait(_PROGRESS_PERIOD_S)
            self._on_progress(self._meter.progress())

    def _finished(self) -> bool:
        return all(outlet.channel.finished for outlet in self._outlets) and self._scenes.finished

    def _wind_down(self, threads: Sequence[StageThread]) -> list[str]:
        """Wait for the threads and close what they did not; the names of those that did not end in time."""
        for outlet in self._outlets:
            if outlet.sink.on_main_thread:
                outlet.channel.abandon()
        started = [thread for thread in threads if thread.ident is not None]
        hung = [thread.name for thread in started if not self._join(thread)]
        if "clearway-capture" not in hung:
            self._capture.close()
        for outlet in reversed(self._outlets):
            if f"clearway-{outlet.sink.name}" not in hung:
                outlet.close()
        self._ended_s = time.perf_counter()
        return hung

    def _join(self, thread: StageThread) -> bool:
        """Wait for a thread: without limit while the run goes well, else as long as a stop may take."""
        limit_s = STOP_LIMIT_S if thread.name in {"clearway-capture", "clearway-perception"} else FINISH_LIMIT_S
        stopped_at_s: float | None = None
        while thread.is_alive():
            thread.join(_PROGRESS_PERIOD_S)
            if self._stop.is_set():
                stopped_at_s = stopped_at_s or time.monotonic()
                if time.monotonic() - stopped_at_s > limit_s:
                    break
        return not thread.is_alive()


class _Meter:
    """Counts scenes and how fast they come."""

    _WINDOW_S = 1.0

    def __init__(self, timings: StageTimings) -> None:
        self._timings = timings
        self._lock = threading.Lock()
        self.scenes = 0
        self._mark = (0.0, 0)
        self._fps = 0.0

    def count(self) -> None:
        now_s = time.perf_counter()
        with self._lock:
            self.scenes += 1
            marked_s, marked = self._mark
            if marked_s == 0.0:
                self._mark = (now_s, self.scenes)
            elif now_s - marked_s >= self._WINDOW_S or self._fps == 0.0:
                self._fps = (self.scenes - marked) / max(now_s - marked_s, 1e-9)
                if now_s - marked_s >= self._WINDOW_S:
                    self._mark = (now_s, self.scenes)

    def progress(self) -> Progress:
        with self._lock:
            scenes, fps = self.scenes, self._fps
        medians_ms = [self._timings.quantile_ms(stage, 0.5) for stage in _STAGES_TO_A_SCENE]
        return Progress(scenes, fps, sum(median_ms for median_ms in medians_ms if not math.isnan(median_ms)))
