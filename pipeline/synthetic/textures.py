"""Patterns for the renderer, made once per process with NumPy and OpenCV."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.canvas import Textures

__all__ = ["sensor_noise", "textures"]

_GRAIN_LEVELS = 8
_FOLIAGE_LEVELS = 6
_FOLIAGE_SIZE = 128


@lru_cache(maxsize=1)
def textures() -> Textures:
    """All patterns; the same in every process."""
    generator = np.random.default_rng(20240229)
    crowns = np.stack([_levels_of_crown(_crown(generator, bare)) for bare in (False, False, False, True, True)])
    return Textures(grain=_grain(generator), cloud=_cloud(generator), foliage=crowns)


@lru_cache(maxsize=4)
def sensor_noise(deviation: float) -> NDArray[np.int8]:
    """(65537,) int8 Gaussian noise of that standard deviation in grey levels."""
    generator = np.random.default_rng(7)
    return np.clip(np.rint(generator.normal(0.0, deviation, (1 << 16) + 1)), -100, 100).astype(np.int8)


def _blur_wrapped(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Gaussian blur of an image that repeats."""
    frequencies_y = np.fft.fftfreq(image.shape[0])[:, None]
    frequencies_x = np.fft.fftfreq(image.shape[1])[None, :]
    response = np.exp(-2.0 * (np.pi * sigma_px) ** 2 * (frequencies_x**2 + frequencies_y**2))
    return np.fft.ifft2(np.fft.fft2(image) * response).real.astype(np.float32)


def _grain(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Stones and stains at several sizes; blurred copies take the place of a mip pyramid."""
    white = [generator.standard_normal((256, 256)).astype(np.float32) for _ in range(4)]
    layers = [_blur_wrapped(noise, sigma) for noise, sigma in zip(white, (0.5, 1.2, 5.0, 20.0), strict=True)]
    mixed = np.zeros((256, 256), np.float32)
    for weight, layer in zip((14.0, 9.0, 8.0, 9.0), layers, strict=True):
        mixed += weight * layer / layer.std()
    levels = [mixed] + [_blur_wrapped(mixed, 0.5 * 2**level) for level in range(1, _GRAIN_LEVELS)]
    return np.asarray(np.clip(np.stack(levels) + 128.0, 0, 255), np.uint8)


def _cloud(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Fractal noise for clouds."""
    mixed = np.zeros((256, 256), np.float32)
    for sigma_px, weight in ((2.0, 0.12), (5.0, 0.25), (12.0, 0.5), (26.0, 1.0)):
        layer = _blur_wrapped(generator.standard_normal((256, 256)).astype(np.float32), sigma_px)
        mixed += weight * layer / layer.std()
    return np.asarray(np.clip(128.0 + 55.0 * mixed / mixed.std(), 0, 255), np.uint8)


def _crown(generator: np.random.Generator, bare: bool) -> NDArray[np.float32]:
    """(128, 128, 2) brightness and opacity of one crown, 0 to 255."""
    import cv2

    size = _FOLIAGE_SIZE * 2
    shade = np.full((size, size), 90.0, np.float32)
    alpha = np.zeros((size, size), np.float32)
    if bare:
        _grow(generator, shade, alpha, (size / 2, size - 2.0), -np.pi / 2, size * 0.24, 7.0)
    else:
        boughs = [
            (generator.normal(0, 0.21), generator.normal(0.0, 0.2), generator.uniform(0.10, 0.2)) for _ in range(26)
        ]
        leaves = []
        for _ in range(2600):
            across, down, spread = boughs[generator.integers(len(boughs))]
            x, y = generator.normal((across, down), spread * 0.55)
            if x * x + y * y < 0.235:
                leaves.append((x, y, generator.uniform(0, 1) + (down - y) * 2.0))
        for x, y, height in sorted(leaves, key=lambda leaf: leaf[2]):
            center = (int((0.5 + x) * size), int((0.5 + y) * size))
            axes = (int(generator.integers(2, 7)), int(generator.integers(2, 5)))
            brightness = float(np.clip(70 + 55 * height - 70 * y + generator.normal(0, 16), 25, 235))
            angle = float(generator.uniform(0, 180))
            cv2.ellipse(shade, center, axes, angle, 0, 360, brightness, -1)
            cv2.ellipse(alpha, center, axes, angle, 0, 360, 255.0, -1)
    half = [cv2.resize(layer, (_FOLIAGE_SIZE, _FOLIAGE_SIZE), interpolation=cv2.INTER_AREA) for layer in (shade, alpha)]
    return np.stack(half, axis=2)


def _grow(
    generator: np.random.Generator,
    shade: NDArray[np.float32],
    alpha: NDArray[np.float32],
    start: tuple[float, float],
    angle: float,
    length: float,
    width: float,
) -> None:
    """Draw a branch and, recursively, those that grow from it."""
    import cv2

    end = (start[0] + length * np.cos(angle), start[1] + length * np.sin(angle))
    first, last = (round(start[0]), round(start[1])), (round(end[0]), round(end[1]))
    cv2.line(shade, first, last, 95.0, max(1, round(width)))
    cv2.line(alpha, first, last, 255.0, max(1, round(width)), cv2.LINE_AA)
    if length < 7.0:
        return
    for _ in range(int(generator.integers(2, 4))):
        turn = generator.normal(0.0, 0.5)
        _grow(generator, shade, alpha, end, angle + turn, length * generator.uniform(0.62, 0.86), width * 0.68)


def _levels_of_crown(crown: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(L, 128, 128, 2) uint8: the crown blurred more and more, brightness weighted by opacity."""
    import cv2

    levels = [crown]
    weighted = crown[..., 0] * crown[..., 1]
    for level in range(1, _FOLIAGE_LEVELS):
        sigma = 0.5 * 2**level
        alpha = cv2.GaussianBlur(crown[..., 1], (0, 0), sigma)
        shade = cv2.GaussianBlur(weighted, (0, 0), sigma) / np.maximum(alpha, 1.0)
        levels.append(np.stack([shade, alpha], axis=2))
    return np.clip(np.stack(levels), 0, 255).astype(np.uint8)
