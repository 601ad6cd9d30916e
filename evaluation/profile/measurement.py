"""One profile from beginning to end.

Pipeline and floors are measured in turns, so that a machine's drift shows:

    warm-up │ engine decode │ PIPELINE │ engine decode │ PIPELINE │ … │ PIPELINE │ engine decode
            └─ floors ──────┘  segment                                           └─ floors ──────┘
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from engines.artifact import ModelArtifact
from engines.base import DeviceTimedEngine, Engine
from engines.factory import choose_input_size, open_engine, open_engines
from evaluation.profile.cameras import run_cameras
from evaluation.profile.clip import Looped
from evaluation.profile.floors import Floor, measure_decoder, measure_engine
from evaluation.profile.recorder import Look, ObservedPerception, Recorder
from evaluation.profile.watch import MachineWatch
from pipeline.capture import Capture
from pipeline.config import EngineConfig
from pipeline.errors import ConfigError
from pipeline.geometry import RoadView
from pipeline.looking import describe_engines
from pipeline.perception import smooths
from pipeline.runner import Runner
from pipeline.scene import Frame
from pipeline.situation import Situation, SituationSettings
from pipeline.sources import SourceInfo, open_source

__all__ = ["SEGMENTS", "Measurement", "Plan", "Segment", "measure"]

SEGMENTS = 8
"""Repetitions: 4 on each side would be the fewest from which Mann and Whitney's test can tell anything."""

_ENGINE_SHARE, _DECODER_SHARE = 0.35, 0.2
"""Length of the slices in which a floor is measured, as a share of a segment's."""

_WARM_UP_FRAMES, _WARM_UP_S = 30, 2.0
"""How long the run goes that does not count: frames of a replay, seconds of live cameras."""

_DEVICE_CLOCK = (
    "CUDA events around each part of a frame's work, in its stream; read after the wait for the results, the only one. "
    "Where the GPU waits within a part for the next launch, that is inside"
)
_NO_DEVICE_CLOCK = "the time on the device alone is not measured: ONNX Runtime does not tell it"

_EDGE_FRAMES = 6
"""Frames at either end of a replay that do not count: channels fill and drain in them. Live there are none."""
_FEWEST_FRAMES = 24


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be profiled.

    Attributes:
        uri: The recording.
        artifact: The model.
        config: Engine, precision, size and threads.
        batch: Pictures in one call of the engine.
        cameras: How many live cameras play the recording; 0 replays it.
        duration_s: How long the pipeline is measured, all segments together.
        view: The calibrated camera over the road; None: what the recording knows of it, or scenes stay in pixels.
    """

    uri: str
    artifact: ModelArtifact
    config: EngineConfig
    batch: int
    cameras: int
    duration_s: float
    view: RoadView | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which the pipeline ran.

    Attributes:
        began_s: From when on frames count, `time.perf_counter()`.
        ended_s: Until when.
        frames: Scenes made between the two.
        cpu_ms: CPU time of the process a frame.
        looks: Those frames.
        memory_mb: Of the process, the most within it.
        dropped: Frames that did not become scenes, by cause; nothing for a replay.
    """

    began_s: float
    ended_s: float
    frames: int
    cpu_ms: float
    looks: tuple[Look, ...]
    memory_mb: float
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def frame_ms(self) -> float:
        """Milliseconds from one scene to the next."""
        return (self.ended_s - self.began_s) * 1e3 / self.frames


@dataclass(slots=True)
class Measurement:
    """Everything that was measured.

    Attributes:
        plan: What was profiled.
        source: The recording.
        engine: Description of the engine.
        device_clock: How the time on the GPU was measured, or why it was not; "" where the engine needs none.
        input_size_hw: (H, W) of the network's input.
        recorder: Laps of the measured segments.
        watch: The machine meanwhile.
        engine_floor: The engine alone.
        decode_floor: The decoder alone.
        segments: The pipeline.
        warm_up_s: How long getting ready took: opening the engine, loading or compiling kernels, first frames.
        warm_up_frames: How many frames were run before anything was counted.
        alone_mb: The most memory that the process had while the pipeline alone was open.
    """

    plan: Plan
    source: SourceInfo
    recorder: Recorder
    watch: MachineWatch
    engine: str = ""
    device_clock: str = ""
    input_size_hw: tuple[int, int] = (0, 0)
    engine_floor: Floor = field(default_factory=lambda: Floor("engine"))
    decode_floor: Floor = field(default_factory=lambda: Floor("decode"))
    segments: list[Segment] = field(default_factory=list)
    warm_up_s: float = 0.0
    warm_up_frames: int = 0
    alone_mb: float = 0.0


def measure(
    plan: Plan, watch: MachineWatch, on_progress: Callable[[str, float], None], on_note: Callable[[str], None]
) -> Measurement:
    """Profile.

    Args:
        plan: What.
        watch: Started; looks at the machine meanwhile.
        on_progress: Called with what happens now, and the share that is done.
        on_note: Called with what the engine has to say while it is opened.

    Raises:
        ClearwayError: The recording or the engine is at fault.
    """
    source = open_source(plan.uri)
    source.close()
    measured = Measurement(plan, source.info, Recorder(), watch)
    on_progress("warming up", 0.0)
    began_s = time.perf_counter()
    warm = _segment(measured, Recorder(), _warm_up_frames(plan), _WARM_UP_S)
    measured.warm_up_s = time.perf_counter() - began_s
    measured.warm_up_frames, measured.alone_mb = _warm_up_frames(plan), warm.memory_mb
    segment_s = plan.duration_s / SEGMENTS
    with (
        contextlib.ExitStack() as stack,
        contextlib.closing(Looped(plan.uri, sys.maxsize).frames()) as decoder,
    ):
        engines = _open(plan, source.info.size_hw, on_note)
        for engine in engines:
            stack.callback(engine.close)
        measured.engine, measured.input_size_hw = describe_engines(engines), engines[0].spec.input_size_hw
        measured.device_clock = _device_clock(engines[0])
        frame_ms = warm.frame_ms
        for number in range(SEGMENTS):
            on_progress(f"segment {number + 1} of {SEGMENTS}", number / SEGMENTS)
            _measure_floors(measured, engines, decoder, segment_s)
            frames = _whole_batches(segment_s * 1e3 / frame_ms + 2 * _EDGE_FRAMES, plan.batch)
            # Live cameras are run for a time: not so short a one that nothing would come between the edges.
            lasting_s = max(segment_s, max(_FEWEST_FRAMES, 6 * plan.cameras) * frame_ms / 1e3)
            segment = _segment(measured, measured.recorder, frames, lasting_s)
            measured.segments.append(segment)
            frame_ms = segment.frame_ms
        _measure_floors(measured, engines, decoder, segment_s)
    return measured


