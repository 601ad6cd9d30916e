"""What an engine is, and what it must be told about the model it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass

__all__ = ["Engine", "ModelSpec", "Precision", "Tensor"]

Tensor = NDArray[np.float32]

Precision = Literal["auto", "fp32", "bf16"]
"""What a network computes in. "auto" is the fastest that the processor computes natively."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything the stages before and after an engine need to know of the model inside it.

    Attributes:
        name: The model's short name, for instance ``"clearway-lite"``.
        path: The ONNX file it was read from.
        input_shape: (N, C, H, W) of the largest input tensor that the engine was opened for; C is 3.
        output_shape: (N, K, h, w) of its logits. h and w may be smaller than H and W: the logits then stand on
            a coarser grid with half-pixel centres (``align_corners=False`` in PyTorch's terms).
        mean: Per-channel mean subtracted from the input, in units of 0 to 255, in `color_order`.
        std: Per-channel divisor after that, same units and order.
        color_order: Order of the input's channels.
        classes: The K classes, in the order of the logits' channels.
    """

    name: str
    path: Path
    input_shape: tuple[int, int, int, int]
    output_shape: tuple[int, int, int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    color_order: Literal["rgb", "bgr"]
    classes: tuple[SegmentationClass, ...]

    @property
    def input_size_hw(self) -> tuple[int, int]:
        """(H, W) of the input in pixels."""
        return self.input_shape[2], self.input_shape[3]


class Engine(Protocol):
    """A model, loaded and ready on one kind of hardware. Owned and called by one thread; not re-entrant."""

    @property
    def spec(self) -> ModelSpec:
        """The model inside, with the shapes it was opened for."""

    @property
    def kind(self) -> str:
        """The short name that selects this kind of engine, for instance ``"openvino"``."""

    @property
    def description(self) -> str:
        """One line for people: library, version, device, precision, threads."""

    def infer(self, tensor: Tensor) -> Tensor:
        """Run the model on some pictures.

        Args:
            tensor: (n, C, H, W) float32, C-contiguous, already normalised; `ModelSpec.input_shape` with
                1 ≤ n ≤ N pictures (exactly N where the graph fixes its batch). Not kept.

        Returns:
            (n, K, h, w) float32 logits: a view that is valid until the next call or `close`.

        Raises:
            EngineError: The tensor has another shape or dtype, the engine is closed, or the library failed.
        """

    def close(self) -> None:
        """Free everything. May be called more than once."""

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
