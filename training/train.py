"""Train a segmentation network: ``python -m training.train --data ROOT --run runs/lite``."""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from engines.errors import ClearwayError
from training.checkpoint import load_checkpoint, save_checkpoint
from training.datasets import LabelledFrames, SampleStream, data_root, load_frames
from training.evaluate import evaluate_network
from training.labels import CLASSES
from training.losses import segmentation_loss
from training.networks import NETWORKS, build_network
from training.schedule import AveragedWeights, Budget, one_cycle
from training.tensors import images_to_tensor

__all__ = ["Settings", "Trainer", "main"]

_LOG = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides a run besides its data; only the data mix and the budget may change when it resumes.

    Attributes:
        network: A name of `training.networks.NETWORKS`.
        run: Folder of checkpoint, log and weights.
        budget: When to end.
        batch: Samples a step.
        crop_hw: Their size.
        peak_rate: AdamW's learning rate for the decoder at its peak.
        backbone_share: The backbone's rate as a share of it: pretrained weights need less.
        weight_decay: AdamW's, on convolution weights only.
        average_decay: Of the exponential moving average of the weights.
        seed: Of weights, samples and their order.
        save_every_s: Time between checkpoints.
        evaluate_every_s: Time between evaluations.
    """

    network: str
    run: Path
    budget: Budget
    batch: int = 8
    crop_hw: tuple[int, int] = (352, 480)
    peak_rate: float = 1.5e-3
    backbone_share: float = 0.3
    weight_decay: float = 0.02
    average_decay: float = 0.998
    seed: int = 0
    save_every_s: float = 120
    evaluate_every_s: float = 600


class Trainer:
    """One training run: network, averaged weights, optimiser and how far it is; kept in ``run/checkpoint.pt``.

    Args:
        settings: Of the run. Where its folder holds a checkpoint, the run continues from there.
        mix: Data sets with their shares of a batch.
        checks: Data sets to evaluate on; never trained on.
        device: To train on.
    """

    def __init__(
        self,
        settings: Settings,
        mix: list[tuple[LabelledFrames, int]],
        checks: list[LabelledFrames],
        device: torch.device,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.step = 0
        self.elapsed_s = 0.0
        self._checks = checks
        self._device = device
        self._samples = SampleStream(mix, crop_hw=settings.crop_hw, seed=settings.seed)
        resumed = self._checkpoint_path.exists()
        self.network = self._build(pretrained=not resumed)
        self.average = AveragedWeights(self.network, self._build(pretrained=False), settings.average_decay)
        self._optimizer = torch.optim.AdamW(self._parameter_groups())
        if resumed:
            self._restore(load_checkpoint(self._checkpoint_path))

    @property
    def progress(self) -> float:
        """The share of the run that is done, from 0 to 1."""
        return self.settings.budget.progress(self.step, self.elapsed_s)

    def run(self) -> None:
        """Train until the budget is spent, saving and evaluating on the way and at the end."""
        saved_s = evaluated_s = self.elapsed_s
        stop = threading.Event()
        batches = self._start_loader(stop)
        with _progress_bar() as bar, _Stop(stop):
            task = bar.add_task("training", total=1.0, completed=self.progress, loss=float("nan"))
            while self.progress < 1:
                began_s = time.monotonic()
                loss = self.train_step(*batches.get(timeout=300))
                self.elapsed_s += time.monotonic() - began_s
                bar.update(task, completed=self.progress, loss=loss)
                if self.elapsed_s - evaluated_s > self.settings.evaluate_every_s:
                    self.evaluate()
                    evaluated_s = self.elapsed_s
                if self.elapsed_s - saved_s > self.settings.save_every_s:
                    self.save()
                    saved_s = self.elapsed_s
        self.save()
        self.evaluate()

    def train_step(self, images: np.ndarray[Any, Any], sets: np.ndarray[Any, Any]) -> float:
        """One optimisation step on images (N, H, W, 3) uint8 BGR and class sets (N, H, W) uint16; gives the loss."""
        rate = one_cycle(self.progress) * self.settings.peak_rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        set_training(self.network)
        with torch.autocast(self._device.type, torch.bfloat16):
            fine, coarse = self.network.forward_all(images_to_tensor(images, self._device))
        loss = _loss(fine, coarse, torch.from_numpy(sets.astype(np.int32)).to(self._device), self.step)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._optimizer.step()
        self.average.update(self.step)
        self.step += 1
        value = float(loss.detach())
        if self.step % 50 == 0:
            self._write_log({"loss": round(value, 4), "rate": round(rate, 7)})
        return value

    def evaluate(self) -> None:
        """Accuracy of the averaged weights on every check, to the log file and the screen."""
        for frames in self._checks:
            accuracy = evaluate_network(self.average.network, frames).as_dict()
            self._write_log({"check": frames.name, "iou": accuracy})
            _LOG.print(f"step {self.step} {frames.name}", accuracy)

    def save(self) -> None:
        """Write the checkpoint; an earlier one is replaced in one move."""
        state = {
            "network_name": self.settings.network,
            "class_names": [entry.name for entry in CLASSES],
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        save_checkpoint(self._checkpoint_path, state)

    @property
    def _checkpoint_path(self) -> Path:
        return self.settings.run / "checkpoint.pt"

    def _build(self, *, pretrained: bool) -> Any:
        network = build_network(self.settings.network, len(CLASSES), pretrained=pretrained)
        return network.to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Backbone and decoder, each with and without weight decay (none on normalisation and biases)."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((name.startswith("backbone."), parameter.ndim > 1), []).append(parameter)
        return [
            {
                "params": parameters,
                "share": self.settings.backbone_share if in_backbone else 1.0,
                "weight_decay": self.settings.weight_decay if decays else 0.0,
            }
            for (in_backbone, decays), parameters in sorted(groups.items())
        ]

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        _LOG.print(f"continuing {self._checkpoint_path} at step {self.step}, {self.elapsed_s / 60:.0f} min")

    def _start_loader(self, stop: threading.Event) -> queue.Queue[tuple[Any, Any]]:
        """A thread that prepares batches ahead, in order, from the current step on."""
        batches: queue.Queue[tuple[Any, Any]] = queue.Queue(maxsize=3)
        size, first = self.settings.batch, self.step

        def load() -> None:
            step = first
            while not stop.is_set():
                samples = [self._samples.sample(step * size + k) for k in range(size)]
                batch = (np.stack([image for image, _ in samples]), np.stack([sets for _, sets in samples]))
                while not stop.is_set():
                    try:
                        batches.put(batch, timeout=0.5)
                        break
                    except queue.Full:
                        continue
                step += 1

        threading.Thread(target=load, name="loader", daemon=True).start()
        return batches

    def _write_log(self, entry: dict[str, Any]) -> None:
        self.settings.run.mkdir(parents=True, exist_ok=True)
        entry = {"step": self.step, "elapsed_s": round(self.elapsed_s), "progress": round(self.progress, 4), **entry}
        with (self.settings.run / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def set_training(network: Any) -> None:
    """Training mode, with the backbone as a fine-tuned one is best kept: see `LiteNetwork.set_training`."""
    network.set_training()


class _Stop:
    """Sets an event when the block is left."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._event.set()


