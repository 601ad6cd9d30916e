"""A recording, or the synthetic drive, played as if it were a camera: at its own speed, once or over and over."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipeline.cameras.address import CameraConfig, playback_address
from pipeline.cameras.base import EndOfStream, Reading, SignalLostError, Taken, VideoParameters
from pipeline.errors import SourceError
from pipeline.scene import Frame
from pipeline.sources import Source, open_source

__all__ = ["PlaybackConnection"]

_LONGEST_HASTE_S = 0.5
"""Frames that are later than this are not followed by others in a hurry."""


class PlaybackConnection:
    """A source that gives its frames at the times at which a camera would. See `pipeline.cameras.base.Connection`.

    Args:
        config: The camera.

    Raises:
        SignalLostError: The recording cannot be opened.
    """

    parameters: VideoParameters | None = None

    def __init__(self, config: CameraConfig) -> None:
        self._address, self._loops = playback_address(config.uri)
        self._source = self._open()
        info = self._source.info
        self._period_s = 1.0 / (info.frame_rate_hz or 25.0)
        self.description = f"{info.description}, played {'over and over' if self._loops else 'once'}"
        self._frames: Iterator[Frame] = self._source.frames()
        self._begins_s: float | None = None
        self._last_s = 0.0

    def read(self) -> Reading:
        """Wait until the next frame is due."""
        asked_s = time.perf_counter()
        frame = self._next()
        if frame is None:
            if not self._loops:
                raise EndOfStream
            self._rewind()
            frame = self._next()
            if frame is None:
                raise SignalLostError(f"{self._address}: holds no frames")
        if self._begins_s is None:
            self._begins_s = time.monotonic() - frame.source_time_s
        self._last_s = frame.source_time_s
        decode_ms = (time.perf_counter() - asked_s) * 1e3
        early_s = self._begins_s + frame.source_time_s - time.monotonic()
        if early_s < -_LONGEST_HASTE_S:
            self._begins_s -= early_s  # What a busy machine missed is gone, as it is from a camera.
        time.sleep(max(0.0, early_s))
        return Reading([Taken(frame, time.monotonic())], decode_ms=decode_ms)

    def skip_to_keyframe(self) -> None:
        """Every frame stands for itself."""

    def close(self) -> None:
        """Close the recording. May be called more than once."""
        self._source.close()

    def _next(self) -> Frame | None:
        try:
            return next(self._frames, None)
        except SourceError as error:
            raise SignalLostError(str(error)) from error

    def _rewind(self) -> None:
        self._source.close()
        self._source = self._open()
        self._frames = self._source.frames()
        if self._begins_s is not None:
            self._begins_s += self._last_s + self._period_s

    def _open(self) -> Source:
        try:
            return open_source(self._address)
        except SourceError as error:
            raise SignalLostError(str(error), permanent=True) from error
