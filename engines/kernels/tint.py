"""The picture with every pixel tinted in its class's colour, in device memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from engines.kernels.launch import Launch, over_pixels
from engines.kernels.sampling import TableBuilder

__all__ = ["TINT_DTYPE", "Tint"]

TINT_DTYPE = np.dtype(
    [
        ("image", "<u8"),
        ("image_pitch", "<i8"),
        ("class_ids", "<u8"),
        ("keep", "<u8"),
        ("tint", "<u8"),
        ("out", "<u8"),
        ("size_hw", "<i4", 2),
    ]
)
"""`struct Tint` of tint.cu."""


class Tint:
    """Lays the classes' colours over pictures of one size: ``(image * (256 - share) + colour * share) >> 8``.

    Args:
        classes: The model's classes.
        opacities: Of each of them, 0 (the picture shows) to 1 (the colour covers it).
        size_hw: (H, W) of the pictures.

    Attributes:
        tables: (bytes,) uint8, to be uploaded once.
    """

    def __init__(
        self, classes: Sequence[SegmentationClass], opacities: Sequence[float], size_hw: tuple[int, int]
    ) -> None:
        keep, tint = np.full(256, 256, np.uint16), np.zeros((256, 3), np.uint16)
        for index, (entry, opacity) in enumerate(zip(classes, opacities, strict=True)):
            share = round(opacity * 256)
            keep[index] = 256 - share
            tint[index] = [channel * share for channel in reversed(entry.color_rgb)]
        tables = TableBuilder()
        self._size_hw = size_hw
        self._keep, self._tint = tables.add(keep), tables.add(tint)
        self.tables: NDArray[np.uint8] = tables.build()

    def launch(self, image_at: int, class_ids_at: int, tables_at: int, out_at: int, image_pitch: int = 0) -> Launch:
        """The call for one picture.

        Args:
            image_at: Device address of the (H, W, 3) BGR picture.
            class_ids_at: Device address of its (H, W) uint8 class map.
            tables_at: Device address of `tables`.
            out_at: Device address of room for (H, W, 3) uint8; `image_at` where the picture is tight and not needed.
            image_pitch: Bytes from row to row of the picture; 0 where rows follow one another.
        """
        parameters = np.zeros((), TINT_DTYPE)
        parameters["image"], parameters["image_pitch"] = image_at, image_pitch or 3 * self._size_hw[1]
        parameters["class_ids"], parameters["out"] = class_ids_at, out_at
        parameters["keep"], parameters["tint"] = tables_at + self._keep, tables_at + self._tint
        parameters["size_hw"] = self._size_hw
        return over_pixels("tint", "tint_classes", self._size_hw, parameters)
