"""How long the network takes in each engine: python benchmarks/network.py [--against PEER.xml]

All take turns within one run on the same cores, so that their ratios hold on a machine whose speed drifts. A peer is
any OpenVINO model with one picture as input, run at its own size and in the same precision.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engines.artifact import find_model, load_artifact
from engines.base import Precision
from engines.errors import EngineError
from engines.factory import open_engine
from engines.processor import available_cores

_SIZE_HW = (360, 640)
_TURN = 15
_WAYS: tuple[tuple[str, Precision], ...] = (
    ("openvino", "int8"), ("openvino", "bf16"), ("openvino", "fp32"), ("onnxruntime", "int8"), ("onnxruntime", "fp32"),
)  # fmt: skip


def peer(path: Path) -> Callable[[], object]:
    """An inference of a peer's network on its own kind of picture."""
    import openvino

    config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": available_cores()}
    compiled = openvino.Core().compile_model(str(path), "CPU", config)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.zeros(tuple(compiled.input(0).shape), np.float32)))
    return request.infer


def main() -> None:
    """Measure in turns; print medians and ratios to the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clearway-lite")
    parser.add_argument("--against", type=Path, metavar="PEER.xml", help="an OpenVINO model to compare with")
    parser.add_argument("--rounds", type=int, default=12)
    args = parser.parse_args()

    artifact = load_artifact(find_model(args.model))
    runners: dict[str, Callable[[], object]] = {}
    for kind, precision in _WAYS:
        try:
            engine = open_engine(artifact, kind=kind, size_hw=_SIZE_HW, precision=precision)
        except EngineError as error:  # no bf16 here, or no INT8 graph
            print(f"left out: {error}")
            continue
        tensor = np.random.default_rng(0).standard_normal(engine.spec.input_shape).astype(np.float32)
        runners[engine.description] = lambda engine=engine, tensor=tensor: engine.infer(tensor)
    if args.against:
        runners[args.against.stem] = peer(args.against)

    times_ms: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(args.rounds):
        for name, run in runners.items():
            run()  # the caches are another's
            for _ in range(_TURN):
                started_s = time.perf_counter()
                run()
                times_ms[name].append((time.perf_counter() - started_s) * 1e3)
    first = statistics.median(next(iter(times_ms.values())))
    for name, series in times_ms.items():
        median = statistics.median(series)
        print(f"{median:7.2f} ms  {median / first:5.2f}x  {name}")


if __name__ == "__main__":
    main()
