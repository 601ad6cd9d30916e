"""The class of every pixel as label pictures: one single-channel PNG a frame, values as in Cityscapes."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.classes import VOID_ID, SegmentationClass
from pipeline.errors import SinkError
from pipeline.scene import BgrImage, Frame, Scene
from pipeline.sinks.output_file import explain, prepare_folder

__all__ = ["MasksSink", "train_id_table"]

# Label maps are long runs of few values, row like row: that needs no search for the best filter or match, which would
# take three times as long for files twice the size.
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # not before OpenCV 4.12
    _PNG_OPTIONS += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]


def train_id_table(classes: tuple[SegmentationClass, ...]) -> NDArray[np.uint8]:
    """(256,) uint8: class index of the model → Cityscapes trainId, `VOID_ID` for what has none."""
    table = np.full(256, VOID_ID, np.uint8)
    table[: len(classes)] = [entry.train_id for entry in classes]
    return table


class MasksSink:
    """Writes label pictures into a folder.

    A picture is named after the image file that its frame came from, else after the frame's index in six digits
    (``000042.png``). When a source holds two images of one name (``a.png`` and ``a.jpg``), the later one carries
    its index as well (``a.000042.png``). Each file appears complete or not at all; files of an earlier run that
    have the same names are replaced, others stay.
    """

    needs_overlay = False
    on_main_thread = False

    def __init__(self, folder: Path, *, name: str | None = None) -> None:
        """Create the folder if need be, and see that files can be created in it.

        Args:
            folder: Where the pictures go; missing parents are created.
            name: What the user called it; the path if None.

        Raises:
            SinkError: The folder cannot be created or written.
        """
        self.name = name if name is not None else str(folder)
        self._folder = folder
        self._names_used: set[str] = set()
        self._table: NDArray[np.uint8] | None = None
        self._classes: tuple[SegmentationClass, ...] = ()
        # The process id keeps two runs into one folder from writing each other's unfinished picture.
        self._unfinished = folder / f".unfinished-{os.getpid()}.png"
        prepare_folder(folder, self.name)
        self._store(b"")
        self._unfinished.unlink(missing_ok=True)

    def write(self, scene: Scene, picture: BgrImage | None) -> None:  # noqa: ARG002
        """Write the label picture of one scene.

        Raises:
            SinkError: The disk is full or failed. The pictures before this one are complete.
        """
        segmentation = scene.segmentation
        if self._table is None or segmentation.classes is not self._classes:
            self._classes = segmentation.classes
            self._table = train_id_table(segmentation.classes)
        labels = cv2.LUT(np.ascontiguousarray(segmentation.class_ids), self._table)
        encoded, data = cv2.imencode(".png", labels, _PNG_OPTIONS)
        if not encoded:
            raise SinkError(f"cannot write {self.name}: the PNG encoder refused frame {scene.frame.index}")
        self._store(data.data)
        try:
            self._unfinished.replace(self._folder / f"{self._name_of(scene.frame)}.png")
        except OSError as error:
            raise explain(f"cannot write {self.name}", error) from error

    def _store(self, data: bytes | memoryview) -> None:
        try:
            self._unfinished.write_bytes(data)
        except OSError as error:
            self._unfinished.unlink(missing_ok=True)
            raise explain(f"cannot write {self.name}", error) from error

    def _name_of(self, frame: Frame) -> str:
        if frame.name is None:
            return f"{frame.index:06d}"
        name = frame.name
        if name in self._names_used:
            name = f"{name}.{frame.index:06d}"
        self._names_used.add(name)
        return name

    def close(self) -> None:
        """Leave no unfinished picture behind. May be called more than once."""
        self._unfinished.unlink(missing_ok=True)
