"""A network small enough to be computed by hand, written as a real ONNX file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.cuda.presence import why_no_gpu
from tests.engines.tensorrt.simulated_gpu import SimulatedGpu
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt

Size = int | str | None


class TinyModel:
    """``logits = relu(conv3x3(image, stride 4, padding 1))`` with 5 classes, as files and as NumPy arithmetic."""

    classes = 5
    stride = 4

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def weights(classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        generator = np.random.default_rng(7)
        kernel = generator.normal(size=(classes, 3, 3, 3)).astype(np.float32)
        return kernel, generator.normal(size=classes).astype(np.float32)

    def expected(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The (N, K, h, w) logits, computed in float64 by another way than any engine's."""
        kernel, bias = self.weights(self.classes)
        padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        sums = np.einsum("nchwij,kcij->nkhw", windows[:, :, :: self.stride, :: self.stride], kernel)
        return np.maximum(sums + bias[:, None, None], 0).astype(np.float32)

    def write(
        self,
        name: str = "tiny.onnx",
        *,
        input_dims: Sequence[Size] = ("N", 3, "H", "W"),
        input_type: int = TensorProto.FLOAT,
        classes: int = 5,
        declared_classes: Size = None,
        tail: str | None = None,
        more_inputs: Sequence[str] = (),
        more_outputs: Sequence[str] = (),
    ) -> Path:
        """Write the network, or one that is wrong in a chosen way.

        Args:
            name: File name in the folder.
            input_dims: (N, C, H, W) or (C, H, W): numbers, names of open sizes, or None for one without a name.
            input_type: The input's element type; one that is not FLOAT is cast to float in the graph.
            classes: Number of channels of the logits.
            declared_classes: What the graph says of it; by default nothing, it follows from the weights.
            tail: An operator after the logits, which takes the output's place: "ArgMax" or "Flatten".
            more_inputs: Names of further inputs, which nothing uses.
            more_outputs: Names of inner values that are outputs too ("sums").
        """
        kernel, bias = self.weights(classes)
        window = {"kernel_shape": [3, 3], "strides": [self.stride] * 2, "pads": [1, 1, 1, 1]}
        batched = ("Identity", ["numbers"]) if len(input_dims) == 4 else ("Unsqueeze", ["numbers", "first"])
        nodes = [
            helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node(*batched, ["pixels"]),
            helper.make_node("Conv", ["pixels", "kernel", "bias"], ["sums"], name="conv", **window),
            helper.make_node("Relu", ["sums"], ["logits"]),
        ]
        output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, declared_classes, None, None])
        if tail == "ArgMax":
            nodes.append(helper.make_node("ArgMax", ["logits"], ["ids"], axis=1))
            output = helper.make_tensor_value_info("ids", TensorProto.INT64, [None, 1, None, None])
        if tail == "Flatten":
            nodes.append(helper.make_node("Flatten", ["logits"], ["flat"]))
            output = helper.make_tensor_value_info("flat", TensorProto.FLOAT, [None, None])
        inputs = [helper.make_tensor_value_info("image", input_type, list(input_dims))]
        inputs += [helper.make_tensor_value_info(extra, TensorProto.FLOAT, [1]) for extra in more_inputs]
        outputs = [output]
        outputs += [helper.make_tensor_value_info(extra, TensorProto.FLOAT, [None] * 4) for extra in more_outputs]
        weights = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
        weights.append(numpy_helper.from_array(np.array([0]), "first"))
        graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
        path = self.folder / name
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    def write_sidecar(self, onnx_path: Path, **replaced: Any) -> Path:
        """Write a right sidecar with some of its keys replaced, or added."""
        content = {
            "format": "clearway-model/1",
            "name": "tiny",
            "input": {"mean": [1, 2, 3], "std": [4, 5, 6.5], "color_order": "bgr", "size_hw": [64, 96]},
            "classes": [{"name": f"thing {i}", "color_rgb": [i, 0, 255 - i], "train_id": i} for i in range(5)],
        }
        path = onnx_path.with_suffix(".json")
        path.write_text(json.dumps(content | replaced))
        return path


@pytest.fixture
def tiny(tmp_path: Path) -> TinyModel:
    return TinyModel(tmp_path)


@pytest.fixture
def make_runnable(monkeypatch, tmp_path) -> Callable[[str], None]:
    """Make a kind of engine run on this machine.

    Without a GPU, TensorRT gets simulated ones of both, and the engine that runs ONNX Runtime's CUDA provider gets
    its CPU provider: what is ours of these engines runs, what is NVIDIA's does not.
    """

    def make(kind: str) -> None:
        monkeypatch.setenv("CLEARWAY_CACHE", str(tmp_path / "cache"))
        if why_no_gpu() is None:
            return
        if kind == "onnxruntime-cuda":
            monkeypatch.setattr("engines.ort_cuda_engine.why_no_gpu", lambda: None)
            monkeypatch.setattr("engines.ort_cuda_engine._PROVIDER", "CPUExecutionProvider")
        if kind == "tensorrt":
            gpu = SimulatedGpu()
            library = SimulatedTensorRt(gpu).library()
            monkeypatch.setattr("engines.tensorrt.engine.gpu_and_library", lambda: (gpu, library))

    return make


@pytest.fixture
def random_images() -> Callable[..., NDArray[np.float32]]:
    """Normalised pictures of any shape, always the same ones."""

    def make(shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.random.default_rng(3).normal(size=shape).astype(np.float32)

    return make
