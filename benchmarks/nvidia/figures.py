"""Durations to figures, figures to ratios, and both to JSON and to a table that people read."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np

from benchmarks.nvidia.inventory import Inventory

__all__ = ["Durations", "ParityRow", "Results", "Speed", "file_stem", "summarise", "table"]

OVERLAP_TARGET = 0.90
AROUND_TARGET = 0.10
BYTE_FLOOR_TARGET = 1.5
LAPS_LIMIT = 1.01
"""Of the sum of a batch's laps to the time around them: an event is half a microsecond fine, a batch has ten."""


class Durations(msgspec.Struct, frozen=True):
    """A distribution of durations, in milliseconds."""

    median_ms: float
    p99_ms: float
    count: int

    @property
    def fps(self) -> float:
        """One after the other, at the median."""
        return 1e3 / self.median_ms


class ParityRow(msgspec.Struct, frozen=True, kw_only=True):
    """One engine in one precision against FP32 on the CPU.

    Attributes:
        engine: Kind and precision, for instance ``"tensorrt fp16"``.
        description: What ran; or why it did not.
        ran: Whether it did.
        max_error: Largest difference of a logit.
        mean_error: Mean difference.
        agreement: Share of the images' pixels with the same class.
        target: What the agreement must reach.
        pictures: How many were compared.
    """

    engine: str
    description: str
    ran: bool
    target: float
    max_error: float = 0.0
    mean_error: float = 0.0
    agreement: float = 0.0
    pictures: int = 0

    @property
    def verdict(self) -> str:
        """Passed, failed or did not run."""
        if not self.ran:
            return "did not run"
        return "passed" if self.agreement >= self.target else "FAILED"


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured in one run on one GPU. Durations are per picture; what was not measured is None.

    Attributes:
        model: Model, size and precision.
        bare_engine: The network alone between two CUDA events, input and output on the GPU.
        bare_engine_fps: Pictures a second of the network alone, one run queued behind the other, wall clock.
        letterbox: The kernel before it, between events.
        class_map: The two kernels after it, between events.
        letterbox_floor_ms: How long moving its bytes once would take at the measured speed of memory.
        class_map_floor_ms: The same after the network.
        memory_gb_s: That speed: a copy within the GPU's memory, bytes read plus bytes written.
        latency: One picture alone from host memory to class map in host memory, wall clock.
        device_laps: Where the GPU's time on a picture alone goes, by its own events, as profiles tell it.
        device_total: From the first of these events to the last.
        laps_over_total: The largest sum of a batch's laps over the time around them, alone and with two in flight.
        timed_latency: As `latency`, with these events being set and read.
        without_decode_fps: Pictures a second from host memory to class maps in host memory, two in flight.
        with_decode_fps: Scenes a second of a whole replay without outputs.
        peers: Other ways to run the same network: torch eager, torch.compile, ONNX Runtime CUDA. Wall clock.
        notes: What could not be measured, and why.
    """

    model: str
    bare_engine: Durations
    bare_engine_fps: float
    letterbox: Durations
    class_map: Durations
    letterbox_floor_ms: float
    class_map_floor_ms: float
    memory_gb_s: float
    latency: Durations
    without_decode_fps: float
    device_laps: dict[str, Durations] = {}
    device_total: Durations | None = None
    laps_over_total: float | None = None
    timed_latency: Durations | None = None
    with_decode_fps: float | None = None
    peers: dict[str, Durations] = {}
    notes: tuple[str, ...] = ()

    @property
    def overlap_efficiency(self) -> float:
        """End to end without decode over bare engine; 1 where all that is not the network hides behind it."""
        return self.without_decode_fps / self.bare_engine_fps

    @property
    def laps_agree(self) -> bool:
        """Whether no batch's laps are longer than the time around them, and that no longer than its caller waited."""
        if self.device_total is None or self.laps_over_total is None or self.timed_latency is None:
            return True
        waited_ms = self.timed_latency.median_ms * LAPS_LIMIT
        return self.laps_over_total <= LAPS_LIMIT and self.device_total.median_ms <= waited_ms

    @property
    def around_share(self) -> float:
        """Kernels before and after the network over the network."""
        return (self.letterbox.median_ms + self.class_map.median_ms) / self.bare_engine.median_ms

    @property
    def over_byte_floor(self) -> float:
        """Those kernels over what moving their bytes would take."""
        floor_ms = self.letterbox_floor_ms + self.class_map_floor_ms
        return (self.letterbox.median_ms + self.class_map.median_ms) / floor_ms


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `scripts/gpu_check`."""

    measured_at: str
    commit: str
    inventory: Inventory
    tests: dict[str, int]
    parity: tuple[ParityRow, ...] = ()
    speed: tuple[Speed, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed: no step, no test, no engine short of its target, no clock that contradicts itself."""
        tested = not self.tests.get("failed") and not self.tests.get("errors")
        agreed = all(speed.laps_agree for speed in self.speed)
        return not self.failures and tested and agreed and all(row.verdict != "FAILED" for row in self.parity)


