"""A profile as trace events, for ui.perfetto.dev or chrome://tracing: threads, stages, and every frame's way as a flow.

Trace Event Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from evaluation.profile.measurement import Measurement
from evaluation.profile.recorder import Span
from evaluation.profile.ways import Way, find_ways

__all__ = ["trace_events"]

Event = dict[str, Any]

_PHASES_THREAD = "profile"
_INSIDE_S = 1e-6
"""A flow ends in the slice that encloses its last event."""


def trace_events(measured: Measurement) -> dict[str, Any]:
    """The measured part of a profile: JSON object format.

    Each thread of the pipeline is a track, each lap of a stage a slice on it; so is each stream of a GPU that tells its
    time. What the profiler itself did stands on a track of its own. A frame's flow goes from its decoding to its way
    through the perception.
    """
    spans = _laid_out(measured.recorder.spans)
    device_spans = _disjoint(measured.recorder.device_spans)
    origin_s = min(
        [span.ended_s - span.duration_ms / 1e3 for span in (*spans, *device_spans)]
        + [part.began_s for floor in (measured.engine_floor, measured.decode_floor) for part in floor.slices]
    )
    tracks = [_PHASES_THREAD, *dict.fromkeys(span.thread for span in (*spans, *device_spans))]
    threads = {name: number for number, name in enumerate(tracks, 1)}
    clock = _Clock(origin_s)
    events = [_named("process_name", 0, "Clearway")]
    for name, number in threads.items():
        events += [_named("thread_name", number, name), _sorted(number)]
    events += _phases(measured, clock, threads[_PHASES_THREAD])
    events += _slices([*spans, *device_spans], clock, threads)
    events += _frames(find_ways(measured.recorder.looks, spans), clock, threads)
    events += _counters(measured, clock)
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"engine": measured.engine}}


class _Clock:
    """Seconds of this machine's clock to microseconds of the trace."""

    def __init__(self, origin_s: float) -> None:
        self._origin_s = origin_s

    def us(self, at_s: float) -> float:
        return round((at_s - self._origin_s) * 1e6, 1)


def _laid_out(spans: Sequence[Span]) -> list[Span]:
    """Laps in which several frames went together, which are counted once for each at its end, side by side.

    Those of one stage and thread that would lie upon each other are moved apart.
    """
    laid: list[Span] = []
    groups: dict[str, list[Span]] = {}

    def settle(thread: str) -> None:
        group = groups.pop(thread, [])
        for place, span in enumerate(group):
            after_s = (len(group) - 1 - place) * span.duration_ms / 1e3
            laid.append(span._replace(ended_s=group[0].ended_s - after_s))

    for span in spans:
        group = groups.get(span.thread)
        if group and not (group[0].stage == span.stage and group[0].duration_ms == span.duration_ms):
            settle(span.thread)
        groups.setdefault(span.thread, []).append(span)
    for thread in list(groups):
        settle(thread)
    return _disjoint(laid)


def _disjoint(spans: Sequence[Span]) -> list[Span]:
    """Laps of one thread never overlap; a thread that was interrupted before it could note a lap noted it late."""
    begins_s: dict[str, float] = {}
    disjoint: list[Span] = []
    for span in sorted(spans, key=lambda span: span.ended_s, reverse=True):
        ended_s = min(span.ended_s, begins_s.get(span.thread, span.ended_s))
        begins_s[span.thread] = ended_s - span.duration_ms / 1e3
        disjoint.append(span._replace(ended_s=ended_s))
    return disjoint[::-1]


def _phases(measured: Measurement, clock: _Clock, thread: int) -> Iterator[Event]:
    for floor, name in ((measured.engine_floor, "engine alone"), (measured.decode_floor, "decoder alone")):
        for part in floor.slices:
            yield _slice(name, clock, part.began_s, part.ended_s, thread, {"median_ms": round(part.median_ms, 3)})
    for number, segment in enumerate(measured.segments, 1):
        known = {"frames": segment.frames, "frame_ms": round(segment.frame_ms, 3)}
        yield _slice(f"pipeline, segment {number}", clock, segment.began_s, segment.ended_s, thread, known)


def _slices(spans: Sequence[Span], clock: _Clock, threads: dict[str, int]) -> Iterator[Event]:
    for span in spans:
        known = {} if span.cpu_ms is None else {"cpu_ms": round(span.cpu_ms, 3)}
        began_s = span.ended_s - span.duration_ms / 1e3
        yield _slice(span.stage, clock, began_s, span.ended_s, threads[span.thread], known)


def _frames(ways: Sequence[Way], clock: _Clock, threads: dict[str, int]) -> Iterator[Event]:
    """A slice around each frame's laps in the thread that took it up, and the flow that leads there from decoding."""
    for number, way in enumerate(ways, 1):
        look = way.look
        taken_up = [span for span in way.stages if span.thread == way.stages[0].thread]
        if not taken_up:  # it lies beyond the laps that were kept
            continue
        thread, began_s = threads[taken_up[0].thread], taken_up[0].ended_s - taken_up[0].duration_ms / 1e3
        known = {"age_ms": round(look.age_ms, 3), "waited_ms": round((began_s - look.captured_s) * 1e3, 3)}
        if way.decoding is not None:
            inside_s = way.decoding.ended_s - way.decoding.duration_ms / 2e3
            yield _flow("s", number, clock.us(inside_s), threads[way.decoding.thread])
            yield _flow("f", number, clock.us(began_s + _INSIDE_S), thread)
        yield _slice(f"{look.camera or 'frame'} {look.number}", clock, began_s, taken_up[-1].ended_s, thread, known)


def _counters(measured: Measurement, clock: _Clock) -> Iterator[Event]:
    for sample in measured.watch.samples:
        at_us = clock.us(sample.at_s)
        if at_us < 0:
            continue
        yield _counter("memory (MB)", at_us, {"resident": round(sample.memory_mb, 1)})
        cores = {"this process": round(sample.process_cores, 3), "others": round(sample.other_cores, 3)}
        yield _counter("cores", at_us, cores)
        for name, values in (("clock (MHz)", sample.clocks_mhz), ("temperature (°C)", sample.temperatures_c)):
            if values:
                yield _counter(name, at_us, values)


def _slice(name: str, clock: _Clock, began_s: float, ended_s: float, thread: int, known: dict[str, Any]) -> Event:
    began_us = clock.us(began_s)
    return {
        "ph": "X", "name": name, "cat": "stage", "pid": os.getpid(), "tid": thread,
        "ts": began_us, "dur": round(max(0.0, clock.us(ended_s) - began_us), 1), "args": known,
    }  # fmt: skip


def _flow(phase: str, number: int, at_us: float, thread: int) -> Event:
    """Bound to the slice that encloses it: "bp": "e"."""
    return {
        "ph": phase, "name": "frame", "cat": "frame", "id": number, "bp": "e",
        "pid": os.getpid(), "tid": thread, "ts": at_us,
    }  # fmt: skip


def _counter(name: str, at_us: float, values: dict[str, float]) -> Event:
    return {"ph": "C", "name": name, "pid": os.getpid(), "tid": 0, "ts": at_us, "args": values}


def _named(kind: str, thread: int, name: str) -> Event:
    return {"ph": "M", "name": kind, "pid": os.getpid(), "tid": thread, "args": {"name": name}}


def _sorted(thread: int) -> Event:
    return {"ph": "M", "name": "thread_sort_index", "pid": os.getpid(), "tid": thread, "args": {"sort_index": thread}}
