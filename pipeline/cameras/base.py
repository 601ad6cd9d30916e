"""What a live camera is to the rest: a connection that gives frames, or says within a known time that it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from pipeline.errors import SourceError
from pipeline.scene import Frame

__all__ = [
    "CameraRecorder",
    "Connection",
    "EncodedPacket",
    "EndOfStream",
    "SignalLostError",
    "Taken",
    "VideoParameters",
]


class SignalLostError(SourceError):
    """A connection could not be made, or broke, or fell silent: worth trying again.

    Attributes:
        permanent: Whether trying again is pointless (wrong password, no such file).
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class EndOfStream(Exception):  # noqa: N818 - not an error: a recording played as a camera is over
    """The stream has ended on purpose and there is nothing to reconnect to."""


@dataclass(frozen=True, slots=True)
class VideoParameters:
    """What a container must be told to hold a camera's own compressed stream.

    Attributes:
        codec: FFmpeg's name of it: "h264", "hevc", "mjpeg", …
        size_hw: (H, W) in pixels.
        extradata: The decoder's set-up (H.264: SPS and PPS, in Annex B or avcC form); empty where it is in the stream.
        frame_rate_hz: Nominal rate where the camera says so.
    """

    codec: str
    size_hw: tuple[int, int]
    extradata: bytes = field(default=b"", repr=False)
    frame_rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One compressed picture as the camera sent it; a copy that belongs to the receiver.

    Attributes:
        data: The bytes.
        time_s: Presentation time on the same clock as `Frame.source_time_s`: a frame that was decoded from this
            packet has exactly this time.
        decode_time_s: Decoding time on that clock; at most `time_s`.
        is_keyframe: Whether decoding can begin here.
    """

    data: bytes = field(repr=False)
    time_s: float
    decode_time_s: float
    is_keyframe: bool


class CameraRecorder(Protocol):
    """Keeps what a camera sends. Called by that camera's own thread; no call may block or raise."""

    def begin(self, parameters: VideoParameters | None) -> None:
        """A connection was made. None: the camera sends no compressed stream, and `frame` will be called."""

    def packet(self, packet: EncodedPacket) -> None:
        """The camera sent a compressed picture."""

    def frame(self, frame: Frame) -> None:
        """The camera gave a picture, and no packet."""

    def end(self) -> None:
        """The connection is gone; `begin` may follow."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture as a connection gives it.

    Attributes:
        frame: Its index is counted, and its times are set, by `pipeline.cameras.camera.Camera`.
        time_s: The stream's own time in seconds, from any origin; None where it has none.
        damaged: Whether the decoder says that parts of it are guessed.
        is_keyframe: Whether it was decoded without any other.
    """

    frame: Frame
    time_s: float | None = None
    damaged: bool = False
    is_keyframe: bool = True


class Connection(Protocol):
    """One connection to a camera, from opening to closing; owned by the camera's thread."""

    description: str
    """One line for people: codec, size, rate."""

    def read(self) -> list[Taken]:
        """Wait for the next pictures, at most the grab deadline that the connection was opened with.

        Returns:
            The pictures that came, oldest first; none where what came held no whole picture.

        Raises:
            SignalLostError: The deadline passed, or the connection broke.
            EndOfStream: The stream has ended on purpose.
        """

    def close(self) -> None:
        """Free everything, within a known time. May be called more than once."""
