"""Writes the page of a profile: one HTML file that holds everything, for a browser without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.html_page import axis_end, write_html_page
from evaluation.profile.figures import ProfileFigures
from evaluation.profile.measurement import Measurement
from evaluation.profile.tables import throttling_text
from evaluation.profile.ways import Way, find_ways
from pipeline.timings import TimingsTable

__all__ = ["write_page"]

_PLOT_WIDTH, _PLOT_HEIGHT = 1000.0, 140.0
_BINS = 60
_LEAST_WAIT_S = 1e-4
"""Shorter than this a frame did not wait: the thread was noting its last lap."""

Step = tuple[str, float, float]
"""What happened to a frame, from when to when."""

_FIXED_COLORS = {
    "decode": "#7a9cc6", "waiting": "#dfe4ea", "preprocess": "#e0a33c", "engine": "#2463b4", "postprocess": "#3a9d7a",
    "smoothing": "#4fb3c9", "situation": "#c2577a",
    "overlay": "#a35fb5", "others": "#93a0b0",
    "upload": "#7a9cc6", "letterbox": "#e0a33c", "inference": "#2463b4", "class map": "#3a9d7a", "download": "#a35fb5",
}  # fmt: skip


def write_page(folder: Path, measured: Measurement, figures: ProfileFigures) -> Path:
    """Write the page.

    Args:
        folder: It is there; see `evaluation.html_page`.
        measured: What was measured.
        figures: What came out.

    Returns:
        The page.

    Raises:
        SinkError: It cannot be written.
    """
    return write_html_page(
        folder,
        Path(__file__).with_name("page.html.j2"),
        figures=figures,
        throttled=throttling_text(figures),
        colors=_FIXED_COLORS,
        plot=(_PLOT_WIDTH, _PLOT_HEIGHT),
        bounds=_bounds(figures),
        waterfalls=_waterfalls(measured),
        stage_top=_top(figures.timings_ms),
        device_top=_top(figures.device_ms),
        cpu_parts={name: value for name, value in figures.cpu_ms.items() if name != "total" and value > 0},
        segments=_segments(figures),
        frames=_frame_line(figures.frames_ms),
        histogram=_histogram(figures.frames_ms),
        machine_lines=_machine_lines(measured),
    )


def _top(table: TimingsTable) -> float:
    return axis_end(max((row["p99"] for row in table.values()), default=1.0))


def _bounds(figures: ProfileFigures) -> list[dict[str, Any]]:
    """The floors and the pipeline as bars on one scale."""
    floors = figures.floors_ms
    cores = figures.machine.cores
    rows = [
        ("decoder alone", floors["decode"], _FIXED_COLORS["decode"]),
        ("engine alone", floors["engine"], _FIXED_COLORS["engine"]),
        (f"both, sharing {cores} cores", floors["shared"], "#93a0b0"),
        ("both, one after the other", floors["sum"], "#93a0b0"),
        ("the pipeline", 1e3 / figures.fps, "#1c2330"),
    ]
    longest = max(value for _, value, _ in rows)
    return [{"name": name, "ms": value, "share": value / longest, "color": color} for name, value, color in rows]


def _waterfalls(measured: Measurement) -> list[dict[str, Any]]:
    """The frame of median age and one that only one in a hundred is older than, step by step on one scale."""
    looks = [look for segment in measured.segments for look in segment.looks]
    by_age = sorted(looks, key=lambda look: look.age_ms)
    chosen = [by_age[min(len(by_age) - 1, int(share * len(by_age)))] for share in (0.5, 0.99)]
    titles = ("a typical frame: half of them are younger", "a slow frame: one in a hundred is older")
    ways = find_ways(chosen, measured.recorder.spans)
    steps = [_steps(way) for way in ways]
    end_ms = max(step["end_ms"] for own in steps for step in own)
    return [
        {"title": title, "age_ms": look.age_ms, "steps": own, "top": end_ms}
        for title, look, own in zip(titles, chosen, steps, strict=True)
    ]


def _steps(way: Way) -> list[dict[str, Any]]:
    look = way.look
    zero_s = look.captured_s
    spans: list[Step] = []
    if way.decoding is not None:
        decode_s = way.decoding.duration_ms / 1e3
        zero_s = way.decoding.ended_s - decode_s
        spans.append(("decode", zero_s, way.decoding.ended_s))
    spans.append(("waiting", spans[-1][2] if spans else look.captured_s, look.began_s))
    at_s = look.began_s
    for span in way.stages:
        # Of a batch every lap is noted at its end, as one frame's share: there they follow one another without gaps.
        began_s = at_s if span.frame is None else max(at_s, span.ended_s - span.duration_ms / 1e3)
        if began_s > at_s + _LEAST_WAIT_S:
            spans.append(("waiting", at_s, began_s))
        spans.append((span.stage, began_s, span.ended_s))
        at_s = max(at_s, span.ended_s)
    return [
        {"name": name, "begin_ms": (begin - zero_s) * 1e3, "end_ms": (end - zero_s) * 1e3, "ms": (end - begin) * 1e3}
        for name, begin, end in _merged(spans)
        if end > begin
    ]


def _merged(steps: Sequence[Step]) -> list[Step]:
    """Neighbours of one name as one: laps of the frames of a batch, waiting to be taken up and for an engine."""
    merged: list[Step] = []
    for name, begin_s, end_s in steps:
        if merged and merged[-1][0] == name:
            merged[-1] = (name, merged[-1][1], max(merged[-1][2], end_s))
        else:
            merged.append((name, begin_s, end_s))
    return merged


def _segments(figures: ProfileFigures) -> dict[str, Any]:
    rows = figures.segments
    top = axis_end(max(max(row.frame_ms, row.engine_ms, row.decode_ms) for row in rows))
    step = _PLOT_WIDTH / len(rows)
    points = {
        name: " ".join(
            f"{(number + 0.5) * step:.1f},{_PLOT_HEIGHT * (1 - getattr(row, name) / top):.1f}"
            for number, row in enumerate(rows)
        )
        for name in ("frame_ms", "engine_ms", "decode_ms")
    }
    return {"top": top, "points": points, "count": len(rows)}


def _frame_line(frames_ms: Sequence[float]) -> dict[str, Any]:
    top = axis_end(float(np.quantile(frames_ms, 0.995)))
    step = _PLOT_WIDTH / len(frames_ms)
    points = " ".join(
        f"{(number + 0.5) * step:.1f},{_PLOT_HEIGHT * (1 - min(value / top, 1)):.1f}"
        for number, value in enumerate(frames_ms)
    )
    return {"top": top, "points": points, "count": len(frames_ms), "above": sum(value > top for value in frames_ms)}


def _histogram(frames_ms: Sequence[float]) -> dict[str, Any]:
    top = axis_end(float(np.quantile(frames_ms, 0.995)))
    counts, _ = np.histogram(np.minimum(frames_ms, top), bins=_BINS, range=(0.0, top))
    return {"top": top, "heights": (counts / max(1, counts.max()) * _PLOT_HEIGHT).round(1).tolist(), "bins": _BINS}


def _machine_lines(measured: Measurement) -> list[dict[str, Any]]:
    """Memory and load over the whole of the measurement, floors included."""
    samples = measured.watch.samples
    if len(samples) < 2:
        return []
    series = {
        "memory of the process, MB": [sample.memory_mb for sample in samples],
        "cores that the process takes": [sample.process_cores for sample in samples],
        "cores that other programs take": [sample.other_cores for sample in samples],
    }
    began_s, lasted_s = samples[0].at_s, samples[-1].at_s - samples[0].at_s
    lines = []
    for title, values in series.items():
        top = axis_end(max(values))
        points = " ".join(
            f"{_PLOT_WIDTH * (sample.at_s - began_s) / lasted_s:.1f},{_PLOT_HEIGHT * (1 - value / top):.1f}"
            for sample, value in zip(samples, values, strict=True)
        )
        lines.append({"title": title, "top": top, "points": points, "lasted_s": lasted_s})
    return lines
