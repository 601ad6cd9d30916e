"""Train a segmentation network: ``python launch.py train --data ROOT --run runs/lite``.

The run's folder holds ``checkpoint.pt`` (everything needed to go on, see `training.checkpoint`), ``best.pt`` (the
averaged weights that were best on the first data set of ``--check``), ``log.jsonl`` and ``curves.svg``. The same
command continues a run that was stopped or killed; the data mix and the budget may differ from before.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import torch
from rich.console import Console

from engines.errors import ClearwayError, ConfigError
from pipeline.config import parse_size
from training.datasets import data_root, load_frames, load_mix
from training.networks import NETWORKS
from training.schedule import Budget
from training.trainer import Settings, Trainer

__all__ = ["add_arguments", "main", "run"]

_LOG = Console(stderr=True)
_LEAST_CROP_PX = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what training understands."""
    parser.add_argument(
        "--network", default="lite", metavar="NAME|FILE.py:CLASS", help=f"{', '.join(sorted(NETWORKS))}, or your own"
    )
    parser.add_argument("--data", type=Path, default=data_root(), help="folder that holds the data sets (%(default)s)")
    parser.add_argument("--run", type=Path, default=Path("runs/lite"), help="folder of the run; continued if it exists")
    parser.add_argument(
        "--mix", nargs="+", default=["camvid/train=10", "idd_lite=2", "rendered:400=4"], metavar="DATASET=SHARE",
        help="data sets to train on, with their shares of the samples: camvid/SPLIT, idd_lite, rendered:COUNT; "
        "camvid:DIR, idd:DIR, cityscapes:DIR, folder:DIR; FILE.toml, which says where data lies and what labels mean",
    )  # fmt: skip
    parser.add_argument("--check", nargs="*", default=["camvid/val", "camvid/dusk"], help="data sets to evaluate on")
    parser.add_argument(
        "--weights", help="begin with those of a checkpoint (.pt) or a model (clearway-lite, x.onnx), not ImageNet's"
    )
    parser.add_argument("--steps", type=int, default=3100)
    parser.add_argument("--minutes", type=float, help="end after so much training time, if the steps are not done")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=parse_size, default=[352, 480], metavar="HxW", help="size of a sample (352x480)")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate (%(default)s)")
    parser.add_argument(
        "--save-every", type=float, default=120, metavar="S", help="training time between checkpoints (%(default)s s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--evaluate-every", type=int, metavar="STEPS", help="steps between evaluations; by default 10 minutes pass"
    )
    parser.add_argument("--precision", choices=["bf16", "fp32"], help="by default bf16 where the device multiplies it")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(options: argparse.Namespace) -> int:
    """Train, or go on training.

    Raises:
        ClearwayError: The data, an option or the run's folder is at fault.
    """
    cv2.setNumThreads(1)
    _refuse_nonsense(options)
    settings = Settings(
        options.network, options.run, Budget(options.steps, options.minutes), weights=options.weights,
        batch=options.batch, crop_hw=(options.crop[0], options.crop[1]), peak_rate=options.rate, seed=options.seed,
        evaluate_every_steps=options.evaluate_every, precision=options.precision, save_every_s=options.save_every,
    )  # fmt: skip
    mix = load_mix(options.mix, options.data)
    checks = [load_frames(name, options.data) for name in options.check]
    Trainer(settings, mix, checks, torch.device(options.device)).run()
    return 0


def _refuse_nonsense(options: argparse.Namespace) -> None:
    for name in ("steps", "batch", "rate", "evaluate_every", "minutes"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: must be above 0")
    if min(options.crop) < _LEAST_CROP_PX:
        raise ConfigError(f"--crop: {_LEAST_CROP_PX} pixels each way are the least")
    try:
        torch.zeros(1, device=options.device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        said = str(error).partition("\n")[0]
        raise ConfigError(f"--device {options.device}: torch cannot use it ({said})") from error


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code: 0, or 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train a segmentation network.")
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except ClearwayError as error:
        _LOG.print(str(error), style="red", markup=False)
        return 2


if __name__ == "__main__":
    sys.exit(main())
