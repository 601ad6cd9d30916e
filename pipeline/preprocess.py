"""From a frame to the network's input tensor: resize, colour, normalise, one pass each, no picture in between.

Decoders give 4:2:0 planes. Resizing the planes and turning each network pixel's (Y, U, V) straight into normalised
colour reads half the bytes of a BGR picture and never makes one. The BGR picture itself is converted only when
somebody wants to look at it.

The image keeps its aspect ratio: it fills the network's input from the top left, and what remains stays zero, the
value of the mean colour. `Preprocessor.content_size_hw` says how much it fills.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.base import ModelSpec, Tensor
from engines.color import rgb_from_yuv
from pipeline.jit import kernel
from pipeline.scene import Frame, YuvPlanes
from pipeline.shrinking import resized

__all__ = ["Preprocessor"]


class Preprocessor:
    """Fills the network's input tensor from frames of any size. Owned by one thread; the tensor is reused.

    Args:
        spec: The model as the engine was opened: input shape, mean, std, colour order.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._tensor: Tensor = np.zeros(spec.input_shape, np.float32)
        self._content_hw = [spec.input_size_hw] * spec.input_shape[0]
        self._stride_hw = (
            max(1, spec.input_shape[2] // spec.output_shape[2]),
            max(1, spec.input_shape[3] // spec.output_shape[3]),
        )
        # The tensor's plane that red, green and blue go to; and (x - mean) / std as x·scale + shift, in that order.
        self._order = np.array([0, 1, 2] if spec.color_order == "rgb" else [2, 1, 0], np.int64)
        self._scale = (1.0 / np.asarray(spec.std, np.float32))[self._order]
        self._shift = -np.asarray(spec.mean, np.float32)[self._order] * self._scale
        self._limits = np.stack([self._shift, 255.0 * self._scale + self._shift])

    def content_size_hw(self, image_size_hw: tuple[int, int]) -> tuple[int, int]:
        """How much of the network's input (H, W) an image of that size fills, in whole steps of the logits' grid."""
        height, width = self._spec.input_size_hw
        factor = min(height / image_size_hw[0], width / image_size_hw[1])
        return (
            _whole_steps(image_size_hw[0] * factor, self._stride_hw[0], height),
            _whole_steps(image_size_hw[1] * factor, self._stride_hw[1], width),
        )

    def grid_size_hw(self, image_size_hw: tuple[int, int]) -> tuple[int, int]:
        """How much of the logits' grid (h, w) stands for an image of that size."""
        height, width = self.content_size_hw(image_size_hw)
        rows = max(1, round(height / self._spec.input_shape[2] * self._spec.output_shape[2]))
        columns = max(1, round(width / self._spec.input_shape[3] * self._spec.output_shape[3]))
        return rows, columns

    def content_of(self, logits: Tensor, image_size_hw: tuple[int, int]) -> Tensor:
        """The part of one picture's logits (K, h, w) that stands for the image: (K, h', w'), C-contiguous.

        A view where the image fills the whole input, as it does for every model whose size could be chosen.
        """
        rows, columns = self.grid_size_hw(image_size_hw)
        return np.ascontiguousarray(logits[:, :rows, :columns])

    def prepare(self, frames: Sequence[Frame]) -> Tensor:
        """The frames as the network wants them.

        Args:
            frames: At most as many as the model was opened for.

        Returns:
            (n, C, H, W) float32, one entry a frame: (x - mean) / std in the model's colour order. Valid until the
            next call.
        """
        for place, frame in enumerate(frames):
            self._fill(place, frame)
        return self._tensor[: len(frames)]

    def _fill(self, place: int, frame: Frame) -> None:
        content_hw = self.content_size_hw(frame.size_hw)
        if content_hw != self._content_hw[place]:
            self._tensor[place] = 0
            self._content_hw[place] = content_hw
        content = self._tensor[place, :, : content_hw[0], : content_hw[1]]
        if frame.planes is not None:
            self._fill_from_planes(frame.planes, content)
        else:
            _normalise_bgr(resized(frame.image, content_hw), self._scale, self._shift, self._order, content)

    def _fill_from_planes(self, planes: YuvPlanes, content: Tensor) -> None:
        size_hw = (content.shape[1], content.shape[2])
        weights, offsets = rgb_from_yuv(planes.matrix, planes.full_range)
        # Contiguous, so that one compilation serves videos of the network's own size too.
        _normalise_yuv(
            np.ascontiguousarray(resized(planes.y, size_hw)),
            np.ascontiguousarray(resized(planes.u, size_hw)),
            np.ascontiguousarray(resized(planes.v, size_hw)),
            weights * self._scale[:, None],
            offsets * self._scale + self._shift,
            self._limits,
            self._order,
            content,
        )


def _whole_steps(length: float, step: int, limit: int) -> int:
    """`length` in pixels, rounded to whole steps, at least one, at most the limit."""
    if round(length) >= limit:
        return limit
    return min(max(step, round(length / step) * step), limit)


@kernel(fastmath=True)
def _normalise_yuv(
    y: NDArray[np.uint8],
    u: NDArray[np.uint8],
    v: NDArray[np.uint8],
    weights: NDArray[np.float32],
    offsets: NDArray[np.float32],
    limits: NDArray[np.float32],
    order: NDArray[np.int64],
    out: Tensor,
) -> None:
    """out[order[c]] = weights[c] · (y, u, v) + offsets[c], clipped to limits[:, c]; planes (H, W), out (3, H, W).

    The clip is that to 0..255 which a conversion to 8-bit colour makes: noise and ringing reach beyond it.
    """
    height, width = y.shape
    for color in range(3):
        weight_y, weight_u, weight_v = weights[color, 0], weights[color, 1], weights[color, 2]
        offset, lowest, highest = offsets[color], limits[0, color], limits[1, color]
        plane = out[order[color]]
        for row in range(height):
            line, y_line, u_line, v_line = plane[row], y[row], u[row], v[row]
            for column in range(width):
                value = (
                    weight_y * np.float32(y_line[column])
                    + weight_u * np.float32(u_line[column])
                    + weight_v * np.float32(v_line[column])
                    + offset
                )
                line[column] = min(max(value, lowest), highest)


@kernel(fastmath=True)
def _normalise_bgr(
    image: NDArray[np.uint8],
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    order: NDArray[np.int64],
    out: Tensor,
) -> None:
    """out[order[c]] = image's colour c · scale[c] + shift[c]; c counts red, green, blue; image (H, W, 3) BGR."""
    height, width = image.shape[:2]
    for color in range(3):
        factor, offset = scale[color], shift[color]
        plane = out[order[color]]
        for row in range(height):
            line = plane[row]
            for column in range(width):
                line[column] = np.float32(image[row, column, 2 - color]) * factor + offset
