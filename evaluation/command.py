"""The command `evaluate`: a model's accuracy on labelled data, seen through the very stages that replay uses."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import rich.console
from rich.progress import track
from rich.table import Table

from engines.artifact import find_model, load_artifact
from engines.base import Engine, Precision
from engines.factory import EngineKind, choose_input_size, open_engine
from evaluation.accuracy import ConfusionMatrix
from evaluation.labelled import FORMATS, LabelledSet, open_labelled
from pipeline.config import parse_size
from pipeline.errors import SinkError
from pipeline.perception import Perception
from pipeline.timings import StageTimings

__all__ = ["add_arguments", "measure", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `evaluate` understands."""
    parser.add_argument("--data", required=True, metavar="DIR", help="labelled data: images/ and labels/ in a folder")
    parser.add_argument("--format", choices=FORMATS, default="folder", help="layout of the data (default: folder)")
    parser.add_argument("--model", metavar="NAME|PATH.onnx", default="clearway-lite", help="shipped model or ONNX file")
    parser.add_argument("--engine", choices=get_args(EngineKind), default="auto")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="network input (default: fits the data)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")


def run(args: argparse.Namespace) -> int:
    """Measure and show.

    Raises:
        ClearwayError: The data, the model or the output is at fault.
    """
    labelled = open_labelled(args.data, args.format)
    artifact = load_artifact(find_model(args.model))
    size_hw = (args.size[0], args.size[1]) if args.size else choose_input_size(artifact, labelled.size_hw)
    engine = open_engine(artifact, kind=args.engine, size_hw=size_hw, precision=args.precision)
    description = engine.description
    matrix, frames = measure(labelled, engine)
    figures = _figures(matrix, frames, artifact.name, description)
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(figures, indent=2) + "\n")
        except OSError as error:
            raise SinkError(f"{args.json}: cannot be written ({error.strerror})") from error
    _show(figures, args.data)
    return 0


def measure(labelled: LabelledSet, engine: Engine) -> tuple[ConfusionMatrix, int]:
    """Segment every labelled frame and compare.

    Args:
        labelled: The data; read to its end.
        engine: Closed at the end.

    Returns:
        The confusion matrix over the classes that data and model share, and the number of frames.
    """
    model_ids = np.array([entry.train_id for entry in engine.spec.classes], np.uint8)
    known = set(model_ids.tolist())
    matrix = ConfusionMatrix([entry for entry in labelled.classes if entry.train_id in known])
    frames = 0
    with Perception(engine, StageTimings()) as perception:
        for item in track(labelled.frames, description="evaluate", console=rich.console.Console(stderr=True)):
            scene = perception.see(item.frame)
            matrix.add(item.truth, model_ids[scene.segmentation.class_ids])
            frames += 1
    return matrix, frames


def _figures(matrix: ConfusionMatrix, frames: int, model: str, engine: str) -> dict[str, Any]:
    iou = {
        entry.name: None if math.isnan(value) else round(float(value), 4)
        for entry, value in zip(matrix.classes, matrix.iou, strict=True)
    }
    return {
        "frames": frames,
        "model": model,
        "engine": engine,
        "miou": round(matrix.mean_iou, 4),
        "pixel_accuracy": round(matrix.pixel_accuracy, 4),
        "iou": iou,
    }


def _show(figures: dict[str, Any], data: str) -> None:
    table = Table(title=f"{figures['model']} on {data}: {figures['frames']} frames")
    table.add_column("class")
    table.add_column("IoU", justify="right")
    for name, value in figures["iou"].items():
        table.add_row(name, "–" if value is None else f"{value:.3f}")
    table.add_section()
    table.add_row("mean IoU", f"{figures['miou']:.3f}", style="bold")
    table.add_row("pixel accuracy", f"{figures['pixel_accuracy']:.3f}")
    rich.console.Console().print(table)
