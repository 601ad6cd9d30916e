"""A camera's thread: what it delivers, what it drops, and that it never gives up."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from pipeline.cameras.address import CameraConfig
from pipeline.cameras.base import EncodedPacket, EndOfStream, Reading, SignalLostError, Taken, VideoParameters
from pipeline.cameras.camera import Camera, CameraLimits
from pipeline.cameras.mailbox import Mailbox
from pipeline.scene import Frame
from pipeline.timings import StageTimings

PERIOD_S = 0.01


def picture(stream_s: float, *, damaged: bool = False, key: bool = False) -> Taken:
    frame = Frame(0, 0.0, 0.0, (4, 4), lambda: np.zeros((4, 4, 3), np.uint8))
    return Taken(frame, stream_s, damaged, key)


class ScriptedConnection:
    """Plays a list of readings, one each 10 ms; what is an exception is raised."""

    description = "scripted"
    parameters: VideoParameters | None = None

    def __init__(self, script: list[Reading | Exception]) -> None:
        self._script = iter(script)
        self.closed = 0
        self.skips = 0

    def read(self) -> Reading:
        time.sleep(PERIOD_S)
        reading = next(self._script, None) or EndOfStream()
        if isinstance(reading, Exception):
            raise reading
        return reading

    def skip_to_keyframe(self) -> None:
        self.skips += 1

    def close(self) -> None:
        self.closed += 1


class Scripted:
    """A camera whose connections are scripted, and every frame that it delivers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *scripts: list[Reading | Exception] | Exception) -> None:
        self.mailbox = Mailbox(["front"])
        self.delivered: list[Frame] = []
        self.connections = [
            script if isinstance(script, Exception) else ScriptedConnection(script) for script in scripts
        ]
        monkeypatch.setattr(self.mailbox, "put", self.delivered.append)
        self.camera = Camera(
            CameraConfig("rtsp://camera/x", name="front"), self.mailbox, StageTimings(), time.monotonic(),
            CameraLimits(give_up_s=0.5),
        )  # fmt: skip
        opened = iter(self.connections)

        def connect() -> ScriptedConnection:
            connection = next(opened, None) or SignalLostError("nobody there")
            if isinstance(connection, Exception):
                raise connection
            return connection

        monkeypatch.setattr(self.camera, "_open", connect)

    def run(self) -> Scripted:
        self.camera.run(threading.Event())
        return self


@contextmanager
def running(camera: Camera) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=camera.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()


def until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_frames_are_numbered_named_and_dated(monkeypatch: pytest.MonkeyPatch):
    frames = Scripted(monkeypatch, [Reading([picture(7 + step * PERIOD_S)]) for step in range(5)]).run().delivered
    assert [(frame.camera, frame.index) for frame in frames] == [("front", index) for index in range(5)]
    assert all(after.source_time_s > before.source_time_s for before, after in itertools.pairwise(frames))
    assert all(0 <= time.monotonic() - frame.captured_at_s < 5 for frame in frames)


def test_a_damaged_picture_and_all_that_build_upon_it_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch):
    steps = [
        picture(0.00, key=True),
        picture(0.01, damaged=True),
        picture(0.02),
        picture(0.03, damaged=True, key=True),
        picture(0.04),
        picture(0.05, key=True),
        picture(0.06),
    ]
    run = Scripted(monkeypatch, [Reading([taken]) for taken in steps] + [Reading([], lost=True)]).run()
    assert [frame.index for frame in run.delivered] == [0, 5, 6]
    report = run.camera.report()
    assert (report.received, report.corrupt, report.late) == (8, 5, 0)


def test_a_decoder_that_lags_is_told_to_skip_and_what_it_skips_is_late(monkeypatch: pytest.MonkeyPatch):
    stuck = [Reading([picture(step * PERIOD_S)]) for step in range(3)] + [Reading([picture(-4.0)])]
    run = Scripted(monkeypatch, [*stuck, Reading([], lost=True), Reading([picture(0.05, key=True)])]).run()
    assert run.connections[0].skips == 1
    assert (run.camera.report().late, run.camera.report().corrupt) == (1, 0)


