"""What `live --record` wrote, played as one recording: segment after segment, every frame at the time of its scene."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pipeline.cameras.flip import turned
from pipeline.errors import ConfigError, SourceError
from pipeline.geometry import RoadView
from pipeline.recording.layout import (
    MANIFEST_NAME,
    TICKS_PER_S,
    camera_folders,
    scenes_beside,
    segment_start_us,
    segments_in,
    to_us,
)
from pipeline.recording.manifest import read_manifest
from pipeline.scene import Frame
from pipeline.sources.base import SourceInfo
from pipeline.sources.video import VideoSource

__all__ = ["RecordingSource"]

_NAMED_AT_MOST = 8
_DECIMALS = 6
"""Of seconds: times are recorded, and written in scenes, to the microsecond."""


class RecordingSource:
    """One camera's segments. Implements `pipeline.sources.base.Source`.

    Times are those of the live run, so the first frame may stand anywhere, and gaps stay gaps. Pictures may change in
    size from one segment to the next. The last segment of a run that was cut off is played as far as it goes; its
    missing end is no error, and `info.description` tells of it.

    Args:
        folder: A camera's folder, or one that holds a single camera's.
        start_s: Frames of segments that end before this time need not be read.

    Raises:
        SourceError: There is no segment with a picture, or the folder holds several recordings.
    """

    def __init__(self, folder: Path, *, start_s: float = 0.0) -> None:
        self._folder = _only_camera(folder)
        self._manifest = read_manifest(self._folder)
        segments = segments_in(self._folder)
        self._ended = self._manifest is not None and self._manifest.ended_at is not None
        self._last = segments[-1] if segments else None
        self._current: VideoSource | None = None
        self._complaints: list[str] = []
        self._segments = _from(segments, start_s)
        self.info = self._describe(str(folder), segments)

    def _describe(self, uri: str, segments: Sequence[Path]) -> SourceInfo:
        """Look into the first segment that can be opened; those before it are told at the end."""
        for segment in self._segments:
            source = self._open(segment)
            if source is None:
                continue
            with_pictures = source.info
            source.close()
            parts = [
                f"recording of {len(segments)} segment{'s' if len(segments) > 1 else ''}",
                f"from {_start_s(segments[0]):.1f} s to {_start_s(segments[-1]):.1f} s and after",
                f"at first {with_pictures.description}",
            ]
            if self._manifest is not None and self._manifest.failure:
                parts.append("recording ended before the run did")
            elif not self._ended:
                parts.append("it was cut off, or is still being written: its last segment may end early")
            height, width = with_pictures.size_hw
            if self._manifest is not None and self._manifest.flip in {"clockwise", "counterclockwise"}:
                height, width = width, height
            self._complaints.clear()
            view, bonnet_m = self._calibrated((height, width))
            return SourceInfo(
                uri,
                "; ".join(parts),
                (height, width),
                None,
                with_pictures.frame_rate_hz,
                has_scenes=True,
                view=view,
                bonnet_m=bonnet_m,
            )
        raise SourceError(f"{uri}: a recording without a single picture. {' '.join(self._complaints)}".rstrip())

    def _calibrated(self, size_hw: tuple[int, int]) -> tuple[RoadView | None, float]:
        """How the camera hung over the road, and what the bonnet hid, as far as the run was told."""
        calibration = self._manifest.calibration if self._manifest is not None else None
        if calibration is None:
            return None, 0.0
        view = RoadView.of_calibration(calibration, self._folder / MANIFEST_NAME)
        try:
            view.scaled_to(size_hw)
        except (
            ConfigError
        ):  # The camera changed the shape of its pictures; the first that are left are no longer those.
            return None, 0.0
        return view, calibration.bonnet_m

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order, once.

        Raises:
            SourceError: A segment is damaged. Every frame that could be decoded, also of later segments, was yielded.
        """
        index = 0
        flip = self._manifest.flip if self._manifest is not None else "none"
        for segment in self._segments:
            self._current = self._open(segment)
            if self._current is None:
                continue
            start_s = _start_s(segment)
            try:
                seen_us = _seen_us(segment)
                for frame in self._current.frames():
                    time_s = round(start_s + frame.source_time_s, _DECIMALS)
                    was_seen = seen_us is None or to_us(time_s) in seen_us
                    placed = dataclasses.replace(frame, index=index, source_time_s=time_s, leaves_trace=was_seen)
                    yield turned(placed, flip)
                    index += 1
            except SourceError as error:
                self._complain(segment, error)
            finally:
                self._current.close()
        if self._complaints:
            more = f" (and {len(self._complaints) - 1} more)" if len(self._complaints) > 1 else ""
            raise SourceError(f"{self._complaints[0]}{more}; all {index} frames that could be decoded were played")

    def _open(self, segment: Path) -> VideoSource | None:
        try:
            return VideoSource(segment)
        except SourceError as error:
            self._complain(segment, error)
            return None

    def _complain(self, segment: Path, error: SourceError) -> None:
        """Remember that a segment is damaged, unless it is where a run was cut off."""
        if segment != self._last or self._ended:
            self._complaints.append(str(error))

    def close(self) -> None:
        """Free the decoder. May be called more than once."""
        if self._current is not None:
            self._current.close()


class _CameraLine(msgspec.Struct, frozen=True):
    state: str = "live"


class _SceneLine(msgspec.Struct):
    """As much of a line of scenes as tells which frame was seen."""

    source_time_s: float
    camera: _CameraLine = _CameraLine()


def _seen_us(segment: Path) -> frozenset[int] | None:
    """When the frames were taken that the live run saw, in microseconds since it began; None where nobody knows."""
    path = scenes_beside(segment)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    seen = set()
    for line in content.splitlines():
        with contextlib.suppress(msgspec.DecodeError):  # The last one of a run that was cut off may be torn.
            scene = _LINES.decode(line)
            if scene.camera.state == "live":
                seen.add(to_us(scene.source_time_s))
    return frozenset(seen)


_LINES = msgspec.json.Decoder(_SceneLine)


def _start_s(segment: Path) -> float:
    return (segment_start_us(segment) or 0) / TICKS_PER_S


def _from(segments: list[Path], start_s: float) -> list[Path]:
    """The segments from the last one that begins at or before that time."""
    earlier = sum(_start_s(segment) <= start_s for segment in segments)
    return segments[max(0, earlier - 1) :]


def _only_camera(folder: Path) -> Path:
    found = camera_folders(folder)
    if len(found) == 1:
        return found[0]
    if not found:
        raise SourceError(f"{folder}: holds no recording")
    names = [str(camera.relative_to(folder)) for camera in found]
    listed = ", ".join(names[:_NAMED_AT_MOST]) + (", …" if len(names) > _NAMED_AT_MOST else "")
    raise SourceError(f"{folder}: holds {len(found)} recordings; name one of them, as in {folder / names[0]}: {listed}")