def _loss(fine: Tensor, coarse: Tensor, sets: Tensor, step: int) -> Tensor:
    """The loss at full resolution on a quarter of the pixels, and of the auxiliary logits at their own resolution.

    Every second pixel of every second row takes part, in turn the four of each square: the enlarged logits are smooth,
    so all pixels would cost four times the work for nearly the same gradient.
    """
    row, column = (step // 2) % 2, step % 2
    enlarged = functional.interpolate(fine.float(), sets.shape[1:], mode="bilinear", align_corners=False)
    loss = segmentation_loss(enlarged[:, :, row::2, column::2], sets[:, row::2, column::2])
    stride = sets.shape[1] // coarse.shape[2]
    sparse = sets[:, stride // 2 :: stride, stride // 2 :: stride]
    return loss + 0.4 * segmentation_loss(coarse, sparse, jaccard_weight=0)


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=_LOG)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="lite")
    parser.add_argument("--data", type=Path, default=data_root(), help="folder that holds the data sets (%(default)s)")
    parser.add_argument("--run", type=Path, default=Path("runs/lite"), help="folder of the run; continued if it exists")
    parser.add_argument(
        "--mix", nargs="+", default=["camvid/train=6", "idd_lite=2"], metavar="DATASET=SHARE",
        help="data sets to train on, with shares of a batch: camvid/SPLIT, idd_lite, rendered:COUNT (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--check", nargs="*", default=["camvid/val", "camvid/dusk"], help="data sets to evaluate on")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, help="end after so much training time, if the steps are not done")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=Settings.peak_rate if False else 1.5e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code: 0, or 2 for a mistake of the user's."""
    options = _arguments(arguments)
    cv2.setNumThreads(1)
    settings = Settings(
        options.network, options.run, Budget(options.steps, options.minutes), batch=options.batch,
        peak_rate=options.rate, seed=options.seed,
    )  # fmt: skip
    try:
        mix = [(load_frames(name, options.data), int(share)) for name, _, share in (m.partition("=") for m in options.mix)]
        checks = [load_frames(name, options.data) for name in options.check]
        Trainer(settings, mix, checks, torch.device(options.device)).run()
    except ClearwayError as error:
        _LOG.print(str(error), style="red", markup=False)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
