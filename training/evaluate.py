"""Accuracy of a network on labelled frames while it trains; `evaluation` measures the exported model."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from engines.classes import VOID_ID
from evaluation.accuracy import ConfusionMatrix
from training.frames import LabelledFrames
from training.labels import CLASSES
from training.tensors import images_to_tensor

__all__ = ["evaluate_network", "named_iou"]


@torch.inference_mode()
def evaluate_network(network: nn.Module, frames: LabelledFrames, *, mixed: bool = False) -> ConfusionMatrix:
    """Run every frame at its own size, enlarge the logits to it (bilinear) and compare with the labels.

    Pixels whose label allows more than one class do not count.

    Args:
        network: From (N, 3, H, W) to logits at a lower resolution; left in the mode it was in.
        frames: Labelled frames of any size.
        mixed: Compute in bfloat16 where that loses little.
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    rank_of_set = np.full(1 << len(CLASSES), VOID_ID, np.uint8)
    rank_of_set[1 << np.arange(len(CLASSES))] = np.arange(len(CLASSES))
    matrix = ConfusionMatrix([entry.name for entry in CLASSES])
    for image, label in zip(frames.images, frames.label_images, strict=True):
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            logits = network(images_to_tensor(image[None], device))
        full = functional.interpolate(logits.float(), label.shape, mode="bilinear", align_corners=False)
        matrix.add(rank_of_set[frames.sets[label]], full.argmax(1)[0].to(torch.uint8).cpu().numpy())
    network.train(was_training)
    return matrix


def named_iou(matrix: ConfusionMatrix) -> dict[str, float]:
    """``{"mIoU": …, "road": …, …}`` rounded to four digits, without the classes that the data lacks."""
    named = zip(matrix.names, matrix.iou, strict=True)
    return {"mIoU": round(matrix.mean_iou, 4)} | {
        name: round(float(value), 4) for name, value in named if not math.isnan(value)
    }
