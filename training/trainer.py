"""The training loop: one run, from its first step or from where it was cut off."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from training.curves import draw_curves
from training.datasets import SampleStream
from training.evaluate import evaluate_network, named_iou
from training.frames import LabelledFrames
from training.labels import CLASS_WEIGHTS, CLASSES
from training.loader import Batch, BatchLoader
from training.losses import segmentation_loss
from training.networks import SegmentationNetwork, build_network, label_network
from training.schedule import AveragedWeights, Budget, one_cycle
from training.tensors import TrainingPrecision, images_to_tensor, training_precision
from training.weights import load_weights, measure_normalisation

__all__ = ["Settings", "Trainer"]

_LOG = Console(stderr=True)
_GRADIENT_NORM = 5.0
_AUXILIARY_WEIGHT = 0.4
_LOG_EVERY_STEPS = 50
_MEASURED_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides a run besides its data.

    Attributes:
        network: A name of `training.networks.NETWORKS`, or ``FILE.py:CLASS``.
        run: Folder of checkpoint and log.
        budget: When to end.
        weights: A checkpoint or a model whose weights to begin with, instead of ImageNet's.
        batch: Samples a step.
        crop_hw: Their size.
        peak_rate: AdamW's learning rate for the decoder at its peak.
        backbone_share: The backbone's rate as a share of it: pretrained weights need less.
        weight_decay: AdamW's, on convolution weights only.
        average_decay: Of the exponential moving average of the weights.
        seed: Of weights, samples and their order.
        save_every_s: Training time between checkpoints.
        evaluate_every_s: Training time between evaluations.
        evaluate_every_steps: Steps between evaluations, instead of that time.
        precision: What the network computes in while it trains; None is what the device multiplies natively.
    """

    network: str
    run: Path
    budget: Budget
    weights: str | None = None
    batch: int = 8
    crop_hw: tuple[int, int] = (352, 480)
    peak_rate: float = 1.5e-3
    backbone_share: float = 0.3
    weight_decay: float = 0.02
    average_decay: float = 0.998
    seed: int = 0
    save_every_s: float = 120
    evaluate_every_s: float = 600
    evaluate_every_steps: int | None = None
    precision: TrainingPrecision | None = None


