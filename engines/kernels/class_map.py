"""From logits in device memory to the class map at image size, in two kernels: all that has to come down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.kernels.launch import Launch, over_pixels
from engines.kernels.sampling import AXIS_DTYPE, TableBuilder, interpolate

__all__ = ["CLASS_MAP_DTYPE", "GRID_DTYPE", "ClassMapper"]

GRID_DTYPE = np.dtype(
    [
        ("logits", "<u8"),
        ("plane_stride", "<i8"),
        ("row_stride", "<i4"),
        ("classes", "<i4"),
        ("size_hw", "<i4", 2),
        ("labels", "<u8"),
        ("confidence", "<u8"),
    ]
)
"""`struct Grid` of class_map.cu."""

CLASS_MAP_DTYPE = np.dtype(
    [("grid", GRID_DTYPE), ("rows", AXIS_DTYPE), ("columns", AXIS_DTYPE), ("out", "<u8"), ("size_hw", "<i4", 2)]
)
"""`struct ClassMap` of class_map.cu."""


class ClassMapper:
    """Turns logits of one shape into class maps of one size. Made once a shape, used for every frame.

    The class of a pixel is the argmax of the bilinearly interpolated logits (half-pixel centres), the first of equals,
    as in `pipeline.postprocess.segmentation`; where the two best are equal but for rounding, either may come out.
    The confidence of a grid point is the softmax probability of its winner.

    Args:
        logits_shape: (K, h, w) of one entry of the network's output; at most 255 classes.
        content_hw: (h', w') of the part, from the top left, that stands for the image: the shape of what
            `Preprocessor.content_of` gives.
        image_size_hw: (H, W) of the class map.
        half: The logits are float16 instead of float32.

    Attributes:
        tables: (bytes,) uint8, to be uploaded once.
        grid_size_hw: (h', w') of the labels and the confidence on the grid.
    """

    def __init__(
        self,
        logits_shape: tuple[int, int, int],
        content_hw: tuple[int, int],
        image_size_hw: tuple[int, int],
        half: bool = False,
    ) -> None:
        classes, height, width = logits_shape
        if not 1 <= classes <= 255 or not 1 <= content_hw[0] <= height or not 1 <= content_hw[1] <= width:
            message = f"logits of {logits_shape} hold no content of {content_hw} for at most 255 classes"
            raise ValueError(message)
        if min(image_size_hw) < 1:
            message = f"no image is of size {image_size_hw}"
            raise ValueError(message)
        self.grid_size_hw = content_hw
        self._image_size_hw = image_size_hw
        self._suffix = "f16" if half else "f32"
        self._parameters = np.zeros((), CLASS_MAP_DTYPE)
        grid = self._parameters["grid"]
        grid["plane_stride"], grid["row_stride"], grid["classes"] = height * width, width, classes
        grid["size_hw"], self._parameters["size_hw"] = content_hw, image_size_hw
        tables = TableBuilder()
        for axis, points, size in zip(("rows", "columns"), content_hw, image_size_hw, strict=True):
            self._parameters[axis] = tables.add_axis(interpolate(points, size))
        self.tables: NDArray[np.uint8] = tables.build()

    def launches(
        self, logits_at: int, tables_at: int, labels_at: int, confidence_at: int, out_at: int
    ) -> tuple[Launch, Launch]:
        """The two calls for one entry, to be made in this order on one stream.

        Args:
            logits_at: Device address of the entry's (K, h, w) logits.
            tables_at: Device address of `tables`.
            labels_at: Device address of room for (h', w') uint8; stays on the device.
            confidence_at: Device address of room for (h', w') float32: `Segmentation.grid_confidence`.
            out_at: Device address of room for (H, W) uint8: the class map.
        """
        parameters = self._parameters.copy()
        grid = parameters["grid"]
        grid["logits"], grid["labels"], grid["confidence"] = logits_at, labels_at, confidence_at
        for axis in ("rows", "columns"):
            for table in ("first", "last", "weights"):
                parameters[axis][table] += np.uint64(tables_at)
        parameters["out"] = out_at
        return (
            over_pixels("class_map", f"classify_grid_{self._suffix}", self.grid_size_hw, grid),
            over_pixels("class_map", f"class_map_{self._suffix}", self._image_size_hw, parameters),
        )
