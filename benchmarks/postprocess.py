"""How long post-processing takes, part by part, on logits like those of a network.

    python benchmarks/postprocess.py
    python benchmarks/postprocess.py --size 3840x2160 --grid 160x90
    python benchmarks/postprocess.py --labels ../shared/data/camvid/val/labels

Logits are made from class maps (a rendered drive, or CamVid label files): each class blurred to the width of a
network's uncertainty, plus smooth noise. "write" is the floor: filling two maps of the image's size with a constant.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.classes import CITYSCAPES
from pipeline.outline import outline
from pipeline.postprocess import Postprocessor, encode_runs, find_drivable, find_road_users
from pipeline.postprocess.pool import ImagePool
from pipeline.postprocess.runs import RunBuffers
from pipeline.postprocess.segmentation import segment_with_runs
from pipeline.scene import Frame
from pipeline.synthetic import SyntheticDrive

CLASSES = tuple(CITYSCAPES[i] for i in (10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 12))
"""Eleven, in the order of CamVid's label values."""
ROAD, OBSTACLES = 3, (2, 6, 7, 8, 9, 10)


def main() -> None:
    """Measure, and print the median over frames of the median duration of each part."""
    arguments = _arguments()
    postprocessor = Postprocessor(CLASSES)
    rows = []
    for class_ids in _class_maps(arguments.labels, arguments.frames):
        logits = logits_like(class_ids, arguments.grid, seed=len(rows))
        rows.append(_measure(postprocessor, logits, arguments.size[::-1], arguments.repeat))
    size, grid = ("x".join(map(str, value)) for value in (arguments.size, arguments.grid))
    print(f"image {size}, grid {grid}x{len(CLASSES)}, {len(rows)} frames")
    for name in rows[0]:
        print(f"{name:>15} {np.median([row[name] for row in rows]):9.3f}")


def _measure(
    postprocessor: Postprocessor, logits: NDArray[np.float32], size_hw: tuple[int, int], repeat: int
) -> dict[str, float]:
    frame = Frame(0, 0.0, 0.0, size_hw, lambda: np.zeros((*size_hw, 3), np.uint8))
    buffers, pool = RunBuffers(size_hw), ImagePool(size_hw)
    segmentation, runs = segment_with_runs(logits, CLASSES, buffers)
    drivable = find_drivable(runs, ROAD, OBSTACLES)
    users = find_road_users(runs, CLASSES, segmentation.grid_confidence)
    parts: dict[str, Callable[[], object]] = {
        "process": lambda: postprocessor.process(frame, logits),
        "segment": lambda: segment_with_runs(logits, CLASSES, buffers, out=pool.take()),
        "drivable": lambda: find_drivable(runs, ROAD, OBSTACLES, out=pool.take()),
        "road users": lambda: find_road_users(runs, CLASSES, segmentation.grid_confidence),
        "(polygon)": lambda: outline(drivable.mask),
        "(encode)": lambda: encode_runs(segmentation.class_ids, buffers),
        "(write)": lambda: [pool.take().fill(1) for _ in range(2)],
    }
    result = {f"{name} ms": _median_ms(part, repeat) for name, part in parts.items()}
    return result | {"runs": float(len(runs)), "road users": float(len(users))}


def logits_like(class_ids: NDArray[np.uint8], grid: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """(K, h, w) logits whose argmax is roughly the class map, with soft borders and smooth noise."""
    rng = np.random.default_rng(seed)
    logits = np.empty((len(CLASSES), grid[1], grid[0]), np.float32)
    for index in range(len(CLASSES)):
        soft = cv2.GaussianBlur((class_ids == index).astype(np.float32), (0, 0), class_ids.shape[1] / 200)
        noise = cv2.GaussianBlur(rng.standard_normal((grid[1], grid[0])).astype(np.float32), (0, 0), 1.5)
        logits[index] = 8 * cv2.resize(soft, grid, interpolation=cv2.INTER_AREA) + 2.5 * noise
    return logits


def _class_maps(labels: Path | None, count: int) -> Iterator[NDArray[np.uint8]]:
    if labels is None:
        index_of_train_id = np.full(256, 255, np.uint8)
        for index, entry in enumerate(CLASSES):
            index_of_train_id[entry.train_id] = index
        drive = SyntheticDrive(seed=1, frame_count=300)
        for i in range(count):
            yield index_of_train_id[drive.render(i * 300 // count).class_ids]
        return
    files = sorted(labels.glob("*.png"))
    for i in range(count):
        yield np.asarray(cv2.imread(str(files[i * len(files) // count]), cv2.IMREAD_GRAYSCALE), np.uint8)


def _median_ms(part: Callable[[], object], repeat: int) -> float:
    durations = []
    for _ in range(repeat):
        begin = time.perf_counter()
        part()
        durations.append(time.perf_counter() - begin)
    return float(np.median(durations)) * 1e3


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time post-processing, part by part.")
    parser.add_argument("--size", type=_size, default=(1280, 720), help="of the image, WIDTHxHEIGHT")
    parser.add_argument("--grid", type=_size, default=(160, 90), help="of the network's logits, WIDTHxHEIGHT")
    parser.add_argument("--labels", type=Path, help="a folder of CamVid label files instead of the rendered drive")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
