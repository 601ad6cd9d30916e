"""What a live camera is to the rest: a connection that gives frames, or says within a known time that it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from pipeline.cameras.address import Flip
from pipeline.errors import SourceError
from pipeline.scene import Frame

__all__ = [
    "CameraRecorder",
    "Connection",
    "EncodedPacket",
    "EndOfStream",
    "Reading",
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
        flip: How the pictures are turned once they are decoded; what is recorded stays as it came.
    """

    codec: str
    size_hw: tuple[int, int]
    extradata: bytes = field(default=b"", repr=False)
    frame_rate_hz: float | None = None
    flip: Flip = "none"


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

    def begin(self, parameters: VideoParameters | None) -> bool:
        """A connection was made.

        Args:
            parameters: Of the compressed stream that the camera sends; None: it sends none.

        Returns:
            What is wanted of this connection: True its packets, False its frames.
        """

    def packet(self, packet: EncodedPacket) -> None:
        """The camera sent a compressed picture. To be called before its frame is handed on, so that no scene of it
        comes first.
        """

    def frame(self, frame: Frame) -> None:
        """The camera gave a picture. Its planes are read later, in another thread: they must stay as they are."""

    def end(self) -> None:
        """The connection is gone; `begin` may follow."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture as a connection gives it.

    Attributes:
        frame: Its camera, index and times are filled in by `pipeline.cameras.camera.Camera`.
        stream_s: The stream's own time in seconds, from any origin; where it has none, `time.monotonic()` when it came.
        damaged: Whether the decoder says that parts of it are guessed.
        is_keyframe: Whether it was decoded without any other.
    """

    frame: Frame
    stream_s: float
    damaged: bool = False
    is_keyframe: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """What came with one read of a connection.

    Attributes:
        pictures: Decoded pictures, oldest first; none where what came held no whole one.
        packet: The compressed picture that they were decoded from, on the stream's own clock; None where the camera
            sends none, or nobody records.
        before: Compressed pictures that came before it, while the connection was being made; nobody is to look at what
            is in them, it is old, but the later ones build upon them.
        lost: Whether something came that gave no picture: the decoder could make nothing of it, or passed it over.
        decode_ms: Milliseconds that decoding took; waiting for the camera is not in it.
    """

    pictures: list[Taken]
    packet: EncodedPacket | None = None
    before: tuple[EncodedPacket, ...] = ()
    lost: bool = False
    decode_ms: float = 0.0


class Connection(Protocol):
    """One connection to a camera, from opening to closing; owned by the camera's thread.

    Attributes:
        description: One line for people: codec, size, rate.
        parameters: Of the compressed stream; None where the camera sends none.
    """

    description: str
    parameters: VideoParameters | None

    def read(self) -> Reading:
        """Wait for what comes next, at most the grab limit that the connection was opened with.

        Raises:
            SignalLostError: The limit passed, or the connection broke.
            EndOfStream: The stream has ended on purpose.
        """

    def skip_to_keyframe(self) -> None:
        """Decode nothing more until a key frame comes: the decoder has fallen behind."""

    def close(self) -> None:
        """Free everything, within a known time. May be called more than once."""
