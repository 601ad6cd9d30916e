"""Watches a run without changing it: every lap of every stage, and the way of every frame through the perception."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from engines.base import DeviceLaps, DeviceTimedEngine, Engine
from pipeline.perception import Perception
from pipeline.scene import Frame, Scene
from pipeline.situation import Situation
from pipeline.timings import FrameKey, StageTimings

__all__ = ["Look", "ObservedPerception", "Recorder", "Span"]

_SPAN_LIMIT = 200_000
"""Laps that are kept for traces and plots: half an hour at 25 frames a second. Quantiles count all of them."""

_COPIES = {"upload": "GPU, upload", "download": "GPU, download"}
_COMPUTE = "GPU, compute"
"""The GPU's streams, which work side by side: tracks of their own."""


class Span(NamedTuple):
    """One lap of a stage.

    Attributes:
        stage: Which.
        thread: Name of the thread that did it.
        ended_s: `time.perf_counter()` at its end.
        duration_ms: Wall clock; of a batch, the share of one frame.
        cpu_ms: What the thread itself computed since its last lap; None where it had none before. Threads of a library
            that work for it are not in it.
        frame: Whose lap it is; None where several frames went together, or nobody said.
    """

    stage: str
    thread: str
    ended_s: float
    duration_ms: float
    cpu_ms: float | None
    frame: FrameKey | None = None


class Look(NamedTuple):
    """One frame's way through the perception.

    Attributes:
        camera: Its camera; "" for a recording.
        number: Its place among the frames of that camera, or of the run.
        captured_s: When the decoder handed it over, or the camera took it; `time.monotonic()`.
        began_s: When the perception took it up, on the same clock.
        ended_s: When its scene was there.
    """

    camera: str
    number: int
    captured_s: float
    began_s: float
    ended_s: float

    @property
    def age_ms(self) -> float:
        """From capture to result."""
        return (self.ended_s - self.captured_s) * 1e3


class Recorder(StageTimings):
    """Stage timings that also keep single laps, the CPU time in them, and when each frame was looked at.

    What a GPU's own clock says is counted in `device`, and kept in `device_spans`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.device = StageTimings()
        self.device_spans: list[Span] = []
        self.spans: list[Span] = []
        self.looks: list[Look] = []
        self.spans_lost = 0
        self.ready_cpu_s = self.seen_cpu_s = 0.0
        self._cpu_s: dict[int, float] = {}
        self._cpu_totals_ms: defaultdict[str, float] = defaultdict(float)
        self._cpu_laps: defaultdict[str, int] = defaultdict(int)

    def add(self, stage: str, duration_ms: float, frame: FrameKey | None = None) -> None:
        """Count one duration, and keep it."""
        ended_s, cpu_s = time.perf_counter(), time.thread_time()
        super().add(stage, duration_ms, frame)
        thread = threading.current_thread()
        before_s = self._cpu_s.get(thread.ident or 0)
        cpu_ms = None if before_s is None else (cpu_s - before_s) * 1e3
        with self._lock:
            self._cpu_s[thread.ident or 0] = cpu_s
            if cpu_ms is not None:
                self._cpu_totals_ms[stage] += cpu_ms
                self._cpu_laps[stage] += 1
            if len(self.spans) < _SPAN_LIMIT:
                self.spans.append(Span(stage, thread.name, ended_s, duration_ms, cpu_ms, frame))
            else:
                self.spans_lost += 1

    def count_device(self, laps: DeviceLaps) -> None:
        """Count where the GPU's time on a batch went: each picture has its share."""
        for stage, began_ms, duration_ms in laps.laps:
            for _ in range(laps.pictures):
                self.device.add(stage, duration_ms / laps.pictures)
            if len(self.device_spans) < _SPAN_LIMIT:
                ended_s = laps.submitted_s + (began_ms + duration_ms) / 1e3
                self.device_spans.append(Span(stage, _COPIES.get(stage, _COMPUTE), ended_s, duration_ms, None))

    def ready(self) -> None:
        """The engine is open and warm: CPU time of the process, `ready_cpu_s`, counts from now on."""
        self.ready_cpu_s = time.process_time()

    def begin(self) -> None:
        """CPU time of this thread counts from now on."""
        with self._lock:
            self._cpu_s[threading.get_ident()] = time.thread_time()

    def forget_threads(self) -> None:
        """The threads are gone; others may get their numbers."""
        with self._lock:
            self._cpu_s.clear()

    def looked_at(self, frames: Sequence[Frame], began_s: float, ended_s: float) -> None:
        """Frames went through the perception together. CPU time of the process, `seen_cpu_s`, counts until now."""
        self.seen_cpu_s = time.process_time()
        with self._lock:
            self.looks += [Look(one.camera, one.index, one.captured_at_s, began_s, ended_s) for one in frames]

    def cpu_ms(self) -> dict[str, float]:
        """Mean CPU time a frame of the threads that did each stage; see `Span.cpu_ms`."""
        with self._lock:
            return {stage: total / self._cpu_laps[stage] for stage, total in self._cpu_totals_ms.items()}


class ObservedPerception(Perception):
    """The perception itself, and a note of when it looked at which frame."""

    def __init__(
        self,
        engine: Engine,
        recorder: Recorder,
        *,
        beside: Sequence[Engine] = (),
        smooth: bool = False,
        situate: Callable[[str], Situation] | None = None,
    ) -> None:
        super().__init__(engine, recorder, beside=beside, smooth=smooth, situate=situate)
        self._recorder = recorder
        self._is_warm = False
        if isinstance(engine, DeviceTimedEngine):
            engine.time_device(self._count_device)

    def _count_device(self, laps: DeviceLaps) -> None:
        if self._is_warm:
            self._recorder.count_device(laps)

    def warm_up(self, size_hw: tuple[int, int]) -> None:
        """As `Perception.warm_up`; not recorded."""
        self._is_warm = False
        super().warm_up(size_hw)
        self._is_warm = True
        self._recorder.ready()

    def see_each(self, frames: Iterable[Frame], another_waits: Callable[[], bool] = lambda: True) -> Iterator[Scene]:
        """As `Perception.see_each`. Where it goes through `see_all`, that notes the frames; else they are noted here,
        from the moment at which they were taken up.
        """
        began_s: deque[float] = deque()

        def taken_up() -> Iterator[Frame]:
            for frame in frames:
                began_s.append(time.monotonic())
                self._recorder.begin()  # What the run itself did since the last lap is no stage's.
                yield frame

        for scene in super().see_each(taken_up(), another_waits):
            taken_up_s, noted = began_s.popleft(), self._recorder.looks[-1:]
            if not noted or noted[0].number != scene.frame.index:
                self._recorder.looked_at([scene.frame], taken_up_s, time.monotonic())
            yield scene

    def see_all(self, frames: Sequence[Frame]) -> list[Scene]:
        """As `Perception.see_all`."""
        self._recorder.begin()
        began_s = time.monotonic()
        scenes = super().see_all(frames)
        if self._is_warm:
            self._recorder.looked_at(frames, began_s, time.monotonic())
        return scenes
