"""The command `calibrate int8`: from a model in floats and pictures, its two INT8 graphs."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import rich.console
from rich.table import Table

from calibration.files import check_outputs, to_json, write_whole
from calibration.int8 import METHODS, Method, RangeMeasurement, agreement, classes_of, quantize
from calibration.pictures import LEAST_PICTURES, ChosenPictures, choose_pictures, find_pictures
from engines.artifact import LEAST_AGREEMENT, ModelArtifact, find_model, int8_path, load_artifact
from engines.base import Tensor
from engines.factory import choose_input_size, open_engine
from engines.sidecar import (
    Int8Target,
    Sidecar,
    SidecarClass,
    SidecarConfidence,
    SidecarGraph,
    SidecarInput,
    save_sidecar,
    sha256_of,
    sidecar_path,
)
from pipeline.errors import ConfigError
from pipeline.preprocess import Preprocessor
from pipeline.sources.images import ImageSource

__all__ = ["add_int8_arguments", "calibrate_int8"]

_TARGETS: tuple[Int8Target, ...] = ("cpu", "tensorrt")


def add_int8_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `calibrate int8` understands."""
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="pictures of the roads to be driven")
    parser.add_argument("--model", metavar="NAME|PATH.onnx", default="clearway-lite", help="shipped model or ONNX file")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write to (default: beside the model)")
    parser.add_argument("--count", type=int, default=32, metavar="N", help="pictures to calibrate on (%(default)s)")
    parser.add_argument(
        "--method", choices=[*METHODS, "auto"], default="minmax",
        help="how far ranges reach; auto compares all on pictures held out, which takes minutes (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--weight-bits", type=int, choices=[7, 8], default=7,
        help="for processors; 8 is a little more exact, but sums may overflow without VNNI (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")


def calibrate_int8(args: argparse.Namespace) -> int:
    """Measure, write both graphs and name them in the sidecar, show how they agree with the model.

    Raises:
        ClearwayError: The pictures, the model, an option or an output is at fault; nothing was written then.
    """
    if args.count < LEAST_PICTURES:
        raise ConfigError(f"--count {args.count}: {LEAST_PICTURES} pictures are the least")
    artifact = load_artifact(find_model(args.model))
    pictures = choose_pictures(find_pictures(args.images), args.count)
    model = artifact.path if args.out is None else args.out / artifact.path.name
    check_outputs([*(int8_path(model, target) for target in _TARGETS), args.json])
    console = rich.console.Console(stderr=True, highlight=False)
    methods: tuple[Method, ...] = METHODS if args.method == "auto" else (args.method,)
    tried = {}
    for method in methods:
        with console.status(f"calibrating on {len(pictures.calibration)} pictures, {method}"):
            tried[method] = _try(artifact, pictures, method, args.weight_bits)
    best = max(tried, key=lambda method: tried[method]["figures"]["cpu"]["class_iou"])
    graphs = {target: tried[best]["graphs"][target] for target in _TARGETS}
    figures = {
        "model": artifact.name,
        "method": best,
        "weight_bits": args.weight_bits,
        "pictures": [str(path) for path in pictures.calibration],
        "held_out": [str(path) for path in pictures.held_out],
        "agreement": {method: result["figures"] for method, result in tried.items()},
    }
    agreements = {target: tried[best]["figures"][target]["class_iou"] for target in _TARGETS}
    _write(artifact, model, graphs, agreements)
    if args.json is not None:
        write_whole(args.json, to_json(figures))
    _show(console, model, figures)
    return 0


def _try(artifact: ModelArtifact, pictures: ChosenPictures, method: Method, weight_bits: int) -> dict[str, Any]:
    """Both graphs, and how they agree with the model on pictures that they were not calibrated on."""
    measured = RangeMeasurement(artifact, _tensors(artifact, pictures.calibration), method)
    graphs = {target: quantize(measured, target, weight_bits=weight_bits) for target in _TARGETS}
    seen = [tensor.copy() for tensor in _tensors(artifact, pictures.held_out)]
    wanted = classes_of(artifact.path, artifact, seen, exactly=False)
    figures = {}
    for target, graph in graphs.items():
        found = classes_of(graph, artifact, seen, exactly=target == "tensorrt")
        cells, iou = agreement(found, wanted)
        figures[target] = {"cells": round(cells, 4), "class_iou": round(iou, 4), "bytes": len(graph)}
    return {"graphs": graphs, "figures": figures}


def _tensors(artifact: ModelArtifact, paths: Sequence[Path]) -> Iterator[Tensor]:
    """The pictures as replay would give them to the network, at the size that suits the first; one at a time."""
    source = ImageSource("calibration", paths=paths)
    size_hw = choose_input_size(artifact, source.info.size_hw)
    with open_engine(artifact, "onnxruntime", size_hw=size_hw, precision="fp32", threads=1) as engine:
        spec = engine.spec
    preprocessor = Preprocessor(spec)
    for frame in source.frames():
        yield preprocessor.prepare([frame])


def _write(
    artifact: ModelArtifact, model: Path, graphs: dict[Int8Target, bytes], agreements: dict[Int8Target, float]
) -> None:
    if model.resolve() != artifact.path.resolve():
        shutil.copyfile(artifact.path, model)
    named: dict[Int8Target, SidecarGraph] = {}
    for target, content in graphs.items():
        path = int8_path(model, target)
        write_whole(path, content)
        named[target] = SidecarGraph(path.name, sha256_of(path), agreements[target])
    save_sidecar(model, msgspec.structs.replace(_sidecar(artifact), int8=named))


def _sidecar(artifact: ModelArtifact) -> Sidecar:
    """What is known of the model; what was assumed of it is written down from now on."""
    sure = artifact.confidence
    return Sidecar(
        confidence=None if sure is None else SidecarConfidence(sure.scale, sure.shift),
        name=artifact.name,
        input=SidecarInput(artifact.mean, artifact.std, artifact.color_order, artifact.default_size_hw),
        classes=tuple(SidecarClass(entry.name, entry.color_rgb, entry.train_id) for entry in artifact.classes),
    )


def _show(console: rich.console.Console, model: Path, figures: dict[str, Any]) -> None:
    table = Table(title=f"{figures['model']} in INT8, against itself in floats on {len(figures['held_out'])} pictures")
    for heading in ("ranges", "graph", "equal cells", "IoU of classes", "size"):
        table.add_column(heading, justify="left" if heading in {"ranges", "graph"} else "right")
    for method, targets in figures["agreement"].items():
        for target, said in targets.items():
            size = f"{said['bytes'] / 1e6:.1f} MB"
            style = "bold" if method == figures["method"] else None
            table.add_row(method, target, f"{said['cells']:.2%}", f"{said['class_iou']:.3f}", size, style=style)
    console.print(table)
    for target in _TARGETS:
        console.print(str(int8_path(model, target)), soft_wrap=True)
    console.print(f"named in {sidecar_path(model)}", soft_wrap=True)
    if figures["agreement"][figures["method"]]["cpu"]["class_iou"] < LEAST_AGREEMENT:
        console.print(
            f"note: the classes agree less than {LEAST_AGREEMENT}: the graph is only used with --precision int8",
            style="yellow",
        )
