"""The networks side by side: ``python -m training.family --steps 1000 --out docs/networks.md``.

Trains every network of `training.networks` by the same command, one after the other, exports them, and writes a table
of size, work, accuracy and time. Each has its run in a folder; the command continues what was cut off, and does not
train again what is done. All take turns within one measurement of time.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from engines.artifact import load_artifact
from engines.base import Engine
from engines.errors import ClearwayError
from engines.factory import open_engine
from engines.processor import processor_name
from training import export, train
from training.checkpoint import load_checkpoint
from training.datasets import load_frames
from training.evaluate import evaluate_network, named_iou
from training.labels import CLASSES
from training.networks import NETWORKS, build_network, describe_network, is_own_network, label_network

__all__ = ["count_work", "main"]

_SIZE_HW = (360, 640)
_ROUNDS, _TURN = 6, 5
_SHOWN = ("mIoU", "road", "person", "rider", "pole")


@dataclass(frozen=True, slots=True)
class _Row:
    """What is known of one network after its run."""

    name: str
    parameters: int
    macs: int
    steps: int
    minutes: float
    iou: dict[str, float]
    ms: float


def count_work(network: nn.Module, size_hw: tuple[int, int]) -> int:
    """Multiplications (with an addition each) of all convolutions for one picture (H, W)."""
    total = 0

    def add(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
        # A convolution gathers at every output, a transposed one scatters from every input.
        places = output if isinstance(layer, nn.Conv2d) else inputs[0]
        total += places.shape[-2] * places.shape[-1] * layer.weight.numel()

    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    handles = [layer.register_forward_hook(add) for layer in layers]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, *size_hw))
    for handle in handles:
        handle.remove()
    return total


def _train(name: str, options: argparse.Namespace) -> Path:
    """The model that a network became."""
    plain = _plain_name(name)
    run: Path = options.runs / plain
    model = run / f"{plain}.onnx"
    arguments = ["--network", name, "--run", str(run), "--data", str(options.data), "--steps", str(options.steps)]
    arguments += ["--mix", *options.mix, "--check", options.check, "--seed", str(options.seed)]
    arguments += [] if options.minutes is None else ["--minutes", str(options.minutes)]
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    train.run(parser.parse_args([*arguments, *options.more]))
    own = ["--network", name] if is_own_network(name) else []
    if export.main([str(run / "checkpoint.pt"), "--name", plain, "--out", str(run), *own]):
        raise ClearwayError(f"{run}: the network cannot be exported; see above")
    return model


def _plain_name(name: str) -> str:
    """What files of a network may be called."""
    return name.rpartition(":")[2]


def _times_ms(models: dict[str, Path], threads: int | None) -> dict[str, float]:
    """The median time of a 640x360 picture in OpenVINO FP32, all in turns."""
    engines: dict[str, Engine] = {
        name: open_engine(load_artifact(path), "openvino", size_hw=_SIZE_HW, precision="fp32", threads=threads)
        for name, path in models.items()
    }
    tensor = np.random.default_rng(0).standard_normal((1, 3, *_SIZE_HW)).astype(np.float32)
    laps_ms: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(_ROUNDS):
        for name, engine in engines.items():
            engine.infer(tensor)  # the caches are another's
            for _ in range(_TURN):
                began_s = time.perf_counter()
                engine.infer(tensor)
                laps_ms[name].append(1e3 * (time.perf_counter() - began_s))
    for engine in engines.values():
        engine.close()
    return {name: statistics.median(laps) for name, laps in laps_ms.items()}


def _measure(models: dict[str, Path], options: argparse.Namespace) -> list[_Row]:
    times_ms = _times_ms(models, options.threads)
    check = load_frames(options.check, options.data)
    rows = []
    for name, path in models.items():
        state = load_checkpoint(path.parent / "checkpoint.pt")
        network = export.load_network(path.parent / "checkpoint.pt", name if is_own_network(name) else None)
        plain = build_network(name, len(CLASSES))
        macs = count_work(plain, _SIZE_HW)
        iou = named_iou(evaluate_network(network, check))
        steps, minutes = state["step"], state["elapsed_s"] / 60
        rows.append(_Row(label_network(name), _parameters_of(path), macs, steps, minutes, iou, times_ms[name]))
    return rows


def _parameters_of(model: Path) -> int:
    """Weights in the exported graph, without what only training has."""
    import onnx

    return sum(int(np.prod(entry.dims)) for entry in onnx.load(model).graph.initializer if entry.data_type == 1)


def _page(rows: list[_Row], options: argparse.Namespace) -> str:
    fastest = min(row.ms for row in rows)
    lines = [
        "# Networks, side by side",
        "",
        f"Written by `{options.command}` on {time.strftime('%Y-%m-%d', time.gmtime())}, on {processor_name()}, "
        f"Python {platform.python_version()}, torch {torch.__version__.partition('+')[0]}.",
        "",
        f"Each was trained by the same command: {options.steps} steps at most"
        + ("" if options.minutes is None else f" or {options.minutes:g} minutes, whichever came first")
        + f", mix `{' '.join(options.mix)}`, seed {options.seed}. Accuracy is that of the averaged weights on "
        f"`{options.check}`, frame by frame. Times are medians of a 640x360 picture in OpenVINO FP32, in turns within "
        "one run; on a busy machine only their ratios mean something.",
        "",
        "| network | parameters | GMACs at 640x360 | ms | times the fastest | steps | minutes | "
        + " | ".join(_SHOWN)
        + " |",
        "|---" * (7 + len(_SHOWN)) + "|",
    ]
    for row in sorted(rows, key=lambda row: -row.iou["mIoU"]):
        accuracy = " | ".join(f"{row.iou[name]:.3f}" if name in row.iou else "–" for name in _SHOWN)
        lines.append(
            f"| {row.name} | {row.parameters / 1e6:.2f} M | {row.macs / 1e9:.2f} | {row.ms:.1f} | "
            f"{row.ms / fastest:.2f} | {row.steps} | {row.minutes:.0f} | {accuracy} |"
        )
    described = {label_network(name): describe_network(name) for name in sorted(options.networks)}
    lines += ["", *(f"- **{name}**: {text}" for name, text in described.items())]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code: 0, or 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m training.family", description=__doc__)
    defaults = argparse.ArgumentParser()
    train.add_arguments(defaults)
    parser.add_argument(
        "--networks", nargs="+", default=sorted(NETWORKS), metavar="NAME|FILE.py:CLASS", help="those of Clearway"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/family"), help="folder of the runs (%(default)s)")
    parser.add_argument("--data", type=Path, default=defaults.get_default("data"))
    parser.add_argument("--mix", nargs="+", default=defaults.get_default("mix"), metavar="DATASET=SHARE")
    parser.add_argument("--check", default="camvid/val", help="data set to measure on (%(default)s)")
    parser.add_argument("--steps", type=int, default=1000, help="of each (%(default)s)")
    parser.add_argument("--minutes", type=float, help="training time of each, if the steps are not done")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="of the engine")
    parser.add_argument("--out", type=Path, default=Path("docs/networks.md"), help="the table (%(default)s)")
    parser.add_argument("more", nargs="*", metavar="-- OPTION", help="further options of train, for all")
    options = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    options.command = " ".join(["python -m training.family", *given])
    try:
        models = {name: _train(name, options) for name in options.networks}
        page = _page(_measure(models, options), options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(page, encoding="utf-8")
    except ClearwayError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        return 2
    Console(stderr=True).print(page, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
