"""Run by test_sanitizers.py under AddressSanitizer: python -m tests.engines.kernels.sanitized LIBRARY within|beyond

Every array is exactly as large as the kernels may touch, so that one byte too far is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from engines.classes import CITYSCAPES
from engines.kernels import ClassMapper, Letterbox, PictureFormat, Tint
from tests.engines.kernels.host import HostKernels

CASES = 150


def letterbox(kernels: HostKernels, noise: np.random.Generator, spare_bytes: int = 0) -> None:
    source = tuple(map(int, noise.integers(1, 70, 2)))
    target = tuple(map(int, noise.integers(1, 50, 2)))
    content = tuple(int(noise.integers(1, size + 1)) for size in target)
    layout = ("bgr", "i420", "nv12")[noise.integers(3)]
    width = 3 * source[1] if layout == "bgr" else source[1] + source[1] % 2
    picture = PictureFormat(layout, source, width + int(noise.integers(0, 4)))
    half = bool(noise.integers(2))
    plan = Letterbox(picture, target, content, (1, 2, 3), (4, 5, 6), "rgb", half)
    buffer = noise.integers(0, 256, picture.nbytes + spare_bytes, np.uint8)
    out = np.empty((3, *target), np.float16 if half else np.float32)
    kernels.letterbox(plan, buffer, out)
    assert np.isfinite(out).all()


def class_map(kernels: HostKernels, noise: np.random.Generator) -> None:
    classes, height, width = map(int, noise.integers(1, 20, 3))
    content = (int(noise.integers(1, height + 1)), int(noise.integers(1, width + 1)))
    image = tuple(map(int, noise.integers(1, 70, 2)))
    half = bool(noise.integers(2))
    logits = noise.normal(0, 5, (classes, height, width)).astype(np.float16 if half else np.float32)
    class_ids, _ = kernels.class_map(ClassMapper(logits.shape, content, image, half), logits, image)
    assert class_ids.max() < classes


def tint(kernels: HostKernels, noise: np.random.Generator) -> None:
    size = tuple(map(int, noise.integers(1, 60, 2)))
    image, class_ids = noise.integers(0, 256, (*size, 3), np.uint8), noise.integers(0, 256, size, np.uint8)
    kernels.tint(Tint(CITYSCAPES, [0.5] * len(CITYSCAPES), size), image, class_ids)


def main() -> None:
    kernels = HostKernels(Path(sys.argv[1]))
    if sys.argv[2] == "beyond":  # a picture that is one byte short: must be caught
        letterbox(kernels, np.random.default_rng(0), spare_bytes=-1)
    for seed in range(CASES):
        noise = np.random.default_rng(seed)
        for part in (letterbox, class_map, tint):
            part(kernels, noise)
    sys.stdout.write(f"{3 * CASES} cases\n")


if __name__ == "__main__":
    main()
