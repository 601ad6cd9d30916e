"""What the overlay's own loop makes of a picture and its classes: the reference of the tint kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.classes import CITYSCAPES
from pipeline.overlay.ground import words
from pipeline.overlay.tint import tint_scene


def tinted_by_overlay(image: np.ndarray, class_ids: np.ndarray, opacities: Sequence[float]) -> np.ndarray:
    """(H, W, 3): every class of Cityscapes tinted with its opacity, no road, values that no class has left clear."""
    height, width = class_ids.shape
    keep, tint = np.full(256, 256, np.uint16), np.zeros((256, 3), np.uint16)
    for index, (entry, opacity) in enumerate(zip(CITYSCAPES, opacities, strict=True)):
        share = round(opacity * 256)
        keep[index], tint[index] = 256 - share, np.array(entry.color_rgb[::-1]) * share
    picture = np.ascontiguousarray(image)
    no_road, out = np.zeros((height, width), np.uint8), np.empty_like(picture)
    tint_scene(
        picture.reshape(height, -1), class_ids, no_road, words(class_ids), words(no_road), keep,
        np.tile(tint, (1, width)), np.zeros((height, 3), np.uint16), np.zeros(height, np.uint16),
        out.reshape(height, -1),
    )  # fmt: skip
    return out
