"""Accuracy against time over network inputs: python -m benchmarks.sizes --data CAMVID/val CAMVID/dusk --format camvid

One set of weights takes any input. A larger one sees farther and takes longer; this measures both, through the stages
that `evaluate` and `replay` use, frame by frame. Engines take turns within one run, so that the ratios of their times
hold on a machine whose speed drifts. Prints a table for the model card.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.base import Engine
from engines.factory import choose_input_size, open_engine
from evaluation.comparison import compare
from evaluation.labelled import FORMATS, open_labelled
from evaluation.measurement import Measurement, measure
from pipeline.config import parse_size
from pipeline.perception import Perception
from pipeline.timings import StageTimings

_ROUNDS, _TURN = 8, 5
_SIZES = [[240, 320], [288, 384], [360, 480], [416, 552], [480, 640], [544, 720], [720, 960]]
_SHOWN = ("road", "person", "rider", "pole")


def mean_iou(artifact: ModelArtifact, size_hw: tuple[int, int], data: str, args: argparse.Namespace) -> list[float]:
    """Mean IoU on a data set, then that of the classes in `_SHOWN`."""
    labelled = open_labelled(data, args.format)
    measurement = Measurement(compare(labelled.scheme, artifact.classes), labelled.scheme)
    engine = open_engine(artifact, kind=args.engine, size_hw=size_hw, precision=args.precision)
    with Perception(engine, StageTimings()) as perception:
        measure(perception, labelled.frames, measurement)
    names = [group.name for group in measurement.comparison.groups]
    iou = measurement.matrix.iou
    return [measurement.matrix.mean_iou, *(float(iou[names.index(name)]) for name in _SHOWN)]


def times_ms(engines: list[Engine]) -> list[float]:
    """The median time of an inference of each, all in turns."""
    laps_ms: list[list[float]] = [[] for _ in engines]
    tensors = [np.random.default_rng(0).standard_normal(engine.spec.input_shape, np.float32) for engine in engines]
    for _ in range(_ROUNDS):
        for engine, tensor, laps in zip(engines, tensors, laps_ms, strict=True):
            engine.infer(tensor)  # the caches are another's
            for _ in range(_TURN):
                began_s = time.perf_counter()
                engine.infer(tensor)
                laps.append(1e3 * (time.perf_counter() - began_s))
    return [statistics.median(laps) for laps in laps_ms]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="DIR", help="labelled data, one or several")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--sizes", nargs="+", type=parse_size, default=_SIZES, metavar="HxW")
    parser.add_argument("--model", default="clearway-lite")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()

    artifact = load_artifact(find_model(args.model))
    sizes_hw = [(size[0], size[1]) for size in args.sizes]
    chosen = choose_input_size(artifact, open_labelled(args.data[0], args.format).size_hw)
    engines = [open_engine(artifact, kind=args.engine, size_hw=hw, precision=args.precision) for hw in sizes_hw]
    print(f"{artifact.name}, {engines[0].description}, and the like")
    spent = times_ms(engines)
    for engine in engines:
        engine.close()
    reference = spent[sizes_hw.index(chosen)] if chosen in sizes_hw else spent[0]
    columns = [f"{data}: {name}" for data in args.data for name in ("mean", *_SHOWN)]
    print("| input | ms | ratio | " + " | ".join(columns) + " |")
    print("|---" * (3 + len(columns)) + "|")
    for size_hw, ms in zip(sizes_hw, spent, strict=True):
        iou = [value for data in args.data for value in mean_iou(artifact, size_hw, data, args)]
        name = f"{size_hw[0]}x{size_hw[1]}" + (" (what is chosen)" if size_hw == chosen else "")
        print(f"| {name} | {ms:.1f} | {ms / reference:.2f} | " + " | ".join(f"{value:.3f}" for value in iou) + " |")


if __name__ == "__main__":
    main()
