"""From a picture in device memory to the network's input tensor, in one kernel."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.color import rgb_from_yuv
from engines.kernels.launch import Launch, over_pixels
from engines.kernels.picture import PictureFormat
from engines.kernels.sampling import AXIS_DTYPE, Sampling, TableBuilder, resample

__all__ = ["LETTERBOX_DTYPE", "Letterbox"]

_PLANE_DTYPE = np.dtype(
    [("data", "<u8"), ("rows", AXIS_DTYPE), ("columns", AXIS_DTYPE), ("pitch", "<i8"), ("step", "<i4"), ("mode", "<i4")]
)
LETTERBOX_DTYPE = np.dtype(
    [
        ("planes", _PLANE_DTYPE, 3),
        ("weights", "<f4", (3, 3)),
        ("offsets", "<f4", 3),
        ("lowest", "<f4", 3),
        ("highest", "<f4", 3),
        ("plane_of_color", "<i4", 3),
        ("content_hw", "<i4", 2),
        ("size_hw", "<i4", 2),
        ("reserved", "<i4"),
        ("out", "<u8"),
    ]
)
"""`struct Letterbox` of letterbox.cu."""


class Letterbox:
    """Fills one entry of the network's input from pictures of one format. Made once a format, used for every frame.

    The picture is resized as `pipeline.preprocess` would, fills the input from the top left, and the rest is zero.
    Samples are bit for bit those of the CPU path; what follows is single precision, so that the float32 tensor
    differs by rounding only (tests hold 1e-5), and float16 is its nearest neighbour.

    Args:
        picture: How the pictures lie in memory.
        input_size_hw: (H, W) of the network's input.
        content_hw: (H, W) of what the picture fills, as `Preprocessor.content_size_hw` says.
        mean: Per channel, in units of 0 to 255, in `color_order`; with `std` as in `engines.base.ModelSpec`.
        std: Per channel.
        color_order: Order of the tensor's channels.
        half: float16 instead of float32.

    Attributes:
        tables: (bytes,) uint8, to be uploaded once; `launch` wants to know where they are.
    """

    def __init__(
        self,
        picture: PictureFormat,
        input_size_hw: tuple[int, int],
        content_hw: tuple[int, int],
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        color_order: Literal["rgb", "bgr"],
        half: bool = False,
    ) -> None:
        if not (1 <= content_hw[0] <= input_size_hw[0] and 1 <= content_hw[1] <= input_size_hw[1]):
            message = f"content of {content_hw} does not fit into an input of {input_size_hw}"
            raise ValueError(message)
        self.picture = picture
        self._size_hw = input_size_hw
        self._kernel = "letterbox_f16" if half else "letterbox_f32"
        self._parameters = np.zeros((), LETTERBOX_DTYPE)
        self._parameters["content_hw"], self._parameters["size_hw"] = content_hw, input_size_hw
        self._set_colors(mean, std, color_order)
        tables = TableBuilder()
        added: dict[tuple[int, int], tuple[Sampling, NDArray[np.void], NDArray[np.void]]] = {}
        for entry, plane in zip(self._parameters["planes"], picture.planes, strict=True):
            if plane.size_hw not in added:
                sampling = resample(plane.size_hw, content_hw)
                added[plane.size_hw] = sampling, tables.add_axis(sampling.rows), tables.add_axis(sampling.columns)
            sampling, entry["rows"], entry["columns"] = added[plane.size_hw]
            entry["data"], entry["pitch"], entry["step"] = plane.offset, plane.pitch, plane.step
            entry["mode"] = sampling.mode
        self.tables: NDArray[np.uint8] = tables.build()

    def launch(self, picture_at: int, tables_at: int, out_at: int) -> Launch:
        """The call for one picture.

        Args:
            picture_at: Device address of the picture's first byte.
            tables_at: Device address of `tables`; aligned to 16 bytes, as every allocation is.
            out_at: Device address of the (3, H, W) entry to fill: for camera n of a batch, n entries behind the first.
        """
        parameters = self._parameters.copy()
        parameters["planes"]["data"] += np.uint64(picture_at)
        for axis in ("rows", "columns"):
            for table in ("first", "last", "weights"):
                parameters["planes"][axis][table] += np.uint64(tables_at)
        parameters["out"] = out_at
        return over_pixels("letterbox", self._kernel, self._size_hw, parameters)

    def _set_colors(
        self, mean: tuple[float, float, float], std: tuple[float, float, float], color_order: Literal["rgb", "bgr"]
    ) -> None:
        plane_of_rgb = [0, 1, 2] if color_order == "rgb" else [2, 1, 0]
        scale = 1.0 / np.asarray(std, np.float32)[plane_of_rgb]
        shift = -np.asarray(mean, np.float32)[plane_of_rgb] * scale
        if self.picture.layout == "bgr":
            weights, offsets = np.eye(3, dtype=np.float32)[::-1], np.zeros(3, np.float32)
        else:
            weights, offsets = rgb_from_yuv(self.picture.matrix, self.picture.full_range)
        self._parameters["weights"] = weights * scale[:, None]
        self._parameters["offsets"] = offsets * scale + shift
        self._parameters["lowest"], self._parameters["highest"] = shift, 255.0 * scale + shift
        self._parameters["plane_of_color"] = plane_of_rgb