def test_a_lost_connection_is_closed_and_made_anew_as_often_as_it_takes(monkeypatch: pytest.MonkeyPatch):
    broken = [Reading([picture(0.0)]), SignalLostError("cable")]
    run = Scripted(monkeypatch, broken, SignalLostError("refused"), broken, [Reading([picture(0.0)])]).run()
    assert [frame.index for frame in run.delivered] == [0, 1, 2]
    assert run.camera.report().connections == 3
    assert [connection.closed for connection in run.connections if not isinstance(connection, Exception)] == [1, 1, 1]


def test_a_camera_that_was_never_reached_is_given_up_after_its_time(monkeypatch: pytest.MonkeyPatch):
    report = Scripted(monkeypatch).run().camera.report()
    assert (report.state, report.reason, report.connections) == ("failed", "nobody there", 0)


def test_a_wrong_password_is_not_tried_again(monkeypatch: pytest.MonkeyPatch):
    refused = SignalLostError("asks for a password", permanent=True)
    report = Scripted(monkeypatch, refused, [Reading([picture(0.0)])]).run().camera.report()
    assert (report.state, report.connections) == ("failed", 0)


def test_a_camera_that_falls_silent_is_stale_before_it_is_given_up(monkeypatch: pytest.MonkeyPatch):
    script = Scripted(monkeypatch, [Reading([picture(step * PERIOD_S)]) for step in range(10)])
    silence = threading.Event()
    connection = script.connections[0]
    assert isinstance(connection, ScriptedConnection)
    read, count = connection.read, iter(range(100))

    def read_then_hang() -> Reading:
        if next(count) >= 5:
            silence.wait(5)
            raise EndOfStream
        return read()

    monkeypatch.setattr(connection, "read", read_then_hang)
    with running(script.camera):
        until(lambda: script.camera.report().state == "live")
        until(lambda: script.camera.report().state == "stale")
        assert "no picture for" in script.camera.report().reason
        silence.set()


class Tape:
    """A recorder that keeps what it is given."""

    def __init__(self, *, packets: bool) -> None:
        self.wants_packets = packets
        self.events: list[object] = []

    def begin(self, parameters: VideoParameters | None) -> bool:
        self.events.append(("begin", parameters))
        return self.wants_packets and parameters is not None

    def packet(self, packet: EncodedPacket) -> None:
        self.events.append(packet)

    def frame(self, frame: Frame) -> None:
        self.events.append(frame)

    def end(self) -> None:
        self.events.append("end")


def test_a_recorded_packet_has_the_time_of_its_frame(monkeypatch: pytest.MonkeyPatch):
    times_s = [50 + step * PERIOD_S for step in range(4)]
    readings = [
        Reading([picture(time_s)], EncodedPacket(b"x", time_s, time_s, is_keyframe=step == 0))
        for step, time_s in enumerate(times_s)
    ]
    run, tape = Scripted(monkeypatch, list(readings)), Tape(packets=True)
    run.connections[0].parameters = VideoParameters("h264", (4, 4))
    run.camera._recorder = tape
    run.run()
    packets = [event for event in tape.events if isinstance(event, EncodedPacket)]
    assert [packet.time_s for packet in packets] == [frame.source_time_s for frame in run.delivered]
    assert tape.events[0] == ("begin", VideoParameters("h264", (4, 4)))
    assert tape.events[-1] == "end"


def test_a_camera_without_packets_is_recorded_by_its_frames(monkeypatch: pytest.MonkeyPatch):
    run, tape = Scripted(monkeypatch, [Reading([picture(0.0)]), Reading([picture(PERIOD_S)])]), Tape(packets=True)
    run.camera._recorder = tape
    run.run()
    assert tape.events[1:-1] == run.delivered


def test_a_recording_played_as_a_camera_keeps_its_own_pace_and_begins_again():
    mailbox = Mailbox(["camera"])
    config = CameraConfig("synthetic://drive?frames=3&size=64x64&fps=50", name="camera")
    camera = Camera(config, mailbox, StageTimings(), time.monotonic())
    camera.run(threading.Event())
    assert camera.ended
    assert camera.report().received == 3
