"""What darkness, weather and the lens do to a picture, rendered onto real ones, to see what the pipeline then says.

After ImageNet-C (Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019), with what matters to a camera behind a windscreen, in five severities: 1 is a nuisance, 5
leaves next to nothing to see. Dirt and glare stay where they are from picture to picture, rain does not.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.scene import BgrImage

__all__ = ["CORRUPTIONS", "SEVERITIES", "corrupt"]

Floats = NDArray[np.float32]
Generator = np.random.Generator

SEVERITIES = (1, 2, 3, 4, 5)

_GAMMA = 2.2


def corrupt(image: BgrImage, kind: str, severity: int, *, place: int = 0, moment: int = 0) -> BgrImage:
    """The picture as a camera would have taken it under worse conditions. The same arguments give the same picture.

    Args:
        image: (H, W, 3) uint8 BGR; not changed.
        kind: One of `CORRUPTIONS`.
        severity: 1 to 5.
        place: Chooses where dirt sits and glare stands; keep it for all pictures of a recording.
        moment: Chooses noise and drops; the number of the picture in the recording.
    """
    if severity not in SEVERITIES:
        message = f"severity {severity}: it is 1 to 5"
        raise ValueError(message)
    still = np.random.default_rng(np.random.SeedSequence([place, 0]))
    moving = np.random.default_rng(np.random.SeedSequence([place, moment, 1]))
    share = np.asarray(image, np.float32) / np.float32(255.0)
    made = CORRUPTIONS[kind](share, severity - 1, still, moving)
    return np.asarray(np.clip(np.round(made * 255.0), 0, 255), np.uint8)


def _dark(image: Floats, level: int, _still: Generator, moving: Generator) -> Floats:
    """Less light, and with it the noise of photons and of the sensor."""
    gain, read = (0.35, 0.12, 0.04, 0.012, 0.003)[level], 0.0015
    light = np.power(image, _GAMMA) * np.float32(gain)
    light += moving.standard_normal(image.shape, np.float32) * np.sqrt(light * 0.0008 + read**2).astype(np.float32)
    return np.asarray(np.power(np.clip(light, 0.0, 1.0), 1.0 / _GAMMA), np.float32)


def _glare(image: Floats, level: int, still: Generator, _moving: Generator) -> Floats:
    """The sun, or headlights: a disc, its halo, and a veil of scattered light over everything."""
    radius, halo, veil = (
        (0.05, 0.10, 0.05),
        (0.08, 0.16, 0.12),
        (0.12, 0.24, 0.25),
        (0.18, 0.36, 0.5),
        (0.3, 0.6, 1.2),
    )[level]
    height, width = image.shape[:2]
    x, y = still.uniform(0.3, 0.7) * width, still.uniform(0.25, 0.5) * height
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot(columns - x, rows - y) / width
    extra = (
        np.where(distance < radius, 4.0, 0.0) + 2.0 * np.exp(-np.maximum(distance - radius, 0.0) / (halo / 3)) + veil
    )
    light = np.power(image, _GAMMA) + extra[:, :, None].astype(np.float32)
    exposed = light / np.float32(1.0 + 0.6 * veil)  # The camera closes its iris, though never enough.
    return np.asarray(np.power(np.clip(exposed, 0.0, 1.0), 1.0 / _GAMMA), np.float32)


def _rain(image: Floats, level: int, _still: Generator, moving: Generator) -> Floats:
    """Streaks in the air, a veil of spray, and drops on the glass that blur what is behind them."""
    density, length, strength, veil, drops = (
        (0.004, 9, 0.5, 0.08, 8),
        (0.010, 13, 0.7, 0.16, 20),
        (0.020, 17, 0.8, 0.26, 40),
        (0.035, 23, 0.9, 0.38, 80),
        (0.055, 31, 1.0, 0.52, 160),
    )[level]
    height, width = image.shape[:2]
    seeds = (moving.random((height, width), np.float32) < density).astype(np.float32)
    slant = np.zeros((length, length), np.float32)
    cv2.line(slant, (length // 2 + length // 6, 0), (length // 2 - length // 6, length - 1), 1.0)
    fallen: Floats = np.asarray(cv2.filter2D(seeds, -1, slant / 3.0), np.float32)
    streaks = np.clip(fallen, 0.0, 1.0)[:, :, None] * np.float32(strength * 0.6)
    grey = np.float32(0.72)
    wet = image * np.float32(1 - veil) + grey * np.float32(veil)
    wet = wet * (1 - streaks) + np.float32(0.85) * streaks
    glass = np.zeros((height, width), np.float32)
    for _ in range(drops):
        centre = int(moving.uniform(0, width)), int(moving.uniform(0, height))
        cv2.circle(glass, centre, max(2, round(width * moving.uniform(0.006, 0.022))), 1.0, -1)
    wetted: Floats = np.asarray(cv2.GaussianBlur(glass, (0, 0), 1.5)[:, :, None], np.float32)
    behind = cv2.GaussianBlur(wet, (0, 0), width / 60.0) + np.float32(0.06)
    return np.asarray(wet * (1 - wetted) + behind * wetted, np.float32)


def _mud(image: Floats, level: int, still: Generator, _moving: Generator) -> Floats:
    """Splashes on the glass, too near to be in focus: ImageNet-C's "spatter", in brown."""
    covered = (0.04, 0.10, 0.20, 0.35, 0.55)[level]
    height, width = image.shape[:2]
    noise = still.standard_normal((height, width)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), width / 40.0)
    threshold = np.quantile(blobs, 1.0 - covered)
    cover = cv2.GaussianBlur((blobs > threshold).astype(np.float32), (0, 0), width / 200.0)[:, :, None]
    brown = np.array([0.13, 0.20, 0.26], np.float32)
    return np.asarray(image * (1 - cover) + brown * cover, np.float32)


