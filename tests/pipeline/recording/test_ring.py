"""What is kept and what goes: the quota, the minutes, the free space, what was saved."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SinkError
from pipeline.recording import Recorder
from pipeline.recording.manifest import read_manifest
from pipeline.scene import Alert, CameraView
from tests.pipeline.recording.streams import (
    BEGAN,
    Stream,
    make_stream,
    numbers,
    recorded,
    recording,
    send,
    times,
    videos,
    wait_until,
)
from tests.pipeline.scenes import make_scene

RUN = "000001_2026-11-25T13-29-05Z"


def occupied(folder: Path) -> int:
    """Bytes of all segments and scenes in a folder; what hangs on hard links counts once."""
    files = [path.stat() for suffix in ("mp4", "jsonl") for path in folder.rglob(f"*.{suffix}")]
    return sum({(status.st_dev, status.st_ino): status.st_size for status in files}.values())


@pytest.fixture(scope="module")
def long_stream() -> Stream:
    """250 pictures, some 2.5 kB each; a key frame every 0.4 s."""
    return make_stream("h264", 250, noise=12)


def play_into(recorder: Recorder, stream: Stream, start_s: float, camera: str = "front") -> None:
    """Send a stream and wait until it is written."""
    before = recorder.status.pictures
    send(recorder.for_camera(camera), stream, start_s)
    wait_until(lambda: recorder.status.pictures == before + len(stream.packets) or recorder.status.failure != "")


def test_the_quota_is_never_passed_and_the_newest_stays(tmp_path: Path, long_stream: Stream) -> None:
    quota = 400_000
    with recording(tmp_path, segment_s=0.4, quota_bytes=quota) as recorder:
        for lap in range(3):
            play_into(recorder, long_stream, 10.0 * lap)
            assert occupied(tmp_path) <= quota
            assert recorder.status.kept_bytes <= quota
    assert recorder.status.failure == ""
    assert recorder.status.written_bytes > 3 * quota
    assert recorder.status.kept_bytes == occupied(tmp_path) > quota // 2
    frames = recorded(tmp_path)
    assert times(frames)[-1] == 29.96
    assert numbers(frames) == [round((time_s % 10) * 25) for time_s in times(frames)]


def test_the_quota_holds_for_all_cameras_and_runs_together(tmp_path: Path, long_stream: Stream) -> None:
    quota = 700_000
    for run in range(3):
        with recording(tmp_path, ("front", "rear"), segment_s=0.4, quota_bytes=quota) as recorder:
            for camera in ("front", "rear"):
                play_into(recorder, long_stream, 0.0, camera)
        assert recorder.status.failure == ""
        assert occupied(tmp_path) <= quota, run
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert left[-1] == "000003_2026-11-25T13-29-05Z"
    assert RUN not in left, "an emptied run leaves nothing behind"


def test_nothing_but_segments_is_ever_deleted(tmp_path: Path, long_stream: Stream) -> None:
    with recording(tmp_path, segment_s=0.4) as recorder:
        play_into(recorder, long_stream, 0.0)
    mine = tmp_path / RUN / "front" / "notes.txt"
    mine.write_text("a user's own words")
    (tmp_path / "holiday").mkdir()
    other = tmp_path / "holiday" / "0000001.000000.mp4"
    other.write_bytes(b"not ours")
    with recording(tmp_path, segment_s=0.4, quota_bytes=200_000) as recorder:
        play_into(recorder, long_stream, 0.0)
    assert mine.read_text() == "a user's own words"
    assert other.read_bytes() == b"not ours"
    assert not list((tmp_path / RUN).rglob("*.mp4"))


def test_the_ring_keeps_so_many_minutes_of_each_camera(tmp_path: Path, long_stream: Stream) -> None:
    with recording(tmp_path, ("front", "rear"), segment_s=0.4, minutes=5 / 60) as recorder:
        play_into(recorder, long_stream, 0.0, "front")
        play_into(recorder, make_stream(count=20), 0.0, "rear")
    front = recorded(Path(recorder.status.folder) / "front")
    assert times(front)[-1] == 9.96
    assert 9.96 - times(front)[0] == pytest.approx(5.0, abs=0.6)
    assert len(recorded(Path(recorder.status.folder) / "rear")) == 20


def test_the_minutes_reach_back_into_earlier_runs(tmp_path: Path) -> None:
    for _ in range(3):
        with recording(tmp_path, segment_s=0.4, minutes=3 / 60) as recorder:
            play_into(recorder, make_stream(count=50), 0.0)
    kept = {path.name: len(videos(path)) for path in tmp_path.iterdir() if path.is_dir()}
    assert kept == {"000002_2026-11-25T13-29-05Z": 4, "000003_2026-11-25T13-29-05Z": 5}


def test_a_small_disk_is_a_ring_too(tiny_disk: Path, long_stream: Stream) -> None:
    with recording(tiny_disk, segment_s=0.4) as recorder:
        for lap in range(2):
            play_into(recorder, long_stream, 10.0 * lap)
    assert recorder.status.failure == ""
    disk = os.statvfs(tiny_disk)
    assert disk.f_bavail * disk.f_frsize >= disk.f_blocks * disk.f_frsize // 20 - disk.f_frsize
    frames = recorded(tiny_disk)
    assert times(frames)[-1] == 19.96
    assert numbers(frames) == [round((time_s % 10) * 25) for time_s in times(frames)]


def test_a_disk_that_others_fill_ends_the_recording_and_not_the_run(tiny_disk: Path, long_stream: Stream) -> None:
    with recording(tiny_disk, segment_s=0.4, name="rides") as recorder:
        sink, front = recorder.sink(), recorder.for_camera("front")
        assert front.begin(long_stream.parameters)
        packets = list(long_stream.packets)
        for packet in packets[:20]:
            front.packet(packet)
        wait_until(lambda: recorder.status.pictures == 20)
        with (tiny_disk / "someone_elses").open("wb", buffering=0) as file:
            fill(file)
        for packet in packets[20:]:
            front.packet(packet)
        wait_until(lambda: recorder.status.failure != "")
        with pytest.raises(SinkError, match="cannot write rides: the disk is full"):
            sink.write(camera_scene(0, 1.0), None)
        front.packet(packets[0])
        front.end()
        with pytest.raises(SinkError, match="the disk is full"):
            recorder.save("button")
    (tiny_disk / "someone_elses").unlink()
    frames = recorded(tiny_disk)
    assert len(frames) >= 10
    assert numbers(frames) == [round(time_s * 25) for time_s in times(frames)]


def fill(file: Any) -> None:
    with contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert os.fstatvfs(file.fileno()).f_bavail == 0


def test_a_full_disk_is_told_before_the_first_frame(tiny_disk: Path) -> None:
    with (tiny_disk / "someone_elses").open("wb", buffering=0) as file:
        fill(file)
    with pytest.raises(SinkError, match="the disk is full"):
        Recorder(tiny_disk / "rides", ("front",), started_at=BEGAN)


def camera_scene(index: int, time_s: float, *, alerts: tuple[Alert, ...] = (), camera: str = "front") -> Any:
    scene = make_scene(index, time_s=time_s, alerts=alerts)
    return replace(scene, frame=replace(scene.frame, camera=camera))


# Saving.


def test_the_last_seconds_and_the_next_ones_are_saved(tmp_path: Path, long_stream: Stream) -> None:
    with recording(tmp_path, segment_s=0.4, save_s=3.0, minutes=2 / 60) as recorder:
        play_into(recorder, long_stream, 0.0)
        assert recorder.save("button") == str(tmp_path / "saved" / "2026-11-25T13-29-14Z-button")
        folder = Path(recorder.status.saving)
        wait_until(lambda: len(videos(folder)) >= 4)
        for lap in (1, 2):
            play_into(recorder, long_stream, 10.0 * lap)
    frames = recorded(folder)
    assert times(frames)[0] <= 9.96 - 2.0  # The ring held two seconds.
    assert 9.96 + 1.0 <= times(frames)[-1] <= 9.96 + 1.0 + 0.8
    assert numbers(frames) == [round((time_s % 10) * 25) for time_s in times(frames)]
    assert times(recorded(tmp_path))[0] > 25.0, "the ring has gone on"
    manifest = read_manifest(folder / "front")
    assert manifest is not None
    assert (manifest.saved_for, manifest.ended_at is not None) == (["button"], True)


def test_a_save_reaches_as_far_back_as_promised(tmp_path: Path, long_stream: Stream) -> None:
    with recording(tmp_path, segment_s=0.4, save_s=3.0) as recorder:
        play_into(recorder, long_stream, 0.0)
        folder = recorder.save("a/../b: button")
    frames = recorded(Path(folder))
    assert Path(folder).name == "2026-11-25T13-29-14Z-a_.._b_button"
    assert 9.96 - 3.0 - 0.8 <= times(frames)[0] <= 9.96 - 3.0
    assert times(frames)[-1] == 9.96


def test_repeated_alerts_extend_a_save(tmp_path: Path, long_stream: Stream) -> None:
    with recording(tmp_path, segment_s=0.4, save_s=3.0) as recorder:
        sink = recorder.sink()
        for lap in range(3):
            play_into(recorder, long_stream, 10.0 * lap)
            sink.write(
                camera_scene(250 * lap, 10.0 * lap + 9.96, alerts=(Alert("person", "a person on the road"),)), None
            )
        assert recorder.save("button") == recorder.status.saving
    saved = sorted((tmp_path / "saved").iterdir())
    # Ten seconds apart they are three; the button within the last one's second is none of its own.
    assert [path.name[-6:] for path in saved] == ["person"] * 3
    assert read_manifest(saved[-1] / "front").saved_for == ["person", "button"]  # type: ignore[union-attr]
    with recording(tmp_path / "2", segment_s=0.4, save_s=30.0) as recorder:
        sink = recorder.sink()
        for lap in range(3):
            play_into(recorder, long_stream, 10.0 * lap)
            sink.write(
                camera_scene(250 * lap, 10.0 * lap + 9.96, alerts=(Alert("person", "a person on the road"),)), None
            )
    (saved_once,) = (tmp_path / "2" / "saved").iterdir()
    assert len(recorded(saved_once)) == 750


def test_several_cameras_are_saved_together(tmp_path: Path, long_stream: Stream) -> None:
    with recording(tmp_path, ("front", "rear"), segment_s=0.4, save_s=2.0) as recorder:
        for camera in ("front", "rear"):
            play_into(recorder, long_stream, 0.0, camera)
        folder = Path(recorder.save("button"))
    assert (recorder.status.failure, recorder.status.note) == ("", "")
    assert sorted(path.name for path in folder.iterdir()) == ["front", "rear"]
    assert times(recorded(folder / "rear")) == times(recorded(folder / "front"))


def test_saved_recordings_count_but_never_go(tmp_path: Path, long_stream: Stream) -> None:
    quota = 800_000
    with recording(tmp_path, segment_s=0.4, quota_bytes=quota, save_s=3.0) as recorder:
        play_into(recorder, long_stream, 0.0)
        folder = Path(recorder.save("first"))
        for lap in (1, 2, 3):
            play_into(recorder, long_stream, 10.0 * lap)
            assert occupied(tmp_path) <= quota
        assert len(recorded(folder)) >= 75
        refused = 0
        for lap in range(4, 9):
            try:
                recorder.save(f"again {lap}")
            except SinkError as error:
                refused += "half of the quota is all that may be saved" in str(error)
            play_into(recorder, long_stream, 10.0 * lap)
        assert refused >= 3
        play_into(recorder, long_stream, 120.0)
        assert recorder.status.failure == ""
        assert occupied(tmp_path) <= quota
    assert times(recorded(Path(recorder.status.folder)))[-1] == pytest.approx(129.96)


def test_without_hard_links_a_save_is_a_copy(
    tmp_path: Path, long_stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")  # What FAT says.

    monkeypatch.setattr(os, "link", refuse)
    with recording(tmp_path, segment_s=0.4, save_s=3.0, minutes=1 / 60) as recorder:
        play_into(recorder, long_stream, 0.0)
        folder = Path(recorder.save("button"))
        play_into(recorder, long_stream, 10.0)
    frames = recorded(folder)
    assert times(frames)[0] < 9.1
    assert times(frames)[-1] >= 10.96
    assert {path.stat().st_nlink for path in folder.rglob("*.mp4")} == {1}


def test_a_segment_is_saved_though_its_empty_scenes_go_at_that_moment(
    tmp_path: Path, long_stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a segment takes the file of its scenes away when there were none, whatever the saving thread does."""
    link = os.link

    def too_late(source: Path, target: Path) -> None:
        if source.suffix == ".jsonl":
            wait_until(lambda: not source.exists())
        link(source, target)

    monkeypatch.setattr(os, "link", too_late)
    with recording(tmp_path, segment_s=0.4, save_s=3.0) as recorder:
        play_into(recorder, long_stream, 0.0)
        folder = Path(recorder.save("button"))
    assert recorder.status.note == ""
    assert times(recorded(folder)) == pytest.approx(
        times(recorded(Path(recorder.status.folder)))[-len(recorded(folder)) :]
    )
    assert not list(folder.rglob("*.jsonl"))


