"""The command `evaluate`: a model's accuracy on labelled data, seen through the very stages that replay uses."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import rich.console
from rich.progress import track
from rich.table import Table

from engines.artifact import find_model, load_artifact
from engines.base import Precision
from engines.factory import EngineKind, choose_input_size, open_engine
from evaluation.comparison import compare
from evaluation.figures import collect_figures
from evaluation.labelled import FORMATS, LabelledSet, open_labelled
from evaluation.measurement import Measurement, Observation, measure
from pipeline.config import parse_size
from pipeline.errors import SinkError
from pipeline.perception import Perception
from pipeline.timings import StageTimings

__all__ = ["add_arguments", "run"]

_EPILOG = """\
Layouts: camvid (images/ and labels/), idd (IDD Lite), cityscapes (leftImg8bit/ and gtFine/), folder (images/ and
labels/ of the same names; values are trainIds, or what --classes says), synthetic (DIR is synthetic://drive?seed=1).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `evaluate` understands."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--data", required=True, metavar="DIR", help="labelled data")
    parser.add_argument("--format", choices=FORMATS, default="folder", help="layout of the data (default: folder)")
    parser.add_argument("--split", metavar="NAME", help="only this subfolder of images and labels, for instance val")
    parser.add_argument("--classes", type=Path, metavar="FILE.toml", help="what the label values mean")
    parser.add_argument("--video", action="store_true", help="the images of a folder are consecutive frames")
    parser.add_argument("--model", metavar="NAME|PATH.onnx", default="clearway-lite", help="shipped model or ONNX file")
    parser.add_argument("--engine", choices=get_args(EngineKind), default="auto", help="inference library")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto", help="arithmetic of the engine")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="network input (default: fits the data)")
    parser.add_argument("--threads", type=int, metavar="N", help="engine threads (default: one for each physical core)")
    parser.add_argument(
        "--smoothing", choices=["on", "off"], default="on", help="steady frames that follow one another (default: on)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a page with plots and pictures")


def run(args: argparse.Namespace) -> int:
    """Measure and show.

    Raises:
        ClearwayError: The data, the model or an output is at fault.
    """
    labelled = open_labelled(args.data, args.format, split=args.split, scheme_file=args.classes, video=args.video)
    artifact = load_artifact(find_model(args.model))
    measurement = Measurement(compare(labelled.scheme, artifact.classes), labelled.scheme)
    gallery = None
    if args.report is not None:
        from evaluation.html_page import refuse_unwritable_page
        from evaluation.report import Gallery

        refuse_unwritable_page(args.report)
        gallery = Gallery(measurement.comparison.groups, labelled.frame_count)
    size_hw = (args.size[0], args.size[1]) if args.size else choose_input_size(artifact, labelled.size_hw)
    engine = open_engine(
        artifact,
        kind=args.engine,
        size_hw=size_hw,
        precision=args.precision,
        threads=args.threads or None,
        on_note=lambda note: rich.console.Console(stderr=True).print(note, style="dim", highlight=False, markup=False),
    )
    smooth = args.smoothing == "on"
    with Perception(engine, StageTimings(), smooth=smooth) as perception:
        description = engine.description
        _measure_all(perception, labelled, measurement, gallery.take if gallery is not None else lambda _: None)
    figures = collect_figures(
        measurement, data=labelled.name, model=artifact.name, engine=description, smoothing=smooth
    )
    if args.json is not None:
        _write(args.json, figures)
    if gallery is not None:
        from evaluation.report import write_report

        page = write_report(args.report, figures, measurement, gallery)
        rich.console.Console(stderr=True).print(f"report: {page}", highlight=False, soft_wrap=True)
    _show(figures)
    return 0


def _measure_all(
    perception: Perception,
    labelled: LabelledSet,
    measurement: Measurement,
    on_observation: Callable[[Observation], None],
) -> None:
    frames = track(
        labelled.frames,
        description="evaluate",
        total=labelled.frame_count,
        console=rich.console.Console(stderr=True),
        transient=True,
    )
    measure(perception, frames, measurement, on_observation)


def _write(file: Path, figures: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(figures, indent=2) + "\n")
    except OSError as error:
        raise SinkError(f"{file}: cannot be written ({error.strerror})") from error


def _show(figures: dict[str, Any]) -> None:
    table = Table(title=f"{figures['model']} on {figures['data']}: {figures['frames']} frames")
    for heading in ("class", "IoU", "boundary F", "flicker"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    flicker = figures["flicker_of_class"] or {}
    for name, iou in figures["iou"].items():
        table.add_row(name, _cell(iou), _cell(figures["boundary_f_of_class"][name]), _percent(flicker.get(name)))
    table.add_section()
    whole = ("mean", _cell(figures["miou"]), _cell(figures["boundary_f"]), _percent(figures["flicker"]))
    table.add_row(*whole, style="bold")
    table.add_row("pixel accuracy", _cell(figures["pixel_accuracy"]))
    table.add_row("calibration error", _cell(figures["ece"]))
    if figures["drivable"] is not None:
        table.add_row("drivable area", _cell(figures["drivable"]["iou"]))
    console = rich.console.Console()
    console.print(table)
    for entry in figures["pedestrians"] or []:
        if entry["count"]:
            least, below = entry["heights_px"]
            heights = (
                f"{least} px and more" if below is None else f"under {below} px" if not least else f"to {below} px"
            )
            console.print(
                f"pedestrians {entry['size']:6} ({heights}): {entry['recall']:.0%} of {entry['count']} found, "
                f"{entry['recall_as_person_or_rider']:.0%} as person or rider",
                highlight=False,
            )
    if figures["labels_left_out"]:
        console.print(f"not counted, the model knows no such class: {', '.join(figures['labels_left_out'])}")


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
