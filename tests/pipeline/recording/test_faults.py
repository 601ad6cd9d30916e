"""kill -9, slow disks, hanging disks, damaged ends."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.errors import SinkError
from pipeline.recording import Recorder
from pipeline.recording.manifest import read_manifest
from pipeline.sinks.output_file import OutputFile
from pipeline.sources import open_source
from tests.pipeline.recording.streams import (
    BEGAN,
    make_stream,
    numbers,
    recorded,
    recording,
    send,
    times,
    videos,
    wait_until,
)

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("seconds", [0.7, 2.95])
def test_after_kill_9_all_but_the_last_second_is_playable(tmp_path: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.pipeline.recording.killed_recorder", str(tmp_path)]
    sent_s = []
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sent_s.append(float(line))
            if sent_s[-1] >= seconds:
                break
        process.send_signal(signal.SIGKILL)
        sent_s += [float(line) for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    (run,) = (path for path in tmp_path.iterdir() if path.is_dir())
    pictures: dict[str, int] = {}
    for camera in ("front", "rear"):
        source = open_source(str(run / camera))
        assert "cut off" in source.info.description
        frames = list(source.frames())  # And no error at its end.
        assert numbers(frames) == list(range(len(frames)))
        assert times(frames)[-1] > sent_s[-1] - 1.0
        assert _count_by_ffprobe(run / camera) in (None, len(frames))
        pictures[camera] = len(frames)
        lines = [line for path in sorted((run / camera).glob("*.jsonl")) for line in path.read_text().splitlines()]
        scene_times_s = [json.loads(line)["source_time_s"] for line in lines]
        assert scene_times_s == [index / 25 for index in range(len(scene_times_s))]
        assert scene_times_s[-1] > sent_s[-1] - 1.0
    with recording(tmp_path) as recorder:  # And the next run goes on beside it.
        send(recorder.for_camera("front"), make_stream(count=10))
    assert Path(recorder.status.folder).name.startswith("000002_")
    assert {camera: len(recorded(run / camera)) for camera in pictures} == pictures, "the killed run stays as it was"


def _count_by_ffprobe(folder: Path) -> int | None:
    """How many pictures FFmpeg's own tool decodes from a camera's segments; None where it is not installed."""
    if shutil.which("ffprobe") is None:
        return None
    count = 0
    for video in videos(folder):
        probe = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
        done = subprocess.run([*probe, str(video)], capture_output=True, text=True, check=False)
        count += int(done.stdout.strip().strip(",") or 0)
    return count


@pytest.mark.parametrize("missing_bytes", [1, 40, 700, 3000])
def test_an_end_that_never_reached_the_disk_costs_only_itself(tmp_path: Path, missing_bytes: int) -> None:
    """As after a loss of power: the file ends anywhere, also within a picture."""
    recorder = Recorder(tmp_path, ("front",), started_at=BEGAN, segment_s=0.8)
    front = recorder.for_camera("front")
    stream = make_stream("h264", 50, noise=12)
    front.begin(stream.parameters)
    for packet in stream.packets:
        front.packet(packet)
    wait_until(lambda: recorder.status.pictures == 50)
    copy = tmp_path / "after the crash"
    shutil.copytree(recorder.status.folder, copy)
    recorder.close()
    last = videos(copy)[-1]
    os.truncate(last, last.stat().st_size - missing_bytes)
    frames = recorded(copy)
    assert numbers(frames) == list(range(len(frames)))
    assert len(frames) >= 49 - 1 - missing_bytes // 300


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_segment_that_had_barely_begun_is_passed_over(tmp_path: Path, size: int) -> None:
    recorder = Recorder(tmp_path, ("front",), started_at=BEGAN, segment_s=0.8)
    front = recorder.for_camera("front")
    send(front, make_stream("h264", 50))
    wait_until(lambda: recorder.status.pictures == 50)
    copy = tmp_path / "after the crash"
    shutil.copytree(recorder.status.folder, copy)
    recorder.close()
    os.truncate(videos(copy)[-1], size)
    assert numbers(recorded(copy)) == list(range(40))


class SlowDisk:
    """Holds every write until it is let go. Injected beneath the container, as a card that stalls would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        self.waiting = threading.Event()
        real = OutputFile.write

        def write(file: OutputFile, data: bytes | bytearray) -> int:
            self.waiting.set()
            self.free.wait(30)
            return real(file, data)

        monkeypatch.setattr(OutputFile, "write", write)


def test_a_disk_that_stalls_costs_whole_groups_of_pictures_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, stream = SlowDisk(monkeypatch), make_stream("h264", 250, noise=12)
    capacity = sum(len(packet.data) for packet in stream.packets) // 4
    with recording(tmp_path, queue_bytes=capacity) as recorder:
        front = recorder.for_camera("front")
        front.begin(stream.parameters)
        for packet in stream.packets[:150]:
            front.packet(packet)  # Returns, though nothing is written.
        assert disk.waiting.wait(10)
        assert recorder.status.pictures <= 2
        disk.free.set()
        wait_until(lambda: recorder.status.pictures + recorder.status.dropped["front"] == 150)
        for packet in stream.packets[150:]:
            front.packet(packet)
    dropped = recorder.status.dropped["front"]
    assert 50 < dropped < 150
    assert recorder.status.failure == ""
    frames = recorded(tmp_path)
    assert len(frames) + dropped == 250
    assert numbers(frames) == [round(time_s * 25) for time_s in times(frames)]
    resumed = next(
        number for number, before in zip(numbers(frames)[1:], numbers(frames), strict=False) if number > before + 1
    )
    assert resumed % 10 == 0, "it goes on with a key frame"
    assert read_manifest(Path(recorder.status.folder) / "front").dropped == dropped  # type: ignore[union-attr]


