"""Writes the page: one HTML file that holds everything, for a browser without a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from evaluation.html_page import axis_end, write_html_page
from evaluation.measurement import Measurement
from evaluation.report.gallery import Gallery

__all__ = ["write_report"]

_PLOT_WIDTH, _PLOT_HEIGHT = 1000, 120


def write_report(folder: Path, figures: dict[str, Any], measurement: Measurement, gallery: Gallery) -> Path:
    """Write the report of a measurement.

    Args:
        folder: It is there; see `evaluation.html_page`.
        figures: See `evaluation.figures`.
        measurement: Complete.
        gallery: Has seen all its frames.

    Returns:
        The page.

    Raises:
        SinkError: It cannot be written.
    """
    scores = measurement.frames
    return write_html_page(
        folder,
        Path(__file__).with_name("page.html.j2"),
        figures=figures,
        groups=measurement.comparison.groups,
        shares=measurement.matrix.shares.tolist(),
        occurs=measurement.matrix.occurs.tolist(),
        iou_line=_line((score.mean_iou for score in scores), 1.0),
        flicker_line=_line(
            (score.flicker for score in scores),
            flicker_top := axis_end(max(_flicker_values(measurement), default=0.01)),
        ),
        flicker_top=flicker_top,
        frame_names=(scores[0].name, scores[-1].name) if scores else ("", ""),
        plot=(_PLOT_WIDTH, _PLOT_HEIGHT),
        worst=gallery.worst,
        typical=gallery.typical,
        flicker_map=gallery.flicker_map,
        written_at=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _flicker_values(measurement: Measurement) -> list[float]:
    """The flicker of every frame that follows another."""
    return [score.flicker for score in measurement.frames if not math.isnan(score.flicker)]


def _line(values: Iterable[float], top: float) -> list[str]:
    """Points of SVG polylines over the frames, broken where there is no value."""
    listed = list(values)
    pieces: list[list[str]] = [[]]
    for index, value in enumerate(listed):
        if math.isnan(value):
            pieces.append([])
            continue
        x = _PLOT_WIDTH * (index + 0.5) / len(listed)
        y = _PLOT_HEIGHT * (1 - min(value / top, 1.0))
        pieces[-1].append(f"{x:.1f},{y:.1f}")
    return [" ".join(piece) for piece in pieces if piece]