def summarise(durations_ms: Sequence[float]) -> Durations:
    """Median and 99th percentile (the smallest that 99 % do not exceed).

    Raises:
        ValueError: There is nothing to summarise.
    """
    if not len(durations_ms):
        raise ValueError("no durations to summarise")
    ordered = np.sort(np.asarray(durations_ms, np.float64))
    rank = int(np.ceil(0.99 * len(ordered))) - 1
    return Durations(float(np.median(ordered)), float(ordered[rank]), len(ordered))


def file_stem(inventory: Inventory) -> str:
    """Name of a result's files: GPU and TensorRT, in small letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", f"{inventory.gpu_name}-{inventory.tensorrt}".lower()).strip("-")


def table(results: Results) -> str:
    """Markdown."""
    lines = [f"# {results.inventory.gpu_name}, {results.inventory.tensorrt}", ""]
    lines += [f"Measured {results.measured_at} at commit {results.commit} by `scripts/gpu_check`.", "", "```"]
    lines += [*results.inventory.lines(), "```", ""]
    counts = ", ".join(f"{count} {name}" for name, count in results.tests.items()) or "did not run"
    lines += [f"Tests marked `gpu`: {counts}.", ""]
    lines += [f"- FAILED: {failure}" for failure in results.failures] + ([""] if results.failures else [])
    if results.parity:
        lines += _parity_lines(results.parity)
    for speed in results.speed:
        lines += _speed_lines(speed)
    return "\n".join(lines).rstrip() + "\n"


def _parity_lines(rows: Sequence[ParityRow]) -> list[str]:
    lines = ["## Against FP32 on the CPU", ""]
    lines += ["| engine | largest error | mean error | same class | target | |", "|---|---|---|---|---|---|"]
    for row in rows:
        figures = (
            f"{row.max_error:.2e} | {row.mean_error:.2e} | {row.agreement:.3%} | ≥ {row.target:.1%} | {row.verdict}"
            if row.ran
            else f"| | | ≥ {row.target:.1%} | {row.verdict}: {row.description}"
        )
        lines.append(f"| {row.engine} | {figures} |")
    compared = max(row.pictures for row in rows)
    return [*lines, "", f"Logits compared on the grid, classes at image size, over {compared} pictures.", ""]


def _speed_lines(speed: Speed) -> list[str]:
    def line(name: str, durations: Durations) -> str:
        return f"| {name} | {durations.median_ms:.3f} | {durations.p99_ms:.3f} | {durations.fps:.0f} |"

    rows = [line("bare engine (CUDA events)", speed.bare_engine)]
    rows += [line("letterbox kernel", speed.letterbox), line("class map kernels", speed.class_map)]
    rows += [line("picture to class map, one at a time (wall clock)", speed.latency)]
    if speed.timed_latency is not None:
        rows.append(line("the same with events around each part", speed.timed_latency))
    rows += [line(f"GPU: {stage}", durations) for stage, durations in speed.device_laps.items()]
    if speed.device_total is not None:
        rows.append(line("GPU: from the first event to the last", speed.device_total))
    rows += [line(name, durations) for name, durations in speed.peers.items()]
    rows += [f"| bare engine, queued | | | {speed.bare_engine_fps:.0f} |"]
    rows += [f"| pictures to class maps, two in flight | | | {speed.without_decode_fps:.0f} |"]
    if speed.with_decode_fps is not None:
        rows.append(f"| replay of a recording without outputs | | | {speed.with_decode_fps:.0f} |")
    ratios = [
        f"| overlap efficiency | {speed.overlap_efficiency:.2f} | ≥ {OVERLAP_TARGET:.2f} |",
        f"| (pre + post kernels) / engine | {speed.around_share:.1%} | ≤ {AROUND_TARGET:.0%}, or the next |",
        f"| (pre + post kernels) / byte floor | {speed.over_byte_floor:.2f} | ≤ {BYTE_FLOOR_TARGET} |",
    ]
    if speed.laps_over_total is not None:
        verdict = "" if speed.laps_agree else ": FAILED"
        ratios.append(f"| sum of laps / first to last event | {speed.laps_over_total:.3f} | ≤ {LAPS_LIMIT}{verdict} |")
    return [
        f"## Speed: {speed.model}",
        "",
        "| | median ms | p99 ms | a second |",
        "|---|---|---|---|",
        *rows,
        "",
        "| ratio | | target |",
        "|---|---|---|",
        *ratios,
        "",
        f"The GPU's memory moved {speed.memory_gb_s:.0f} GB/s in a copy within it.",
        *(f"\n{note}" for note in speed.notes),
        "",
    ]
