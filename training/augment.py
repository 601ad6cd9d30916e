"""Random changes of a training sample that a camera could have made: framing, colour, weather, focus, noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.labels import ANY_CLASS

__all__ = ["augment_colors", "augment_sample", "crop_scaled", "paste_objects"]

Image = NDArray[np.uint8]
Sets = NDArray[np.uint16]

_PADDING_BGR = (127, 127, 127)
"""The mean of the network's input, so that padding is zero to it."""


def augment_sample(image: Image, sets: Sets, crop_hw: tuple[int, int], rng: np.random.Generator) -> tuple[Image, Sets]:
    """A random crop at a random scale, mirrored half of the time, in random colours.

    Scale is relative to the width of the crop: at 1 the whole picture's width fills it. It goes from 0.7 (a small
    network input) to 2 (a large one), log-uniform, with a little change of aspect.

    Args:
        image: (H, W, 3) uint8 BGR.
        sets: (H, W) uint16 class sets.
        crop_hw: The size of the sample.
        rng: The source of all randomness.
    """
    scale = crop_hw[1] / image.shape[1] * float(np.exp(rng.uniform(np.log(0.7), np.log(2.0))))
    aspect = float(np.exp(rng.uniform(-0.12, 0.12)))
    image, sets = crop_scaled(image, sets, (scale * aspect, scale / aspect), crop_hw, rng)
    if rng.random() < 0.5:
        image, sets = image[:, ::-1], sets[:, ::-1]
    return augment_colors(np.ascontiguousarray(image), rng), np.ascontiguousarray(sets)


def crop_scaled(
    image: Image, sets: Sets, scale_xy: tuple[float, float], crop_hw: tuple[int, int], rng: np.random.Generator
) -> tuple[Image, Sets]:
    """A random window of the picture resized by ``scale_xy``; where the picture is smaller, grey without a label."""
    height, width = sets.shape
    need_w, need_h = crop_hw[1] / scale_xy[0], crop_hw[0] / scale_xy[1]
    take_w, take_h = min(width, round(need_w)), min(height, round(need_h))
    x0, y0 = int(rng.integers(width - take_w + 1)), int(rng.integers(height - take_h + 1))
    window = np.s_[y0 : y0 + take_h, x0 : x0 + take_w]
    out_w = min(crop_hw[1], max(1, round(take_w * scale_xy[0])))
    out_h = min(crop_hw[0], max(1, round(take_h * scale_xy[1])))
    how = cv2.INTER_AREA if scale_xy[0] < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image[window], (out_w, out_h), interpolation=how)
    small_sets = cv2.resize(sets[window], (out_w, out_h), interpolation=cv2.INTER_NEAREST_EXACT)
    if (out_h, out_w) == crop_hw:
        return small, small_sets  # type: ignore[return-value]
    left, top = int(rng.integers(crop_hw[1] - out_w + 1)), int(rng.integers(crop_hw[0] - out_h + 1))
    padded = np.full((*crop_hw, 3), _PADDING_BGR, np.uint8)
    padded_sets = np.full(crop_hw, ANY_CLASS, np.uint16)
    padded[top : top + out_h, left : left + out_w] = small
    padded_sets[top : top + out_h, left : left + out_w] = small_sets
    return padded, padded_sets


def paste_objects(
    image: Image, label: Image, donor: Image, donor_label: Image, pasted: NDArray[np.bool_], flip: bool
) -> tuple[Image, Image]:
    """The donor's objects put into the picture where they stand in the donor (Ghiasi et al., "Copy-Paste", CVPR 2021).

    Frames of one data set have nearly one horizon, so an object's place suits its size.

    Args:
        image: (H, W, 3) uint8; it is not changed.
        label: (H, W) uint8.
        donor: (H', W', 3) uint8; pasted only where the sizes agree.
        donor_label: (H', W') uint8.
        pasted: (256,) bool, the label values to paste.
        flip: Mirror the donor first.
    """
    if donor.shape != image.shape:
        return image, label
    if flip:
        donor, donor_label = donor[:, ::-1], donor_label[:, ::-1]
    mask = pasted[donor_label]
    return np.where(mask[..., None], donor, image), np.where(mask, donor_label, label)


def augment_colors(image: Image, rng: np.random.Generator) -> Image:
    """Another exposure, white balance, saturation and, at times, haze, blur, noise or a dark evening.

    Args:
        image: (H, W, 3) uint8 BGR.
        rng: The source of all randomness.
    """
    if rng.random() < 0.2:
        return image
    image = _saturate(image, float(rng.uniform(0.3, 1.5)))
    levels = np.arange(256, dtype=np.float32) / 255
    gamma = float(np.exp(rng.uniform(-0.45, 0.45)))
    contrast, brightness = float(rng.uniform(0.75, 1.25)), float(rng.uniform(-0.1, 0.1))
    gains = np.exp(rng.uniform(-0.14, 0.14, 3)).astype(np.float32)
    if rng.random() < 0.15 and image.mean() > 80:  # dusk: little light, cold or sodium-lit
        gains *= float(rng.uniform(0.4, 0.75))
    curve = (levels**gamma - 0.5) * contrast + 0.5 + brightness
    if rng.random() < 0.1:  # haze, rain on the lens: towards grey
        curve = curve * float(rng.uniform(0.5, 0.8)) + float(rng.uniform(0.1, 0.25))
    tables = np.clip(curve[:, None] * gains[None], 0, 1) * 255
    image = cv2.LUT(image, tables.astype(np.uint8)[None])  # type: ignore[assignment]
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.4)))  # type: ignore[assignment]
    if rng.random() < 0.2:
        noise = rng.integers(-12, 13, (*image.shape[:2], 1), np.int16)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def _saturate(image: Image, amount: float) -> Image:
    """0 is grey, 1 is unchanged."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.addWeighted(image, amount, grey, 1 - amount, 0), np.uint8)
