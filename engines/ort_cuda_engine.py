"""ONNX Runtime on an NVIDIA GPU: where there is a GPU, but no TensorRT."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from engines.artifact import ModelArtifact
from engines.base import Precision, Tensor
from engines.checked import CheckedEngine, import_library, reason
from engines.cuda.presence import gpu_error, why_no_gpu
from engines.errors import EngineError

__all__ = ["OnnxRuntimeCudaEngine"]

_PROVIDER = "CUDAExecutionProvider"


class OnnxRuntimeCudaEngine(CheckedEngine):
    """A model in an ONNX Runtime session on the first GPU, for batches of 1 to N pictures of one size."""

    kind = "onnxruntime-cuda"
    title = "ONNX Runtime (CUDA)"

    def __init__(
        self,
        artifact: ModelArtifact,
        size_hw: tuple[int, int],
        batch: int = 1,
        precision: Precision = "auto",
    ) -> None:
        """Open the model and run it once, so that the first frame is as fast as the others.

        Args:
            artifact: The model.
            size_hw: (H, W) of the input.
            batch: Most pictures in one call.
            precision: What the network computes in: "auto" and "fp32" are the same here.

        Raises:
            ModelError: The model cannot have that input, or its output does not fit its classes.
            EngineError: There is no GPU, the installed ONNX Runtime has no CUDA, or it cannot run the model as asked.
        """
        shape = artifact.input_shape(size_hw, batch)
        if precision not in {"auto", "fp32"}:
            raise EngineError(f"ONNX Runtime computes in fp32 on a GPU here, not in {precision}; use --precision auto")
        missing = why_no_gpu()
        if missing:
            raise gpu_error("ONNX Runtime cannot use CUDA", missing)
        ort = import_library("onnxruntime", self.title, "onnxruntime-gpu")
        if _PROVIDER not in ort.get_available_providers():
            raise EngineError(
                "the installed ONNX Runtime has no CUDA: pip uninstall onnxruntime && pip install onnxruntime-gpu"
            )
        self._session = _session(ort, artifact, shape)
        self._names = (artifact.input_name, artifact.output_name)
        try:
            first = self._session.run([artifact.output_name], {artifact.input_name: np.zeros(shape, np.float32)})[0]
        except Exception as error:  # its exceptions have no common base of their own
            raise EngineError(f"ONNX Runtime cannot run {artifact.name} at {shape} on CUDA: {reason(error)}") from error
        self._logits: Tensor = np.empty(first.shape, np.float32)
        self._binding = self._session.io_binding()
        super().__init__(
            artifact.spec(shape, first.shape),
            f"ONNX Runtime {ort.__version__}, CUDA, fp32",
            artifact.input_dims[0] or 1,
        )

    def _run(self, tensor: Tensor) -> Tensor:
        input_name, output_name = self._names
        logits = self._logits[: len(tensor)]
        self._binding.bind_input(input_name, "cpu", 0, np.float32, tensor.shape, tensor.ctypes.data)
        self._binding.bind_output(output_name, "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        self._session.run_with_iobinding(self._binding)
        return logits

    def _free(self) -> None:
        del self._binding, self._session, self._logits


def _session(ort: Any, artifact: ModelArtifact, shape: tuple[int, int, int, int]) -> Any:
    """A session on the GPU.

    Raises:
        EngineError: It cannot be opened, or ONNX Runtime fell back to the CPU without a word.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if hasattr(ort, "preload_dlls"):  # finds CUDA and cuDNN where PyTorch or pip put them; says so on stdout
                ort.preload_dlls()
        session = ort.InferenceSession(
            str(artifact.path),
            options,
            # Every convolution's algorithm is tried out on the first run; the sizes do not change afterwards.
            providers=[(_PROVIDER, {"cudnn_conv_algo_search": "EXHAUSTIVE", "use_tf32": "0"})],
            enable_fallback=0,
        )
    except Exception as error:  # its exceptions have no common base of their own
        raise EngineError(f"ONNX Runtime cannot open {artifact.name} at {shape} on CUDA: {reason(error)}") from error
    if _PROVIDER not in session.get_providers():
        raise EngineError("ONNX Runtime cannot use CUDA: its provider did not load (are CUDA and cuDNN installed?)")
    return session
