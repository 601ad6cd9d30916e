"""What can be set for a run: defaults, then a TOML file, then flags. Unknown keys are refused."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec

from engines.base import Precision
from engines.factory import EngineKind
from pipeline.errors import ConfigError
from pipeline.geometry import RoadView
from pipeline.geometry.calibration_files import Calibration, read_camera, read_ground
from pipeline.sources.base import Decode

if TYPE_CHECKING:
    from pipeline.instances import InstanceDatabase

__all__ = [
    "EngineConfig",
    "Metres",
    "ReplayConfig",
    "Seconds",
    "load_calibration",
    "load_config",
    "load_view",
    "open_instances",
    "parse_size",
]

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Metres = Annotated[float, msgspec.Meta(ge=0, le=20)]
Config = TypeVar("Config", bound="EngineConfig")


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model sees, and how: what every run has in common.

    Attributes:
        model: Name of a shipped model, or path of an ONNX file.
        engine: Which inference library; ``"auto"`` takes the fastest that opens.
        precision: Arithmetic of the engine; ``"auto"``: FP16 in TensorRT; on processors INT8 where the model has a
            calibrated graph, else BF16 where they have it, else FP32.
        size: Network input ``[height, width]`` in pixels; empty fits it to the pictures.
        threads: Engine threads; 0 takes one for each physical core that this process may use.
        smoothing: Whether frames steady the classes of those after them; ``"auto"`` does so for video, and sees still
            images one by one.
        tracking: Whether road users keep their ids from frame to frame, and alerts their hysteresis; ``"auto"`` does so
            for video, and lets still images stand for themselves.
        corridor_width: Metres of road that the vehicle needs, with some room to either side.
        instances: Database that road users are recognised with, and entered into; "" for none.
    """

    model: str = "clearway-lite"
    engine: EngineKind = "auto"
    precision: Precision = "auto"
    size: Annotated[list[PositiveInt], msgspec.Meta(max_length=2)] = []
    threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    smoothing: Literal["auto", "on", "off"] = "auto"
    tracking: Literal["auto", "on", "off"] = "auto"
    corridor_width: Annotated[float, msgspec.Meta(ge=0.5, le=10)] = 2.2
    instances: str = ""

    @property
    def size_hw(self) -> tuple[int, int] | None:
        """`size` as (H, W), or None where it is to be chosen."""
        return (self.size[0], self.size[1]) if self.size else None

    def check(self, where: str) -> None:
        """See that the values fit together.

        Raises:
            ConfigError: They do not; `where` says whose they are.
        """
        if len(self.size) == 1:
            raise ConfigError(f"{where}: size needs both height and width, got {self.size}")
        if self.instances and self.tracking == "off":
            raise ConfigError(f"{where}: instances are recognised by what several frames show; that needs tracking")


class ReplayConfig(EngineConfig, frozen=True, forbid_unknown_fields=True):
    """Settings of a replay; the keys of its TOML file.

    Attributes:
        decode: What decodes a video: the CPU, or ``"nvdec"``, the decoder of an NVIDIA GPU.
        start: Seconds into the recording to start at.
        end: Seconds into the recording to end at; None for its end.
        pace: Play at the recording's own speed instead of as fast as possible.
        camera: What `calibrate camera` wrote of the camera; with it and `ground` scenes are in metres too.
        ground: What `calibrate ground` wrote.
        bonnet: Metres ahead that the own bonnet hides of the road.
        birdseye: Whether the overlay shows the road from above too, where it is known in metres.
    """

    decode: Decode = "cpu"
    start: Seconds = 0.0
    end: Seconds | None = None
    pace: bool = False
    camera: str = ""
    ground: str = ""
    bonnet: Metres = 0.0
    birdseye: bool = True

    def check(self, where: str) -> None:
        """See that the values fit together."""
        super().check(where)
        if self.end is not None and self.end <= self.start:
            raise ConfigError(f"{where}: the end ({self.end:g} s) must come after the start ({self.start:g} s)")


def load_config(kind: type[Config], file: Path | None, flags: Mapping[str, Any]) -> Config:
    """Defaults, overridden by a file, overridden by flags.

    Args:
        kind: Which settings.
        file: A TOML file, or None.
        flags: Values from the command line; None means that the flag was not given.

    Raises:
        ConfigError: The file is missing or no TOML, or a key is unknown, or a value does not fit.
    """
    settings = _read(file) if file is not None else {}
    where = str(file) if file is not None else "options"
    _convert(kind, settings, where)
    settings.update({key: value for key, value in flags.items() if value is not None})
    config = _convert(kind, settings, where)
    config.check(where)
    return config


def load_view(camera: str, ground: str, size_hw: tuple[int, int] | None = None) -> RoadView | None:
    """The camera over the road, from the two files that calibration writes; None where neither is named.

    Args:
        camera: Path of the camera file, or "".
        ground: Path of the ground file, or "".
        size_hw: (H, W) of the pictures, where it is known already: the camera is then seen to fit them.

    Raises:
        ConfigError: A file cannot be read or does not fit, only one is named, or pictures have another shape.
    """
    if not camera and not ground:
        return None
    if not ground:
        raise ConfigError(
            f"{camera}: a camera alone tells no metres; add --ground ground.toml, which "
            "`calibrate ground RECORDING --camera camera.toml --height-m H` writes"
        )
    if not camera:
        raise ConfigError(
            f"{ground}: the ground alone tells no metres; add --camera camera.toml, which "
            "`calibrate camera PHOTOS` writes"
        )
    view = RoadView.load(Path(camera), Path(ground))
    if size_hw is not None:
        try:
            return view.scaled_to(size_hw)
        except ConfigError as error:
            raise ConfigError(f"{camera}: {error}") from error
    return view


def load_calibration(camera: str, ground: str, bonnet_m: float = 0.0) -> Calibration | None:
    """The same two files as they are, for a recording to keep; None where neither is named.

    Raises:
        ConfigError: A file cannot be read or does not fit.
    """
    if not camera and not ground:
        return None
    return Calibration(camera=read_camera(Path(camera)), ground=read_ground(Path(ground)), bonnet_m=bonnet_m)


def open_instances(path: str, stack: ExitStack) -> InstanceDatabase | None:
    """The database of known road users, created if need be and closed with the stack; None where none is named.

    Raises:
        ConfigError: That is no database of ours, or it is in use.
        SinkError: It cannot be created, read or written.
    """
    if not path:
        return None
    from pipeline.instances import InstanceDatabase

    return stack.enter_context(InstanceDatabase(Path(path)))


def parse_size(text: str) -> list[int]:
    """``"360x640"`` → [360, 640], as argparse wants it: height first, as in every shape of ours.

    Raises:
        argparse.ArgumentTypeError: It is no such text.
    """
    height, separator, width = text.lower().partition("x")
    if not (separator and height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, for instance 360x640")
    return [int(height), int(width)]


def _convert(kind: type[Config], settings: Mapping[str, Any], where: str) -> Config:
    known = kind.__struct_fields__
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
    try:
        return msgspec.convert(settings, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        settings = msgspec.toml.decode(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML ({error})") from error
    assert isinstance(settings, dict)  # A TOML document is always a table.
    return settings
