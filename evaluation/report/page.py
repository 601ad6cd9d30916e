"""Writes the page: one HTML file that holds everything, for a browser without a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from evaluation.measurement import Measurement
from evaluation.report.gallery import Gallery
from pipeline.errors import ConfigError, SinkError

__all__ = ["refuse_unwritable", "write_report"]

_PAGE = "index.html"
_PLOT_WIDTH, _PLOT_HEIGHT = 1000, 120


def refuse_unwritable(folder: Path) -> None:
    """Find out before the long part whether a report can be written.

    Raises:
        ConfigError: The template library is not installed.
        SinkError: The folder cannot be created or written.
    """
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError("a report needs Jinja2: pip install 'clearway[report]'") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{_PAGE}.partial"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SinkError(f"{folder}: cannot be written ({error.strerror})") from error


def write_report(folder: Path, figures: dict[str, Any], measurement: Measurement, gallery: Gallery) -> Path:
    """Write the report of a measurement.

    Args:
        folder: It is there; see `refuse_unwritable`.
        figures: See `evaluation.figures`.
        measurement: Complete.
        gallery: Has seen all its frames.

    Returns:
        The page.

    Raises:
        SinkError: It cannot be written.
    """
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scores = measurement.frames
    page = templates.get_template("page.html.j2").render(
        figures=figures,
        groups=measurement.comparison.groups,
        shares=measurement.matrix.shares.tolist(),
        occurs=measurement.matrix.occurs.tolist(),
        iou_line=_line((score.mean_iou for score in scores), 1.0),
        flicker_line=_line((score.flicker for score in scores), flicker_top := _top(_flicker_values(measurement))),
        flicker_top=flicker_top,
        frame_names=(scores[0].name, scores[-1].name) if scores else ("", ""),
        plot=(_PLOT_WIDTH, _PLOT_HEIGHT),
        worst=gallery.worst,
        typical=gallery.typical,
        flicker_map=gallery.flicker_map,
        written_at=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )
    target, partial = folder / _PAGE, folder / f".{_PAGE}.partial"
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise SinkError(f"{target}: cannot be written ({error.strerror})") from error
    return target


def _flicker_values(measurement: Measurement) -> list[float]:
    """The flicker of every frame that follows another."""
    return [score.flicker for score in measurement.frames if not math.isnan(score.flicker)]


def _top(values: list[float]) -> float:
    """A round upper end for an axis: 1, 2 or 5 times a power of ten, not under the largest value."""
    largest = max(values, default=0.0)
    if largest <= 0:
        return 0.01
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= largest)


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
