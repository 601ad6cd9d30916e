"""Labels for pictures that have none, or only vague ones: ``python -m training.teach idd_lite --out runs/taught``.

A model looks at each picture at several sizes, and mirrored: what it says on average is better than what it says at a
glance, for the shipped one by a point and a half of mean IoU. Where it is sure, the pixel's label becomes that one
class; where it wavers between two, these two; else the label stays what it was. So the next network learns to see at a
glance what this one had to look for (self-training: Xie et al., "Noisy Student", CVPR 2020; averaging over views:
Radosavovic et al., "Data Distillation", CVPR 2018). A label that was there is never contradicted: IDD's "living thing"
becomes person or rider, and nothing else.

What is written is a data set of one's own: ``OUT/taught.toml`` goes into ``--mix``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.base import Engine
from engines.classes import VOID_ID
from engines.errors import ClearwayError, ConfigError
from engines.factory import ENGINE_KINDS, choose_input_size, open_engine
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame
from pipeline.sources import open_source
from training.datasets import data_root, is_kept_for_validation, load_frames
from training.frames import DataError
from training.labels import ANY_CLASS, CLASSES

__all__ = ["LabelWriter", "Teacher", "main", "narrowed_sets"]

Picture = NDArray[np.uint8]
Sets = NDArray[np.uint16]

_LOG = Console(stderr=True)

_SCALES = (0.8, 1.0, 1.25)
"""Of the input size that suits a picture."""
_ALIGNED_PX = 8
_LEAST_AGREEMENT = 0.2
"""Where less probability than this lies on what the label allows, the model is wrong, and its word does not count."""


class Teacher:
    """A model that looks at a picture several times. A context manager.

    Args:
        artifact: The model.
        kind: Which engine runs it.
        scales: Sizes at which it looks, as shares of the input size that suits a picture; each time mirrored as well.
    """

    def __init__(self, artifact: ModelArtifact, kind: str = "auto", scales: Sequence[float] = _SCALES) -> None:
        self._artifact = artifact
        self._kind = kind
        self._scales = scales
        self._engines: list[Engine] = []
        self._image_hw = (0, 0)
        self._open = ExitStack()
        names = [entry.name for entry in artifact.classes]
        # Several classes of the model may be none of ours: what is claimed for them is claimed for nothing.
        self._ranks = [(names.index(entry.name), rank) for rank, entry in enumerate(CLASSES) if entry.name in names]

    def __enter__(self) -> Teacher:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def look(self, image: Picture) -> NDArray[np.float32]:
        """(H, W, 3) uint8 BGR → (H, W, `CLASSES`) float32: the mean of the probabilities at all sizes, both ways round.

        Raises:
            ClearwayError: The engine cannot be opened, or failed.
        """
        height, width = image.shape[:2]
        total = np.zeros((height, width, len(self._artifact.classes)), np.float32)
        if self._image_hw != (height, width):  # engines of one size at a time: a folder may hold many
            self._open.close()
            self._engines, self._image_hw = self._open_engines((height, width)), (height, width)
        for engine in self._engines:
            total += _probabilities(engine, image) + _probabilities(engine, image[:, ::-1])[:, ::-1]
        ours = np.zeros((height, width, len(CLASSES)), np.float32)
        for theirs, rank in self._ranks:
            ours[..., rank] = total[..., theirs] / (2 * len(self._engines))
        return ours

    def _open_engines(self, image_hw: tuple[int, int]) -> list[Engine]:
        suits = choose_input_size(self._artifact, image_hw)
        sizes = {
            tuple(max(1, round(side * scale / _ALIGNED_PX)) * _ALIGNED_PX for side in suits) for scale in self._scales
        }
        if None not in self._artifact.input_dims[2:]:
            sizes = {suits}
        return [
            self._open.enter_context(
                closing(open_engine(self._artifact, self._kind, size_hw=(height, width), precision="fp32"))
            )
            for height, width in sorted(sizes)
        ]


def _probabilities(engine: Engine, image: Picture) -> NDArray[np.float32]:
    """(H, W, 3) BGR → (H, W, K) float32, probabilities of the logits enlarged bilinearly."""
    size_hw = (image.shape[0], image.shape[1])
    frame = Frame(index=0, source_time_s=0.0, captured_at_s=0.0, size_hw=size_hw, to_bgr=lambda: image)
    preprocessor = Preprocessor(engine.spec)
    logits = preprocessor.content_of(engine.infer(preprocessor.prepare([frame]))[0], size_hw)
    full = cv2.resize(np.moveaxis(logits, 0, -1), size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    powers = np.exp(full - full.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def narrowed_sets(probabilities: NDArray[np.float32], sets: Sets, sure: float) -> Sets:
    """The class, or the two classes, on which at least ``sure`` of the probability within the label's set lies.

    Args:
        probabilities: (H, W, classes), as of `Teacher.look`.
        sets: (H, W) uint16, what the labels allow; all classes where nothing is known.
        sure: Between 0 and 1.

    Returns:
        (H, W) uint16: never a class that ``sets`` does not allow; ``sets`` itself where the network is not sure.
    """
    classes = np.arange(probabilities.shape[-1])
    allowed = (sets[..., None] >> classes) & 1 != 0
    within = np.where(allowed, probabilities, 0)
    total = within.sum(-1)
    first = within.argmax(-1)
    p_first = np.take_along_axis(within, first[..., None], -1)[..., 0]
    np.put_along_axis(within, first[..., None], 0, -1)
    second = within.argmax(-1)
    p_both = p_first + np.take_along_axis(within, second[..., None], -1)[..., 0]
    one = (1 << first).astype(np.uint16)
    two = one | (1 << second).astype(np.uint16)
    narrowed = np.where(p_first >= sure * total, one, np.where(p_both >= sure * total, two, sets))
    return np.where(total >= _LEAST_AGREEMENT, narrowed & sets, sets).astype(np.uint16)


class LabelWriter:
    """Pictures and labels on disk; a label value for every set of classes that comes.

    Args:
        out: Folder, made where it is missing.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._values = {ANY_CLASS: VOID_ID}
        for folder in ("images", "labels"):
            (out / folder).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, image: Picture, sets: Sets) -> None:
        """One picture (H, W, 3) uint8 BGR and the sets (H, W) that its pixels may have."""
        found, place = np.unique(sets, return_inverse=True)
        values = np.array([self._value(int(entry)) for entry in found], np.uint8)
        cv2.imwrite(str(self._out / "images" / f"{name}.png"), image)
        cv2.imwrite(str(self._out / "labels" / f"{name}.png"), values[place].reshape(sets.shape))

    def _value(self, allowed: int) -> int:
        """Of a set; sets of two classes and those of the data set itself are less than 255."""
        return self._values.setdefault(allowed, len(self._values) - 1)

    def explain(self) -> Path:
        """Write what the values mean, and give the file's path."""
        lines = ["[labels]"]
        for allowed, value in sorted(self._values.items(), key=lambda entry: entry[1]):
            names = [entry.name for rank, entry in enumerate(CLASSES) if allowed >> rank & 1]
            lines.append(f'{value} = "ignore"' if allowed == ANY_CLASS else f"{value} = {names}".replace("'", '"'))
        file = self._out / "taught.toml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file


