"""Each stage raises in turn: the run is over within two seconds, nothing is left open, the first error is shown."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import pytest

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine
from pipeline.capture import Capture
from pipeline.overlay import OverlayPainter
from pipeline.perception import Perception
from pipeline.postprocess import Postprocessor
from pipeline.runner import Runner
from pipeline.sinks import Sink, open_sink
from pipeline.sinks.base import SinkClosed
from pipeline.sources import open_source
from pipeline.timings import StageTimings
from tests.pipeline.faults import BreakingEngine, BreakingSource, CountingSink, Fault

FRAMES = 60
DRIVE = f"synthetic://drive?frames={FRAMES}&seed=2&size=320x180"


@dataclass
class Run:
    """A run of real parts, some of which break."""

    source_breaks_after: int | None = None
    engine_breaks_after: int | None = None
    sinks: list[Sink] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timings = StageTimings()
        self.source = BreakingSource(open_source(DRIVE), self.source_breaks_after)
        self.engines: list[BreakingEngine] = []
        self.runner = Runner(Capture(self.source, self.timings), self.open, self.sinks, self.timings)

    def open(self) -> Perception:
        artifact = load_artifact(find_model("clearway-lite"))
        after = None if self.engine_breaks_after is None else self.engine_breaks_after + 1  # one warms up
        engine = BreakingEngine(open_engine(artifact, size_hw=(176, 320), threads=1), after)
        self.engines.append(engine)
        return Perception(engine, self.timings)

    def assert_fails(self, error: type[BaseException], message: str | None = None) -> None:
        """The run raises that error, is over within two seconds of the fault, and leaves nothing open."""
        with pytest.raises(error, match=message) as caught:
            self.runner.run()
        if isinstance(caught.value, Fault):
            assert time.monotonic() - caught.value.raised_at_s < 2
        self.assert_nothing_left_open()

    def assert_nothing_left_open(self) -> None:
        deadline_s = time.monotonic() + 2
        while (left := _threads()) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not left
        assert self.source.closed
        assert all(engine.closed for engine in self.engines)
        for sink in self.sinks:
            if isinstance(sink, CountingSink):
                assert sink.closed >= 1


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("clearway-")]


def raising(make: Callable[[], Exception]) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise make()

    return fail


def test_a_run_without_faults_gives_every_frame_to_every_sink():
    sinks = [CountingSink(), CountingSink(main_thread=True)]
    run = Run(sinks=list(sinks))
    report = run.runner.run()
    assert (report.frames, report.scenes) == (FRAMES, FRAMES)
    assert [sink.indices for sink in sinks] == [list(range(FRAMES))] * 2
    run.assert_nothing_left_open()


def test_a_source_that_breaks_off_loses_none_of_the_frames_it_gave():
    sink = CountingSink()
    Run(source_breaks_after=17, sinks=[sink]).assert_fails(Fault, "source")
    assert sink.indices == list(range(17))


def test_an_engine_that_fails_keeps_the_scenes_before():
    sink = CountingSink()
    Run(engine_breaks_after=9, sinks=[sink]).assert_fails(Fault, "engine")
    assert sink.indices == list(range(9))


def test_an_engine_that_does_not_open(monkeypatch: pytest.MonkeyPatch):
    run = Run(sinks=[CountingSink()])
    monkeypatch.setattr(run.runner, "_open_perception", raising(lambda: Fault("opening")))
    run.assert_fails(Fault, "opening")


def test_postprocessing_that_fails(monkeypatch: pytest.MonkeyPatch):
    run = Run(sinks=[CountingSink()])
    monkeypatch.setattr(Postprocessor, "process", raising(lambda: Fault("postprocess")))
    run.assert_fails(Fault, "postprocess")


def test_an_overlay_that_fails(monkeypatch: pytest.MonkeyPatch):
    sink = CountingSink()
    run = Run(sinks=[sink])
    monkeypatch.setattr(OverlayPainter, "draw", raising(lambda: Fault("overlay")))
    run.assert_fails(Fault, "overlay")
    assert sink.indices == []


@pytest.mark.parametrize("main_thread", [False, True])
def test_a_sink_that_fails_does_not_take_the_others_with_it(main_thread: bool, tmp_path: Path):
    scenes = tmp_path / "scenes.jsonl"
    Run(sinks=[open_sink(str(scenes)), CountingSink(after=5, main_thread=main_thread)]).assert_fails(Fault, "sink")
    indices = [json.loads(line)["index"] for line in scenes.read_text().splitlines()]
    assert indices == list(range(len(indices)))
    assert len(indices) >= 5


def test_a_sink_that_fails_at_its_end():
    Run(sinks=[CountingSink(at_close=True)]).assert_fails(Fault, "closing")


def test_the_video_is_playable_after_a_failure(tmp_path: Path):
    video = tmp_path / "overlay.mp4"
    Run(engine_breaks_after=23, sinks=[open_sink(str(video))]).assert_fails(Fault, "engine")
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 23


def test_a_closed_window_ends_the_run_well(monkeypatch: pytest.MonkeyPatch):
    window, other = CountingSink(main_thread=True), CountingSink()
    run = Run(sinks=[window, other])
    monkeypatch.setattr(window, "write", raising(SinkClosed))
    report = run.runner.run()
    assert report.scenes < FRAMES
    assert other.indices == list(range(len(other.indices)))
    run.assert_nothing_left_open()


def test_an_interrupt_in_the_main_thread_keeps_what_was_done(monkeypatch: pytest.MonkeyPatch):
    sink = CountingSink()
    run = Run(sinks=[sink])

    def interrupt(progress: object) -> None:
        if len(sink.indices) >= 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(run.runner, "_on_progress", interrupt)
    run.assert_fails(KeyboardInterrupt)
    assert sink.indices == list(range(len(sink.indices)))
