"""The figures of a profile: what its JSON file holds."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from evaluation.profile.floors import shared_floor_ms
from evaluation.profile.machine import Machine, describe_machine, library_versions
from evaluation.profile.measurement import Measurement, Segment
from evaluation.profile.watch import MachineSample
from pipeline.errors import ConfigError
from pipeline.timings import TimingsTable

__all__ = ["FORMAT", "ProfileFigures", "SegmentFigures", "Settings", "collect_figures", "quantiles", "read_figures"]

FORMAT = "clearway-profile/1"

SYNCHRONISATION = (
    "engine.infer returns when its logits are in memory: launching, copying and waiting for the device are inside"
)

Positive = Annotated[float, msgspec.Meta(gt=0)]
"""What comparisons divide by."""

_FRAME_LIMIT = 20_000
_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


class Settings(msgspec.Struct, frozen=True):
    """What was profiled; two profiles of the same settings can be compared as they are.

    Attributes:
        input: The recording.
        source: Its codec, size and rate.
        model: The model's name.
        engine: Description of the engine: library, device, precision, threads.
        network_size: (H, W) of the network's input.
        batch: Pictures in one call of the engine.
        cameras: Live cameras; 0 is a replay.
    """

    input: str
    source: str
    model: str
    engine: str
    network_size: list[int]
    batch: int
    cameras: int


class SegmentFigures(msgspec.Struct, frozen=True):
    """One repetition.

    Attributes:
        frames: Scenes.
        frame_ms: Milliseconds from one scene to the next, mean.
        engine_ms: A frame in the engine alone, mean of the slices before and after.
        decode_ms: A frame in the decoder alone, likewise.
        cpu_ms: CPU time of the process a frame.
        memory_mb: The most within it.
    """

    frames: int
    frame_ms: Positive
    engine_ms: Positive
    decode_ms: float
    cpu_ms: Positive
    memory_mb: float


class ProfileFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All figures. Milliseconds are those of one frame.

    Attributes:
        format: `FORMAT`.
        fps: Scenes a second, over all segments.
        bare_engine_fps: What the engine alone does, from the median of its calls.
        efficiency: `fps` / `bare_engine_fps`.
        efficiency_range: The lowest and the highest of the segments', each against the slices beside it.
        efficiency_against_floors: ``floors_ms["shared"]`` / milliseconds a frame: 1 is a pipeline that adds nothing to
            what decoder and engine need on the cores that they share.
        cpu_efficiency: CPU time of decoder and engine alone / that of the whole process a frame. Other programs on the
            machine, which the others suffer from, hardly change it.
        floors_ms: ``decode`` and ``engine`` alone; ``sum`` of both; ``shared``: the longest of them, or their CPU time
            shared out evenly to all cores, whichever is more; with cameras for all frames that are decoded.
        floors_cpu_ms: CPU time of ``decode`` and ``engine`` alone, on all cores together.
        timings_ms: Wall clock by stage. Stages run side by side: they do not add up to a frame.
        cpu_ms: CPU time a scene by stage, of the thread that does it; ``total`` is the whole process's, ``others`` what
            is left: the engine's and the decoder's own threads.
        device_ms: Time on the GPU by its own clock, by part of a frame's work there; of a batch, one frame's share.
            Nothing where no engine tells it. With frames side by side not all of it is waited for in `engine`.
        device_clock: How that was measured, or why it was not; "" where the engine needs no GPU.
        frame_ms: From one scene to the next.
        age_ms: From capture to result, waiting included.
        dropped: Frames that did not become scenes, by cause; nothing is dropped in a replay.
        decodes_per_scene: Frames decoded for each that became a scene; 1 for a replay.
        offered_fps: Frames a second that the cameras give; None for a replay, which takes what it can get.
        memory_mb: The most that the process held in RAM with the pipeline alone open.
        memory_growth_mb: From the first segment to the last.
        throttled: Whether the machine slowed itself down; None where it does not say.
        throttling_reasons: Why.
        throttling_sources: How many places were asked that answer.
        cpu_utilisation: Share of the cores that this process took while the pipeline ran, 0 to 1.
        other_load: Cores' worth of time that everything else on the machine took meanwhile.
        gpu_utilisation: By GPU, mean.
        clocks_mhz: By processor or GPU: lowest, mean, highest.
        temperatures_c: By sensor: the highest.
        power_w: By GPU or rail: mean.
        timers_share: Share of a frame that the always-on stage timers take, measured in this run.
        warm_up: Seconds and frames before anything counted.
        settings: What was profiled.
        machine: On which machine.
        versions: Of the libraries.
        measured_at: UTC, ISO 8601.
        synchronisation: What the engine's durations contain.
        segments: Every repetition: what comparisons are made from.
        frames_ms: Times between scenes, one after the other, for plots; at most 20,000.
    """

    format: str = FORMAT
    fps: float
    bare_engine_fps: float
    efficiency: float
    efficiency_range: list[float]
    efficiency_against_floors: float
    cpu_efficiency: float
    floors_ms: dict[str, float]
    floors_cpu_ms: dict[str, float]
    timings_ms: TimingsTable
    cpu_ms: dict[str, float]
    device_ms: TimingsTable = {}
    device_clock: str = ""
    frame_ms: dict[str, float]
    age_ms: dict[str, float]
    dropped: dict[str, int]
    decodes_per_scene: float
    offered_fps: float | None
    memory_mb: float
    memory_growth_mb: float
    throttled: bool | None
    throttling_reasons: list[str]
    throttling_sources: int
    cpu_utilisation: float
    other_load: float
    gpu_utilisation: dict[str, float]
    clocks_mhz: dict[str, list[float]]
    temperatures_c: dict[str, float]
    power_w: dict[str, float]
    timers_share: float
    warm_up: dict[str, float]
    settings: Settings
    machine: Machine
    versions: dict[str, str]
    measured_at: str
    synchronisation: str = SYNCHRONISATION
    segments: Annotated[list[SegmentFigures], msgspec.Meta(min_length=1)]
    frames_ms: list[float]


