"""One camera's recording: what its thread hands over, written by another into segment after segment."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from av.error import FFmpegError

from pipeline.cameras.address import Flip
from pipeline.cameras.base import EncodedPacket, VideoParameters
from pipeline.errors import SinkError
from pipeline.recording.bitstream import COPIED_CODECS, Unwrapper, parameters_of
from pipeline.recording.encoder import FrameEncoder
from pipeline.recording.intake import Begin, End, Intake, Item, SceneLine
from pipeline.recording.kept import Kept
from pipeline.recording.layout import TICKS_PER_S, to_us
from pipeline.recording.ring import Ring
from pipeline.recording.saver import Saver
from pipeline.recording.segment import FRAGMENT_BYTES, Segment, UnplayableError
from pipeline.scene import Frame

__all__ = ["CameraTrack"]

SYNC_EVERY_S = 1.0
"""How often everything is brought onto the disk: what a loss of power may cost."""

_WAIT_S = 0.1
_LONGEST = 4
"""How many times the size of a segment may be waited for a key frame."""

_LONGEST_GAP_US = 600 * TICKS_PER_S
"""After a longer one a segment does not go on: a picture cannot be shown for more than 2**31 microseconds."""

_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class _Page:
    """A segment, and its place in the ring."""

    segment: Segment
    kept: Kept


class CameraTrack:
    """Records one camera. Implements `pipeline.cameras.base.CameraRecorder`.

    Args:
        camera: Its name.
        folder: Its folder in the present run.
        ring: Gives room.
        saver: Told of every new segment.
        segment_us: After how long a segment is followed by the next, at a key frame.
        segment_bytes: Likewise by size.
        queue_bytes: How much may wait for the disk.
        output: What the user called the recording, for messages.
        on_flip: Called by the writing thread when the packets of a connection are not as the pictures should be seen.
        on_note: Called by the writing thread with what went wrong without ending the recording.
        on_failure: Called once, by the writing thread, with the reason.
    """

    def __init__(
        self,
        camera: str,
        folder: Path,
        ring: Ring,
        saver: Saver,
        *,
        segment_us: int,
        segment_bytes: int,
        queue_bytes: int,
        output: str,
        on_flip: Callable[[Flip], None],
        on_note: Callable[[str], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.camera = camera
        self.folder = folder
        self._ring, self._saver = ring, saver
        self._segment_us, self._segment_bytes = segment_us, segment_bytes
        self._output = output
        self._on_flip, self._on_note, self._on_failure = on_flip, on_note, on_failure
        self._intake = Intake(queue_bytes)
        self.segments = self.pictures = self.written_bytes = self.left_out = 0
        # What is being written: the newest segment, and the one before, whose last scenes are still to come.
        self._page: _Page | None = None
        self._page_before: _Page | None = None
        self._writing = False
        self._newest_us = 0
        self._dirty = False
        self._synced_s = time.monotonic()
        # How to read what the camera sends.
        self._codec = "h264"
        self._unwrapper = Unwrapper("h264", b"")
        self._parameters = b""
        self._encoder: FrameEncoder | None = None
        self._thread = threading.Thread(target=self._run, name=f"clearway-recording-{camera}", daemon=True)
        self._thread.start()

    # Called by the camera's thread and by that of the scenes.

    def begin(self, parameters: VideoParameters | None) -> bool:
        """A connection was made; whether its packets are wanted, and not its frames."""
        copied = parameters is not None and parameters.codec in COPIED_CODECS
        self._intake.put(Begin(parameters if copied else None))
        return copied

    def packet(self, packet: EncodedPacket) -> None:
        """Take a compressed picture."""
        self._intake.put(packet)

    def frame(self, frame: Frame) -> None:
        """Take a picture to encode."""
        self._intake.put(frame)

    def end(self) -> None:
        """The connection is gone."""
        self._intake.put(End())

    def scene(self, line: SceneLine) -> None:
        """Take a scene of this camera."""
        self._intake.put(line)

    @property
    def dropped(self) -> int:
        """Pictures that the disk was too slow for."""
        return self._intake.dropped

    @property
    def dropped_scenes(self) -> int:
        """Scenes that the disk was too slow for."""
        return self._intake.dropped_scenes

    def finish(self) -> None:
        """Take nothing more; what waits is still written."""
        self._intake.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end after `finish`; whether it came in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def give_up(self) -> None:
        """Write nothing more."""
        self._intake.close(discard=True)

    # The writing thread.

    def _run(self) -> None:
        try:
            while not self._intake.finished:
                item = self._intake.take(_WAIT_S)
                self._work(item)
            self._close_segments()
        except SinkError as error:
            self._fail(str(error))
        except Exception as error:  # A defect of ours must not end the run; it is told like any failure.
            self._fail(f"cannot write {self._output}: {type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        self._intake.close(discard=True)
        try:
            with contextlib.suppress(SinkError):
                self._close_segments()
        finally:
            self._on_failure(reason)

    def _work(self, item: Item | None) -> None:
        """Write an item. When the disk is full although there seemed to be room, older segments give way."""
        try:
            if item is not None:
                self._write(item)
            self._sync_if_due()
        except SinkError as error:
            if getattr(error.__cause__, "errno", None) not in _FULL:
                raise
            page = self._page or self._page_before
            with contextlib.suppress(SinkError):
                self._close_segments()
            if not self._ring.give_way(page.kept if page is not None else None):
                raise

    def _write(self, item: Item) -> None:
        if isinstance(item, EncodedPacket):
            self._write_packet(item)
        elif isinstance(item, Frame):
            self._write_frame(item)
        elif isinstance(item, SceneLine):
            self._write_scene(item)
        else:
            self._finish_video()
            if isinstance(item, Begin):
                self._prepare(item.parameters)

    def _prepare(self, parameters: VideoParameters | None) -> None:
        self._encoder = FrameEncoder() if parameters is None else None
        self._codec = "h264" if parameters is None else parameters.codec
        self._parameters = b""
        self._on_flip("none" if parameters is None else parameters.flip)
        extradata = b"" if parameters is None else parameters.extradata
        try:
            self._unwrapper = Unwrapper(self._codec, extradata)
        except IndexError:  # Cut short; every key frame may still bring its own.
            self._unwrapper = Unwrapper(self._codec, b"")

    def _write_frame(self, frame: Frame) -> None:
        if self._encoder is None:
            return
        if not self._writing:
            self._encoder.restart()
        try:
            packets = self._encoder.encode(frame)
        except FFmpegError as error:
            raise SinkError(f"cannot write {self._output}: the video encoder failed: {error}") from error
        for packet in packets:
            self._write_packet(packet)

    def _write_packet(self, packet: EncodedPacket) -> None:
        time_us, decode_us = to_us(packet.time_s), to_us(packet.decode_time_s)
        try:
            picture = self._unwrapper.bare(packet.data)
            if packet.is_keyframe:
                self._turn_page(picture, time_us)
            elif self._page is not None and self._page.kept.size_bytes > _LONGEST * self._segment_bytes:
                self._end_endless()
            elif time_us - self._newest_us > _LONGEST_GAP_US:
                self._finish_video()
            page = self._page
            if page is None or not self._writing or time_us < page.segment.start_us:
                self.left_out += 1  # Nothing that it could be decoded from has come yet.
                return
            size = len(picture) + FRAGMENT_BYTES
            self._ring.grow(page.kept, size)
            page.segment.write(picture, time_us, decode_us, is_key=packet.is_keyframe)
        except (UnplayableError, ValueError):
            self.left_out += 1
            self._finish_video()
            return
        self._newest_us = time_us
        self.pictures += 1
        self.written_bytes += size
        self._dirty = True
        self._saver.advance(time_us)

    def _end_endless(self) -> None:
        """A camera that sends no key frames would fill the whole quota with one segment, which cannot be deleted."""
        if self._writing:
            self._on_note(f"{self.camera} has sent no key frame for too long: not recorded until it sends one")
            self._close_segments()

    def _turn_page(self, picture: bytes, time_us: int) -> None:
        """Begin a segment, if this key picture is to be the first of one."""
        parameters = parameters_of(self._codec, picture) or self._parameters
        if self._page is not None and self._writing:
            short = time_us - self._page.segment.start_us < self._segment_us
            if short and self._page.kept.size_bytes < self._segment_bytes and parameters == self._parameters:
                return
        self._finish_video()
        if self._page_before is not None:
            self._close_page(self._page_before)
        self._page_before, self._page = self._page, None
        first = self._unwrapper.beginning(picture)
        self._ring.make_room(len(first))
        segment = Segment(self.folder, self._codec, first, time_us, self._output)
        self._page = _Page(segment, self._ring.opened(segment.video, segment.start_us))
        self._parameters, self._writing = parameters, True
        self.segments += 1
        self._saver.opened(self._page.kept)
        self._ring.expire(self.folder.name)

    def _write_scene(self, line: SceneLine) -> None:
        for page in (self._page, self._page_before):
            if page is not None and line.time_us >= page.segment.start_us:
                self._ring.grow(page.kept, len(line.data))
                page.segment.write_scene(line.data)
                self.written_bytes += len(line.data)
                self._dirty = True
                return

    def _finish_video(self) -> None:
        """End the present segment; scenes of it may still come."""
        if self._writing and self._page is not None:
            self._writing = False
            self._page.segment.finish_video()

    def _close_page(self, page: _Page) -> None:
        try:
            page.segment.close()
        finally:
            self._ring.closed(page.kept, page.segment.size_bytes)

    def _close_segments(self) -> None:
        pages = [page for page in (self._page_before, self._page) if page is not None]
        self._page_before = self._page = None
        self._writing = False
        with ExitStack() as stack:
            for page in pages:
                stack.callback(self._close_page, page)

    def _sync_if_due(self) -> None:
        now_s = time.monotonic()
        if not self._dirty or now_s - self._synced_s < SYNC_EVERY_S:
            return
        for page in (self._page_before, self._page):
            if page is not None:
                page.segment.sync()
        self._dirty = False
        self._synced_s = time.monotonic()
