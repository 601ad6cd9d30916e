"""One camera's thread: connects, reads, drops what is damaged, leaves the newest frame, and never gives up.

    connecting ──▶ live ◀──▶ stale          frames come; or none has for longer than one should take
        │           │
        ▼           ▼
    failed      reconnecting ──▶ live       tried again with growing, jittered pauses; for ever, once it was live

Only this thread touches the camera: it opens, reads *and* closes it, so that nothing is left behind by a connection
that is replaced. `Camera.report` may be called from any thread.
"""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from dataclasses import dataclass

from pipeline.cameras.address import CameraConfig, CameraDecode, Flip, camera_kind, redacted
from pipeline.cameras.base import (
    CameraRecorder,
    Connection,
    EncodedPacket,
    EndOfStream,
    Reading,
    SignalLostError,
)
from pipeline.cameras.clock import StreamClock
from pipeline.cameras.damage import Damage
from pipeline.cameras.flip import turned
from pipeline.cameras.mailbox import Mailbox
from pipeline.scene import CameraState, Frame
from pipeline.timings import StageTimings

__all__ = ["Camera", "CameraLimits", "CameraReport"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _PAUSE_GROWTH = 0.1, 0.3, 2.0
_SHORTEST_STALE_S = 0.5
_STALE_PERIODS = 3.0
_DIGITS_S = 6
"""Microseconds, as recordings keep them, so that their replay computes with the same times."""

_LONG_BEHIND_S = 1.0
"""A decoder that is further behind will not catch up by itself: pictures are passed over up to a key frame."""


@dataclass(frozen=True, slots=True)
class CameraLimits:
    """How patient a camera's thread is.

    Attributes:
        open_s: How long connecting may take.
        grab_s: How long the next picture may take before the connection is given up.
        give_up_s: How long a camera that was never reached is tried; None tries for ever.
    """

    open_s: float = 5.0
    grab_s: float = 2.0
    give_up_s: float | None = None


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What a camera's thread has seen so far.

    Attributes:
        state: What it is doing.
        reason: Why there is no signal; "" while there is one.
        description: Codec, size, rate of the present connection; "" before the first.
        size_hw: (H, W) of the newest frame, or None.
        received: Frames that came, damaged ones included.
        corrupt: Frames that the decoder could not restore, or that build upon one it could not.
        late: Frames that were not decoded because the decoder had fallen behind.
        connections: Connections that gave a frame.
        last_captured_s: `time.monotonic()` when the newest good frame was captured, or None.
    """

    state: CameraState
    reason: str
    description: str
    size_hw: tuple[int, int] | None
    received: int
    corrupt: int
    late: int
    connections: int
    last_captured_s: float | None


class Camera:
    """Keeps one camera alive.

    Args:
        config: Which one, and how it is set.
        mailbox: Where its newest frame is left.
        timings: Where decoding is counted, as the stage "decode".
        started_s: `time.monotonic()` of the beginning of the run.
        limits: How patient it is.
        recorder: Keeps what the camera sends, or None.
        decode: What decodes its stream, if it is a network camera.
    """

    def __init__(
        self,
        config: CameraConfig,
        mailbox: Mailbox,
        timings: StageTimings,
        started_s: float,
        limits: CameraLimits | None = None,
        recorder: CameraRecorder | None = None,
        decode: CameraDecode = "cpu",
    ) -> None:
        self.config = config
        self.kind = camera_kind(config.uri)
        self.address = redacted(config.uri)
        self.ended = False
        self._mailbox = mailbox
        self._timings = timings
        self._limits = limits or CameraLimits()
        self._recorder = recorder
        self._decode = decode
        self._clock = StreamClock(started_s)
        self._flip: Flip = "none" if self.kind == "csi" else config.flip  # the sensor's own pipeline has turned it
        self._lock = threading.Lock()
        self._report = CameraReport("connecting", "connecting", "", None, 0, 0, 0, 0, None)
        self._period_s = 0.0
        self._damage = Damage()
        self._behind = False
        self._first = True
        self._records_packets = False

    def report(self) -> CameraReport:
        """What is known now. A camera whose frames do not come any more is stale before its connection is given up."""
        with self._lock:
            report, stale_after_s = self._report, max(_SHORTEST_STALE_S, _STALE_PERIODS * self._period_s)
        if report.state == "live" and report.last_captured_s is not None:
            silent_s = time.monotonic() - report.last_captured_s
            if silent_s > stale_after_s:
                return dataclasses.replace(report, state="stale", reason=f"no picture for {silent_s:.1f} s")
        return report

    def run(self, stop: threading.Event) -> None:
        """Connect, read and connect again until `stop` is set, the stream ends on purpose, or there is no hope."""
        began_s = time.monotonic()
        pause_s = _FIRST_PAUSE_S
        while not stop.is_set():
            before, tried_s = self.report(), time.monotonic()
            try:
                self._connect_and_read(stop)
                return
            except EndOfStream:
                self.ended = True
                self._change(state="failed", reason="the recording is over")
                return
            except SignalLostError as error:
                now = self.report()
                if self._hopeless(error, now, began_s):
                    self._change(state="failed", reason=str(error))
                    return
                if now.connections > before.connections:
                    pause_s = _FIRST_PAUSE_S
                self._change(state="reconnecting", reason=str(error))
            # Jitter: cameras that one switch took down must not all come back in the same moment. A try that itself
            # took its time was pause enough.
            spent_s = time.monotonic() - tried_s
            stop.wait(max(_FIRST_PAUSE_S, pause_s - spent_s) * random.uniform(0.75, 1.25))  # noqa: S311
            pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_GROWTH)

    def _hopeless(self, error: SignalLostError, report: CameraReport, began_s: float) -> bool:
        if report.connections:
            return False  # It worked once, with this very address: whatever is wrong now may pass.
        limit_s = self._limits.give_up_s
        return error.permanent or (limit_s is not None and time.monotonic() - began_s > limit_s)

    def _connect_and_read(self, stop: threading.Event) -> None:
        connection = self._open()
        try:
            self._clock.restart()
            self._damage.restart()
            self._behind = False
            with self._lock:
                self._report = dataclasses.replace(self._report, description=connection.description)
            if self._recorder is not None:
                parameters = connection.parameters
                if parameters is not None:
                    parameters = dataclasses.replace(parameters, flip=self._flip)
                self._records_packets = self._recorder.begin(parameters)
            self._first = True
            while not stop.is_set():
                self._deliver(connection, connection.read())
        finally:
            connection.close()
            if self._recorder is not None:
                self._recorder.end()

    def _open(self) -> Connection:
        limits = self._limits
        if self.kind == "playback":
            from pipeline.cameras.playback import PlaybackConnection

            return PlaybackConnection(self.config)
        by_jetson = self._decode == "nvv4l2" and self.kind in {"rtsp", "http"}
        if self.kind in {"csi", "gstreamer"} or by_jetson:
            from pipeline.cameras.gstreamer import GStreamerConnection

            return GStreamerConnection(self.config, self.kind, limits.open_s, limits.grab_s)
        from pipeline.cameras.ffmpeg import FfmpegConnection
        from pipeline.sources.hardware import nvdec

        return FfmpegConnection(
            self.config,
            self.kind,
            limits.open_s,
            limits.grab_s,
            with_packets=self._recorder is not None,
            hardware=nvdec() if self._decode == "nvdec" else None,
        )

    def _deliver(self, connection: Connection, reading: Reading) -> None:
        """Date, count and leave what came."""
        arrived_s = time.monotonic()
        if reading.lost:
            if not self._behind:
                self._damage.begin(arrived_s)
            self._lose(late=self._behind)
        last_s = self._clock.last_source_s
        dates = [self._clock.place(taken.stream_s, arrived_s) for taken in reading.pictures]
        if self._recorder is not None and reading.packet is not None and self._clock.runs:
            for early in reading.before:
                packet = _placed(early, self._clock)
                if packet.decode_time_s > last_s:
                    self._recorder.packet(packet)
            self._recorder.packet(_placed(reading.packet, self._clock))
        for taken, (source_s, captured_s) in zip(reading.pictures, dates, strict=True):
            self._behind = arrived_s - captured_s > _LONG_BEHIND_S
            if self._behind:
                connection.skip_to_keyframe()
            if self._damage.spoils(taken, arrived_s):
                self._lose()
                continue
            frame = dataclasses.replace(
                turned(taken.frame, self._flip),
                camera=self.config.name,
                index=self._report.received,
                source_time_s=round(source_s, _DIGITS_S),
                captured_at_s=captured_s,
            )
            self._timings.add("decode", reading.decode_ms)
            if self._recorder is not None and not self._records_packets:
                self._recorder.frame(frame)
            self._arrived(frame)
            self._mailbox.put(frame)

    # The report.

    def _arrived(self, frame: Frame) -> None:
        with self._lock:
            report = self._report
            if report.last_captured_s is not None and not self._first:
                gap_s = frame.captured_at_s - report.last_captured_s
                self._period_s += (gap_s - self._period_s) * (0.1 if self._period_s else 1.0)
            self._report = dataclasses.replace(
                report,
                state="live",
                reason="",
                size_hw=frame.size_hw,
                received=report.received + 1,
                connections=report.connections + self._first,
                last_captured_s=frame.captured_at_s,
            )
            self._first = False

    def _lose(self, *, late: bool = False) -> None:
        with self._lock:
            report = self._report
            self._report = dataclasses.replace(
                report,
                received=report.received + 1,
                corrupt=report.corrupt + (not late),
                late=report.late + late,
            )

    def _change(self, *, state: CameraState, reason: str) -> None:
        with self._lock:
            self._report = dataclasses.replace(self._report, state=state, reason=reason)


def _placed(packet: EncodedPacket, clock: StreamClock) -> EncodedPacket:
    """The packet on our clock instead of the stream's, as exact as frames are dated."""
    return dataclasses.replace(
        packet,
        time_s=round(clock.source_time_s(packet.time_s), _DIGITS_S),
        decode_time_s=round(clock.source_time_s(packet.decode_time_s), _DIGITS_S),
    )