def collect_figures(measured: Measurement, gpus: list[str], timer_us: float) -> ProfileFigures:
    """All figures of a measurement, rounded to what they can mean.

    Args:
        measured: Complete.
        gpus: Names of the machine's NVIDIA GPUs.
        timer_us: What counting one duration takes; see `evaluation.profile.timers`.
    """
    machine = describe_machine(gpus)
    floors = (measured.decode_floor, measured.engine_floor)
    frames = sum(segment.frames for segment in measured.segments)
    frame_ms = sum(segment.frame_ms * segment.frames for segment in measured.segments) / frames
    decodes = _decodes_per_scene(measured)
    cpu_ms = _cpu(measured, decodes)
    shared_ms = shared_floor_ms(measured.engine_floor, measured.decode_floor, machine.cores, decodes)
    floors_cpu_ms = measured.engine_floor.cpu_ms + measured.decode_floor.cpu_ms * decodes
    segments = _segments(measured)
    between_ms = _between_ms(measured.segments)
    table = measured.recorder.table()
    samples = _while_running(measured)
    floors_ms = {floor.name: floor.median_ms for floor in floors}
    rate_hz = measured.source.frame_rate_hz
    return ProfileFigures(
        fps=round(1e3 / frame_ms, 2),
        bare_engine_fps=round(1e3 / floors_ms["engine"], 2),
        efficiency=round(floors_ms["engine"] / frame_ms, 4),
        efficiency_range=_range(segment.engine_ms / segment.frame_ms for segment in segments),
        efficiency_against_floors=round(shared_ms / frame_ms, 4),
        cpu_efficiency=round(floors_cpu_ms / cpu_ms["total"], 4),
        floors_ms=_rounded(floors_ms | {"sum": sum(floors_ms.values()), "shared": shared_ms}),
        floors_cpu_ms=_rounded({floor.name: floor.cpu_ms for floor in floors}),
        timings_ms=table,
        cpu_ms=cpu_ms,
        device_ms=measured.recorder.device.table(),
        device_clock=measured.device_clock,
        frame_ms=quantiles(between_ms),
        age_ms=quantiles([look.age_ms for segment in measured.segments for look in segment.looks]),
        dropped=_dropped(measured),
        decodes_per_scene=round(decodes, 3),
        offered_fps=round(measured.plan.cameras * rate_hz, 2) if measured.plan.cameras and rate_hz else None,
        memory_mb=round(measured.alone_mb, 1),
        memory_growth_mb=round(measured.segments[-1].memory_mb - measured.segments[0].memory_mb, 1),
        throttled=measured.watch.throttling.throttled,
        throttling_reasons=sorted(measured.watch.throttling.reasons),
        throttling_sources=measured.watch.throttling.sources,
        cpu_utilisation=round(_mean(sample.process_cores for sample in samples) / machine.cpus, 3),
        other_load=round(_mean(sample.other_cores for sample in samples), 3),
        gpu_utilisation={name: round(_mean(series), 3) for name, series in _series(samples, "gpu_utilisation").items()},
        clocks_mhz={
            name: [round(min(series)), round(_mean(series)), round(max(series))]
            for name, series in _series(samples, "clocks_mhz").items()
        },
        temperatures_c={name: max(series) for name, series in _series(samples, "temperatures_c").items()},
        power_w={name: round(_mean(series), 2) for name, series in _series(samples, "power_w").items()},
        timers_share=round(timer_us * len(table) / (frame_ms * 1e3), 6),
        warm_up={"seconds": round(measured.warm_up_s, 2), "frames": measured.warm_up_frames},
        settings=_settings(measured),
        machine=machine,
        versions=library_versions(),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        segments=segments,
        frames_ms=[round(value, 3) for value in between_ms[:_FRAME_LIMIT]],
    )


