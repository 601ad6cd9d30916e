"""Which engine runs the model, and at which size."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Literal, get_args

from engines.artifact import ModelArtifact
from engines.base import Engine, Precision
from engines.errors import ClearwayError, ConfigError, EngineError, NoGpuError
from engines.processor import available_cores, gains_from_int8

__all__ = ["ENGINE_KINDS", "EngineKind", "choose_input_size", "open_engine", "open_engines"]

EngineKind = Literal["auto", "tensorrt", "onnxruntime-cuda", "openvino", "onnxruntime"]
"""What a user may ask for."""

ENGINE_KINDS: tuple[str, ...] = get_args(EngineKind)[1:]
"""Every kind of engine, in the order in which "auto" tries them: the fastest first."""

_PROCESSOR_KINDS = {"openvino", "onnxruntime"}
_MOST_TOGETHER = 4
"""Engines that `open_engines` opens: each takes memory of its own, some 45 MB for the shipped network in INT8."""

_SIZE_STEP = 8

_MOST_ENLARGED = 1.25
"""Beyond that the time of the engine grows faster than what is gained: at 1.15 the shipped model gains 1.4 points of
mIoU on CamVid val (480x360 pictures), at 1.5 half a point more for 1.7 times the work."""


def open_engine(
    artifact: ModelArtifact,
    kind: str = "auto",
    *,
    size_hw: tuple[int, int] | None = None,
    batch: int = 1,
    precision: Precision = "auto",
    threads: int | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Engine:
    """Open a model in an engine. The inference library is imported now, and no other.

    Args:
        artifact: The model.
        kind: One of `ENGINE_KINDS`; or "auto", the first of them that opens.
        size_hw: (H, W) of the input; by default the size the model was made for.
        batch: Number of pictures in one call.
        precision: What the network computes in; "auto" is the fastest that the hardware computes natively; on a
            processor that is INT8, where the model has a calibrated graph that keeps its accuracy.
        threads: How many threads compute; by default one for each physical core this process may use.
        on_note: Called with one line for people for each engine that "auto" passed over, and why, but not for those
            of GPUs where there is none; and when an engine is built for this machine, which takes a while.

    Raises:
        ConfigError: There is no engine of that kind.
        ModelError: The model cannot have that input, or its output does not fit its classes.
        EngineError: The library is missing, or cannot open the model as asked.
    """
    if kind not in {"auto", *ENGINE_KINDS}:
        raise ConfigError(f"no engine is called {kind!r}; there are: auto, {', '.join(ENGINE_KINDS)}")
    size_hw = artifact.default_size_hw if size_hw is None else size_hw
    if kind != "auto":
        return _open(kind, artifact, size_hw, batch, precision, threads, on_note)
    reasons = []
    for candidate in ENGINE_KINDS:
        try:
            return _open(candidate, artifact, size_hw, batch, precision, threads, on_note)
        except EngineError as error:  # noqa: PERF203 (four rounds at most)
            reasons.append(str(error))
            if on_note is not None and not isinstance(error, NoGpuError):
                on_note(f"engine {candidate} passed over: {error}")
    raise EngineError(f"no engine can run {artifact.name}: {'; '.join(reasons)}")


def open_engines(
    artifact: ModelArtifact,
    kind: str = "auto",
    *,
    size_hw: tuple[int, int] | None = None,
    precision: Precision = "auto",
    threads: int | None = None,
    together: int | None = None,
    on_note: Callable[[str], None] | None = None,
) -> list[Engine]:
    """Open a model as often as it takes for the most pictures a second: each engine has a picture of its own.

    On a processor they share the threads out among themselves. A GPU's engine keeps several pictures under way by
    itself, and is the only one.

    Args:
        artifact: As for `open_engine`, like all others.
        kind: Likewise.
        size_hw: Likewise.
        precision: Likewise.
        threads: Of all engines together.
        together: How many engines; by default one a thread, up to four.
        on_note: Likewise; called for the first alone.

    Raises:
        ClearwayError: As for `open_engine`.
    """
    threads = available_cores() if threads is None else threads
    together = max(1, min(threads, _MOST_TOGETHER if together is None else together))
    first, *others = (threads // together + (place < threads % together) for place in range(together))
    engines = [open_engine(artifact, kind, size_hw=size_hw, precision=precision, threads=first, on_note=on_note)]
    if engines[0].kind not in _PROCESSOR_KINDS:
        return engines
    try:
        for share in others:
            engines.append(open_engine(artifact, engines[0].kind, size_hw=size_hw, precision=precision, threads=share))
    except ClearwayError:
        for engine in engines:
            engine.close()
        raise
    return engines


def _open(
    kind: str,
    artifact: ModelArtifact,
    size_hw: tuple[int, int],
    batch: int,
    precision: Precision,
    threads: int | None,
    on_note: Callable[[str], None] | None,
) -> Engine:
    if threads is not None and threads < 1:
        raise ConfigError(f"an engine cannot run on {threads} threads; 1 is the least")
    if kind in _PROCESSOR_KINDS and precision == "auto" and artifact.int8_keeps_accuracy:
        precision = "int8" if gains_from_int8() else precision
    if kind == "tensorrt":
        from engines.tensorrt.engine import TensorRtEngine

        return TensorRtEngine(artifact, size_hw, batch, precision, on_note=on_note)
    if kind == "onnxruntime-cuda":
        from engines.ort_cuda_engine import OnnxRuntimeCudaEngine

        return OnnxRuntimeCudaEngine(artifact, size_hw, batch, precision)
    if kind == "openvino":
        from engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(artifact, size_hw, batch, precision, threads)
    from engines.ort_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(artifact, size_hw, batch, precision, threads)


def choose_input_size(artifact: ModelArtifact, image_size_hw: tuple[int, int]) -> tuple[int, int]:
    """The input size that suits a recording.

    It keeps the pictures' aspect ratio, has at most as many pixels as the size the model was made for, and is a
    multiple of 8 each way, so that nothing is lost in the network's halvings down to the grid of its logits. Smaller
    pictures are enlarged, but by no more than a quarter: what is far off gets cells of its own (`_MOST_ENLARGED`). A
    size that the graph fixes is not changed.

    Args:
        artifact: The model.
        image_size_hw: (H, W) of the recording's pictures.

    Returns:
        (H, W) of the input, for instance (360, 640) for pictures of 1280x720.
    """
    height, width = image_size_hw
    most_px = math.prod(artifact.default_size_hw)
    scale = min(_MOST_ENLARGED, math.sqrt(most_px / (height * width)))
    # 1e-6: a scale of 2/3 makes 540 rows 360 and nothing less, whatever the last bit says.
    heights, widths = ({_step_down(size * scale + 1e-6), _step_up(size * scale - 1e-6)} for size in image_size_hw)
    fitting = [(h, w) for h, w in product(heights, widths) if h * w <= most_px] or [(min(heights), min(widths))]
    best_h, best_w = min(fitting, key=lambda size: (abs(math.log(size[1] * height / (size[0] * width))), -size[0]))
    return artifact.input_dims[2] or best_h, artifact.input_dims[3] or best_w


def _step_down(size: float) -> int:
    return max(_SIZE_STEP, math.floor(size / _SIZE_STEP) * _SIZE_STEP)


def _step_up(size: float) -> int:
    return max(_SIZE_STEP, math.ceil(size / _SIZE_STEP) * _SIZE_STEP)
