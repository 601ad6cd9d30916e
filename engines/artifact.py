"""A *model*: an ONNX file, and what is known about it.

The graph itself says the names and shapes of its tensors; the sidecar (`engines.sidecar`) says the rest. Where
there is no sidecar, defaults are assumed, and every one of them is said in `ModelArtifact.notes`.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engines.base import ConfidenceFit, ModelSpec
from engines.classes import CITYSCAPES, SegmentationClass
from engines.errors import EngineError, ModelError
from engines.graph import Dims, Graph, dims_text, read_graph
from engines.sidecar import (
    Int8Target,
    Sidecar,
    SidecarClass,
    SidecarGraph,
    SidecarInput,
    load_sidecar,
    sha256_of,
    sidecar_path,
)  # fmt: skip

__all__ = ["LEAST_AGREEMENT", "MODELS_FOLDER", "ModelArtifact", "find_model", "int8_path", "load_artifact"]

MODELS_FOLDER = Path(__file__).resolve().parent.parent / "models"
"""Where the models lie that can be asked for by name: beside the packages, in the project as in the wheel."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
DEFAULT_SIZE_HW = (360, 640)

LEAST_AGREEMENT = 0.8
"""An INT8 graph whose classes agree less with the float graph's (mean IoU) is only taken where it is asked for."""


@dataclass(frozen=True, slots=True)
class ModelArtifact:
    """A model that was looked at and found fit to be opened by an engine.

    Attributes:
        path: The ONNX file.
        name: Its short name, for instance ``"clearway-lite"``.
        mean: Per-channel mean subtracted from the input, in units of 0 to 255, in `color_order`.
        std: Per-channel divisor after that, same units and order.
        color_order: Order of the input's channels.
        default_size_hw: (H, W) the model was made for.
        classes: The classes, in the order of the logits' channels.
        input_name: Name of the graph's one input.
        input_dims: Its (N, C, H, W); None where the graph leaves the size open.
        input_dim_names: What the graph calls its open sizes, "" for one that is fixed or has no name.
        output_name: Name of the graph's one output, the logits (N, K, h, w).
        confidence: How sure it really is; None where nobody has measured that.
        notes: Every default that was assumed, one line each, to be shown to the user.
        int8: The INT8 graphs that the sidecar names; None where there is no sidecar.
    """

    path: Path
    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    color_order: Literal["rgb", "bgr"]
    default_size_hw: tuple[int, int]
    classes: tuple[SegmentationClass, ...]
    input_name: str
    input_dims: Dims
    input_dim_names: tuple[str, str, str, str]
    output_name: str
    confidence: ConfidenceFit | None = None
    notes: tuple[str, ...] = ()
    int8: Mapping[Int8Target, SidecarGraph] | None = None

    @property
    def int8_keeps_accuracy(self) -> bool:
        """Whether there is an INT8 graph for processors that may stand in for this one without being asked for."""
        named = (self.int8 or {}).get("cpu")
        return named is not None and named.agreement >= LEAST_AGREEMENT and int8_path(self.path, "cpu").is_file()

    def int8_graph(self, target: Int8Target) -> Path:
        """The INT8 graph that was calibrated from this model.

        Raises:
            EngineError: There is none beside it, or it was calibrated from other weights.
        """
        path = int8_path(self.path, target)
        if not path.is_file():
            raise EngineError(
                f"int8 needs the calibrated graph {path.name} beside the model, which is not there; "
                "`calibrate int8` makes it"
            )
        named = None if self.int8 is None else self.int8.get(target)
        if self.int8 is not None and (named is None or named.sha256 != sha256_of(path)):
            raise EngineError(
                f"{path.name} is not the graph that {sidecar_path(self.path).name} names, so not of these weights; "
                "`calibrate int8` makes a new one"
            )
        return path

    def input_shape(self, size_hw: tuple[int, int], batch: int = 1) -> tuple[int, int, int, int]:
        """The (N, C, H, W) to open the model with.

        Raises:
            ModelError: The graph is fixed to another size or batch.
        """
        wanted = (batch, 3, *size_hw)
        if min(wanted) < 1:
            raise ModelError(f"model {self.name}: there is no input of batch {batch} and size {size_hw}")
        if any(dim not in {None, want} for dim, want in zip(self.input_dims, wanted, strict=True)):
            raise ModelError(f"model {self.name} is fixed to an input of {dims_text(self.input_dims)}, not to {wanted}")
        return wanted

    def spec(self, input_shape: tuple[int, int, int, int], output_shape: tuple[int, ...]) -> ModelSpec:
        """The model as an engine has opened it.

        Raises:
            ModelError: The output it found is not (N, K, h, w) with one channel for each class.
        """
        if len(output_shape) != 4 or output_shape[:2] != (input_shape[0], len(self.classes)):
            raise ModelError(
                f"model {self.name}: an input of {input_shape} gives an output of {tuple(output_shape)}, "
                f"not ({input_shape[0]}, {len(self.classes)}, h, w) as its {len(self.classes)} classes need"
            )
        return ModelSpec(
            name=self.name,
            path=self.path,
            input_shape=input_shape,
            output_shape=(output_shape[0], output_shape[1], output_shape[2], output_shape[3]),
            mean=self.mean,
            std=self.std,
            color_order=self.color_order,
            classes=self.classes,
            confidence=self.confidence,
        )