def test_saving_before_anything_was_recorded_is_refused(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder, pytest.raises(SinkError, match="nothing has been recorded yet"):
        recorder.save("button")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(("kind", "state"), [("no_signal", "reconnecting"), ("engine_failed", "live")])
def test_what_is_wrong_with_ourselves_is_no_alert_worth_saving(
    tmp_path: Path, long_stream: Stream, kind: str, state: Any
) -> None:
    with recording(tmp_path) as recorder:
        play_into(recorder, long_stream, 0.0)
        blind = camera_scene(1, 10.0, alerts=(Alert(kind, "the camera is gone"),))
        recorder.sink().write(replace(blind, camera=CameraView("front", state, age_ms=500.0, reason="timed out")), None)
        assert recorder.status.saving == ""
        recorder.sink().write(camera_scene(1, 9.0, alerts=(Alert("person", "…"),), camera="no such camera"), None)
    assert json.loads(next(tmp_path.rglob("*.jsonl")).read_text())["alerts"][0]["kind"] == kind


def test_an_alert_that_lasts_extends_a_save_only_for_as_long_as_a_save_reaches(
    tmp_path: Path, long_stream: Stream
) -> None:
    """As in a traffic jam: the first seconds tell all."""
    with recording(tmp_path, segment_s=0.4, save_s=3.0) as recorder:
        sink = recorder.sink()
        play_into(recorder, long_stream, 0.0)
        for second in range(10):
            sink.write(camera_scene(25 * second, second + 0.5, alerts=(Alert("path_blocked", "3 m clear"),)), None)
        wait_until(lambda: len(list((tmp_path / "saved").iterdir())) == 1)
        said = [recorder._worth_saving("front", camera_scene(0, 9.6 + gap, alerts=(Alert("path_blocked", ""),)))
                for gap in (0.0, 3.0)]  # fmt: skip
        assert said == [[], ["path_blocked"]], "after a gap it is a new one"
