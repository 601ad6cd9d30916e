"""The two files that calibration writes and the pipeline reads: the camera, and how it hangs over the road.

    format = "clearway-camera/1"                  format = "clearway-ground/1"
    model = "pinhole"          # or "fisheye"     height_m = 1.48
    size_hw = [720, 1280]                         pitch_rad = 0.021      # axis below the horizon
    matrix = [                                    roll_rad = -0.004      # left side up
      [1163.0, 0.0, 668.7],                       yaw_rad = 0.0          # axis to the left of the heading
      [0.0, 1158.9, 387.7],
      [0.0, 0.0, 1.0],                            [uncertainty]          # standard deviations
    ]                                             height_m = 0.02
    distortion = [-0.24, -0.03, 0.0, 0.0]         pitch_rad = 0.002
    rms_px = 0.54                                 roll_rad = 0.001

Camera files speak OpenCV's language, so that a matrix from ROS, Kalibr or OpenCV can be pasted in: there (0, 0) is the
*centre* of the upper left pixel, half a pixel away from the rest of Clearway. `CameraModel` does the change.
Unknown keys are refused, so that a misspelt one is not silently ignored.
"""

from __future__ import annotations

import datetime
import difflib
import math
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import numpy as np

from pipeline.errors import ConfigError

__all__ = [
    "CAMERA_FORMAT",
    "GROUND_FORMAT",
    "Calibration",
    "CameraFile",
    "GroundFile",
    "GroundUncertainty",
    "Pixels",
    "check_camera",
    "check_ground",
    "read_camera",
    "read_file",
    "read_ground",
]

CAMERA_FORMAT: Final = "clearway-camera/1"
GROUND_FORMAT: Final = "clearway-ground/1"

File = TypeVar("File", bound=msgspec.Struct)
Pixels = Annotated[int, msgspec.Meta(ge=16, le=65536)]
Triple = tuple[float, float, float]
Deviation = Annotated[float, msgspec.Meta(ge=0)]
_Angle = Annotated[float, msgspec.Meta(gt=-math.pi / 2, lt=math.pi / 2)]

_COEFFICIENT_COUNTS = {"pinhole": (0, 4, 5, 8), "fisheye": (0, 4)}


class CameraFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=False):
    """A camera file; the module's docstring shows one.

    Attributes:
        format: Name and version of the format.
        model: ``"pinhole"`` (Brown–Conrady) or ``"fisheye"`` (Kannala–Brandt).
        size_hw: (H, W) of the photos that it was measured with.
        matrix: Rows of the intrinsic matrix in OpenCV's pixel coordinates; no skew.
        distortion: Coefficients in OpenCV's order: none, 4, 5 or 8 of a pinhole, none or 4 of a fisheye.
        rms_px: Root mean square distance between corners and their reprojection.
        photos: How many photos it was measured from.
        date: When.
        uncertainty: Standard deviations of ``fx``, ``fy``, ``cx``, ``cy`` (pixels) and of the coefficients.
    """

    format: Literal["clearway-camera/1"] = CAMERA_FORMAT
    model: Literal["pinhole", "fisheye"]
    size_hw: tuple[Pixels, Pixels]
    matrix: tuple[Triple, Triple, Triple]
    distortion: tuple[float, ...] = ()
    rms_px: Deviation | None = None
    photos: int | None = None
    date: datetime.date | None = None
    uncertainty: dict[str, Deviation] = {}