def _warm_up_frames(plan: Plan) -> int:
    return _whole_batches(_WARM_UP_FRAMES, plan.batch)


def _whole_batches(frames: float, batch: int) -> int:
    """So many frames, or as many as are needed for two batches between the edges."""
    fewest = max(_FEWEST_FRAMES / batch, 2 * _edge_batches(batch) + 2)
    return max(round(fewest), round(frames / batch)) * batch


def _edge_batches(batch: int) -> int:
    return -(-_EDGE_FRAMES // batch)


def _measure_floors(
    measured: Measurement, engines: Sequence[Engine], decoder: Iterator[Frame], segment_s: float
) -> None:
    measured.engine_floor.slices.append(measure_engine(engines, _ENGINE_SHARE * segment_s))
    measured.decode_floor.slices.append(measure_decoder(decoder, _DECODER_SHARE * segment_s))


def _open(plan: Plan, size_hw: tuple[int, int], on_note: Callable[[str], None] = lambda _: None) -> list[Engine]:
    """What `replay` would open; for live cameras, and for batches, one engine."""
    config = plan.config
    size_hw = config.size_hw or choose_input_size(plan.artifact, size_hw)
    kind, precision, threads = config.engine, config.precision, config.threads or None
    if plan.cameras == 0 and plan.batch == 1:
        return open_engines(plan.artifact, kind, size_hw=size_hw, precision=precision, threads=threads, on_note=on_note)
    return [
        open_engine(
            plan.artifact,
            kind,
            size_hw=size_hw,
            batch=plan.batch,
            precision=precision,
            threads=threads,
            on_note=on_note,
        )
    ]


def _device_clock(engine: Engine) -> str:
    if isinstance(engine, DeviceTimedEngine):
        return _DEVICE_CLOCK
    return _NO_DEVICE_CLOCK if engine.kind == "onnxruntime-cuda" else ""


def _perceive(measured: Measurement, size_hw: tuple[int, int], recorder: Recorder) -> ObservedPerception:
    """The perception that `replay`, or `live`, would open."""
    plan, source = measured.plan, measured.source
    engine, *beside = _open(plan, size_hw)
    by_default = bool(plan.cameras) or (source.is_video and not source.has_scenes)
    smooth = smooths(plan.config.smoothing, engine, by_default=by_default)
    tracking = plan.config.tracking
    settings = SituationSettings(
        view=plan.view or source.view,
        bonnet_m=source.bonnet_m,
        corridor_width_m=plan.config.corridor_width,
        follows=tracking == "on" or (tracking == "auto" and (bool(plan.cameras) or source.is_video)),
    )
    return ObservedPerception(engine, recorder, beside=beside, smooth=smooth, situate=lambda _: Situation(settings))


def _segment(measured: Measurement, recorder: Recorder, frames: int, segment_s: float) -> Segment:
    """Run the pipeline once, from opening its engine to closing it."""
    plan, watch = measured.plan, measured.watch
    first_look, first_sample = len(recorder.looks), len(watch.samples)
    dropped: dict[str, int] = {}
    if plan.cameras:
        dropped = run_cameras(
            plan.uri,
            plan.cameras,
            recorder,
            lambda size_hw, _: _perceive(measured, size_hw, recorder),
            segment_s,
        )
    else:
        clip = Looped(plan.uri, frames)
        perceive = partial(_perceive, measured, clip.info.size_hw, recorder)
        Runner(Capture(clip, recorder), perceive, [], recorder).run()
    # Not what follows the last scene: closing engines takes as long as a few frames, and a segment has few.
    cpu_s = recorder.seen_cpu_s - recorder.ready_cpu_s
    recorder.forget_threads()
    looks = recorder.looks[first_look:]
    counted, began_s, ended_s = _steady(looks, plan)
    memory_mb = max((sample.memory_mb for sample in watch.samples[first_sample:]), default=watch.memory_mb())
    return Segment(began_s, ended_s, len(counted), cpu_s * 1e3 / len(looks), tuple(counted), memory_mb, dropped)


def _steady(looks: list[Look], plan: Plan) -> tuple[list[Look], float, float]:
    """The looks between the edges of a segment, and when the first of them began to count and the last one ended."""
    ends_s = sorted({look.ended_s for look in looks})
    edge = 1 if plan.cameras else _edge_batches(plan.batch)
    if len(ends_s) < 2 * edge + 2:
        raise ConfigError(
            f"{plan.uri}: only {len(looks)} frames came within a segment of --duration {plan.duration_s:g}; "
            "give it more seconds"
        )
    began_s, ended_s = ends_s[edge], ends_s[-1 - edge]
    return [look for look in looks if began_s < look.ended_s <= ended_s], began_s, ended_s
