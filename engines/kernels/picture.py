"""How a picture lies in memory when it is handed to a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.color import ColorMatrix

__all__ = ["Layout", "PictureFormat", "Plane"]

Layout = Literal["bgr", "i420", "nv12"]
"""Interleaved 8-bit BGR; or 4:2:0 with three planes, or with the two of chroma interleaved."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One colour's or one signal's samples within a picture.

    Attributes:
        offset: Of its first sample from the picture's first byte.
        pitch: Bytes from row to row.
        step: Bytes from sample to sample.
        size_hw: (H, W) in samples.
    """

    offset: int
    pitch: int
    step: int
    size_hw: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """Layout, size and colours of a picture.

    Attributes:
        layout: What lies where.
        size_hw: (H, W) in pixels.
        pitch: Bytes from row to row of the first plane; 0 where rows follow one another. I420's chroma has half of it,
            rounded up.
        chroma_offset: Of the first chroma sample; 0 where chroma follows luma at once. Decoders align it.
        matrix: Which standard's coefficients made the chroma; of no meaning in BGR.
        full_range: True for 0..255 luma, False for 16..235; of no meaning in BGR.
    """

    layout: Layout
    size_hw: tuple[int, int]
    pitch: int = 0
    chroma_offset: int = 0
    matrix: ColorMatrix = "bt709"
    full_range: bool = False

    def __post_init__(self) -> None:
        height, width = self.size_hw
        least = 3 * width if self.layout == "bgr" else width + (width & 1 if self.layout == "nv12" else 0)
        if min(height, width) < 1 or (self.pitch and self.pitch < least):
            message = f"no {self.layout} picture is {width}x{height} with {self.pitch} bytes a row"
            raise ValueError(message)
        if self.chroma_offset and self.chroma_offset < self._pitch * height:
            message = f"chroma at byte {self.chroma_offset} lies within the {self._pitch * height} bytes of luma"
            raise ValueError(message)

    @property
    def _pitch(self) -> int:
        width = self.size_hw[1]
        if self.layout == "bgr":
            return self.pitch or 3 * width
        # The interleaved chroma of an odd width is one byte wider than its luma.
        return self.pitch or (width + (width & 1) if self.layout == "nv12" else width)

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        """Blue, green and red; or Y, U and V."""
        height, width = self.size_hw
        pitch = self._pitch
        if self.layout == "bgr":
            blue, green, red = (Plane(channel, pitch, 3, self.size_hw) for channel in range(3))
            return blue, green, red
        luma = Plane(0, pitch, 1, self.size_hw)
        chroma_hw = ((height + 1) // 2, (width + 1) // 2)
        start = self.chroma_offset or height * pitch
        if self.layout == "nv12":
            return luma, Plane(start, pitch, 2, chroma_hw), Plane(start + 1, pitch, 2, chroma_hw)
        half_pitch = (pitch + 1) // 2
        u = Plane(start, half_pitch, 1, chroma_hw)
        return luma, u, Plane(start + chroma_hw[0] * half_pitch, half_pitch, 1, chroma_hw)

    @property
    def nbytes(self) -> int:
        """Bytes from the first sample to the last."""
        return max(
            plane.offset + (plane.size_hw[0] - 1) * plane.pitch + (plane.size_hw[1] - 1) * plane.step + 1
            for plane in self.planes
        )

    def pack(self, samples: tuple[NDArray[np.uint8], ...], out: NDArray[np.uint8]) -> None:
        """Copy a picture into the bytes that are uploaded, for instance pinned memory.

        Args:
            samples: One (H, W, 3) BGR array; or the three arrays Y, U, V. Rows may be strided.
            out: (>= nbytes,) uint8, C-contiguous.
        """
        if self.layout == "bgr":
            samples = tuple(samples[0][:, :, channel] for channel in range(3)) if self._is_padded else samples
        if self.layout == "bgr" and not self._is_padded:
            out[: self.nbytes].reshape(*self.size_hw, 3)[:] = samples[0]
            return
        for plane, values in zip(self.planes, samples, strict=True):
            self._view(plane, out)[:] = values

    @property
    def _is_padded(self) -> bool:
        return self._pitch != 3 * self.size_hw[1]

    def _view(self, plane: Plane, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ndarray(plane.size_hw, np.uint8, buffer.data, plane.offset, (plane.pitch, plane.step))
