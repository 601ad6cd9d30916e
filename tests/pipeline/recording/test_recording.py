"""What cameras send is what `replay` plays: every picture, once, at its own time."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cameras.base import VideoParameters
from pipeline.errors import ConfigError, SinkError, SourceError
from pipeline.recording import Recorder
from pipeline.recording.manifest import read_manifest
from pipeline.scene import Frame, YuvPlanes
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
from tests.pipeline.recordings import numbered_picture, write_video


@pytest.mark.parametrize("wrapping", ["start codes", "lengths"])
@pytest.mark.parametrize("kind", ["h264", "h264-b", "hevc", "mjpeg"])
def test_every_packet_is_played_at_its_own_time(tmp_path: Path, kind: str, wrapping: str) -> None:
    stream = make_stream(kind, 60, wrapping=wrapping)
    with recording(tmp_path, segment_s=1.0) as recorder:
        send(recorder.for_camera("front"), stream, 3.1234567)
    frames = recorded(tmp_path)
    assert numbers(frames) == list(range(60))
    assert [frame.index for frame in frames] == list(range(60))
    assert times(frames) == sorted(round(packet.time_s, 6) for packet in stream.at(3.1234567))
    assert len(videos(tmp_path)) in {2, 3}


def test_what_is_recorded_is_what_the_camera_sent_to_the_byte(tmp_path: Path) -> None:
    stream = make_stream("mjpeg", 20)
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), stream)
    with av.open(str(videos(tmp_path)[0])) as container:
        kept = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert kept == [packet.data for packet in stream.packets]


def test_segments_begin_at_key_frames_and_each_can_be_played_alone(tmp_path: Path) -> None:
    with recording(tmp_path, segment_s=0.5) as recorder:
        send(recorder.for_camera("front"), make_stream(count=100))  # A key frame every 0.4 s.
    counts = []
    for video in videos(tmp_path):
        with av.open(str(video)) as container:
            frames = list(container.decode(video=0))
        assert frames[0].key_frame
        counts.append(len(frames))
    assert counts == [20, 20, 20, 20, 20]


def test_parameter_sets_that_are_only_in_the_stream_or_only_beside_it_are_found(tmp_path: Path) -> None:
    stream = make_stream("h264", 20, wrapping="start codes")
    beside = _without_sets(stream)
    with recording(tmp_path / "in", segment_s=0.3) as recorder:
        send(recorder.for_camera("front"), stream)
    with recording(tmp_path / "beside", segment_s=0.3) as recorder:
        send(recorder.for_camera("front"), beside)
    assert numbers(recorded(tmp_path / "in")) == numbers(recorded(tmp_path / "beside")) == list(range(20))
    assert len(videos(tmp_path / "beside")) == 2


def _without_sets(stream):
    """The same stream with its parameter sets in `extradata` alone, as RTSP describes them."""
    sets, packets = b"", []
    for packet in stream.packets:
        units = [
            unit for unit in packet.data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01") if unit
        ]
        first = b"".join(b"\x00\x00\x00\x01" + unit for unit in units if unit[0] & 0x1F in {7, 8})
        sets = sets or first
        rest = b"".join(b"\x00\x00\x00\x01" + unit for unit in units if unit[0] & 0x1F not in {7, 8})
        packets.append(replace(packet, data=rest))
    assert sets
    return replace(stream, parameters=replace(stream.parameters, extradata=sets), packets=tuple(packets))


@pytest.mark.parametrize(("kind", "lost"), [("h264-open", {38, 39, 78, 79}), ("h264-refresh", set())])
def test_encoders_that_send_parameter_sets_only_once_are_cut_all_the_same(
    tmp_path: Path, kind: str, lost: set[int]
) -> None:
    """Pictures that lead into the seam of an open group are lost, and no others."""
    with recording(tmp_path, segment_s=1.0) as recorder:
        send(recorder.for_camera("front"), make_stream(kind, 120, noise=6))
    assert numbers(recorded(tmp_path)) == [number for number in range(120) if number not in lost]
    assert len(videos(tmp_path)) >= 3
    assert recorder.status.left_out == {"front": len(lost)}


def test_a_stream_joined_midway_is_recorded_from_its_next_key_frame(tmp_path: Path) -> None:
    stream = make_stream("h264", 30)
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), replace(stream, packets=stream.packets[3:]))
    assert recorder.status.left_out == {"front": 7}
    assert numbers(recorded(tmp_path)) == list(range(10, 30))


def test_reconnecting_with_another_codec_and_size_goes_on_in_a_new_segment(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        front = recorder.for_camera("front")
        send(front, make_stream("h264", 20), 1.0)
        send(front, make_stream("mjpeg", 20, size_hw=(128, 192), first=20), 5.0)
        send(front, make_stream("hevc", 20, size_hw=(96, 160), first=40), 65.0)
    frames = recorded(tmp_path)
    assert numbers(frames) == list(range(60))
    assert [frame.size_hw for frame in frames] == [(96, 160)] * 20 + [(128, 192)] * 20 + [(96, 160)] * 20
    assert [times(frames)[position] for position in (0, 20, 40)] == [1.0, 5.0, 65.0]
    assert len(videos(tmp_path)) == 3
    assert open_source(str(tmp_path)).info.size_hw == (96, 160)


@pytest.mark.parametrize("kind", ["h264", "hevc", "mjpeg"])
def test_a_camera_that_changes_its_size_without_a_word_gets_a_new_segment(tmp_path: Path, kind: str) -> None:
    small, large = make_stream(kind, 20), make_stream(kind, 20, size_hw=(128, 192), first=20)
    with recording(tmp_path) as recorder:
        front = recorder.for_camera("front")
        assert front.begin(small.parameters)
        for packet in [*small.at(0.0), *large.at(0.8)]:
            front.packet(packet)
        front.end()
    frames = recorded(tmp_path)
    assert numbers(frames) == list(range(40))
    assert {frame.size_hw for frame in frames[20:]} == {(128, 192)}
    assert len(videos(tmp_path)) == 2


def test_damaged_packets_cost_their_pictures_and_nothing_else(tmp_path: Path) -> None:
    stream = make_stream("h264", 50, wrapping="lengths")
    packets = list(stream.packets)
    packets[13] = replace(packets[13], data=b"\x7f\xff\xff\xff" + packets[13].data)
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), replace(stream, packets=tuple(packets)))
    assert recorder.status.failure == ""
    assert recorder.status.left_out == {"front": 7}
    assert numbers(recorded(tmp_path)) == [*range(13), *range(20, 50)]


def test_times_that_stand_still_lose_no_picture(tmp_path: Path) -> None:
    stream = make_stream("mjpeg", 10)
    still = tuple(replace(packet, time_s=0.5, decode_time_s=0.5) for packet in stream.packets)
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), replace(stream, packets=still))
    frames = recorded(tmp_path)
    assert numbers(frames) == list(range(10))
    assert all(later > earlier for earlier, later in pairwise(times(frames)))
    assert times(frames)[-1] < 0.5001


def planes_of(picture: np.ndarray) -> YuvPlanes:
    frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
    flat = frame.to_ndarray()
    height, width = picture.shape[:2]
    chroma = flat[height:].reshape(2, height // 2, width // 2)
    return YuvPlanes(flat[:height], chroma[0], chroma[1], "bt601", full_range=False)


@pytest.mark.parametrize("with_planes", [True, False])
def test_cameras_without_a_compressed_stream_are_encoded(tmp_path: Path, with_planes: bool) -> None:
    with recording(tmp_path, segment_s=1.0) as recorder:
        front = recorder.for_camera("front")
        assert not front.begin(None)
        for number in range(40):
            picture = numbered_picture(number)
            planes = planes_of(picture) if with_planes else None
            front.frame(Frame(number, 2 + number / 20, 0.0, (96, 160), picture.copy, planes=planes))
        front.end()
    frames = recorded(tmp_path)
    assert numbers(frames) == list(range(40))
    assert times(frames) == [2 + number / 20 for number in range(40)]
    assert len(videos(tmp_path)) == 2
    planes = frames[5].planes
    assert planes is not None
    assert planes.matrix == ("bt601" if with_planes else "bt709")


@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_encoded_planes_keep_their_values_and_their_meaning(tmp_path: Path, matrix: str, full_range: bool) -> None:
    y = np.tile(np.linspace(20, 230, 64, dtype=np.uint8), (48, 1))
    u, v = np.full((24, 32), 90, np.uint8), np.full((24, 32), 160, np.uint8)
    planes = YuvPlanes(y, u, v, matrix, full_range)  # type: ignore[arg-type]
    with recording(tmp_path) as recorder:
        front = recorder.for_camera("front")
        front.begin(None)
        for number in range(3):
            front.frame(
                Frame(number, number / 10, 0.0, (48, 64), lambda: np.zeros((48, 64, 3), np.uint8), planes=planes)
            )
    played = recorded(tmp_path)[-1].planes
    assert played is not None
    assert (played.matrix, played.full_range) == (matrix, full_range)
    for mine, theirs in ((planes.y, played.y), (planes.u, played.u), (planes.v, played.v)):
        np.testing.assert_allclose(mine.astype(int), theirs.astype(int), atol=6)


def test_an_odd_size_is_padded_by_its_edge(tmp_path: Path) -> None:
    picture = numbered_picture(5, (97, 161))
    odd = YuvPlanes(
        np.full((97, 161), 99, np.uint8),
        np.full((49, 81), 100, np.uint8),
        np.full((49, 81), 150, np.uint8),
        "bt601",
        False,
    )
    with recording(tmp_path) as recorder:
        front = recorder.for_camera("front")
        front.begin(None)
        front.frame(Frame(0, 0.0, 0.0, (97, 161), picture.copy))
        front.frame(Frame(1, 0.1, 0.0, (97, 161), picture.copy, planes=odd))
    frames = recorded(tmp_path)
    assert [frame.size_hw for frame in frames] == [(98, 162)] * 2
    assert frames[1].planes is not None
    np.testing.assert_allclose(frames[1].planes.y[96:].astype(int), 99, atol=3)


def test_a_codec_that_cannot_be_copied_is_asked_for_frames(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        front = recorder.for_camera("front")
        assert not front.begin(VideoParameters("vp9", (96, 160)))
        front.frame(Frame(0, 0.0, 0.0, (96, 160), numbered_picture(7).copy))
    assert numbers(recorded(tmp_path)) == [7]


def test_a_camera_that_hangs_upside_down_is_played_as_its_scenes_saw_it(tmp_path: Path) -> None:
    stream = make_stream("h264", 10, first=0b1010)
    turned = replace(stream, parameters=replace(stream.parameters, flip="horizontal"))
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), turned)
    assert read_manifest(Path(recorder.status.folder) / "front").flip == "horizontal"  # type: ignore[union-attr]
    mirrored = int(f"{0b1010:08b}"[::-1], 2)
    assert numbers(recorded(tmp_path))[0] == mirrored


def test_several_cameras_are_played_one_by_one(tmp_path: Path) -> None:
    with recording(tmp_path, ("front", "rear left", "rear/left")) as recorder:
        for position, camera in enumerate(("front", "rear left", "rear/left")):
            send(recorder.for_camera(camera), make_stream(count=10, first=100 + position))
    with pytest.raises(SourceError) as refusal:
        open_source(str(tmp_path))
    run = "000001_2026-11-25T13-29-05Z"
    assert str(refusal.value) == (
        f"{tmp_path}: holds 3 recordings; name one of them, as in {tmp_path / run / 'front'}: "
        f"{run}/front, {run}/rear_left, {run}/rear_left-2"
    )
    for position, name in enumerate(("front", "rear_left", "rear_left-2")):
        assert numbers(recorded(tmp_path / run / name))[0] == 100 + position
    assert read_manifest(tmp_path / run / "rear_left-2").camera == "rear/left"  # type: ignore[union-attr]


def test_a_later_run_lies_beside_the_earlier_one(tmp_path: Path) -> None:
    for first in (0, 50):
        with recording(tmp_path) as recorder:
            send(recorder.for_camera("front"), make_stream(count=10, first=first))
    assert numbers(recorded(tmp_path / "000001_2026-11-25T13-29-05Z")) == list(range(10))
    assert numbers(recorded(tmp_path / "000002_2026-11-25T13-29-05Z")) == list(range(50, 60))


def test_two_runs_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with recording(tmp_path), pytest.raises(SinkError, match="another run is recording into it"):
        Recorder(tmp_path, ("front",), started_at=BEGAN)
    with recording(tmp_path):
        pass


def test_everything_is_private_to_the_user(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with recording(tmp_path / "rides") as recorder:
            send(recorder.for_camera("front"), make_stream(count=10))
            wait_until(lambda: recorder.status.pictures == 10)
            recorder.save("button")
    finally:
        os.umask(before)
    paths = [tmp_path / "rides", *(tmp_path / "rides").rglob("*")]
    modes = {path.relative_to(tmp_path): stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert len(modes) > 8
    assert {mode for path, mode in modes.items() if (tmp_path / path).is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if (tmp_path / path).is_file()} == {0o600}


def test_reading_may_start_in_a_later_segment(tmp_path: Path) -> None:
    with recording(tmp_path, segment_s=0.8) as recorder:
        send(recorder.for_camera("front"), make_stream(count=100), 10.0)
    frames = recorded(tmp_path, start_s=12.5)
    assert times(frames)[0] == 12.4
    assert numbers(frames)[-1] == 99


def test_a_folder_of_stills_is_still_a_folder_of_stills(tmp_path: Path) -> None:
    write_video(tmp_path / "x.mp4", [numbered_picture(1)])
    with pytest.raises(SourceError, match="no images there"):
        open_source(str(tmp_path))


def test_a_damaged_segment_midway_is_told_after_everything_was_played(tmp_path: Path) -> None:
    with recording(tmp_path, segment_s=0.4) as recorder:
        send(recorder.for_camera("front"), make_stream(count=50))
    second = videos(tmp_path)[1]
    second.write_bytes(second.read_bytes()[:300])
    source, frames = open_source(str(tmp_path)), []
    with pytest.raises(SourceError, match=second.name):
        frames.extend(source.frames())
    assert numbers(frames) == [*range(10), *range(20, 50)]


def test_numbers_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    for wrong in ({"minutes": 0}, {"quota_bytes": -1}, {"save_s": 0}):
        with pytest.raises(ConfigError):
            Recorder(tmp_path, ("front",), started_at=BEGAN, **wrong)


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="a part of the path is a file"):
        Recorder(tmp_path / "file", ("front",), started_at=BEGAN)


def test_the_rate_that_players_show_is_that_of_the_stream(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), make_stream("mjpeg", 31, rate_hz=10.0))
    with av.open(str(videos(tmp_path)[0])) as container:
        assert container.streams.video[0].average_rate == pytest.approx(Fraction(10), rel=0.04)


_BLOCKS = {kind: make_stream(kind, 30) for kind in ("h264", "mjpeg", "h264-b")}
connections = st.lists(
    st.tuples(st.sampled_from(sorted(_BLOCKS)), st.floats(1e-4, 100.0), st.integers(1, 30)), min_size=1, max_size=5
)


@settings(max_examples=25, deadline=None)
@given(connections, st.floats(0.1, 3.0))
def test_whatever_the_connections_every_picture_has_its_time(
    tmp_path_factory: pytest.TempPathFactory, connections: list[tuple[str, float, int]], segment_s: float
) -> None:
    folder, now_s, expected = tmp_path_factory.mktemp("rides"), 0.0, []
    with recording(folder, segment_s=segment_s) as recorder:
        for kind, gap_s, count in connections:
            stream = _BLOCKS[kind]
            stream = replace(stream, packets=stream.packets[:count])
            start_s = now_s + gap_s
            send(recorder.for_camera("front"), stream, start_s)
            now_s = start_s + max(packet.time_s for packet in stream.packets)
            expected += sorted((round(packet.time_s, 6)) for packet in stream.at(start_s))
    assert recorder.status.left_out == {"front": 0}
    frames = recorded(folder)
    assert times(frames) == expected
    starts = [float(video.name.removesuffix(".mp4")) for video in videos(folder)]
    assert starts == sorted(starts)
    assert len(starts) >= len(connections)


@pytest.mark.parametrize("gap_s", [500.0, 6000.0])
def test_a_long_gap_within_a_stream_is_kept(tmp_path: Path, gap_s: float) -> None:
    """One that is longer than a picture can last in an MP4 costs the pictures up to the next key frame."""
    stream = make_stream("h264", 30)
    late = [packet for packet in stream.at(gap_s) if packet.time_s >= gap_s + 0.6]
    with recording(tmp_path) as recorder:
        send(recorder.for_camera("front"), replace(stream, packets=(*stream.packets[:15], *late)))
    resumed = 15 if gap_s < 600 else 20
    frames = recorded(tmp_path)
    assert numbers(frames) == [*range(15), *range(resumed, 30)]
    assert times(frames)[15:] == [round(gap_s + number / 25, 6) for number in range(resumed, 30)]
