"""One segment: a fragmented MP4 of compressed pictures, and the scenes beside it.

Every picture is a fragment of its own (ISO/IEC 14496-12, 8.8; some 110 bytes each), appended when the next one comes
and never touched again: whatever the moment at which the process is killed or the power goes, the file is playable up
to its end. That is also why it is not turned into an ordinary MP4 at last: the index would have to be on the disk
before the header that points to it, which no file system promises.
"""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from pipeline.errors import SinkError
from pipeline.recording.bitstream import COPIED_CODECS
from pipeline.recording.layout import TICKS_PER_S, scenes_beside, segment_name, sync_folder
from pipeline.sinks.output_file import OutputFile, explain

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

__all__ = ["FRAGMENT_BYTES", "Segment", "UnplayableError"]

FRAGMENT_BYTES = 128
"""What a picture costs beside itself."""

_OPTIONS = {
    "movflags": "empty_moov+default_base_moof+frag_every_frame+skip_trailer",
    "flush_packets": "1",
    "video_track_timescale": str(TICKS_PER_S),
}


class UnplayableError(Exception):
    """What the camera sent cannot be put into a file: a damaged picture, or one without its parameter sets."""


class Segment:
    """A pair of files that is being written.

    Attributes:
        video: The MP4.
        start_us: Time of its first picture, in microseconds since the run began. Times in the file count from there.
        pictures: How many are in it.
    """

    def __init__(self, folder: Path, codec: str, key_picture: bytes, start_us: int, output: str) -> None:
        """Create the files.

        Args:
            folder: Where.
            codec: One of `COPIED_CODECS`.
            key_picture: The first picture with its parameter sets: what the header says is read from it.
            start_us: Its time.
            output: What the user called the recording, for messages.

        Raises:
            UnplayableError: The picture has no parameter sets, or damaged ones. Nothing was created.
            SinkError: The files cannot be created.
        """
        self.video = folder / segment_name(start_us)
        self.start_us = start_us
        self.pictures = 0
        self._output = output
        self._last_dts = -1
        with _template(codec, key_picture) as template:
            if self.video.exists():
                raise UnplayableError(f"{self.video} is there already")
            self._file = OutputFile(self.video, output, mode=0o600)
            try:
                self._scenes = OutputFile(scenes_beside(self.video), output, mode=0o600)
            except SinkError:
                self._file.close()
                raise
            try:
                self._container: OutputContainer = av.open(
                    self._file, "w", format="mp4", container_options=dict(_OPTIONS)
                )
                self._stream: Stream = self._container.add_stream_from_template(template.streams.video[0], opaque=True)
            except (FFmpegError, ValueError) as error:
                self._file.close()
                self._scenes.close()
                raise UnplayableError(str(error)) from error
        self._stream.time_base = Fraction(1, TICKS_PER_S)
        sync_folder(folder)

    def write(self, picture: bytes, time_us: int, decode_time_us: int, *, is_key: bool) -> None:
        """Append a picture.

        Args:
            picture: With start codes.
            time_us: Its time, at least `start_us`.
            decode_time_us: When it is decoded; where that does not advance it is moved behind its predecessor's.
            is_key: Whether decoding can begin here.

        Raises:
            UnplayableError: The picture is damaged; it is not in the file.
            SinkError: The disk is full or failed. Every picture before it is in the file.
        """
        packet = av.Packet(picture)
        packet.stream, packet.time_base = self._stream, Fraction(1, TICKS_PER_S)
        decode_us = decode_time_us - self.start_us
        packet.dts = max(decode_us, self._last_dts + 1) if self.pictures else min(decode_us, 0)
        packet.pts = max(time_us - self.start_us, packet.dts)
        packet.is_keyframe = is_key
        try:
            self._container.mux_one(packet)
        except FFmpegError as error:
            raise UnplayableError(str(error)) from error
        self._last_dts = packet.dts
        self._file.commit()
        self._check()
        self.pictures += 1

    def write_scene(self, line: bytes) -> None:
        """Append a line to the scenes.

        Raises:
            SinkError: The disk is full or failed. Every line before it is whole.
        """
        self._scenes.write(line)
        self._scenes.commit()
        self._check()

    def sync(self) -> None:
        """Bring everything onto the disk.

        Raises:
            SinkError: The disk failed.
        """
        self._file.sync()
        self._scenes.sync()
        self._check()

    def finish_video(self) -> None:
        """Write the last picture and close the video; scenes of it may still come.

        Raises:
            SinkError: The disk is full or failed.
        """
        if self._file.closed:
            return
        try:
            with contextlib.suppress(FFmpegError):  # Of the last picture; what the disk says is in `failure`.
                self._container.close()
            self._file.commit()
            self._file.sync()
            self._check()
        finally:
            self._file.close()
            # A picture is written when the next one comes: a disk that was full by then has not even the first.
            if self.pictures == 0 or (self._file.failure is not None and self.pictures == 1):
                with contextlib.suppress(OSError):
                    self.video.unlink()

    def close(self) -> None:
        """Close everything. May be called more than once.

        Raises:
            SinkError: The disk is full or failed.
        """
        try:
            self.finish_video()
            self._scenes.sync()
        finally:
            self._scenes.close()

    @property
    def size_bytes(self) -> int:
        """What the files hold now."""
        total = 0
        for path in (self.video, scenes_beside(self.video)):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def _check(self) -> None:
        for file in (self._file, self._scenes):
            if file.failure is not None:
                raise explain(f"cannot write {self._output}", file.failure) from file.failure


def _template(codec: str, key_picture: bytes) -> InputContainer:
    """A stream that holds this picture alone: FFmpeg reads size, profile and colours from it."""
    try:
        container = av.open(io.BytesIO(key_picture), "r", format=COPIED_CODECS[codec])
    except (FFmpegError, ValueError) as error:
        raise UnplayableError(str(error)) from error
    context = container.streams.video[0].codec_context if container.streams.video else None
    if context is None or not context.width or not context.height:
        container.close()
        raise UnplayableError("the size of the picture is not told")
    return container