def _pictures(source: str, root: Path, every: int) -> Iterator[tuple[Picture, Sets]]:
    """Pictures with what their labels allow: of a recording, or of a data set."""
    if is_kept_for_validation(source, root):
        raise ConfigError(f"{source} is kept for validation; nothing is learnt from it")
    if "://" in source or (Path(source).exists() and not source.endswith(".toml")):
        with closing(open_source(source)) as recording:
            for frame in recording.frames():
                if frame.index % every == 0:
                    yield np.asarray(frame.to_bgr()), np.full(frame.size_hw, ANY_CLASS, np.uint16)
        return
    frames = load_frames(source, root)
    for index in range(0, len(frames), every):
        yield np.asarray(frames.images[index]), frames.sets[frames.label_images[index]]


def _teach(options: argparse.Namespace) -> None:
    if not 0.5 < options.sure <= 1:
        raise ConfigError(f"--sure {options.sure}: must be above 0.5, and 1 at most")
    if options.every < 1:
        raise ConfigError(f"--every {options.every}: must be 1 or more")
    pictures = (pair for source in options.sources for pair in _pictures(source, options.data, options.every))
    writer = LabelWriter(options.out)
    pixels = before = after = 0
    with Teacher(load_artifact(find_model(options.model)), options.engine) as teacher:
        for number, (image, sets) in enumerate(track(pictures, "looking", console=_LOG)):
            narrowed = narrowed_sets(teacher.look(image), sets, options.sure)
            writer.write(f"{number:06}", image, narrowed)
            pixels += sets.size
            before += _precise(sets)
            after += _precise(narrowed)
    if not pixels:
        raise DataError(f"{', '.join(options.sources)}: no pictures")
    _LOG.print(f"pixels that may have one class only: {before / pixels:.1%} before, {after / pixels:.1%} now")
    _LOG.print(f"train with --mix {writer.explain()}", markup=False)


def _precise(sets: Sets) -> int:
    """How many pixels may have one class only."""
    return int(((sets & (sets - 1)) == 0).sum())


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code: 0, or 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m training.teach", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sources", nargs="+", help="data sets as `train --mix` names them, or whatever `replay` plays")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--data", type=Path, default=data_root(), help="folder that holds the data sets (%(default)s)")
    parser.add_argument("--model", default="clearway-lite", help="who teaches: a model's name or file (%(default)s)")
    parser.add_argument("--engine", choices=["auto", *ENGINE_KINDS], default="auto")
    parser.add_argument("--sure", type=float, default=0.9, help="probability from which its word counts (%(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th picture only")
    try:
        _teach(parser.parse_args(arguments))
    except ClearwayError as error:
        _LOG.print(str(error), style="red", markup=False)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
