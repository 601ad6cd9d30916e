"""The ONNX graph in the precision that it is to compute in.

From TensorRT 10 on the types in the graph decide what is computed in what. So FP16 is a conversion of the graph
(Micikevicius et al., "Mixed Precision Training", 2018, for why half of the bits are enough), and INT8 is a graph
with Q/DQ nodes that was calibrated beforehand and lies beside the model. Input and output stay float32.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any, Literal

from engines.artifact import ModelArtifact
from engines.checked import import_library, reason
from engines.errors import EngineError
from engines.sidecar import sidecar_path

__all__ = ["GpuPrecision", "graph_bytes", "graph_path", "model_digest"]

GpuPrecision = Literal["fp32", "fp16", "int8"]

_EXTERNAL_MARK = b"\x0a\x08location"
"""How protobuf writes the key under which a graph names a file that holds its weights."""

_OPSET_OF_HALF_SCALES = 21


def graph_path(artifact: ModelArtifact, precision: GpuPrecision) -> Path:
    """The file that the engine is built from.

    Raises:
        EngineError: INT8, and there is no graph beside the model that was calibrated from it.
    """
    return artifact.int8_graph("tensorrt") if precision == "int8" else artifact.path


def model_digest(artifact: ModelArtifact, precision: GpuPrecision) -> str:
    """SHA-256 over everything that the engine is built from: the graph, weights beside it, the sidecar."""
    path = graph_path(artifact, precision)
    digest = hashlib.sha256()
    try:
        content = path.read_bytes()
        if _EXTERNAL_MARK in content:
            # Rare, and then only. A model without outer weights is not parsed just to be recognised.
            content = _load(path).SerializeToString(deterministic=True)
        digest.update(content)
        sidecar = sidecar_path(artifact.path)
        digest.update(sidecar.read_bytes() if sidecar.is_file() else b"")
    except OSError as error:
        raise EngineError(f"model {path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def graph_bytes(artifact: ModelArtifact, precision: GpuPrecision, *, strongly_typed: bool) -> bytes:
    """The graph as TensorRT's parser takes it, weights included.

    Args:
        artifact: The model.
        precision: What it is to compute in.
        strongly_typed: Whether the types in the graph decide that; else the graph stays as it is.

    Raises:
        EngineError: The file is damaged, there is no INT8 graph, or the graph cannot be converted.
    """
    model = _load(graph_path(artifact, precision))
    if precision == "int8" and not strongly_typed:
        _write_weights_as_floats(model)
    if strongly_typed and precision != "fp32":
        model = _in_half(model, artifact.name)
    content: bytes = model.SerializeToString()
    return content


def _load(path: Path) -> Any:
    onnx = import_library("onnx", "onnx", "'clearway[nvidia]'")
    try:
        return onnx.load(path)  # weights in other files are read too, from the model's folder only
    except Exception as error:  # protobuf's exceptions have no base of their own
        raise EngineError(f"model {path}: cannot be read: {reason(error)}") from error


def _in_half(model: Any, name: str) -> Any:
    """The graph with float16 inside and float32 at both ends; Q/DQ nodes keep their integers, with float16 scales."""
    float16 = import_library("onnxruntime.transformers.float16", "ONNX Runtime", "onnxruntime")
    onnx_model = import_library("onnxruntime.transformers.onnx_model", "ONNX Runtime", "onnxruntime")
    version_converter = import_library("onnx.version_converter", "onnx", "'clearway[nvidia]'")
    # What ONNX Runtime's CPU has no float16 for, TensorRT has.
    blocked = sorted(set(float16.DEFAULT_OP_BLOCK_LIST) - {"Min", "Max"})
    try:
        _write_constants_as_tensors(model)
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node) and _opset(model) < _OPSET_OF_HALF_SCALES:
            model = version_converter.convert_version(model, _OPSET_OF_HALF_SCALES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a line for each weight that is next to zero
            half = float16.convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked)
        onnx_model.OnnxModel(half).topological_sort()  # it puts its casts last
    except Exception as error:  # protobuf's exceptions have no base of their own
        raise EngineError(f"model {name}: cannot be converted to fp16: {reason(error)}") from error
    return half


def _write_constants_as_tensors(model: Any) -> None:
    """A constant may be a tensor, a float or a list of floats; the conversion knows tensors only."""
    helper = import_library("onnx.helper", "onnx", "'clearway[nvidia]'")
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name in {"value_float", "value_floats"}:
                is_list = attribute.name == "value_floats"
                floats = list(attribute.floats) if is_list else [attribute.f]
                tensor = helper.make_tensor("", 1, [len(floats)] if is_list else [], floats)
                attribute.CopyFrom(helper.make_attribute("value", tensor))


def _write_weights_as_floats(model: Any) -> None:
    """Weights that are stored as bytes become the floats that they stand for, with a Q/DQ pair behind them.

    The parser of TensorRT 8 wants to quantise weights itself; from 10 on it takes the bytes. Nothing is lost: what is
    quantised again was a whole number of steps.
    """
    numpy_helper = import_library("onnx.numpy_helper", "onnx", "'clearway[nvidia]'")
    helper = import_library("onnx.helper", "onnx", "'clearway[nvidia]'")
    stored = {entry.name: entry for entry in model.graph.initializer}
    for node in list(model.graph.node):
        weight = stored.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if weight is None:
            continue
        steps, scale = numpy_helper.to_array(weight), numpy_helper.to_array(stored[node.input[1]])
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        along = [1] * steps.ndim
        if scale.ndim:
            along[axis] = -1
        name = f"{weight.name}_float"
        model.graph.initializer.append(numpy_helper.from_array(steps * scale.reshape(along), name))
        quantised = f"{weight.name}_quantised_again"
        model.graph.node.insert(
            0, helper.make_node("QuantizeLinear", [name, *node.input[1:]], [quantised], f"{quantised}/Q", axis=axis)
        )
        node.input[0] = quantised
        model.graph.initializer.remove(weight)


def _opset(model: Any) -> int:
    return max(int(entry.version) for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