def test_a_disk_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.recording.recorder._FINISH_LIMIT_S", 0.3)
    disk = SlowDisk(monkeypatch)
    recorder = Recorder(tmp_path, ("front",), started_at=BEGAN)
    send(recorder.for_camera("front"), make_stream(count=20))
    assert disk.waiting.wait(10)
    recorder.close()
    assert "did not take everything in time" in recorder.status.failure
    disk.free.set()
    wait_until(lambda: not any(thread.name == "clearway-recording-front" for thread in threading.enumerate()))


def test_a_disk_that_fails_midway_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = os.write, 0

    def fail_late(descriptor: int, data: Any) -> int:
        nonlocal written
        written += len(data)
        if written > 20_000:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, data)

    stream = make_stream("h264", 50, noise=12)
    with recording(tmp_path, name="card") as recorder:
        monkeypatch.setattr("pipeline.sinks.output_file.os.write", fail_late)
        send(recorder.for_camera("front"), stream)
        wait_until(lambda: recorder.status.failure != "")
        monkeypatch.undo()
        with pytest.raises(SinkError, match="cannot write card: the device failed"):
            recorder.save("button")
    frames = recorded(tmp_path)
    assert 5 <= len(frames) < 30
    assert numbers(frames) == list(range(len(frames)))
    assert read_manifest(Path(recorder.status.folder) / "front").failure == recorder.status.failure  # type: ignore[union-attr]
    assert "ended before the run did" in open_source(str(tmp_path)).info.description


def refuse_after(monkeypatch: pytest.MonkeyPatch, written: int, times_refused: int) -> None:
    """A disk that says it is full after so many more bytes, so many times, whatever was counted."""
    real, state = os.write, {"left": written, "refusals": times_refused}

    def write(descriptor: int, data: Any) -> int:
        state["left"] -= len(data)
        if state["left"] < 0 and state["refusals"] > 0:
            state["refusals"] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr("pipeline.sinks.output_file.os.write", write)


def test_a_disk_that_is_fuller_than_it_says_gets_room_by_the_oldest_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make_stream("h264", 100, noise=12)
    with recording(tmp_path, segment_s=0.4) as recorder:
        refuse_after(monkeypatch, 200_000, times_refused=1)
        send(recorder.for_camera("front"), stream)
    assert recorder.status.failure == ""
    frames = recorded(tmp_path)
    assert times(frames)[-1] == 3.96
    assert times(frames)[0] == 0.4, "the first segment gave way"
    assert 80 <= len(frames) <= 90 - 1
    assert numbers(frames) == [round(time_s * 25) for time_s in times(frames)]


def test_what_was_just_recorded_does_not_give_way_to_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording(tmp_path) as recorder:
        refuse_after(monkeypatch, 50_000, times_refused=1000)
        send(recorder.for_camera("front"), make_stream("h264", 100, noise=12))
        wait_until(lambda: recorder.status.failure != "")
    assert "the disk is full" in recorder.status.failure
    assert len(recorded(tmp_path)) > 10


def test_a_camera_that_never_sends_another_key_frame_cannot_fill_the_quota(tmp_path: Path) -> None:
    stream = make_stream("h264-endless", 250, noise=20)
    sent = sum(len(packet.data) for packet in stream.packets)
    with recording(tmp_path, quota_bytes=sent) as recorder:
        send(recorder.for_camera("front"), stream)
        send(recorder.for_camera("front"), stream, 20.0)
    assert recorder.status.failure == ""
    assert "no key frame for too long" in recorder.status.note
    assert recorder.status.left_out["front"] > 100
    frames = recorded(tmp_path)
    assert numbers(frames) == [round((time_s % 20) * 25) for time_s in times(frames)]
    assert times(frames)[-1] > 20.0


def test_nothing_is_left_running_or_open(tmp_path: Path) -> None:
    stream = make_stream(count=20)
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
    for lap in range(10):
        with recording(tmp_path, segment_s=0.4) as recorder:
            front = recorder.for_camera("front")
            for connection in range(3):
                send(front, stream, 1.0 * connection)
            if lap % 2:
                wait_until(lambda: recorder.status.pictures > 0)
                recorder.save("button")
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_everything_is_brought_onto_the_disk_every_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[float] = []
    real = OutputFile.sync

    def sync(file: OutputFile) -> None:
        synced.append(time.monotonic())
        real(file)

    monkeypatch.setattr(OutputFile, "sync", sync)
    monkeypatch.setattr("pipeline.recording.track.SYNC_EVERY_S", 0.05)
    stream = make_stream(count=50)
    with recording(tmp_path) as recorder:
        front = recorder.for_camera("front")
        front.begin(stream.parameters)
        for packet in stream.packets:
            front.packet(packet)
            time.sleep(0.01)
        wait_until(lambda: recorder.status.pictures == 50)
        assert len(synced) >= 6
        assert recorder.status.failure == ""


def test_two_recordings_of_an_mp4_player_agree(tmp_path: Path) -> None:
    """What PyAV reads in one go is what a player that seeks finds."""
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), make_stream(count=100))
    (video,) = videos(tmp_path)
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(int(2.5 / stream.time_base), stream=stream)
        frame = next(container.decode(stream))
        assert frame.time == pytest.approx(2.4, abs=1e-6)
