"""The sidecar: a JSON file beside an ONNX file that says what the graph cannot.

    {
      "format": "clearway-model/1",
      "name": "clearway-lite",
      "input": {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
                "color_order": "rgb", "size_hw": [360, 640]},
      "classes": [{"name": "road", "color_rgb": [128, 64, 128], "train_id": 0}, ...],
      "onnx_sha256": "...",
      "int8": {"cpu": {"file": "clearway-lite.int8-cpu.onnx", "sha256": "...", "agreement": 0.97}, "tensorrt": ...}
    }

`mean` and `std` are in units of 0 to 255; `size_hw` is the size the model was made for; `int8` names the graphs that
were calibrated from this one. ``"confidence": {"scale": 1.147, "shift": -0.405}`` says how sure the model really is
(`engines.base.ConfidenceFit`); `calibrate confidence` measures it. It, `train_id`, `onnx_sha256` and `int8` may be left
out. Unknown keys are refused, so that a misspelt one is not silently ignored.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from engines.classes import VOID_ID
from engines.errors import ModelError

__all__ = [
    "Int8Target", "Sidecar", "SidecarClass", "SidecarConfidence", "SidecarGraph", "SidecarInput", "load_sidecar",
    "save_sidecar", "sha256_of", "sidecar_path",
]  # fmt: skip

Int8Target = Literal["cpu", "tensorrt"]
"""What a calibrated graph is for: they differ in what they may quantise, and how."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
_Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Divisor = Annotated[float, msgspec.Meta(gt=0)]
_Pixels = Annotated[int, msgspec.Meta(ge=1, le=16384)]
_Scale = Annotated[float, msgspec.Meta(gt=0, le=100)]
_Shift = Annotated[float, msgspec.Meta(ge=-100, le=100)]
_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class SidecarInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a picture becomes the input tensor: ``(pixel - mean) / std`` per channel, in `color_order`."""

    mean: tuple[float, float, float]
    std: tuple[_Divisor, _Divisor, _Divisor]
    color_order: Literal["rgb", "bgr"]
    size_hw: tuple[_Pixels, _Pixels]


class SidecarClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class, as in `engines.classes.SegmentationClass`."""

    name: _Name
    color_rgb: tuple[_Byte, _Byte, _Byte]
    train_id: _Byte = VOID_ID


class SidecarGraph(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A graph that computes the same in INT8.

    `agreement` is the mean IoU of its classes with those of the float graph, on pictures that it was not calibrated on.
    """

    file: _Name
    sha256: _Sha256
    agreement: Annotated[float, msgspec.Meta(ge=0, le=1)]


class SidecarConfidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How sure the model really is, as in `engines.base.ConfidenceFit`."""

    scale: _Scale
    shift: _Shift


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file; the module's docstring shows one."""

    format: Literal["clearway-model/1"] = "clearway-model/1"
    name: _Name
    input: SidecarInput
    classes: Annotated[tuple[SidecarClass, ...], msgspec.Meta(min_length=2, max_length=VOID_ID)]
    onnx_sha256: _Sha256 | None = None
    int8: dict[Int8Target, SidecarGraph] | msgspec.UnsetType = msgspec.UNSET
    confidence: SidecarConfidence | None = None


class _Versioned(msgspec.Struct):
    """The one key that is read first: a file of another version is not called a misspelt one of ours."""

    format: str


def sidecar_path(onnx_path: Path) -> Path:
    """Where the sidecar of that ONNX file lies: beside it, same stem, ``.json``."""
    return onnx_path.with_suffix(".json")


def load_sidecar(onnx_path: Path) -> Sidecar | None:
    """Read and check the sidecar of an ONNX file.

    Returns:
        The sidecar, or None where there is none.

    Raises:
        ModelError: It cannot be read, is not of the format, or belongs to another ONNX file.
    """
    path = sidecar_path(onnx_path)
    if not path.exists():
        return None
    try:
        text = path.read_bytes()
        version = msgspec.json.decode(text, type=_Versioned).format
        if version != "clearway-model/1":
            raise ModelError(f"sidecar {path}: format is {version!r}, this version reads 'clearway-model/1'")
        sidecar = msgspec.json.decode(text, type=Sidecar)
    except OSError as error:
        raise ModelError(f"cannot read the sidecar {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"sidecar {path}: {error}") from error
    names = [entry.name for entry in sidecar.classes]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(f"sidecar {path}: class {twice[0]!r} is listed twice")
    if sidecar.onnx_sha256 not in {None, sha256_of(onnx_path)}:
        raise ModelError(f"sidecar {path} belongs to another file: its onnx_sha256 is not that of {onnx_path.name}")
    return sidecar


def save_sidecar(onnx_path: Path, sidecar: Sidecar) -> Path:
    """Write the sidecar of an ONNX file that is already written, and put that file's SHA-256 in it.

    Returns:
        The path of the sidecar.
    """
    sealed = msgspec.structs.replace(sidecar, onnx_sha256=sha256_of(onnx_path))
    path = sidecar_path(onnx_path)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(sealed), indent=2) + b"\n")
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
