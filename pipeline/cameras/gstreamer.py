"""Cameras that GStreamer opens: CSI cameras of a Jetson, network cameras that its hardware decodes, and any pipeline of
``gst-launch-1.0``.

GStreamer runs in a process of its own and writes YUV4MPEG2 (uncompressed 4:2:0 planes behind a short header, as
``yuv4mpeg(5)`` of the mjpegtools describes) into a pipe. Camera stacks hang and crash; a process can always be killed,
and takes nothing of ours with it. The copy through the pipe costs some 0.3 ms for 1280x720.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import shlex
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pipeline.cameras.address import CameraConfig, CameraKind, redacted
from pipeline.cameras.base import Reading, SignalLostError, Taken, VideoParameters
from pipeline.scene import BgrImage, Frame, YuvPlanes

__all__ = ["GStreamerConnection", "pipeline_of"]

_PIPE_BYTES = 1 << 20
_LONGEST_HEADER = 256
_MARK = b"FRAME\n"
_KILL_LIMIT_S = 1.0
_TO_PLANES = (
    "queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 "
    "! videoconvert ! video/x-raw,format=I420 ! y4menc ! fdsink fd=1 sync=false"
)
_CSI_FLIPS = {"none": 0, "counterclockwise": 1, "rotate-180": 2, "clockwise": 3, "horizontal": 4, "vertical": 6}


def pipeline_of(config: CameraConfig, kind: CameraKind) -> str:
    """The words of ``gst-launch-1.0`` that end in YUV4MPEG2 on standard output."""
    if kind == "gstreamer":
        return f"{config.uri} ! {_TO_PLANES}"
    if kind in {"rtsp", "http"}:
        # uridecodebin takes the decoder of the highest rank, on a Jetson nvv4l2decoder; nvvidconv fetches its pictures.
        source = f"uridecodebin uri={shlex.quote(config.uri)} source::latency=0 source::protocols={config.transport}"
        return f"{source} ! nvvidconv ! video/x-raw,format=I420 ! {_TO_PLANES}"
    sensor = config.uri.removeprefix("csi://") or "0"
    height, width = config.size or (720, 1280)
    rate = round(config.rate or 30)
    return (
        f"nvarguscamerasrc sensor-id={int(sensor)} "
        f"! video/x-raw(memory:NVMM),width={width},height={height},framerate={rate}/1,format=NV12 "
        f"! nvvidconv flip-method={_CSI_FLIPS[config.flip]} ! video/x-raw,format=I420 ! {_TO_PLANES}"
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the planes of a picture lie behind one another: (H, W) and bytes a row of luma, then of each chroma plane."""

    luma_hw: tuple[int, int]
    luma_stride: int
    luma_rows: int
    chroma_stride: int

    @classmethod
    def tight(cls, height: int, width: int) -> _Layout:
        """Without a gap, as yuv4mpeg(5) says."""
        return cls((height, width), width, height, (width + 1) // 2)

    @classmethod
    def padded(cls, height: int, width: int) -> _Layout:
        """As GStreamer's I420 has it: rows of a multiple of four bytes, an even number of them."""
        return cls((height, width), -(-width // 4) * 4, height + height % 2, -(-((width + 1) // 2) // 4) * 4)

    @property
    def chroma_hw(self) -> tuple[int, int]:
        return (self.luma_hw[0] + 1) // 2, (self.luma_hw[1] + 1) // 2

    @property
    def nbytes(self) -> int:
        return self.luma_stride * self.luma_rows + 2 * self.chroma_stride * self.chroma_hw[0]

    def planes(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Y, U and V of a picture, as views."""
        luma = self.luma_stride * self.luma_rows
        chroma = self.chroma_stride * self.chroma_hw[0]
        y = picture[:luma].reshape(-1, self.luma_stride)[: self.luma_hw[0], : self.luma_hw[1]]
        u = picture[luma : luma + chroma].reshape(-1, self.chroma_stride)[:, : self.chroma_hw[1]]
        v = picture[luma + chroma :].reshape(-1, self.chroma_stride)[:, : self.chroma_hw[1]]
        return y, u, v


class _PipelineEnded(Exception):  # noqa: N818 - told apart from silence only to say so
    """The pipe was closed at its other end."""


class GStreamerConnection:
    """A GStreamer pipeline in a child process. See `pipeline.cameras.base.Connection`.

    Args:
        config: The camera.
        kind: "csi" or "gstreamer"; "rtsp" or "http" to decode a stream with a Jetson's nvv4l2decoder.
        open_limit_s: How long the pipeline may take to its first picture.
        grab_limit_s: How long waiting for each further one may take.

    Raises:
        SignalLostError: GStreamer is not installed, or the pipeline cannot be started or gives no picture.
    """

    parameters: VideoParameters | None = None

    def __init__(self, config: CameraConfig, kind: CameraKind, open_limit_s: float, grab_limit_s: float) -> None:
        self._address = redacted(config.uri) if len(config.uri) <= 60 else f"{redacted(config.uri)[:59]}…"
        self._grab_limit_s = grab_limit_s
        launcher = shutil.which("gst-launch-1.0")
        if launcher is None:
            raise SignalLostError(
                f"{self._address}: gst-launch-1.0 is not installed; on Debian, Ubuntu and JetPack: "
                "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-good",
                permanent=True,
            )
        words = shlex.split(pipeline_of(config, kind))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would fill and block it
        self._child = subprocess.Popen(
            [launcher, "-q", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors
        )
        assert self._child.stdout is not None
        self._pipe: IO[bytes] = self._child.stdout
        with contextlib.suppress(OSError, AttributeError):  # fewer, larger reads where the kernel allows it
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._pipe.fileno(), False)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._pipe, selectors.EVENT_READ)
        try:
            header = self._line(time.monotonic() + open_limit_s)
        except _PipelineEnded:
            reason = self._complaint()
            self.close()
            raise SignalLostError(f"{self._address}: the pipeline gave no picture ({reason})") from None
        except SignalLostError:
            self.close()
            raise SignalLostError(f"{self._address}: no picture within {open_limit_s:g} s") from None
        self._size_hw, rate_hz, self._full_range = _parse(header)
        self._inside_frame = False
        self._layout = _Layout.tight(*self._size_hw)
        padded = _Layout.padded(*self._size_hw)
        if padded.nbytes != self._layout.nbytes:
            self._find_out_layout(padded, time.monotonic() + grab_limit_s)
        self.description = f"GStreamer {self._size_hw[1]}x{self._size_hw[0]}, {rate_hz:.4g} Hz"

    def read(self) -> Reading:
        """Wait for the next picture."""
        until_s = time.monotonic() + self._grab_limit_s
        try:
            if not self._inside_frame and not self._line(until_s).startswith(b"FRAME"):
                raise SignalLostError(f"{self._address}: the pipeline wrote something that is no YUV4MPEG2")
            self._inside_frame = False
            picture = self._exactly(self._layout.nbytes, until_s)
        except _PipelineEnded:
            raise SignalLostError(f"{self._address}: the pipeline ended ({self._complaint()})") from None
        height = self._size_hw[0]
        planes = YuvPlanes(*self._layout.planes(picture), "bt709" if height > 576 else "bt601", self._full_range)
        arrived_s = time.monotonic()
        frame = Frame(0, 0.0, arrived_s, self._size_hw, lambda: bgr_of(planes), planes=planes)
        return Reading([Taken(frame, arrived_s)])

    def _find_out_layout(self, padded: _Layout, until_s: float) -> None:
        """Whether rows are padded, as GStreamer keeps them and its y4menc writes them, or not, as the format wants it.

        One picture is given up for it: what follows that many bytes is the next picture's mark, or it is not.
        """
        try:
            self._line(until_s)
            self._exactly(self._layout.nbytes, until_s)
            if bytes(self._exactly(len(_MARK), until_s)) == _MARK:
                self._inside_frame = True
                return
            self._exactly(padded.nbytes - self._layout.nbytes - len(_MARK), until_s)
        except (_PipelineEnded, SignalLostError):
            self.close()
            raise SignalLostError(f"{self._address}: the pipeline gave no second picture") from None
        self._layout = padded

    def skip_to_keyframe(self) -> None:
        """Every picture stands for itself."""

    def _line(self, until_s: float) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            if len(line) > _LONGEST_HEADER:
                raise SignalLostError(f"{self._address}: the pipeline wrote something that is no YUV4MPEG2")
            line += bytes(self._exactly(1, until_s))
        return bytes(line[:-1])

    def _exactly(self, count: int, until_s: float) -> NDArray[np.uint8]:
        """That many bytes.

        Raises:
            SignalLostError: They did not come in time.
            _PipelineEnded: It did.
        """
        room = np.empty(count, np.uint8)
        view, filled = memoryview(room.data), 0
        while filled < count:
            try:
                got = os.readv(self._pipe.fileno(), [view[filled:]])
            except BlockingIOError:
                if not self._ready.select(max(0.0, until_s - time.monotonic())) and time.monotonic() >= until_s:
                    raise SignalLostError(f"{self._address}: no picture for {self._grab_limit_s:g} s") from None
                continue
            if got == 0:
                raise _PipelineEnded
            filled += got
        return room

    def _complaint(self) -> str:
        """What GStreamer said last, on one line."""
        try:
            self._child.wait(_KILL_LIMIT_S)
        except subprocess.TimeoutExpired:
            return "it says nothing"
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace")
        lines = [line for line in errors.splitlines() if "ERROR" in line or "WARNING" in line]
        return (lines[0] if lines else f"exit code {self._child.returncode}").strip()[:160]

    def close(self) -> None:
        """End the child process, by force where it must be. May be called more than once."""
        if self._pipe.closed:
            return
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(_KILL_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._ready.close()
        self._pipe.close()
        self._errors.close()


def bgr_of(planes: YuvPlanes) -> BgrImage:
    """The BGR picture of 4:2:0 planes, converted by FFmpeg's swscale: OpenCV knows BT.601 in limited range alone."""
    import av

    height, width = planes.y.shape
    picture = av.VideoFrame(width, height, "yuvj420p" if planes.full_range else "yuv420p")
    for plane, values in zip(picture.planes, (planes.y, planes.u, planes.v), strict=True):
        rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[: values.shape[0], : values.shape[1]] = values
    matrix = "ITU709" if planes.matrix == "bt709" else "ITU601"
    return np.ascontiguousarray(picture.to_ndarray(format="bgr24", src_colorspace=matrix, threads=1), np.uint8)


def _parse(header: bytes) -> tuple[tuple[int, int], float, bool]:
    """(H, W), rate and whether luma has the full range, from a stream's first line."""
    words = header.decode("ascii", errors="replace").split(" ")
    if words[0] != "YUV4MPEG2":
        raise SignalLostError("the pipeline wrote something that is no YUV4MPEG2")
    given = {word[0]: word[1:] for word in words[1:] if word}
    numerator, _, denominator = given.get("F", "0:1").partition(":")
    rate_hz = int(numerator) / max(1, int(denominator or 1))
    return (int(given["H"]), int(given["W"])), rate_hz, "COLORRANGE=FULL" in header.decode("ascii", errors="replace")
