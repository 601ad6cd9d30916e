"""INT8 graphs of a model: its activations measured once, two graphs written.

Both are affine (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018), with Q/DQ nodes and one scale for each output channel of a weight (Krishnamoorthi, "Quantizing
deep convolutional networks for efficient inference", 2018). No one graph serves all:

- ``cpu``: activations uint8, asymmetric; weights int8 in 7 bits. Processors without VNNI add pairs of products in 16
  bits, which 8-bit weights overflow; with 7 bits they cannot, and every processor computes the same.
- ``tensorrt``: activations and weights int8, symmetric, zero point 0, which is all that TensorRT takes; only
  convolutions, and no biases.

The first and the last layer stay in floats: the picture has 8 bits already, and what the last one rounds nothing mends.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engines.artifact import ModelArtifact
from engines.base import Tensor
from engines.checked import import_library, reason
from engines.sidecar import Int8Target
from pipeline.errors import ConfigError

__all__ = ["METHODS", "Method", "RangeMeasurement", "agreement", "classes_of", "quantize"]

Method = Literal["minmax", "percentile", "entropy"]
"""How far a range reaches: to the extremes; to 99.99 % of the values; to where the least information is lost."""

METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy")

_QUANTISED_NODES = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger"}
_CPU_OPERATORS = ("Conv", "Add", "Clip", "Relu", "Resize", "GlobalAveragePool", "MaxPool", "Concat")
_PERCENTILE = 99.99


class RangeMeasurement:
    """The ranges of all activations of a model.

    Args:
        artifact: A model in floats.
        tensors: What it is calibrated on, each (1, 3, H, W) as the network wants it; gone through once.
        method: How far a range reaches.

    Raises:
        ConfigError: The model is quantised already, or has nothing to quantise; or `onnx` is not installed.
    """

    def __init__(self, artifact: ModelArtifact, tensors: Iterator[Tensor], method: Method) -> None:
        onnx = _import_onnx()
        self.model = _prepare(onnx, artifact)
        self.kept_in_float = _ends(self.model.graph)
        with tempfile.TemporaryDirectory(prefix="clearway-int8-") as folder, _quiet():
            self.ranges = _measure(onnx, self.model, Path(folder), _Feed(artifact.input_name, tensors), method)


class _Feed:
    """What `onnxruntime.quantization` reads its data from."""

    def __init__(self, input_name: str, tensors: Iterator[Tensor]) -> None:
        self._feeds = ({input_name: tensor} for tensor in tensors)

    def get_next(self) -> dict[str, Tensor] | None:
        return next(self._feeds, None)

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> dict[str, Tensor]:
        return next(self._feeds)


def quantize(measured: RangeMeasurement, target: Int8Target, *, weight_bits: int = 7) -> bytes:
    """The model in INT8, as an ONNX file.

    Args:
        measured: Of the model.
        target: What the graph is for.
        weight_bits: Of the weights for processors, 7 or 8; those for TensorRT have 8.
    """
    import copy

    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    symmetric = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": ["Conv"],
    }
    for_cpu = target == "cpu"
    with _quiet():
        quantizer = QDQQuantizer(
            copy.deepcopy(measured.model),
            per_channel=True,
            reduce_range=for_cpu and weight_bits == 7,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8 if for_cpu else QuantType.QInt8,
            tensors_range=measured.ranges,
            nodes_to_quantize=[],
            nodes_to_exclude=list(measured.kept_in_float),
            op_types_to_quantize=list(_CPU_OPERATORS) if for_cpu else ["Conv"],
            extra_options={} if for_cpu else symmetric,
        )
        quantizer.quantize_model()
    content: bytes = quantizer.model.model.SerializeToString()
    return content


def _import_onnx() -> Any:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ConfigError("calibrating needs onnx, which is not installed: pip install 'clearway[int8]'") from error
    return onnx


def _prepare(onnx: Any, artifact: ModelArtifact) -> Any:
    """The graph with shapes inferred, constants folded and normalisation inside the convolutions."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    kinds = {node.op_type for node in onnx.load(artifact.path, load_external_data=False).graph.node}
    if kinds & _QUANTISED_NODES:
        raise ConfigError(f"model {artifact.path}: is in INT8 already; give the float model that it came from")
    if "Conv" not in kinds:
        raise ConfigError(f"model {artifact.path}: has no convolution, which is what is quantised")
    with tempfile.TemporaryDirectory(prefix="clearway-int8-") as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        try:
            quant_pre_process(str(artifact.path), str(prepared), skip_symbolic_shape=True)
        except Exception as error:  # its exceptions have no common base
            raise ConfigError(f"model {artifact.path}: cannot be prepared for INT8: {reason(error)}") from error
        return onnx.load(prepared)


def _ends(graph: Any) -> tuple[str, ...]:
    """The convolutions that take the picture, and those that give the logits."""
    ins, outs = {entry.name for entry in graph.input}, {entry.name for entry in graph.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return tuple(node.name for node in convolutions if node.input[0] in ins or node.output[0] in outs)


def _measure(onnx: Any, model: Any, folder: Path, feed: _Feed, method: Method) -> Any:
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    source = folder / "model.onnx"
    onnx.save(model, source)
    methods = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    calibrator = create_calibrator(
        source,
        list(_CPU_OPERATORS),
        augmented_model_path=str(folder / "measured.onnx"),
        calibrate_method=methods[method],
        extra_options={"percentile": _PERCENTILE, "symmetric": False} if method == "percentile" else {},
    )
    calibrator.collect_data(feed)
    return calibrator.compute_data()


def classes_of(graph: bytes | Path, artifact: ModelArtifact, tensors: Sequence[Tensor], *, exactly: bool) -> Tensor:
    """The winning class of every cell of the logits, by ONNX Runtime: (n, h, w), for tensors of one shape.

    Args:
        graph: An ONNX file, or its content.
        artifact: The model; its tensors have these names.
        tensors: (1, 3, H, W) each.
        exactly: Node by node as the graph says. Optimised, symmetric int8 goes through kernels whose sums overflow on
            processors without VNNI.
    """
    ort = import_library("onnxruntime", "ONNX Runtime", "onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if exactly:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    source = graph if isinstance(graph, bytes) else str(graph)
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    logits = (session.run([artifact.output_name], {artifact.input_name: tensor})[0][0] for tensor in tensors)
    return np.stack([picture.argmax(0) for picture in logits])


def agreement(found: NDArray[Any], wanted: NDArray[Any]) -> tuple[float, float]:
    """How far two class maps agree: the share of equal cells, and the mean IoU over the classes that occur."""
    count = int(max(found.max(), wanted.max())) + 1
    confusion = np.bincount((wanted.astype(np.int64) * count + found).ravel(), minlength=count * count)
    confusion = confusion.reshape(count, count)
    both = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - both
    occurs = union > 0
    return float(both.sum() / confusion.sum()), float((both[occurs] / union[occurs]).mean())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the tools print and warn of: none of it is for those who calibrate."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