class Trainer:
    """One training run: network, averaged weights, optimiser, and how far it is.

    Args:
        settings: Of the run. Where its folder holds a checkpoint, the run continues from there.
        mix: Data sets with their shares of the samples.
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
        self.best_iou = -1.0
        self._evaluated_s, self._evaluated_step = 0.0, -1
        self._checks = checks
        self._device = device
        self._samples = SampleStream(mix, crop_hw=settings.crop_hw, seed=settings.seed)
        self._checkpoint_path = settings.run / "checkpoint.pt"
        self._best_path = settings.run / "best.pt"
        state = load_checkpoint(self._checkpoint_path) if self._checkpoint_path.exists() else None
        self._autocast = training_precision(device, settings.precision) == "bf16"
        self.network = self._build(pretrained=state is None and settings.weights is None)
        if state is None and settings.weights is not None:
            load_weights(self.network, settings.weights)
            size = range(settings.batch)
            measured = [
                [self._samples.sample(b * settings.batch + k)[0] for k in size] for b in range(_MEASURED_BATCHES)
            ]
            measure_normalisation(self.network, [np.stack(images) for images in measured])
        self.average = AveragedWeights(self.network, self._build(pretrained=False), settings.average_decay)
        self._optimizer = torch.optim.AdamW(_parameter_groups(self.network, settings))
        if state is not None:
            self._restore(state)

    @property
    def progress(self) -> float:
        """The share of the run that is done, from 0 to 1."""
        return self.settings.budget.progress(self.step, self.elapsed_s)

    def run(self) -> None:
        """Train until the budget is spent, saving and evaluating on the way and at the end."""
        saved_s = self._evaluated_s = self.elapsed_s
        loader = BatchLoader(self._samples, size=self.settings.batch, first=self.step)
        with loader, _progress_bar() as bar:
            task = bar.add_task("training", total=1.0, loss=float("nan"))
            while self.progress < 1:
                began_s = time.monotonic()
                loss = self.train_step(loader.next_batch())
                self.elapsed_s += time.monotonic() - began_s
                bar.update(task, completed=self.progress, loss=loss)
                if self.elapsed_s - saved_s > self.settings.save_every_s:
                    self.save()
                    saved_s = self.elapsed_s
                if self._is_evaluation_due():
                    self.evaluate()
        self.save()
        if self._evaluated_step != self.step:
            self.evaluate()

    def train_step(self, batch: Batch) -> float:
        """One optimisation step; gives the loss."""
        images, sets = batch
        rate = one_cycle(self.progress) * self.settings.peak_rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.network.set_training()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            outputs = self.network.forward_all(images_to_tensor(images, self._device))
        loss = _loss(outputs, torch.from_numpy(sets.astype("int32")).to(self._device), self.step)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        self.average.update(self.step)
        self.step += 1
        value = float(loss.detach())
        if self.step % _LOG_EVERY_STEPS == 0:
            self._write_log({"loss": round(value, 4), "rate": round(rate, 7)})
            if not _LOG.is_terminal:  # nobody sees the bar
                left_s = self.elapsed_s * (1 / max(self.progress, 1e-6) - 1)
                _LOG.print(f"step {self.step}: loss {value:.3f}, {self.progress:.1%}, {left_s / 60:.0f} min left")
        return value

    def evaluate(self) -> None:
        """Accuracy of the averaged weights on every check, to the log, the screen and the curves; the best are kept."""
        self._evaluated_s, self._evaluated_step = self.elapsed_s, self.step
        for place, frames in enumerate(self._checks):
            accuracy = named_iou(evaluate_network(self.average.network, frames, mixed=self._autocast))
            self._write_log({"check": frames.name, "iou": accuracy})
            _LOG.print(f"step {self.step} {frames.name}", accuracy)
            if place == 0 and accuracy["mIoU"] > self.best_iou:
                self.best_iou = accuracy["mIoU"]
                save_checkpoint(self._best_path, {**self._what_it_is(), "iou": accuracy})
        draw_curves(self.settings.run)

    def _is_evaluation_due(self) -> bool:
        if self.settings.evaluate_every_steps is not None:
            return self.step % self.settings.evaluate_every_steps == 0
        return self.elapsed_s - self._evaluated_s > self.settings.evaluate_every_s

    def save(self) -> None:
        """Write the checkpoint; an earlier one is replaced in one move."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "elapsed_s": self.elapsed_s,
        }
        save_checkpoint(self._checkpoint_path, self._what_it_is() | state)

    def _what_it_is(self) -> dict[str, Any]:
        """All that the export needs."""
        return {
            "network_name": label_network(self.settings.network),
            "class_names": [entry.name for entry in CLASSES],
            "average": self.average.network.state_dict(),
            "step": self.step,
        }

    def _build(self, *, pretrained: bool) -> SegmentationNetwork:
        network = build_network(self.settings.network, len(CLASSES), pretrained=pretrained)
        return network.to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _restore(self, state: dict[str, Any]) -> None:
        if state["network_name"] != label_network(self.settings.network):
            raise CheckpointError(
                f"{self._checkpoint_path}: a run of the network {state['network_name']}, not {self.settings.network}; "
                "name another folder with --run"
            )
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        if self._best_path.exists():  # written after the checkpoint, so that it knows better
            self.best_iou = load_checkpoint(self._best_path)["iou"]["mIoU"]
        _LOG.print(f"continuing {self._checkpoint_path} at step {self.step}, {self.elapsed_s / 60:.0f} min")

    def _write_log(self, entry: dict[str, Any]) -> None:
        self.settings.run.mkdir(parents=True, exist_ok=True)
        entry = {"step": self.step, "elapsed_s": round(self.elapsed_s), "progress": round(self.progress, 4), **entry}
        with (self.settings.run / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _parameter_groups(network: SegmentationNetwork, settings: Settings) -> list[dict[str, Any]]:
    """Backbone and decoder, each with and without weight decay (none on normalisation and biases)."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("backbone."), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "share": settings.backbone_share if in_backbone else 1.0,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (in_backbone, decays), parameters in sorted(groups.items())
    ]


def _loss(outputs: tuple[Tensor, ...], sets: Tensor, step: int) -> Tensor:
    """The loss at full resolution on a quarter of the pixels, and of auxiliary logits at their own resolution.

    Every second pixel of every second row takes part, in turn the four of each square: the enlarged logits are smooth,
    so all pixels would cost four times the work for nearly the same gradient.
    """
    row, column = (step // 2) % 2, step % 2
    enlarged = functional.interpolate(outputs[0].float(), sets.shape[1:], mode="bilinear", align_corners=False)
    weights = torch.tensor(CLASS_WEIGHTS, device=sets.device)
    loss = segmentation_loss(enlarged[:, :, row::2, column::2], sets[:, row::2, column::2], class_weights=weights)
    for auxiliary in outputs[1:]:
        stride = sets.shape[1] // auxiliary.shape[2]
        sparse = sets[:, stride // 2 :: stride, stride // 2 :: stride]
        loss = loss + _AUXILIARY_WEIGHT * segmentation_loss(auxiliary, sparse, class_weights=weights, jaccard_weight=0)
    return loss


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=_LOG)