def _covered(image: Floats, level: int, still: Generator, moving: Generator) -> Floats:
    """A cloth, a leaf, snow, tape: much or all of the lens sees nothing but that."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = still.uniform(0.0, 2.0 * np.pi)
    along = columns / width * np.cos(angle) + rows / height * np.sin(angle)
    edge = np.quantile(along, (0.35, 0.55, 0.75, 0.92, 1.0)[level])
    cover = np.clip((edge - along) / 0.06 + 0.5, 0.0, 1.0)[:, :, None].astype(np.float32)
    if level == len(SEVERITIES) - 1:
        cover = np.ones_like(cover)
    colours = np.array([[0.03, 0.03, 0.03], [0.35, 0.36, 0.38], [0.85, 0.84, 0.82], [0.10, 0.16, 0.20]], np.float32)
    colour = colours[still.integers(len(colours))] * (0.9 + 0.2 * (rows / height)[:, :, None])
    colour = colour + moving.standard_normal(image.shape, np.float32) * np.float32(0.006)
    return np.asarray(image * (1 - cover) + colour * cover, np.float32)


def _blur(image: Floats, level: int, _still: Generator, _moving: Generator) -> Floats:
    """Out of focus, greased or fogged up: ImageNet-C's "defocus blur"."""
    radius = max(1, round((0.003, 0.006, 0.012, 0.02, 0.035)[level] * image.shape[1]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.float32)
    return np.asarray(cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT), np.float32)


def _fog(image: Floats, level: int, still: Generator, _moving: Generator) -> Floats:
    """The farther, the greyer (Koschmieder's law), with the road's distance guessed from the row."""
    density = (0.6, 1.2, 2.0, 3.5, 7.0)[level]
    height, width = image.shape[:2]
    below = np.clip((np.arange(height, dtype=np.float32) / height - 0.42) / 0.58, 0.02, 1.0)
    seen = np.exp(-density * 0.12 / below)[:, None, None].astype(np.float32)
    noise = cv2.resize(still.standard_normal((6, 8)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grey = np.float32(0.75) + np.float32(0.02) * noise[:, :, None]
    return np.asarray(image * seen + grey * (1 - seen), np.float32)


CORRUPTIONS: dict[str, Callable[[Floats, int, Generator, Generator], Floats]] = {
    "dark": _dark,
    "glare": _glare,
    "rain": _rain,
    "mud": _mud,
    "covered": _covered,
    "blur": _blur,
    "fog": _fog,
}
"""Name: how it is rendered."""
