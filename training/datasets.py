"""Labelled frames in memory, and the endless stream of training samples drawn from several data sets at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ClearwayError
from training import labels
from training.augment import augment_sample, paste_objects

__all__ = ["DataError", "LabelledFrames", "SampleStream", "data_root", "load_frames"]

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_TRAIN_SEED_BASE = 1000
"""Drives with lower seeds are kept for tests and evaluation."""


class DataError(ClearwayError):
    """A data set that is not there or not laid out as its loader expects."""


@dataclass(slots=True)
class LabelledFrames:
    """A data set, decoded, in memory.

    Attributes:
        name: As given to `load_frames`.
        images: Each (H, W, 3) uint8 BGR.
        label_images: Each (H, W) uint8, the data set's own values.
        sets: (256,) uint16, the class set (see `training.labels`) of every label value.
        pasted: (256,) bool, the label values of objects that may be pasted from one frame into another.
    """

    name: str
    images: list[NDArray[np.uint8]]
    label_images: list[NDArray[np.uint8]]
    sets: NDArray[np.uint16]
    pasted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(256, bool))

    def __len__(self) -> int:
        return len(self.images)


def data_root() -> Path:
    """Where the data lies unless a command says otherwise: ``$CLEARWAY_DATA``, or ``../shared/data`` by the project."""
    if "CLEARWAY_DATA" in os.environ:
        return Path(os.environ["CLEARWAY_DATA"])
    return Path(__file__).resolve().parents[2] / "shared" / "data"


def load_frames(name: str, root: Path) -> LabelledFrames:
    """A data set by name: ``camvid/SPLIT``, ``idd_lite`` or ``rendered[:COUNT[:FIRST_SEED]]``.

    Raises:
        DataError: Unknown name, nothing there, or an image without its label.
    """
    kind = name.replace(":", "/").split("/")[0]
    if kind not in _LOADERS:
        raise DataError(f"{name}: no such data set; there are: camvid/SPLIT, idd_lite, rendered:COUNT")
    return _LOADERS[kind](name, root)


def _load_camvid(name: str, root: Path) -> LabelledFrames:
    folder = root / name
    pairs = [
        (path, folder / "labels" / f"{path.stem}.png")
        for path in sorted((folder / "images").glob("*"))
        if path.suffix in _IMAGE_SUFFIXES
    ]
    frames = _read_pairs(name, folder, pairs, labels.CAMVID)
    # people and riders: what matters most, and what CamVid has too little of
    frames.pasted[[9, 10]] = True
    return frames


def _load_idd_lite(name: str, root: Path) -> LabelledFrames:
    folder = root / name
    pairs = [
        (path, folder / "labels" / path.parent.name / f"{path.stem.removesuffix('_image')}_label.png")
        for path in sorted((folder / "images").glob("*/*_image.jpg"))
    ]
    return _read_pairs(name, folder, pairs, labels.IDD_LITE)


def _read_pairs(name: str, folder: Path, pairs: list[tuple[Path, Path]], sets: dict[int, int]) -> LabelledFrames:
    if not pairs:
        raise DataError(f"{name}: no images in {folder}; give the folder that holds the data sets with --data")
    images = [_read(path, cv2.IMREAD_COLOR) for path, _ in pairs]
    label_images = [_read(path, cv2.IMREAD_GRAYSCALE) for _, path in pairs]
    for (path, _), image, label in zip(pairs, images, label_images, strict=True):
        if image.shape[:2] != label.shape:
            raise DataError(f"{path}: the image is {image.shape[:2]}, its label {label.shape}; they must be of one size")
    return LabelledFrames(name, images, label_images, labels.label_table(sets))


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise DataError(f"{path}: missing, or not an image that OpenCV reads")
    return np.asarray(image, np.uint8)


def _render_frames(name: str, root: Path) -> LabelledFrames:
    """``rendered:COUNT:FIRST_SEED``: six frames of each drive, from ``FIRST_SEED`` (1000) on."""
    from pipeline.synthetic import SyntheticDrive

    _, count, first_seed = (*name.split(":"), "384", str(_TRAIN_SEED_BASE))[:3] if ":" in name else (name, "384", "1000")
    images, label_images = [], []
    for index in range(0, int(count), 6):
        drive = SyntheticDrive(seed=int(first_seed) + index // 6, frame_count=300, size_hw=(360, 640))
        for frame_index in range(0, 300, 50):
            frame = drive.render(frame_index)
            images.append(frame.image)
            label_images.append(frame.class_ids)
    return LabelledFrames(name, images, label_images, labels.label_table(labels.TRAIN_IDS))


_LOADERS: dict[str, Callable[[str, Path], LabelledFrames]] = {
    "camvid": _load_camvid,
    "idd_lite": _load_idd_lite,
    "rendered": _render_frames,
}


class SampleStream:
    """An endless stream of augmented samples in which each data set has its share.

    Stateless: sample ``i`` depends on ``(seed, i)`` and the mix alone, so a run that was killed continues with the very
    samples it would have seen. Every data set is gone through in a new random order each time.
    """

    def __init__(self, mix: list[tuple[LabelledFrames, int]], *, crop_hw: tuple[int, int], seed: int) -> None:
        self._mix = mix
        self._slots = [(which, k) for which, (_, share) in enumerate(mix) for k in range(share)]
        self._crop_hw = crop_hw
        self._seed = seed

    def sample(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Sample ``index``: image (h, w, 3) uint8 BGR and class sets (h, w) uint16, ``(h, w)`` = ``crop_hw``."""
        cycle, slot = divmod(index, len(self._slots))
        which, turn = self._slots[slot]
        frames, share = self._mix[which]
        epoch, position = divmod(cycle * share + turn, len(frames))
        order = np.random.default_rng((self._seed, which, epoch)).permutation(len(frames))
        rng = np.random.default_rng((self._seed, 1 + index))
        chosen = int(order[position])
        image, label = frames.images[chosen], frames.label_images[chosen]
        if frames.pasted.any() and rng.random() < 0.5:
            donor = int(rng.integers(len(frames)))
            flip = bool(rng.random() < 0.5)
            image, label = paste_objects(image, label, frames.images[donor], frames.label_images[donor], frames.pasted, flip)
        return augment_sample(image, frames.sets[label], self._crop_hw, rng)
