"""Video files: every frame, in order, at its own time; damage is told, not hidden."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.sources import open_source
from tests.pipeline.recordings import number_of, numbered_picture, write_video


def read_all(uri: object, **options: float) -> list:
    source = open_source(str(uri), **options)
    try:
        return list(source.frames())
    finally:
        source.close()


def count_until_error(path: Path) -> tuple[int, str]:
    """How many frames a recording gives before it fails, and what it then says."""
    source, count = open_source(str(path)), 0
    try:
        for _ in source.frames():
            count += 1
    except SourceError as error:
        return count, str(error)
    finally:
        source.close()
    raise AssertionError("the recording did not fail")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "mov"])
def test_every_frame_comes_in_order(tmp_path: Path, suffix: str):
    path = write_video(tmp_path / f"drive.{suffix}", [numbered_picture(number) for number in range(30)])
    frames = read_all(path)
    assert [frame.index for frame in frames] == list(range(30))
    assert [number_of(frame.image) for frame in frames] == list(range(30))


def test_time_is_the_recordings_own(tmp_path: Path):
    times_s = [0.0, 0.04, 0.5, 0.52, 2.0]
    path = write_video(tmp_path / "uneven.mp4", [numbered_picture(number) for number in range(5)], times_s)
    assert [frame.source_time_s for frame in read_all(path)] == pytest.approx(times_s, abs=1e-3)


def test_starting_late_seeks_to_the_key_frame_before(tmp_path: Path):
    pictures = [numbered_picture(number) for number in range(100)]
    path = write_video(tmp_path / "long.mp4", pictures, options={"g": "10"})
    frames = read_all(path, start_s=2.0)
    assert frames[0].source_time_s <= 2.0
    assert number_of(frames[0].image) >= 40
    assert number_of(frames[-1].image) == 99


def test_planes_and_picture_agree(tmp_path: Path):
    path = write_video(tmp_path / "one.mp4", [numbered_picture(0b1010)] * 3, options={"qp": "0"})
    frame = read_all(path)[0]
    assert frame.planes is not None
    assert frame.planes.y.shape == frame.size_hw
    assert frame.planes.u.shape == (frame.size_hw[0] // 2, frame.size_hw[1] // 2)
    grey = (frame.planes.y.astype(float) - 16) * 255 / 219
    assert np.abs(grey - frame.image.mean(axis=2)).max() < 3


def test_frames_outlive_their_source(tmp_path: Path):
    path = write_video(tmp_path / "short.mp4", [numbered_picture(number) for number in range(10)])
    frames = read_all(path)
    gc.collect()
    assert frames[3].planes is not None
    assert number_of(np.repeat(frames[3].planes.y[:, :, None], 3, axis=2)) == 3
    assert number_of(frames[3].image) == 3


def test_a_picture_is_read_only(tmp_path: Path):
    frame = read_all(write_video(tmp_path / "x.mp4", [numbered_picture(1)] * 2))[0]
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 0


def test_a_text_file_named_mp4_is_refused(tmp_path: Path):
    path = tmp_path / "notes.mp4"
    path.write_text("this is not a video\n" * 100)
    with pytest.raises(SourceError, match=r"notes\.mp4: not a video"):
        open_source(str(path))


def test_an_mp4_without_its_end_lacks_its_index(tmp_path: Path):
    whole = write_video(tmp_path / "whole.mp4", [numbered_picture(number) for number in range(60)]).read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="lacks its index"):
        open_source(str(path))


def test_an_mp4_cut_in_half_gives_its_first_half_and_then_says_so(tmp_path: Path):
    noise = np.random.default_rng(1)
    pictures = [noise.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(60)]
    whole = write_video(tmp_path / "whole.mp4", pictures, container_options={"movflags": "faststart"}).read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    count, error = count_until_error(path)
    assert 15 < count < 45
    assert "half.mp4: is cut short: its header declares 60 frames" in error


@pytest.mark.parametrize("suffix", ["mkv", "avi", "flv"])
def test_other_containers_cut_in_half_say_so_too(tmp_path: Path, suffix: str):
    noise = np.random.default_rng(1)
    pictures = [noise.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(60)]
    path = write_video(tmp_path / f"cut.{suffix}", pictures)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"is cut short|broke off|damaged packets"):
        read_all(path)


def test_a_change_of_size_ends_the_recording_with_a_reason(tmp_path: Path):
    small = write_video(tmp_path / "small.ts", [numbered_picture(1)] * 10).read_bytes()
    large = write_video(tmp_path / "large.ts", [numbered_picture(1, (128, 192))] * 10).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(small + large)
    count, error = count_until_error(path)
    assert count == 10
    assert "size changes from 160x96 to 192x128 at frame 10" in error


def test_a_video_without_frames_is_refused(tmp_path: Path):
    path = write_video(tmp_path / "empty.avi", [numbered_picture(1)])
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"movi") + 4])
    with pytest.raises(SourceError, match=r"empty\.avi"):
        read_all(path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("clip", "count"),
    [
        ("udacity_solidWhiteRight.mp4", 221),
        ("udacity_vehicle_test_video.mp4", 38),
        ("autoware_highway_1024_512.mp4", 199),
        ("yolop_input1.gif", 72),
    ],
)
def test_real_recordings_give_all_their_frames(driving_data: Path, clip: str, count: int):
    source = open_source(str(driving_data / "clips" / clip))
    times_s = [frame.source_time_s for frame in source.frames()]
    source.close()
    assert len(times_s) == count
    assert times_s == sorted(set(times_s))
