"""What temporal smoothing costs beside the network, in turns within one run.

    python benchmarks/smoothing.py

Plays frames of the rendered drive through the network once with smoothing and once without, frame by frame, and gives
the median of what smoothing adds, together with its parts.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine
from pipeline.postprocess import Postprocessor
from pipeline.preprocess import Preprocessor
from pipeline.smoothing import GreyCells, Smoother
from pipeline.sources.synthetic import open_synthetic


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="640x360", metavar="WxH", help="of the pictures (the network's input stays)")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--threads", type=int, default=None)
    args = parser.parse_args()
    source = open_synthetic(f"synthetic://drive?frames={args.frames}&size={args.size}")
    engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=(360, 640), threads=args.threads)
    preprocessor, cells, smoother = Preprocessor(engine.spec), GreyCells(engine.spec), Smoother(engine.spec)
    plain, steady = Postprocessor(engine.spec.classes), Postprocessor(engine.spec.classes)
    laps_ms: dict[str, list[float]] = defaultdict(list)
    for frame in source.frames():
        tensor = preprocessor.prepare([frame])
        marks = [time.perf_counter()]
        logits = np.asarray(preprocessor.content_of(engine.infer(tensor)[0], frame.size_hw))
        marks.append(time.perf_counter())
        plain.process(frame, logits)
        marks.append(time.perf_counter())
        grey = cells.average(tensor[0], preprocessor.grid_size_hw(frame.size_hw))
        blend = smoother.blend(grey, logits.copy(), frame.source_time_s)
        marks.append(time.perf_counter())
        steady.process(frame, blend, smoother.hold)
        marks.append(time.perf_counter())
        for name, lap_s in zip(
            ("engine", "postprocess", "blend", "postprocess with hold"), np.diff(marks), strict=True
        ):
            laps_ms[name].append(1e3 * float(lap_s))
    print(f"{engine.description}; pictures {args.size}, network 640x360, medians of {args.frames - 10} frames")
    median = {name: float(np.median(laps[10:])) for name, laps in laps_ms.items()}
    for name, value in median.items():
        print(f"  {name:22} {value:6.2f} ms")
    added = median["blend"] + median["postprocess with hold"] - median["postprocess"]
    print(f"  smoothing in all       {added:6.2f} ms, {added / median['engine']:.3f} of the engine's time")
    engine.close()
    source.close()


if __name__ == "__main__":
    main()
