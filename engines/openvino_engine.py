"""OpenVINO on the CPU: the fastest engine on Intel processors, above all where they multiply bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.artifact import ModelArtifact
from engines.base import Precision, Tensor
from engines.checked import CheckedEngine, describe, import_library, reason
from engines.errors import EngineError
from engines.processor import available_cores

__all__ = ["OpenVinoEngine"]

_HINTS = {"bf16": "bf16", "fp32": "f32"}
_NAMES = {"bf16": "bf16", "f32": "fp32", "f16": "fp16"}


class OpenVinoEngine(CheckedEngine):
    """A model compiled by OpenVINO for the CPU, with a fixed input shape and for the least latency.

    Input and output are shared with NumPy without copying. Files are written nowhere: the model cache is off.
    Several pictures are run one after the other: a processor's cores are busy with one, and its caches hold one.
    """

    kind = "openvino"
    title = "OpenVINO"

    def __init__(
        self,
        artifact: ModelArtifact,
        size_hw: tuple[int, int],
        batch: int = 1,
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> None:
        """Compile the model and run it once, so that the first frame is as fast as the others.

        Args:
            artifact: The model.
            size_hw: (H, W) of the input.
            batch: Most pictures in one call.
            precision: What the network computes in. "int8" takes the model's calibrated graph for processors. "auto"
                leaves it to OpenVINO: bfloat16 where the processor multiplies it natively (AMX, AVX512-BF16), half
                floats on ARM, else fp32. Processors that OpenVINO only emulates bfloat16 on list the capability too,
                but are slower with it.
            threads: How many threads compute; by default one for each physical core this process may use.

        Raises:
            ModelError: The model cannot have that input, or its output does not fit its classes.
            EngineError: OpenVINO is missing, or cannot compile or run the model as asked.
        """
        if precision not in {"auto", "int8", *_HINTS}:
            raise EngineError(
                f"OpenVINO computes in fp32, bf16 or int8 on the CPU, not in {precision}; use --precision auto"
            )
        shape = artifact.input_shape(size_hw, batch)
        step = artifact.input_dims[0] or 1
        threads = available_cores() if threads is None else threads
        self._openvino = import_library("openvino", self.title, "openvino")
        try:
            compiled, device = self._compile(artifact, (step, *shape[1:]), precision, threads)
            self._request = compiled.create_infer_request()
            self._logits: Tensor = np.empty((batch, *tuple(compiled.output(0).shape)[1:]), np.float32)
            self._step = step
            self._run(np.zeros((step, *shape[1:]), np.float32))
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot open {artifact.name} at {shape}: {reason(error)}") from error
        computed_in = _NAMES.get(compiled.get_property("INFERENCE_PRECISION_HINT").to_string(), "mixed")
        if precision == "int8":
            computed_in = "int8"  # what is not quantised, in what the hint says
        elif precision not in {"auto", computed_in}:
            raise EngineError(f"OpenVINO has no {precision} on this processor ({device}); use auto or fp32")
        version = self._openvino.__version__.partition("-")[0]
        super().__init__(
            artifact.spec(shape, self._logits.shape),
            describe(f"OpenVINO {version}", device, computed_in, threads),
            step,
        )

    def _compile(
        self, artifact: ModelArtifact, shape: tuple[int, int, int, int], precision: Precision, threads: int
    ) -> tuple[Any, str]:
        core = self._openvino.Core()
        model = core.read_model(artifact.int8_graph("cpu") if precision == "int8" else artifact.path)
        model.reshape({artifact.input_name: list(shape)})
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Decoding and drawing run beside the network: leave it to the kernel which core is free.
            "ENABLE_CPU_PINNING": False,
        }
        if precision in _HINTS:
            config["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
        device = " ".join(str(core.get_property("CPU", "FULL_DEVICE_NAME")).split())
        return core.compile_model(model, "CPU", config), device

    def _run(self, tensor: Tensor) -> Tensor:
        if not tensor.flags.writeable:  # OpenVINO shares writeable memory only
            tensor = tensor.copy()
        for first in range(0, len(tensor), self._step):
            pictures = slice(first, first + self._step)
            self._request.set_input_tensor(self._openvino.Tensor(tensor[pictures], shared_memory=True))
            self._request.set_output_tensor(self._openvino.Tensor(self._logits[pictures], shared_memory=True))
            self._request.infer()
        return self._logits[: len(tensor)]

    def _free(self) -> None:
        del self._request, self._logits
