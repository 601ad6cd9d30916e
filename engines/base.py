"""What an engine is, and what it must be told about the model it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass

__all__ = [
    "ConfidenceFit",
    "DeviceLap",
    "DeviceLaps",
    "DeviceTimedEngine",
    "Engine",
    "ModelSpec",
    "PipelinedEngine",
    "Precision",
    "Tensor",
]

Tensor = NDArray[np.float32]

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
"""What a network computes in. "auto" is the fastest that the hardware computes natively and that keeps accuracy."""


@dataclass(frozen=True, slots=True)
class ConfidenceFit:
    """How sure a model really is when it says that it is sure by p.

    With p the softmax probability of the winning class, ``1 / (1 + exp(-(scale * ln(p / (1 - p)) + shift)))`` is how
    probably it is right: Platt's scaling ("Probabilistic outputs for support vector machines", 1999) of the
    confidence in the top label. With shift 0 and two classes, scale is one over the temperature of Guo et al., "On
    calibration of modern neural networks", ICML 2017. No logits are needed, so it holds where they stay on a GPU.

    Attributes:
        scale: Above 0, so that what is surer stays surer.
        shift: Below 0 where the model is too sure of itself.
    """

    scale: float = 1.0
    shift: float = 0.0


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
        confidence: How sure it really is; None where nobody has measured that.
    """

    name: str
    path: Path
    input_shape: tuple[int, int, int, int]
    output_shape: tuple[int, int, int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    color_order: Literal["rgb", "bgr"]
    classes: tuple[SegmentationClass, ...]
    confidence: ConfidenceFit | None = None

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


@runtime_checkable
class PipelinedEngine(Engine, Protocol):
    """An engine that can work on the next pictures while the caller still looks at the last ones.

    `infer` does all that is asked of an engine; who does not know of this needs nothing else. Who does, keeps up to
    `depth` tensors in flight, and so lets the upload of one, the computing of another and its own work on a third's
    logits run side by side::

        for tensor in tensors:
            if engine.in_flight == engine.depth:
                use(engine.collect())
            engine.submit(tensor)
        while engine.in_flight:
            use(engine.collect())

    Latency is the price: logits come out one submission later. A replay wants that; a live camera at its own pace
    does not, and calls `infer`.
    """

    @property
    def depth(self) -> int:
        """How many tensors may be in flight."""

    @property
    def in_flight(self) -> int:
        """How many were submitted and not collected yet."""

    def submit(self, tensor: Tensor) -> None:
        """Start on a tensor, and return without its logits. The tensor may be overwritten afterwards.

        Raises:
            EngineError: As for `infer`; or `depth` are in flight already.
        """

    def collect(self) -> Tensor:
        """Wait for the logits of the oldest tensor that was submitted: a view that is valid until the next `collect`.

        Raises:
            EngineError: Nothing is in flight, the engine is closed, or the library failed.
        """


class DeviceLap(NamedTuple):
    """One part of a batch's way through the GPU, by the GPU's own clock.

    Attributes:
        stage: Which: ``"upload"``, ``"letterbox"``, ``"inference"``, ``"class map"`` or ``"download"``.
        began_ms: Since the batch's first part began.
        duration_ms: How long it took.
    """

    stage: str
    began_ms: float
    duration_ms: float


@dataclass(frozen=True, slots=True)
class DeviceLaps:
    """How long the GPU worked on each part of one batch.

    Attributes:
        laps: The parts, one after the other. Between two of them the batch may have waited for the one before it.
        total_ms: From the beginning of the first to the end of the last.
        pictures: How many went together.
        submitted_s: When the work was given to the GPU, `time.perf_counter()`.
    """

    laps: tuple[DeviceLap, ...]
    total_ms: float
    pictures: int
    submitted_s: float


@runtime_checkable
class DeviceTimedEngine(Engine, Protocol):
    """An engine that can tell the time on its GPU apart from the time in which its caller waited.

    It is for profiles, and off until it is asked for: setting and reading the marks takes the processor a few percent
    of a small network's frame.
    """

    def time_device(self, on_laps: Callable[[DeviceLaps], None] | None) -> None:
        """From the next batch on, tell where the GPU's time went; None: no more.

        Args:
            on_laps: Called in the thread that waited for a batch, once its results are there. Nothing waits for it
                that would not wait without it.
        """
