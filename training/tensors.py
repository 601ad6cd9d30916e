"""Images as the input tensor of our networks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["INPUT_MEAN", "INPUT_STD", "images_to_tensor"]

INPUT_MEAN = (127.0, 127.0, 127.0)
"""Of each of red, green and blue, 0 to 255: what EfficientNet-Lite was trained with."""

INPUT_STD = (128.0, 128.0, 128.0)


def images_to_tensor(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 BGR → (N, 3, H, W) float32 RGB, normalised, in channels-last memory."""
    pixels = torch.from_numpy(np.ascontiguousarray(images[..., ::-1])).to(device)
    mean = torch.tensor(INPUT_MEAN, device=device)
    std = torch.tensor(INPUT_STD, device=device)
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)
