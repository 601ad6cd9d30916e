"""Where the layouts of the field keep images and labels, and which of their frames follow one another."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluation.label_file import read_scheme
from evaluation.labels import CAMVID, CITYSCAPES_IDS, IDD_LITE, TRAIN_IDS, LabelScheme
from pipeline.errors import SourceError
from pipeline.sources.base import IMAGE_SUFFIXES
from pipeline.sources.images import natural_order

__all__ = ["LAYOUTS", "LabelledImages", "Pair", "find_labelled_images"]


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its label picture.

    Attributes:
        image: Its file.
        label: Its label's file; not checked yet.
        follows: It is the next moment of the recording that the pair before it is from.
    """

    image: Path
    label: Path
    follows: bool


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Files of a data set, in natural order, and what their label values mean."""

    pairs: tuple[Pair, ...]
    scheme: LabelScheme


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a data set is laid out.

    Attributes:
        roots: Pairs of folders (images, labels) that it may have; the first that is there counts.
        image_ending: What the stem of every image file ends with.
        label_endings: What stands in its place in the label's stem, and what the values mean then; where the files of
            the first are missing, the next counts.
        longest_step: Frames whose numbers are at most that far apart follow one another; 0 where none do.
    """

    roots: tuple[tuple[str, str], ...]
    image_ending: str
    label_endings: tuple[tuple[str, LabelScheme], ...]
    longest_step: int = 0


_PLAIN = ("images", "labels")
_CITYSCAPES_ROOTS = ("leftImg8bit", "gtFine")

LAYOUTS: dict[str, _Layout] = {
    # The recordings have 30 frames a second: labels of every second or third of them still make a video.
    "camvid": _Layout((_PLAIN, (".", "../{name}annot")), "", (("", CAMVID),), longest_step=3),
    "idd": _Layout((_PLAIN, _CITYSCAPES_ROOTS), "_image", (("_label", IDD_LITE),)),
    "cityscapes": _Layout(
        (_CITYSCAPES_ROOTS,),
        "_leftImg8bit",
        (("_gtFine_labelTrainIds", TRAIN_IDS), ("_gtFine_labelIds", CITYSCAPES_IDS)),
        longest_step=2,
    ),
    "folder": _Layout((_PLAIN,), "", (("", TRAIN_IDS),)),
}
"""`camvid`: ``images/`` and ``labels/``, or SegNet's ``test/`` and ``testannot/``, values 0 to 11. `idd`: IDD Lite,
``images/SEQ/x_image.jpg`` and ``labels/SEQ/x_label.png``, or its own ``leftImg8bit`` and ``gtFine``. `cityscapes`:
``leftImg8bit/SPLIT/CITY`` and ``gtFine``, labelTrainIds or labelIds. `folder`: ``images/`` and ``labels/`` of the same
names, values are trainIds, as `replay` writes masks, or what a file says."""


def find_labelled_images(
    folder: Path, layout: str, *, split: str | None = None, scheme_file: Path | None = None, video: bool = False
) -> LabelledImages:
    """List a data set.

    Args:
        folder: Its root.
        layout: A key of `LAYOUTS`.
        split: Only this subfolder of images and labels, for instance ``"val"``.
        scheme_file: What the label values mean, instead of what is usual for the layout; see `label_file.read_scheme`.
        video: All images of one folder are consecutive frames of a video.

    Raises:
        SourceError: It is not laid out so, or holds no images.
        ConfigError: The file of label values is at fault.
    """
    plan = LAYOUTS[layout]
    images_root, labels_root = _find_roots(folder, layout, plan)
    if split is not None:
        images_root, labels_root = images_root / split, labels_root / split
    images = sorted(
        (
            path
            for path in images_root.glob("**/*")
            if path.suffix.lower() in IMAGE_SUFFIXES and path.stem.endswith(plan.image_ending)
        ),
        key=natural_order,
    )
    if not images:
        wanted = f" named *{plan.image_ending}" if plan.image_ending else ""
        raise SourceError(f"{images_root}: no images{wanted} there (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    follows = _consecutive(plan, video=video)

    def label_of(image: Path, ending: str) -> Path:
        stem = image.stem.removesuffix(plan.image_ending) + ending
        return labels_root / image.relative_to(images_root).parent / f"{stem}.png"

    present = (entry for entry in plan.label_endings if label_of(images[0], entry[0]).is_file())
    ending, scheme = next(present, plan.label_endings[0])
    pairs = tuple(
        Pair(image, label_of(image, ending), before is not None and follows(before, image))
        for before, image in zip([None, *images], images, strict=False)
    )
    return LabelledImages(pairs, read_scheme(scheme_file) if scheme_file is not None else scheme)


def _find_roots(folder: Path, layout: str, plan: _Layout) -> tuple[Path, Path]:
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder")
    candidates = [
        (folder / images, folder / labels.format(name=folder.resolve().name)) for images, labels in plan.roots
    ]
    for images, labels in candidates:
        if images.is_dir() and labels.is_dir():
            return images, labels
    wanted = " or ".join(f"{images}/ and {labels}/" for images, labels in plan.roots if images != ".")
    raise SourceError(f"{folder}: the {layout} format needs the folders {wanted} there")


def _consecutive(plan: _Layout, *, video: bool) -> Callable[[Path, Path], bool]:
    """Whether the second file is the frame after the first."""

    def follows(before: Path, image: Path) -> bool:
        if before.parent != image.parent:
            return False
        if video:
            return True
        first, second = (_frame_number(path.stem.removesuffix(plan.image_ending)) for path in (before, image))
        return first[0] == second[0] and 0 < second[1] - first[1] <= plan.longest_step

    return follows


def _frame_number(stem: str) -> tuple[str, int]:
    """The recording and the frame's number in it, from a name like ``0016E5_07959``."""
    match = re.fullmatch(r"(.*?)(\d+)", stem)
    return (match[1], int(match[2])) if match else (stem, 0)
