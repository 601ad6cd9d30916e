"""The figures of a live run, for programs (JSON) and for people (a table)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table
from rich.text import Text

from pipeline.console import Console
from pipeline.live.status import DROP_CAUSES, CameraStatus, LiveStatus

if TYPE_CHECKING:
    from pipeline.recording import RecorderStatus

__all__ = ["live_figures", "live_line", "live_table"]

_COLORS = {"live": "green", "stale": "yellow", "connecting": "cyan", "reconnecting": "yellow", "failed": "red"}


def live_figures(
    status: LiveStatus, age_ms: dict[str, float], recording: RecorderStatus | None = None
) -> dict[str, Any]:
    """The figures as JSON-able values.

    ``frames`` are those that became scenes; every other one that a camera gave is in ``dropped``, by cause.

    Args:
        status: Of the run.
        age_ms: Quantiles of the age of all cameras' scenes.
        recording: What was recorded, where something was to be.
    """
    dropped: Counter[str] = Counter(dict.fromkeys(DROP_CAUSES, 0))
    for camera in status.cameras:
        dropped.update(camera.dropped)
    scenes = sum(camera.scenes for camera in status.cameras)
    figures: dict[str, Any] = {
        "frames": scenes,
        "received": sum(camera.received for camera in status.cameras),
        "fps": round(scenes / status.elapsed_s, 2) if status.elapsed_s > 0 else 0.0,
        "dropped": dict(dropped),
        "reconnects": sum(camera.reconnects for camera in status.cameras),
        "age_ms": age_ms,
        "timings_ms": status.timings_ms,
        "engine": status.engine,
        "engine_state": status.engine_state,
        "model": status.model,
        "elapsed_s": round(status.elapsed_s, 3),
        "outputs": status.outputs,
        "output_drops": status.output_drops,
    }
    if recording is not None:
        figures["recording"] = msgspec.to_builtins(recording)
    if len(status.cameras) > 1:
        figures["cameras"] = {camera.name: _camera_figures(camera, status.elapsed_s) for camera in status.cameras}
    return figures


def _camera_figures(camera: CameraStatus, elapsed_s: float) -> dict[str, Any]:
    return {
        "frames": camera.scenes,
        "received": camera.received,
        "fps": round(camera.scenes / elapsed_s, 2) if elapsed_s > 0 else 0.0,
        "dropped": camera.dropped,
        "reconnects": camera.reconnects,
        "age_ms": camera.age_ms,
        "state": camera.state,
        "address": camera.address,
    }


def live_line(status: LiveStatus) -> Text:
    """How the run stands, on one line."""
    parts: list[Text | str] = []
    for camera in status.cameras:
        parts += ["   " if parts else "", Text(camera.name, style="bold"), " "]
        parts.append(Text(camera.state, style=_COLORS[camera.state]))
        if camera.state == "live" and camera.scenes:
            parts.append(f" {camera.fps:.1f} FPS, {camera.last_age_ms:.0f} ms old")
        elif camera.reason and len(status.cameras) == 1:
            parts.append(f" ({camera.reason})")
        lost = sum(camera.dropped.values())
        parts.append(f", {lost} dropped" if lost else "")
    if status.engine_state != "running":
        parts += ["   engine ", Text(status.engine_state, style="yellow")]
    failed = [name for name, reason in status.outputs.items() if reason]
    if failed:
        parts += ["   ", Text(f"{', '.join(failed)} failed", style="red")]
    return Text.assemble(*parts)


def live_table(console: Console, status: LiveStatus) -> None:
    """How old scenes were, and what became of every frame that is not one."""
    table = Table(caption="age: milliseconds from capture to result", caption_justify="left")
    table.add_column("camera")
    for title in ("scenes", "FPS", "age p50", "p95", "p99", "reconnects"):
        table.add_column(title, justify="right", no_wrap=True)
    for camera in status.cameras:
        ages = [f"{camera.age_ms[name]:.1f}" if camera.age_ms else "–" for name in ("p50", "p95", "p99")]
        fps = camera.scenes / status.elapsed_s if status.elapsed_s > 0 else 0.0
        table.add_row(camera.name, str(camera.scenes), f"{fps:.1f}", *ages, str(camera.reconnects))
    console.out.print(table)
    for camera in status.cameras:
        causes = [f"{count} {cause}" for cause, count in camera.dropped.items() if count]
        if causes:
            console.note(f"{camera.name}: dropped {', '.join(causes)}, of {camera.received}")
    if status.engine:
        console.note(f"{status.elapsed_s:.1f} s with {status.engine}")
