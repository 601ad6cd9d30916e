"""What an ONNX graph says of its one input and its one output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engines.checked import import_library, reason
from engines.classes import VOID_ID
from engines.errors import ModelError

__all__ = ["Dims", "Graph", "dims_text", "read_graph"]

_T = TypeVar("_T")

Dims = tuple[int | None, int | None, int | None, int | None]
"""(N, C, H, W) of a tensor of the graph; None where the graph leaves the size open."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph that turns one float32 picture (N, 3, H, W) into float32 logits (N, K, h, w).

    Attributes:
        input_name: Name of its one input.
        input_dims: (N, C, H, W) of the input; None where the graph leaves the size open.
        input_dim_names: What the graph calls its open sizes, "" for one that is fixed or has no name.
        output_name: Name of its one output.
        class_count: K, or None where the graph leaves it open.
    """

    input_name: str
    input_dims: Dims
    input_dim_names: tuple[str, str, str, str]
    output_name: str
    class_count: int | None


def read_graph(path: Path) -> Graph:
    """Look at an ONNX file, without compiling it and without the `onnx` package.

    ONNX Runtime is the lightest reader at hand: a session without optimisation checks the whole file and infers the
    shapes within milliseconds, starts no thread and, from version 1.24 on, confines external weights to the folder.

    Raises:
        ModelError: The file is missing or damaged, or its network is of another kind.
    """
    if not path.is_file():
        raise ModelError(f"model {path}: {'is not a file' if path.exists() else 'no such file'}")
    if path.stat().st_size == 0:
        raise ModelError(f"model {path}: the file is empty")
    ort = import_library("onnxruntime", "ONNX Runtime", "onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
        inputs = [_Node(node.name, node.type, node.shape) for node in session.get_inputs()]
        outputs = [_Node(node.name, node.type, node.shape) for node in session.get_outputs()]
    except Exception as error:  # its exceptions have no common base of their own
        raise ModelError(f"model {path}: damaged, or not an ONNX file: {reason(error)}") from error
    image = _only(path, "input", inputs)
    logits = _only(path, "output", outputs)
    return Graph(
        input_name=image.name,
        input_dims=_input_dims(path, image),
        input_dim_names=_four([size if isinstance(size, str) else "" for size in image.shape]),
        output_name=logits.name,
        class_count=_class_count(path, logits),
    )


def dims_text(dims: tuple[int | None, ...] | list[int | str | None]) -> str:
    """Sizes for people: ``(N, 3, 360, ?)``, with ? for one that is open and has no name."""
    return f"({', '.join('?' if size is None else str(size) for size in dims)})"


@dataclass(frozen=True, slots=True)
class _Node:
    """What ONNX Runtime tells of an input or an output."""

    name: str
    type: str
    shape: list[int | str | None]


def _only(path: Path, role: str, nodes: list[_Node]) -> _Node:
    if len(nodes) != 1:
        names = ", ".join(node.name for node in nodes)
        raise ModelError(f"model {path}: one {role} is needed, the graph has {len(nodes)}: {names}")
    node = nodes[0]
    if node.type != "tensor(float)":
        hint = "; export the logits, without argmax" if role == "output" and "int" in node.type else ""
        raise ModelError(f"model {path}: {role} {node.name!r} is {node.type}, not float32{hint}")
    return node


def _input_dims(path: Path, image: _Node) -> Dims:
    sizes = [size if isinstance(size, int) else None for size in image.shape]
    if len(sizes) != 4 or sizes[1] not in {3, None}:
        raise ModelError(f"model {path}: input {image.name!r} is {dims_text(image.shape)}, (N, 3, H, W) is needed")
    return _four(sizes)


def _class_count(path: Path, logits: _Node) -> int | None:
    if len(logits.shape) != 4:
        raise ModelError(f"model {path}: output {logits.name!r} is {dims_text(logits.shape)}, (N, K, h, w) is needed")
    count = logits.shape[1]
    if not isinstance(count, int):
        return None
    if not 2 <= count <= VOID_ID:
        raise ModelError(f"model {path}: output {logits.name!r} has {count} channels, not 2 to {VOID_ID} classes")
    return count


def _four(items: list[_T]) -> tuple[_T, _T, _T, _T]:
    first, second, third, fourth = items
    return first, second, third, fourth
