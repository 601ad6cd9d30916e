"""`synthetic://drive?frames=300&seed=1`: the rendered street as a recording."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from pipeline.errors import ConfigError
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.scene import BgrImage, Frame
from pipeline.sources.base import SourceInfo

if TYPE_CHECKING:
    from pipeline.synthetic import SyntheticDrive
    from pipeline.synthetic.camera import SyntheticCamera

__all__ = ["SyntheticSource", "open_synthetic", "road_view_of"]

_EXAMPLE = "synthetic://drive?frames=300&seed=1&size=640x360&fps=30"
_MAX_FRAMES = 100_000
_THREADS = 2
_SIDE_RANGE_PX = (64, 4096)


class SyntheticSource:
    """Renders a `SyntheticDrive` frame by frame. Implements `pipeline.sources.base.Source`.

    Attributes:
        drive: The drive, for those who want its truth.
    """

    def __init__(self, uri: str, drive: SyntheticDrive) -> None:
        self._uri = uri
        self.drive = drive

    @property
    def info(self) -> SourceInfo:
        """What will be rendered."""
        height, width = self.drive.size_hw
        rate = self.drive.frame_rate_hz
        return SourceInfo(
            uri=self._uri,
            description=f"rendered street, seed {self.drive.seed}, {width}x{height}, {rate:g} Hz",
            size_hw=self.drive.size_hw,
            frame_count=self.drive.frame_count,
            frame_rate_hz=rate,
            has_views=True,
        )

    def frames(self) -> Iterator[Frame]:
        """Every frame, rendered when it is asked for."""
        for index in range(self.drive.frame_count):
            rendered = self.drive.render(index)

            def to_bgr(image: BgrImage = rendered.image) -> BgrImage:
                return image

            yield Frame(
                index=index,
                source_time_s=rendered.time_s,
                captured_at_s=time.monotonic(),
                size_hw=self.drive.size_hw,
                to_bgr=to_bgr,
                view=road_view_of(rendered.camera, self.drive.size_hw),
            )

    def close(self) -> None:
        """End the drawing threads."""
        self.drive.close()


def road_view_of(camera: SyntheticCamera, size_hw: tuple[int, int]) -> RoadView:
    """The rendered camera at one moment, as geometry knows cameras; exact, and so without any deviation."""
    pose = CameraPose(camera.height_m, camera.pitch_rad, camera.roll_rad, camera.yaw_rad)
    return RoadView(_camera_model(size_hw, camera.fx, camera.fy, camera.cx, camera.cy), pose)


@lru_cache(maxsize=4)
def _camera_model(size_hw: tuple[int, int], fx: float, fy: float, cx: float, cy: float) -> CameraModel:
    """One for all frames: it keeps what its lens is computed from."""
    return CameraModel(size_hw, fx, fy, cx, cy)


def open_synthetic(uri: str) -> SyntheticSource:
    """Open ``synthetic://drive`` with its options ``frames``, ``seed``, ``size`` and ``fps``.

    Raises:
        ConfigError: Another name than ``drive``, an unknown option, or a value that cannot be used.
    """
    parts = urlsplit(uri)
    if parts.scheme != "synthetic" or parts.netloc != "drive" or parts.path not in {"", "/"} or parts.fragment:
        raise ConfigError(f"{uri}: there is only synthetic://drive; write for instance {_EXAMPLE}")
    options = {"frames": "300", "seed": "1", "size": "640x360", "fps": "30"}
    given = parse_qsl(parts.query, keep_blank_values=True)
    for key, value in given:
        if key not in options:
            raise ConfigError(f"{uri}: unknown option {key!r}; known are {', '.join(options)}, as in {_EXAMPLE}")
        options[key] = value
    if len({key for key, _ in given}) < len(given):
        raise ConfigError(f"{uri}: an option is given twice; keep one of them")

    from pipeline.synthetic import SyntheticDrive

    drive = SyntheticDrive(
        seed=_whole(uri, "seed", options["seed"], 0, 2**31 - 1),
        frame_count=_whole(uri, "frames", options["frames"], 1, _MAX_FRAMES),
        size_hw=_size(uri, options["size"]),
        frame_rate_hz=_rate(uri, options["fps"]),
        threads=_THREADS,
    )
    return SyntheticSource(uri, drive)


def _whole(uri: str, key: str, text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
        raise ConfigError(f"{uri}: {key}={text} must be a whole number from {low} to {high}")
    return int(text)


def _size(uri: str, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    low, high = _SIDE_RANGE_PX
    if match is None or not all(low <= int(side) <= high for side in match.groups()):
        raise ConfigError(
            f"{uri}: size={text} must be WIDTHxHEIGHT in pixels, each from {low} to {high}, as in 640x360"
        )
    return int(match[2]), int(match[1])


def _rate(uri: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.1 <= rate <= 1000.0:
        raise ConfigError(f"{uri}: fps={text} must be a number of frames per second from 0.1 to 1000")
    return rate
