"""What a run's log says, as a picture: loss and accuracy over steps, in a file that every browser shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["draw_curves"]

_PANEL_WIDTH, _PANEL_HEIGHT, _MARGIN = 460, 260, 48
_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2")

Curve = tuple[str, list[float], list[float]]
"""A name, steps, values."""


def draw_curves(run: Path) -> Path:
    """Draw ``log.jsonl`` of a run as ``curves.svg`` beside it. A run that was cut off may have a last line in part.

    Returns:
        The picture's path.
    """
    losses, accuracies = _read(run / "log.jsonl")
    panels = [_panel("loss", losses, 0), _panel("mIoU (dashed: person)", accuracies, 1)]
    width = 2 * (_PANEL_WIDTH + _MARGIN) + _MARGIN
    height = _PANEL_HEIGHT + 2 * _MARGIN
    path = run / "curves.svg"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(panels)}</svg>\n',
        encoding="utf-8",
    )
    return path


def _read(log: Path) -> tuple[list[Curve], list[Curve]]:
    curves: dict[str, Curve] = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        try:
            entry: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue
        said = {"loss": entry["loss"]} if "loss" in entry else {}
        for name in ("mIoU", "person") if "iou" in entry else ():
            if name in entry["iou"]:
                said[f"{entry['check']} {name}"] = entry["iou"][name]
        for name, value in said.items():
            _, steps, values = curves.setdefault(name, (name, [], []))
            # What was done again after a kill counts as it was the last time.
            while steps and steps[-1] >= entry["step"]:
                steps.pop()
                values.pop()
            steps.append(entry["step"])
            values.append(value)
    return [curves[name] for name in curves if name == "loss"], [curves[name] for name in curves if name != "loss"]


def _panel(title: str, curves: Sequence[Curve], place: int) -> str:
    left, top = _MARGIN + place * (_PANEL_WIDTH + _MARGIN), _MARGIN
    steps = [step for _, steps, _ in curves for step in steps] or [0.0, 1.0]
    values = [value for _, _, values in curves for value in values] or [0.0, 1.0]
    low_x, high_x = 0.0, max(*steps, 1.0)
    low_y, high_y = _rounded(min(values), max(values))

    def x_of(step: float) -> float:
        return left + _PANEL_WIDTH * (step - low_x) / (high_x - low_x)

    def y_of(value: float) -> float:
        return top + _PANEL_HEIGHT * (high_y - value) / (high_y - low_y)

    parts = [f'<text x="{left}" y="{top - 24}" font-weight="bold">{escape(title)}</text>']
    for value in np.linspace(low_y, high_y, 5):
        y = y_of(float(value))
        parts.append(f'<path d="M{left} {y:.1f}h{_PANEL_WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for step in np.linspace(low_x, high_x, 5):
        parts.append(f'<text x="{x_of(float(step)):.1f}" y="{top + _PANEL_HEIGHT + 18}" text-anchor="middle">')
        parts.append(f"{step:.0f}</text>")
    checks = list(dict.fromkeys(name.rpartition(" ")[0] for name, _, _ in curves))
    for name, at, what in curves:
        check, _, kind = name.rpartition(" ")
        color = _COLORS[checks.index(check) % len(_COLORS)]
        points = " ".join(f"{x_of(step):.1f},{y_of(value):.1f}" for step, value in zip(at, what, strict=True))
        dashes = ' stroke-dasharray="4 3"' if kind == "person" else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"{dashes}/>')
        if check and not dashes:
            x = left + 120 * checks.index(check)
            parts.append(f'<text x="{x}" y="{top - 6}" fill="{color}">{escape(check)} {what[-1]:.3f}</text>')
    return "".join(parts)


def _rounded(low: float, high: float) -> tuple[float, float]:
    """Limits a little beyond, at whole parts of their distance."""
    step = 10.0 ** np.floor(np.log10(max(high - low, 1e-3)))
    low, high = float(np.floor(low / step) * step), float(np.ceil(high / step) * step)
    return low, high if high > low else low + step
