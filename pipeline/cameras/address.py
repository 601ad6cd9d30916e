"""From what the user typed to which camera is meant, and how it is to be set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from pipeline.errors import ConfigError

__all__ = [
    "ADDRESSES",
    "CameraConfig",
    "CameraDecode",
    "CameraKind",
    "Flip",
    "calibrate_cameras",
    "camera_kind",
    "is_camera",
    "name_cameras",
    "playback_address",
    "redacted",
]

ADDRESSES = (
    "v4l2:///dev/video0 (also /dev/video0, 0), csi://0, rtsp://…, http://… (MJPEG), a gst-launch pipeline, "
    "drive.mp4?loop, synthetic://drive"
)
"""The cameras there are, for help texts and messages."""

CameraKind = Literal["v4l2", "csi", "gstreamer", "rtsp", "http", "playback"]
CameraDecode = Literal["cpu", "nvdec", "nvv4l2"]
"""What decodes a network camera's stream: the CPU; an NVIDIA GPU; a Jetson's hardware, through GStreamer."""
Flip = Literal["none", "rotate-180", "horizontal", "vertical", "clockwise", "counterclockwise"]

_KIND_OF_SCHEME: dict[str, CameraKind] = {
    "v4l2": "v4l2", "csi": "csi", "rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http",
    "synthetic": "playback",
}  # fmt: skip
_ENDLESS_FRAMES = 900
_NAMED = re.compile(r"([A-Za-z][\w-]{0,31})=(.+)", re.DOTALL)
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


class CameraConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One camera: a table ``[[cameras]]`` of a configuration file, or a URI and the flags of the command line.

    Attributes:
        uri: Where it is; see `ADDRESSES`.
        name: What it is called in scenes, files and on the page; "" takes camera-1, camera-2, …
        size: ``[height, width]`` to ask the camera for; empty takes its own. Network cameras set their size themselves.
        rate: Frames a second to ask the camera for; 0 takes its own.
        flip: How to turn its pictures.
        codec: What a V4L2 camera is to send: "mjpeg", "yuyv422", "h264", …; "" takes its own.
        transport: How an RTSP stream comes. TCP loses nothing and may lag; UDP is never late and may lose.
        camera: What `calibrate camera` wrote of it; with it and `ground` its scenes are in metres too.
        ground: What `calibrate ground` wrote of it.
        bonnet: Metres ahead that the own bonnet hides of the road.
    """

    uri: str
    name: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9][\w-]{0,31})?$")] = ""
    size: Annotated[list[Annotated[int, msgspec.Meta(ge=1)]], msgspec.Meta(max_length=2)] = []
    rate: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    flip: Flip = "none"
    codec: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]*$")] = ""
    transport: Literal["tcp", "udp"] = "tcp"
    camera: str = ""
    ground: str = ""
    bonnet: Annotated[float, msgspec.Meta(ge=0, le=20)] = 0.0


def camera_kind(uri: str) -> CameraKind:
    """Which kind of camera an address means.

    Raises:
        ConfigError: None that is known.
    """
    if re.fullmatch(r"\d{1,3}", uri) or uri.startswith("/dev/"):
        return "v4l2"
    if " ! " in uri:
        return "gstreamer"
    scheme, separator, _ = uri.partition("://")
    if separator and scheme.lower() in _KIND_OF_SCHEME:
        return _KIND_OF_SCHEME[scheme.lower()]
    if separator and scheme != "file":
        raise ConfigError(f"{uri}: no camera is known by {scheme}://; known are {ADDRESSES}")
    return "playback"


def is_camera(uri: str) -> bool:
    """Whether an argument after the first names a camera rather than an output.

    A bare file name may be either: it is a camera when it says so with ``?loop``.
    """
    named = _NAMED.fullmatch(uri)
    if named is not None and is_camera(named[2]):
        return True
    if re.fullmatch(r"\d{1,3}", uri) or uri.startswith("/dev/video") or " ! " in uri:
        return True
    scheme, separator, _ = uri.partition("://")
    return bool(separator and scheme.lower() in _KIND_OF_SCHEME) or uri.endswith("?loop")


def name_cameras(cameras: list[CameraConfig]) -> list[CameraConfig]:
    """The same cameras, each with a name of its own: ``front=rtsp://…`` gives it "front".

    Raises:
        ConfigError: Two have the same name, or a file to be played is not there.
    """
    named = []
    for position, camera in enumerate(cameras, start=1):
        match = None if Path(camera.uri).exists() else _NAMED.fullmatch(camera.uri)
        if match is not None:
            camera = msgspec.structs.replace(camera, name=match[1], uri=match[2])  # noqa: PLW2901
        if not camera.name:
            camera = msgspec.structs.replace(camera, name="camera" if len(cameras) == 1 else f"camera-{position}")  # noqa: PLW2901
        if camera_kind(camera.uri) == "playback":
            _check_playback(camera.uri)
        named.append(camera)
    names = [camera.name for camera in named]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two cameras are called {name!r}; name them apart, as in front=rtsp://…")
    return named


def calibrate_cameras(
    cameras: list[CameraConfig], camera_files: Sequence[str], ground_files: Sequence[str]
) -> list[CameraConfig]:
    """The same cameras with the calibration files that the command line names: ``FILE`` or ``NAME=FILE`` each.

    Raises:
        ConfigError: There are several cameras and nobody says whose a file is, there is no such camera, or it is given
            two files.
    """
    for key, files in (("camera", camera_files), ("ground", ground_files)):
        given: set[str] = set()
        for file in files:
            match = None if Path(file).exists() else _NAMED.fullmatch(file)
            if match is None and len(cameras) > 1:
                raise ConfigError(f"--{key} {file}: whose? Name the camera, as in --{key} {cameras[0].name}={file}")
            name, path = (match[1], match[2]) if match is not None else (cameras[0].name, file)
            if name not in {camera.name for camera in cameras}:
                names = ", ".join(camera.name for camera in cameras)
                raise ConfigError(f"--{key} {file}: there is no camera {name!r}; there are {names}")
            if name in given:
                raise ConfigError(f"--{key} {file}: the camera {name!r} was given another file already")
            given.add(name)
            cameras = [
                msgspec.structs.replace(camera, **{key: path}) if camera.name == name else camera for camera in cameras
            ]
    return cameras


def playback_address(uri: str) -> tuple[str, bool]:
    """What `pipeline.sources.open_source` takes for a file played as a camera, and whether it begins again at its end.

    ``synthetic://drive`` without a number of frames is a short drive that begins again: a street without end would
    take as long to build.
    """
    if uri.startswith("synthetic://"):
        given = dict(parse_qsl(urlsplit(uri).query))
        endless = "frames" not in given
        return (f"{uri}{'&' if given else '?'}frames={_ENDLESS_FRAMES}" if endless else uri), endless
    path, loop, rest = uri.partition("?loop")
    return (path, True) if loop and not rest else (uri, False)


def redacted(uri: str) -> str:
    """The address without its password, for screens and files."""
    return _PASSWORD.sub(r"\1:***@", uri)


def _check_playback(uri: str) -> None:
    path, _ = playback_address(uri)
    if "://" not in path and not Path(path).exists():
        raise ConfigError(f"{uri}: no such file or camera. Give {ADDRESSES}.")
