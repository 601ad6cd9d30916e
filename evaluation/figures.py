"""The figures of a measurement as plain data, for JSON files, tables and reports."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.boundaries import TOLERANCE
from evaluation.measurement import Measurement
from evaluation.pedestrians import SIZES

__all__ = ["collect_figures"]


def collect_figures(measurement: Measurement, *, data: str, model: str, engine: str, smoothing: bool) -> dict[str, Any]:
    """All figures, rounded to four digits; None where there is nothing to measure.

    Args:
        measurement: Complete.
        data: What was measured on.
        model: The model's name.
        engine: The engine's description.
        smoothing: Whether frames that follow one another were smoothed.
    """
    matrix = measurement.matrix
    names = matrix.names
    return {
        "data": data,
        "frames": len(measurement.frames),
        "model": model,
        "engine": engine,
        "smoothing": smoothing,
        "miou": _round(matrix.mean_iou),
        "pixel_accuracy": _round(matrix.pixel_accuracy),
        "iou": _by_name(names, matrix.iou),
        "boundary_f": _round(measurement.boundaries.mean),
        "boundary_f_of_class": _by_name(names, measurement.boundaries.f_scores),
        "boundary_tolerance": TOLERANCE,
        "drivable": _drivable(measurement),
        "pedestrians": _pedestrians(measurement),
        "ece": _round(measurement.reliability.expected_error),
        "reliability": [
            {name: round(value, 4) for name, value in asdict(each).items()} for each in measurement.reliability.bins
        ],
        "flicker": _round(measurement.flicker.share, 5),
        "flicker_of_class": _by_name(names, measurement.flicker.of_class, 5) if measurement.flicker.pairs else None,
        "frame_pairs": measurement.flicker.pairs,
        "confusion": {"classes": [*names, "other"], "counts": matrix.counts[:-1].tolist()},
        "groups": {
            group.name: {"labels": list(group.labels), "classes": list(group.classes)}
            for group in measurement.comparison.groups
        },
        "labels_left_out": list(measurement.comparison.left_out),
    }


def _drivable(measurement: Measurement) -> dict[str, Any] | None:
    """IoU, precision and recall of the scene's drivable area; the road class itself is in the IoU table."""
    counts = measurement.drivable.counts
    hits, in_truth, seen = counts[0, 0], counts[0].sum(), counts[:2, 0].sum()
    if not measurement.knows_road or not in_truth:
        return None
    return {
        "iou": _round(measurement.drivable.iou[0]),
        "precision": _round(hits / seen if seen else math.nan),
        "recall": _round(hits / in_truth),
    }


def _pedestrians(measurement: Measurement) -> list[dict[str, Any]] | None:
    if not measurement.knows_pedestrians:
        return None
    return [
        {
            "size": entry.name,
            "heights_px": [least, below if below < 1 << 30 else None],
            "count": entry.count,
            "recall": _round(entry.found / entry.count if entry.count else math.nan),
            "recall_as_person_or_rider": _round(entry.found_as_people / entry.count if entry.count else math.nan),
            "pixel_recall": _round(entry.pixel_recall),
        }
        for entry, (_, least, below) in zip(measurement.pedestrians.sizes, SIZES, strict=True)
    ]


def _by_name(names: tuple[str, ...], values: NDArray[np.float64], digits: int = 4) -> dict[str, float | None]:
    return {name: _round(value, digits) for name, value in zip(names, values.tolist(), strict=True)}


def _round(value: float, digits: int = 4) -> float | None:
    return None if math.isnan(value) else round(float(value), digits)