def int8_path(model: Path, target: Int8Target) -> Path:
    """Where the INT8 graph of a model lies: beside it, ``NAME.int8-cpu.onnx`` or ``NAME.int8-tensorrt.onnx``."""
    return model.with_name(f"{model.stem}.int8-{target}.onnx")


def find_model(name_or_path: str | Path) -> Path:
    """The ONNX file of that name in the `models` folder, or at that path.

    Args:
        name_or_path: A name such as ``clearway-lite``; or a path, which ends in ``.onnx`` or has a separator.

    Raises:
        ModelError: There is none; the message lists the names there are.
    """
    text = str(name_or_path)
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, Path) or path.suffix.lower() == ".onnx" or "/" in text or "\\" in text:
        if path.is_file():
            return path
        raise ModelError(f"model {path}: {'is not a file' if path.exists() else 'no such file'}")
    named = MODELS_FOLDER / f"{text}.onnx"
    if named.is_file():
        return named
    models = (entry.stem for entry in MODELS_FOLDER.glob("*.onnx") if ".int8-" not in entry.name)
    names = ", ".join(sorted(models)) or "none"
    raise ModelError(f"no model is called {text!r}; there are: {names}; or give the path of an .onnx file")


def load_artifact(path: str | Path) -> ModelArtifact:
    """Read what an ONNX file and its sidecar say, and check that they agree. Nothing is compiled yet.

    Args:
        path: The ONNX file. Its sidecar, where there is one, lies beside it with the suffix ``.json``.

    Raises:
        ModelError: The file is missing, damaged, or no network of the kind that turns one float32 picture
            (N, 3, H, W) into float32 logits (N, K, h, w); or the sidecar is wrong or disagrees with it.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise ModelError(f"model {path}: not an .onnx file; export the network to ONNX first")
    graph = read_graph(path)
    sidecar = load_sidecar(path)
    notes: tuple[str, ...] = ()
    named_int8: Mapping[Int8Target, SidecarGraph] | None = None
    if sidecar is None:
        sidecar, notes = _assume(path, graph)
    else:
        _check_agreement(path, graph, sidecar)
        named_int8 = {} if sidecar.int8 is msgspec.UNSET else sidecar.int8
    return ModelArtifact(
        path=path,
        name=sidecar.name,
        mean=sidecar.input.mean,
        std=sidecar.input.std,
        color_order=sidecar.input.color_order,
        default_size_hw=sidecar.input.size_hw,
        classes=tuple(SegmentationClass(entry.name, entry.color_rgb, entry.train_id) for entry in sidecar.classes),
        input_name=graph.input_name,
        input_dims=graph.input_dims,
        input_dim_names=graph.input_dim_names,
        output_name=graph.output_name,
        confidence=None if sidecar.confidence is None else ConfidenceFit(**msgspec.structs.asdict(sidecar.confidence)),
        notes=notes,
        int8=named_int8,
    )


def _check_agreement(path: Path, graph: Graph, sidecar: Sidecar) -> None:
    where = f"sidecar {sidecar_path(path)} disagrees with {path.name}"
    if graph.class_count not in {None, len(sidecar.classes)}:
        raise ModelError(f"{where}: it names {len(sidecar.classes)} classes, the graph has {graph.class_count}")
    fixed = graph.input_dims[2:]
    if any(size not in {None, said} for size, said in zip(fixed, sidecar.input.size_hw, strict=True)):
        raise ModelError(f"{where}: its size_hw is {sidecar.input.size_hw}, the graph is fixed to {dims_text(fixed)}")


def _assume(path: Path, graph: Graph) -> tuple[Sidecar, tuple[str, ...]]:
    """The sidecar that is assumed where there is none, and what the user is told of it."""
    missing = sidecar_path(path).name
    if graph.class_count is None:
        raise ModelError(f"model {path}: the graph does not say how many classes it has; name them in {missing}")
    classes, said = _assumed_classes(graph.class_count)
    notes = [f"no sidecar {missing} beside the model: assuming ImageNet's mean and deviation, and RGB", said]
    height, width = graph.input_dims[2:]
    size_hw = (height or DEFAULT_SIZE_HW[0], width or DEFAULT_SIZE_HW[1])
    if size_hw != (height, width):
        notes.append(f"the graph leaves the input size open: assuming {size_hw[1]}x{size_hw[0]}")
    picture = SidecarInput(mean=IMAGENET_MEAN, std=IMAGENET_STD, color_order="rgb", size_hw=size_hw)
    return Sidecar(name=path.stem, input=picture, classes=classes), tuple(notes)


def _assumed_classes(count: int) -> tuple[tuple[SidecarClass, ...], str]:
    if count == len(CITYSCAPES):
        cityscapes = tuple(SidecarClass(entry.name, entry.color_rgb, entry.train_id) for entry in CITYSCAPES)
        return cityscapes, "19 classes: assuming those of Cityscapes, in the order of its trainIds"
    nameless = tuple(SidecarClass(f"class {index}", _distinct_color(index)) for index in range(count))
    return nameless, f"{count} classes without names: calling them class 0 to class {count - 1}"


def _distinct_color(index: int) -> tuple[int, int, int]:
    # Steps of the golden ratio never come back to a hue, and keep any number of them well apart.
    hue = index * 0.6180339887 % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.4 * (index % 2), 0.95 - 0.25 * (index % 3 == 2))
    return round(red * 255), round(green * 255), round(blue * 255)
