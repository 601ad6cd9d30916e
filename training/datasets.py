"""Data sets by name, and the endless stream of training samples drawn from several of them at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import labels
from training.augment import augment_sample, paste_objects
from training.frames import DataError, LabelledFrames
from training.own_data import folder_of, is_own_data, load_own_data

__all__ = ["VALIDATION_ONLY", "SampleStream", "data_root", "is_kept_for_validation", "load_frames", "load_mix"]

VALIDATION_ONLY = frozenset({"camvid/dusk"})
"""Frames of the official test split: to look at, never to learn from. `load_mix` refuses them."""

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_FRAMES_A_DRIVE = 4
_TRAIN_SEED_BASE = 1000
"""Drives with lower seeds are kept for tests and evaluation."""


def data_root() -> Path:
    """Where the data lies unless a command says otherwise: ``$CLEARWAY_DATA``, or ``../shared/data`` by the project."""
    if "CLEARWAY_DATA" in os.environ:
        return Path(os.environ["CLEARWAY_DATA"])
    return Path(__file__).resolve().parents[2] / "shared" / "data"


def load_frames(name: str, root: Path) -> LabelledFrames:
    """A data set by name: ``camvid/SPLIT``, ``idd_lite``, ``rendered[:COUNT[:FIRST_SEED]]``, or one's own.

    Raises:
        ClearwayError: Unknown name, nothing there, or an image without its label.
    """
    if is_own_data(name):
        return load_own_data(name)
    kind = name.replace(":", "/").split("/")[0]
    if kind not in _LOADERS:
        raise DataError(
            f"{name}: no such data set; there are: camvid/SPLIT, idd_lite, rendered:COUNT, FILE.toml, FORMAT:DIR"
        )
    return _LOADERS[kind](name, root)


def load_mix(entries: list[str], root: Path) -> list[tuple[LabelledFrames, int]]:
    """Data sets to train on, each with its share: ``["camvid/train=11", "idd_lite=3"]``; a share left out is 1.

    Raises:
        DataError: As `load_frames`; or the share is no whole number, or the frames are kept for validation.
    """
    mix = []
    for entry in entries:
        name, _, share = entry.rpartition("=") if "=" in entry else (entry, "", "1")
        if not (share.isdecimal() and int(share)):
            raise DataError(f"data set {entry}: the share must be a whole number, as in camvid/train=6")
        if is_kept_for_validation(name, root):
            raise DataError(f"data set {name} is kept for validation; train on others")
        mix.append((load_frames(name, root), int(share)))
    return mix


def is_kept_for_validation(name: str, root: Path) -> bool:
    """Whether nothing may be learnt from a data set, or from a folder of pictures.

    Raises:
        ClearwayError: The name is at fault.
    """
    if name.startswith("rendered"):
        return _numbers(name)[1] < _TRAIN_SEED_BASE
    places = {folder_of(name) if is_own_data(name) else root / name, Path(name)}
    kept = [(root / name).resolve() for name in VALIDATION_ONLY]
    return any(place.resolve().is_relative_to(folder) for place in places for folder in kept)


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
            raise DataError(
                f"{path}: the image is {image.shape[:2]}, its label {label.shape}; they must be of one size"
            )
    return LabelledFrames(name, images, label_images, labels.label_table(sets))


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise DataError(f"{path}: missing, or not an image that OpenCV reads")
    return np.asarray(image, np.uint8)


def _render_frames(name: str, root: Path) -> LabelledFrames:  # noqa: ARG001 — one signature for all loaders
    """``rendered[:COUNT[:FIRST_SEED]]``: `_FRAMES_A_DRIVE` frames, evenly spaced, of each of enough drives."""
    from pipeline.synthetic import SyntheticDrive

    count, first_seed = _numbers(name)
    images: list[NDArray[np.uint8]] = []
    label_images: list[NDArray[np.uint8]] = []
    for seed in range(first_seed, first_seed + -(-count // _FRAMES_A_DRIVE)):
        drive = SyntheticDrive(seed=seed, frame_count=300, size_hw=(360, 640))
        for index in range(0, 300, 300 // _FRAMES_A_DRIVE):
            frame = drive.render(index)
            images.append(np.array(frame.image))
            label_images.append(np.array(frame.class_ids))
    return LabelledFrames(name, images[:count], label_images[:count], labels.label_table(labels.TRAIN_IDS))


def _numbers(name: str) -> tuple[int, int]:
    """COUNT and FIRST_SEED of ``rendered[:COUNT[:FIRST_SEED]]``."""
    given = name.split(":")[1:]
    if len(given) > 2 or not all(text.isdecimal() for text in given):
        raise DataError(f"data set {name}: write rendered:COUNT or rendered:COUNT:FIRST_SEED, in whole numbers")
    count, first_seed = (*map(int, given), *(400, _TRAIN_SEED_BASE)[len(given) :])
    return count, first_seed


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
            image, label = paste_objects(
                image, label, frames.images[donor], frames.label_images[donor], frames.pasted, flip
            )
        return augment_sample(image, frames.sets[label], self._crop_hw, rng)
