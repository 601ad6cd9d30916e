"""What a road user looks like, as a vector: colours, edges and outline, pooled over the pixels of its mask.

Colour histograms in horizontal stripes, as in re-identification before networks (Farenzena et al., "Person
re-identification by symmetry-driven accumulation of local features", CVPR 2010), and histograms of oriented gradients
(Dalal and Triggs, CVPR 2005), both of a picture of the road user that is brought to one size first.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.scene import BgrImage, RoadUser

__all__ = ["DESCRIPTOR_LENGTH", "describe"]

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SIZE_HW = (64, 32)
"""What every road user is brought to. Vehicles are squeezed; their shape is in the outline."""
_STRIPES = 6
_HUES, _GREYS = 12, 8
_COLOURS = _HUES + _GREYS
_MOST_GREY = np.float32(_GREYS - 1.001)
_ORIENTATIONS = 6
_RIM = np.float32(0.1)
_OUTLINE = 8

_WEIGHTS = (1.0, 0.5, 0.25)
"""Of colours, edges and outline."""

DESCRIPTOR_LENGTH = _STRIPES * (_COLOURS + _ORIENTATIONS) + _OUTLINE + 1


def describe(image: BgrImage, user: RoadUser) -> Floats:
    """The descriptor of a road user.

    Args:
        image: (H, W, 3) BGR, the whole picture.
        user: Cut out of it.

    Returns:
        (DESCRIPTOR_LENGTH,) float32 of length 1.
    """
    x1, y1, x2, y2 = user.box_xyxy
    height, width = _SIZE_HW
    crop = cv2.resize(image[y1:y2, x1:x2], (width, height), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(user.mask, (width, height), interpolation=cv2.INTER_NEAREST)
    lab = np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2LAB), np.uint8)
    colours = np.zeros((_STRIPES, _COLOURS), np.float32)
    edges = np.zeros((_STRIPES, _ORIENTATIONS), np.float32)
    _pool(lab, np.asarray(mask, np.uint8), colours, edges)
    parts = (_as_shares(colours), _as_shares(edges), _outline(user, np.asarray(mask, np.uint8)))
    whole = np.concatenate([weight * part for weight, part in zip(_WEIGHTS, parts, strict=True)])
    return np.asarray(whole / max(float(np.linalg.norm(whole)), 1e-6), np.float32)


def _as_shares(histograms: Floats) -> Floats:
    """Roots of the shares, so that the product of two is their Bhattacharyya coefficient; of length 1."""
    total = histograms.sum(axis=1, keepdims=True)
    shares = np.sqrt(histograms / np.maximum(total, 1e-6)).ravel()
    return np.asarray(shares / max(float(np.linalg.norm(shares)), 1e-6), np.float32)


def _outline(user: RoadUser, mask: Bytes) -> Floats:
    """How much of its width it fills at eight heights, and how slim it is; of length 1."""
    rows = mask.reshape(_OUTLINE, -1).mean(axis=1)
    x1, y1, x2, y2 = user.box_xyxy
    slim = np.clip(0.5 + 0.25 * np.log2((y2 - y1) / (x2 - x1)), 0.0, 1.0)
    outline = np.append(rows, 2.0 * slim)
    return np.asarray(outline / max(float(np.linalg.norm(outline)), 1e-6), np.float32)


@kernel()
def _pool(lab: Bytes, mask: Bytes, colours: Floats, edges: Floats) -> None:
    """Soft histograms of the masked pixels of every stripe.

    A pixel counts for its hue as far as it is colourful and for its grey level as far as it is not, and is shared out
    between the two nearest bins, so that no step of the light moves it from one to the next. Pixels at the rim have
    something of what is behind: they count little for colours and not at all for edges.
    """
    height, width = mask.shape
    stripes = len(colours)
    for y in range(height):
        stripe = y * stripes // height
        for x in range(width):
            if mask[y, x] == 0:
                continue
            inside = (
                0 < x < width - 1
                and 0 < y < height - 1
                and mask[y, x - 1] != 0
                and mask[y, x + 1] != 0
                and mask[y - 1, x] != 0
                and mask[y + 1, x] != 0
            )
            weight = np.float32(1.0) if inside else _RIM
            level, a, b = np.float32(lab[y, x, 0]), np.float32(lab[y, x, 1]) - 128.0, np.float32(lab[y, x, 2]) - 128.0
            colourful = min(np.sqrt(a * a + b * b) / 24.0, 1.0)
            hue = (np.arctan2(b, a) / (2.0 * np.pi) + 1.0) * _HUES
            first = int(np.floor(hue))
            share = hue - first
            colours[stripe, first % _HUES] += weight * colourful * (1.0 - share)
            colours[stripe, (first + 1) % _HUES] += weight * colourful * share
            grey = min(max(level / np.float32(256.0 / _GREYS) - np.float32(0.5), np.float32(0.0)), _MOST_GREY)
            first = int(grey)
            share = grey - first
            colours[stripe, _HUES + first] += weight * (1.0 - colourful) * (1.0 - share)
            colours[stripe, _HUES + first + 1] += weight * (1.0 - colourful) * share
            if inside:
                dx = np.float32(lab[y, x + 1, 0]) - np.float32(lab[y, x - 1, 0])
                dy = np.float32(lab[y + 1, x, 0]) - np.float32(lab[y - 1, x, 0])
                turn = (np.arctan2(dy, dx) / np.pi + 1.0) * _ORIENTATIONS
                edges[stripe, int(turn) % _ORIENTATIONS] += np.sqrt(dx * dx + dy * dy)