def read_figures(file: Path) -> ProfileFigures:
    """Read what an earlier profile wrote.

    Raises:
        ConfigError: It is not there, or is something else.
    """
    try:
        figures = msgspec.json.decode(file.read_bytes(), type=ProfileFigures)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{file}: not what `profile --json` writes ({error})") from error
    if figures.format != FORMAT:
        raise ConfigError(f"{file}: is {figures.format!r}, not {FORMAT!r}; measure it again with this version")
    for stage, row in figures.timings_ms.items():
        if "p50" not in row:
            raise ConfigError(f"{file}: not what `profile --json` writes (no `p50` of {stage})")
    return figures


def quantiles(values_ms: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max of some durations."""
    shares = np.quantile(values_ms, [share for _, share in _QUANTILES], method="inverted_cdf")
    named = {name: float(value) for (name, _), value in zip(_QUANTILES, shares, strict=True)}
    return _rounded(named | {"max": max(values_ms)})


def _settings(measured: Measurement) -> Settings:
    plan = measured.plan
    return Settings(
        input=plan.uri if "://" in plan.uri else Path(plan.uri).name,
        source=measured.source.description,
        model=plan.artifact.name,
        engine=measured.engine,
        network_size=list(measured.input_size_hw),
        batch=plan.batch,
        cameras=plan.cameras,
    )


def _segments(measured: Measurement) -> list[SegmentFigures]:
    engine, decode = measured.engine_floor.slices, measured.decode_floor.slices
    return [
        SegmentFigures(
            frames=segment.frames,
            frame_ms=round(segment.frame_ms, 4),
            engine_ms=round((engine[number].mean_ms + engine[number + 1].mean_ms) / 2, 4),
            decode_ms=round((decode[number].mean_ms + decode[number + 1].mean_ms) / 2, 4),
            cpu_ms=round(segment.cpu_ms, 4),
            memory_mb=round(segment.memory_mb, 1),
        )
        for number, segment in enumerate(measured.segments)
    ]


def _dropped(measured: Measurement) -> dict[str, int]:
    dropped: Counter[str] = Counter()
    for segment in measured.segments:
        dropped.update(segment.dropped)
    return dict(dropped)


def _decodes_per_scene(measured: Measurement) -> float:
    """Frames that came before the engine was open are not counted: no CPU time of theirs is."""
    lost = sum(count for cause, count in _dropped(measured).items() if cause != "starting")
    return 1.0 + lost / len(measured.recorder.looks)


def _between_ms(segments: Sequence[Segment]) -> list[float]:
    """Times between scenes. Those of one batch come at once: each gets its share."""
    between: list[float] = []
    for segment in segments:
        before_s = segment.began_s
        batches = Counter(look.ended_s for look in segment.looks)
        for ended_s, size in sorted(batches.items()):
            between += [(ended_s - before_s) * 1e3 / size] * size
            before_s = ended_s
    return between


def _cpu(measured: Measurement, decodes_per_scene: float) -> dict[str, float]:
    stages = measured.recorder.cpu_ms()
    stages["decode"] = stages.get("decode", 0.0) * decodes_per_scene
    total_ms = statistics.median(segment.cpu_ms for segment in measured.segments)
    return _rounded(stages | {"others": max(0.0, total_ms - sum(stages.values())), "total": total_ms})


def _while_running(measured: Measurement) -> list[MachineSample]:
    """Samples that were taken while the pipeline ran, not its floors."""
    spans = [(segment.began_s, segment.ended_s) for segment in measured.segments]
    inside = [sample for sample in measured.watch.samples if any(low <= sample.at_s <= high for low, high in spans)]
    return inside or measured.watch.samples[-1:]


def _series(samples: Sequence[MachineSample], field: str) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in getattr(sample, field).items():
            series.setdefault(name, []).append(value)
    return series


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return statistics.fmean(listed) if listed else math.nan


def _range(values: Iterable[float]) -> list[float]:
    listed = sorted(values)
    return [round(listed[0], 4), round(listed[-1], 4)]


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
