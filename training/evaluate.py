"""Accuracy of a network on labelled frames, as the pipeline would run it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from training.datasets import LabelledFrames
from training.labels import CLASSES
from training.tensors import images_to_tensor

__all__ = ["Accuracy", "evaluate_network"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a confusion matrix summed over all frames says.

    Attributes:
        confusion: (C, C) int64, rows truth, columns prediction; pixels without one precise label are left out.
    """

    confusion: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """(C,) intersection over union, NaN for a class that the data lacks."""
        inter = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - inter
        return np.where(self.confusion.sum(1) > 0, inter / np.maximum(union, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """Over the classes that the data has."""
        return float(np.nanmean(self.iou))

    def as_dict(self) -> dict[str, float]:
        """``{"mIoU": …, "road": …, …}`` rounded to four digits, without the classes that the data lacks."""
        named = {entry.name: value for entry, value in zip(CLASSES, self.iou, strict=True) if not np.isnan(value)}
        return {"mIoU": round(self.mean_iou, 4)} | {name: round(float(value), 4) for name, value in named.items()}


@torch.inference_mode()
def evaluate_network(network: nn.Module, frames: LabelledFrames, *, limit: int | None = None) -> Accuracy:
    """Run every frame at its own size, enlarge the logits to it and compare with the labels.

    Args:
        network: From (N, 3, H, W) to logits at a lower resolution.
        frames: Labelled frames of any size.
        limit: Evaluate about so many frames, evenly spaced.
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    count = len(CLASSES)
    class_of = np.full(1 << count, 255, np.uint8)
    class_of[1 << np.arange(count)] = np.arange(count)
    confusion = np.zeros((count, count), np.int64)
    step = max(1, len(frames) // limit) if limit else 1
    for image, label in zip(frames.images[::step], frames.label_images[::step], strict=True):
        with torch.autocast(device.type, torch.bfloat16):
            logits = network(images_to_tensor(image[None], device))
        full = functional.interpolate(logits.float(), label.shape, mode="bilinear", align_corners=False)
        predicted = full.argmax(1)[0].cpu().numpy()
        truth = class_of[frames.sets[label]]
        known = truth < count
        pairs = truth[known].astype(np.int64) * count + predicted[known]
        confusion += np.bincount(pairs, minlength=count * count).reshape(count, count)
    network.train(was_training)
    return Accuracy(confusion)
