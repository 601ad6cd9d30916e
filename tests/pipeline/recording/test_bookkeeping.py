"""Names, times, what may go and what must wait: held for all inputs."""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cameras.base import EncodedPacket
from pipeline.recording.bitstream import Unwrapper
from pipeline.recording.intake import Begin, Intake, SceneLine
from pipeline.recording.kept import count_expired
from pipeline.recording.layout import (
    folder_names,
    scenes_beside,
    segment_lengths_us,
    segment_name,
    segment_start_us,
    to_us,
)
from pipeline.recording.ring import free_floor_bytes

starts = st.lists(st.integers(1, 90_000_000), max_size=30).map(lambda gaps: list(accumulate(gaps)))


@given(st.lists(st.integers(0, 10**15), min_size=1))
def test_a_segments_name_is_its_time_and_sorts_by_it(times_us: list[int]) -> None:
    names = [segment_name(time_us) for time_us in times_us]
    assert [segment_start_us(Path(name)) for name in names] == times_us
    in_a_year = [time_us for time_us in times_us if time_us < 10**13]
    assert sorted(segment_name(time_us) for time_us in in_a_year) == [segment_name(time) for time in sorted(in_a_year)]
    assert scenes_beside(Path("x") / names[0]).name == names[0].replace(".mp4", ".jsonl")


@given(st.floats(0, 1e8))
def test_a_time_in_a_file_is_the_time_in_a_scene(time_s: float) -> None:
    assert round(to_us(time_s) / 1_000_000, 6) == round(time_s, 6)


def test_other_files_are_no_segments() -> None:
    for name in ("recording.json", "0000001.5.mp4", "0000001.500000.mkv", "overlay.mp4", "0000001.500000.mp4.part"):
        assert segment_start_us(Path(name)) is None


def test_a_segment_cannot_begin_before_its_run() -> None:
    with pytest.raises(ValueError, match="before its run"):
        segment_name(-1)


@given(st.lists(st.text(min_size=1, max_size=100), unique=True, max_size=12))
def test_every_camera_gets_a_folder_of_its_own_whatever_its_name(names: list[str]) -> None:
    chosen = folder_names(names)
    assert list(chosen) == names
    assert len({name.casefold() for name in chosen.values()}) == len(names)
    for name in chosen.values():
        assert re.fullmatch(r"[\w.-]+", name)
        assert name not in {".", ".."}
        assert not name.startswith((".", "-"))
        assert len(name.encode()) < 255


def test_names_that_people_give_stay_readable() -> None:
    names = ["front", "Front", "rtsp://10.0.0.7:554/cam 1", "../../etc/passwd", "…"]
    assert list(folder_names(names).values()) == ["front", "Front-2", "rtsp_10.0.0.7_554_cam_1", "etc_passwd", "camera"]


@given(starts, st.integers(1, 30_000_000))
def test_segments_do_not_overlap_and_gaps_do_not_count(starts_us: list[int], longest_us: int) -> None:
    lengths = segment_lengths_us(starts_us, longest_us, longest_us)
    assert len(lengths) == len(starts_us)
    assert all(0 < length <= longest_us for length in lengths)
    for position in range(len(starts_us) - 1):
        assert starts_us[position] + lengths[position] <= starts_us[position + 1]


@given(st.lists(starts, max_size=4), st.integers(1, 200_000_000))
def test_what_goes_is_all_that_can_and_no_more(runs_us: list[list[int]], kept_us: int) -> None:
    last = [10_000_000] * (len(runs_us) - 1) + [0]
    lengths = [
        length for run, end in zip(runs_us, last, strict=False) for length in segment_lengths_us(run, 20_000_000, end)
    ]
    count = count_expired(runs_us, 20_000_000, kept_us)
    if count:
        assert sum(lengths[count:]) >= kept_us
    assert sum(lengths[count + 1 :]) < kept_us
    assert count < max(1, len(lengths))


def test_a_disk_is_never_filled_to_the_brim() -> None:
    assert free_floor_bytes(32 * 10**9) == 10**9
    assert free_floor_bytes(256 * 1024) == 13107


packets = st.lists(st.tuples(st.integers(1, 3000), st.booleans(), st.integers(0, 3)), max_size=80)


@given(packets, st.integers(2000, 20_000))
def test_a_queue_that_is_full_leaves_out_what_could_not_be_decoded(
    sent: list[tuple[int, bool, int]], capacity: int
) -> None:
    """After each packet the writer takes some; whatever it gets can be decoded, and all is accounted for."""
    intake = Intake(capacity)
    intake.put(Begin(None))
    taken = []
    for number, (size, is_key, takes) in enumerate(sent):
        intake.put(EncodedPacket(bytes(size), float(number), float(number), is_key))
        assert intake.waiting_bytes <= capacity + 400
        taken += [intake.take(0.0) for _ in range(takes)]
    intake.close()
    while not intake.finished:
        taken.append(intake.take(0.0))
    got = [item for item in taken if isinstance(item, EncodedPacket)]
    assert len(got) + intake.dropped == len(sent)
    for before, packet in zip([None, *got], got, strict=False):
        if not packet.is_keyframe and before is not None:
            assert packet.time_s == before.time_s + 1, "a picture came whose reference was left out"
    if got and not got[0].is_keyframe:
        assert got[0].time_s == 0.0


@given(st.lists(st.integers(1, 5000), max_size=50))
def test_scenes_are_bounded_too(sizes: list[int]) -> None:
    intake = Intake(10_000)
    for size in sizes:
        intake.put(SceneLine(0, bytes(size)))
        assert intake.waiting_bytes <= 10_000


units = st.lists(
    st.binary(min_size=2, max_size=60).map(
        lambda unit: b"\x41" + unit.replace(b"\x00\x00", b"\x00\x03").rstrip(b"\x00") + b"\x80"
    ),
    min_size=1,
    max_size=6,
)


@given(units, st.integers(1, 4))
def test_lengths_become_start_codes(nal_units: list[bytes], length_size: int) -> None:
    extradata = (
        b"\x01\x64\x00\x0b" + bytes([0xFC | (length_size - 1)]) + b"\xe1\x00\x02\x67\x64" + b"\x01\x00\x02\x68\xee"
    )
    data = b"".join(len(unit).to_bytes(length_size, "big") + unit for unit in nal_units)
    unwrapper = Unwrapper("h264", extradata)
    bare = unwrapper.bare(data)
    assert bare == b"".join(b"\x00\x00\x00\x01" + unit for unit in nal_units)
    assert unwrapper.beginning(bare) == b"\x00\x00\x00\x01\x67\x64\x00\x00\x00\x01\x68\xee" + bare


@given(st.binary(max_size=300))
def test_rubbish_is_refused_or_passed_on_but_never_read_beyond_its_end(data: bytes) -> None:
    unwrapper = Unwrapper("h264", b"\x01\x64\x00\x0b\xff\xe1\x00\x02\x67\x64\x01\x00\x02\x68\xee")
    try:
        bare = unwrapper.bare(data)
    except ValueError:
        return
    assert len(bare) == len(data)
