"""ONNX Runtime on the CPU: runs everywhere, and is the second opinion that the other engines are held against."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.artifact import ModelArtifact
from engines.base import Precision, Tensor
from engines.checked import CheckedEngine, describe, import_library, reason
from engines.errors import EngineError
from engines.processor import available_cores, processor_name

__all__ = ["OnnxRuntimeEngine"]


class OnnxRuntimeEngine(CheckedEngine):
    """A model in an ONNX Runtime session on the CPU, with a fixed input shape. Input and output are not copied.

    Several pictures are run one after the other: a processor's cores are busy with one, and its caches hold one.
    """

    kind = "onnxruntime"
    title = "ONNX Runtime"

    def __init__(
        self,
        artifact: ModelArtifact,
        size_hw: tuple[int, int],
        batch: int = 1,
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> None:
        """Open the model and run it once, so that the first frame is as fast as the others.

        Args:
            artifact: The model.
            size_hw: (H, W) of the input.
            batch: Most pictures in one call.
            precision: What the network computes in: "auto" and "fp32" are the same here; "int8" takes the model's
                calibrated graph for processors.
            threads: How many threads compute; by default one for each physical core this process may use.

        Raises:
            ModelError: The model cannot have that input, or its output does not fit its classes.
            EngineError: ONNX Runtime is missing, or cannot open or run the model as asked.
        """
        shape = artifact.input_shape(size_hw, batch)
        step = artifact.input_dims[0] or 1
        one_step = (step, *shape[1:])
        threads = available_cores() if threads is None else threads
        if precision not in {"auto", "fp32", "int8"}:
            raise EngineError(
                f"ONNX Runtime computes in fp32 or int8 on the CPU, not in {precision}; use --precision auto"
            )
        graph = artifact.int8_graph("cpu") if precision == "int8" else artifact.path
        ort = import_library("onnxruntime", self.title, "onnxruntime")
        try:
            options = _options(ort, artifact, one_step, threads)
            # Its "fallback" would print to stdout and try the same again.
            session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"], enable_fallback=0)
            # The graph need not say the size of its output; a first run does.
            first = session.run([artifact.output_name], {artifact.input_name: np.zeros(one_step, np.float32)})[0]
        except Exception as error:  # its exceptions have no common base of their own
            raise EngineError(f"ONNX Runtime cannot open {artifact.name} at {shape}: {reason(error)}") from error
        self._logits: Tensor = np.empty((batch, *first.shape[1:]), np.float32)
        super().__init__(
            artifact.spec(shape, self._logits.shape),
            describe(
                f"ONNX Runtime {ort.__version__}", processor_name(), "int8" if precision == "int8" else "fp32", threads
            ),
            step,
        )
        self._names = (artifact.input_name, artifact.output_name)
        self._session = session
        self._binding = session.io_binding()

    def _run(self, tensor: Tensor) -> Tensor:
        input_name, output_name = self._names
        for first in range(0, len(tensor), self._step):
            pictures, logits = tensor[first : first + self._step], self._logits[first : first + self._step]
            self._binding.bind_input(input_name, "cpu", 0, np.float32, pictures.shape, pictures.ctypes.data)
            self._binding.bind_output(output_name, "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
            self._session.run_with_iobinding(self._binding)
        return self._logits[: len(tensor)]

    def _free(self) -> None:
        del self._binding, self._session, self._logits


def _options(ort: Any, artifact: ModelArtifact, shape: tuple[int, int, int, int], threads: int) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads
    # Threads that spin between two operators are fast; between two frames they would rob the other stages.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    for name, size in _open_sizes(artifact, shape).items():
        options.add_free_dimension_override_by_name(name, size)
    return options


def _open_sizes(artifact: ModelArtifact, shape: tuple[int, int, int, int]) -> dict[str, int]:
    """What to fix the graph's named open sizes to, so that it is optimised for them; none where names conflict."""
    named = [(name, size) for name, size in zip(artifact.input_dim_names, shape, strict=True) if name]
    sizes = dict(named)
    return sizes if all(sizes[name] == size for name, size in named) else {}
