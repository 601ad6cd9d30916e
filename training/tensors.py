"""Images as the input tensor of our networks, and what it pays to compute in."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.processor import processor_features

__all__ = ["INPUT_MEAN", "INPUT_STD", "TrainingPrecision", "images_to_tensor", "training_precision"]

TrainingPrecision = Literal["bf16", "fp32"]
"""bf16: matrix products in bfloat16, weights and sums in float32 (automatic mixed precision)."""

INPUT_MEAN = (127.0, 127.0, 127.0)
"""Of each of red, green and blue, 0 to 255: what EfficientNet-Lite was trained with."""

INPUT_STD = (128.0, 128.0, 128.0)


def images_to_tensor(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 BGR → (N, 3, H, W) float32 RGB, normalised, in channels-last memory."""
    pixels = torch.from_numpy(np.ascontiguousarray(images[..., ::-1])).to(device)
    mean = torch.tensor(INPUT_MEAN, device=device)
    std = torch.tensor(INPUT_STD, device=device)
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


def training_precision(device: torch.device, asked: TrainingPrecision | None = None) -> TrainingPrecision:
    """What to train in: ``asked``, or bf16 where the device multiplies it natively.

    A processor without it emulates it, slower than float32.
    """
    if asked is not None:
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if {"amx_bf16", "avx512_bf16"} & processor_features() else "fp32"