class GroundUncertainty(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Standard deviations of a ground file's figures; ``correlation`` is that of (height, pitch, roll)."""

    height_m: Deviation = 0.0
    pitch_rad: Deviation = 0.0
    roll_rad: Deviation = 0.0
    correlation: tuple[Triple, Triple, Triple] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class GroundFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ground file; the module's docstring shows one, `geometry.CameraPose` says what the angles mean.

    Without `height_m` it tells directions, such as the horizon, and nothing in metres.
    """

    format: Literal["clearway-ground/1"] = GROUND_FORMAT
    height_m: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    pitch_rad: _Angle
    roll_rad: _Angle = 0.0
    yaw_rad: Annotated[float, msgspec.Meta(ge=-math.pi, le=math.pi)] = 0.0
    method: str | None = None
    date: datetime.date | None = None
    uncertainty: GroundUncertainty = GroundUncertainty()


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What both files say of one camera, as recordings keep it.

    Attributes:
        camera: The camera itself.
        ground: How it hung over the road; with its height.
        bonnet_m: Metres ahead that the own bonnet hid of the road.
    """

    camera: CameraFile
    ground: GroundFile
    bonnet_m: Annotated[float, msgspec.Meta(ge=0, le=20)] = 0.0


def read_file(path: Path, kind: type[File], expected_format: str) -> File:
    """Read one of Clearway's TOML files strictly.

    Args:
        path: Where it lies.
        kind: The structure that it must have, with a field ``format``.
        expected_format: The one version that can be read.

    Raises:
        ConfigError: It is missing, no TOML, of another format, or a key or value does not fit.
    """
    try:
        content = msgspec.toml.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error})") from error
    assert isinstance(content, dict)  # A TOML document is always a table.
    if content.get("format") != expected_format:
        found = f"format is {content['format']!r}" if "format" in content else "there is no key 'format'"
        raise ConfigError(f"{path}: {found}, expected {expected_format!r}")
    for key in content:
        if key not in kind.__struct_fields__:
            near = difflib.get_close_matches(key, kind.__struct_fields__, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(kind.__struct_fields__)}."
            raise ConfigError(f"{path}: unknown key {key!r}; {hint}")
    if (odd := _first_odd_number(content)) is not None:
        raise ConfigError(f"{path}: {odd} must be a finite number")
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_camera(path: Path) -> CameraFile:
    """Read a camera file, and check what its structure alone cannot say.

    Raises:
        ConfigError: As `read_file`; or the matrix is none of a camera, or the coefficients are too many or too few.
    """
    content = read_file(path, CameraFile, CAMERA_FORMAT)
    check_camera(content, path)
    return content


def check_camera(content: CameraFile, where: object) -> None:
    """See that the figures are those of a camera.

    Raises:
        ConfigError: The matrix is none of a camera, or the coefficients are too many or too few; `where` says whose.
    """
    (fx, skew, _), (below, fy, _), last = content.matrix
    if fx <= 0.0 or fy <= 0.0 or skew != 0.0 or below != 0.0 or last != (0.0, 0.0, 1.0):
        raise ConfigError(f"{where}: matrix must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0")
    allowed = _COEFFICIENT_COUNTS[content.model]
    if len(content.distortion) not in allowed:
        counts = " or ".join(str(count) for count in allowed)
        raise ConfigError(
            f"{where}: a {content.model} has {counts} distortion coefficients, not {len(content.distortion)}"
        )


def read_ground(path: Path) -> GroundFile:
    """Read a ground file, and check what its structure alone cannot say.

    Raises:
        ConfigError: As `read_file`; or the correlation is none.
    """
    content = read_file(path, GroundFile, GROUND_FORMAT)
    check_ground(content, path)
    return content


def check_ground(content: GroundFile, where: object) -> None:
    """See that the correlation is one.

    Raises:
        ConfigError: It is none of (height, pitch, roll); `where` says whose.
    """
    correlation = np.array(content.uncertainty.correlation)
    symmetric = np.allclose(correlation, correlation.T, atol=1e-6) and np.allclose(np.diag(correlation), 1.0)
    if not symmetric or np.linalg.eigvalsh(correlation).min() < -1e-6:
        raise ConfigError(f"{where}: uncertainty.correlation is no correlation of (height, pitch, roll)")


def _first_odd_number(value: Any, name: str = "") -> str | None:
    """Where the first NaN or infinity is: TOML has them, cameras do not."""
    if isinstance(value, float) and not math.isfinite(value):
        return name
    entries: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        entries = [(f"{name}.{key}" if name else str(key), entry) for key, entry in value.items()]
    elif isinstance(value, list):
        entries = [(f"{name}[{index}]", entry) for index, entry in enumerate(value)]
    return next((odd for key, entry in entries if (odd := _first_odd_number(entry, key)) is not None), None)
