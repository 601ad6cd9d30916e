"""The video: nothing lost, at the source's own times, in true colours, readable whatever happens."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from pipeline.errors import SinkError
from pipeline.scene import YuvImage
from pipeline.sinks.video import VideoSink
from pipeline.yuv import fill_planes, yuv_weights
from tests.pipeline.recordings import number_of, numbered_picture
from tests.pipeline.scenes import make_scene

PROJECT = Path(__file__).resolve().parents[3]
SUFFIXES = pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])


def write_numbered(sink: VideoSink, times_s: Sequence[float], size_hw: tuple[int, int] = (96, 160)) -> None:
    """Write one numbered picture at each time."""
    for number, time_s in enumerate(times_s):
        sink.write(make_scene(number, time_s=time_s, size_hw=size_hw), numbered_picture(number, size_hw))


def write_noise_until_it_fails(sink: VideoSink, seed: int = 0) -> None:
    """Pictures that cannot be compressed, until the disk is full."""
    generator = np.random.default_rng(seed)
    for index in range(10_000):
        picture = generator.integers(0, 255, (64, 96, 3), np.uint8)
        sink.write(make_scene(index, size_hw=(64, 96)), picture)


def read(path: Path) -> tuple[list[int], list[float]]:
    """The numbers that the frames show, and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [number_of(frame.to_ndarray(format="bgr24")) for frame in frames], [float(frame.time) for frame in frames]


@SUFFIXES
def test_frames_in_are_frames_in_the_file(tmp_path: Path, suffix: str) -> None:
    sink = VideoSink(tmp_path / f"overlay{suffix}")
    write_numbered(sink, [number / 25 for number in range(130)])
    sink.close()
    sink.close()
    numbers, times_s = read(tmp_path / f"overlay{suffix}")
    assert numbers == list(range(130))
    assert times_s == pytest.approx([number / 25 for number in range(130)], abs=0.001)


@pytest.mark.parametrize("rate_hz", [24000 / 1001, 30000 / 1001, 10.0, 1.0])
def test_every_rate_keeps_its_exact_times(tmp_path: Path, rate_hz: float) -> None:
    sink = VideoSink(tmp_path / "overlay.mp4", frame_rate_hz=rate_hz)
    write_numbered(sink, [number / rate_hz for number in range(40)])
    sink.close()
    _, times_s = read(tmp_path / "overlay.mp4")
    assert times_s == pytest.approx([number / rate_hz for number in range(40)], abs=1 / 90_000)


def test_a_variable_rate_is_kept_and_playback_starts_at_zero(tmp_path: Path) -> None:
    times_s = [12.0, 12.04, 12.5, 12.51, 14.0]
    sink = VideoSink(tmp_path / "overlay.mp4")
    write_numbered(sink, times_s)
    sink.close()
    numbers, written_s = read(tmp_path / "overlay.mp4")
    assert numbers == [0, 1, 2, 3, 4]
    assert written_s == pytest.approx([time_s - 12.0 for time_s in times_s], abs=1 / 90_000)


def test_the_last_frame_is_shown_as_long_as_the_one_before(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "overlay.mp4")
    write_numbered(sink, [0.0, 0.5, 1.0])
    sink.close()
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(1.5, abs=0.01)


def test_times_that_stand_still_or_run_backwards_lose_no_frame(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "overlay.mp4")
    write_numbered(sink, [1.0, 1.0, 1.0, 0.2, 1.1, 1.1])
    sink.close()
    numbers, times_s = read(tmp_path / "overlay.mp4")
    assert numbers == list(range(6))
    assert all(later > earlier for earlier, later in pairwise(times_s))
    assert times_s[4] == pytest.approx(0.1, abs=1 / 90_000)


def test_a_browser_can_play_it(tmp_path: Path) -> None:
    """H.264 High with 4:2:0 samples in an avc1 track; a keyframe a second to seek to."""
    sink = VideoSink(tmp_path / "overlay.mp4")
    write_numbered(sink, [number / 10 for number in range(35)])
    sink.close()
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, codec.codec_tag, codec.profile) == ("h264", "yuv420p", "avc1", "High")
        assert (codec.colorspace, codec.color_range) == (Colorspace.ITU709, ColorRange.MPEG)
        assert [float(frame.time) for frame in container.decode(stream) if frame.key_frame] == [0.0, 1.0, 2.0, 3.0]


def test_colours_are_those_that_were_drawn(tmp_path: Path) -> None:
    colors = [(255, 255, 255), (0, 0, 0), (200, 40, 30), (30, 200, 40), (40, 30, 200), (128, 64, 128), (20, 220, 220)]
    picture = np.concatenate([np.full((64, 32, 3), color, np.uint8) for color in colors], axis=1)
    sink = VideoSink(tmp_path / "overlay.mp4")
    for index in range(3):
        sink.write(make_scene(index, image=picture, size_hw=(64, picture.shape[1])), picture)
    sink.close()
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        frame = list(container.decode(video=0))[-1]
    assert frame.colorspace == Colorspace.ITU709
    shown = frame.reformat(
        format="bgr24", src_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG
    ).to_ndarray()
    for position, color in enumerate(colors):
        patch = shown[16:48, 32 * position + 8 : 32 * position + 24].reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(patch, color, atol=4)


def test_an_odd_size_is_padded_by_its_edge(tmp_path: Path) -> None:
    picture = numbered_picture(5, (97, 161))
    sink = VideoSink(tmp_path / "overlay.mp4")
    sink.write(make_scene(0, size_hw=(97, 161)), picture)
    sink.close()
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="bgr24")
    assert shown.shape == (98, 162, 3)
    np.testing.assert_allclose(shown[:97, :161].astype(int), picture, atol=20)
    np.testing.assert_allclose(shown[97, :161].astype(int), picture[96], atol=20)


def test_a_read_only_picture_will_do(tmp_path: Path) -> None:
    picture = numbered_picture(1)
    picture.flags.writeable = False
    sink = VideoSink(tmp_path / "overlay.mp4")
    sink.write(make_scene(0), picture)
    sink.close()
    assert read(tmp_path / "overlay.mp4")[0] == [1]


@pytest.mark.parametrize("size_hw", [(100, 200), (300, 100), (96, 40)])
def test_a_picture_of_another_size_is_fitted_into_the_first_ones(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    path = tmp_path / "stills.mp4"
    sink = VideoSink(path)
    sink.write(make_scene(0, size_hw=(96, 160)), np.full((96, 160, 3), 200, np.uint8))
    sink.write(make_scene(1, time_s=0.1, size_hw=size_hw), np.full((*size_hw, 3), 200, np.uint8))
    sink.close()
    with av.open(str(path)) as video:
        second = list(video.decode(video=0))[1].to_ndarray(format="gray")
    factor = min(96 / size_hw[0], 160 / size_hw[1])
    lit = (second > 100).sum()
    assert second.shape == (96, 160)
    assert lit == pytest.approx(size_hw[0] * size_hw[1] * factor**2, rel=0.05)
    assert second[48, 80] > 180


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    VideoSink(tmp_path / "overlay.mp4").close()
    assert list(tmp_path.iterdir()) == []


@SUFFIXES
def test_a_full_disk_keeps_every_frame_that_fitted(tiny_disk: Path, suffix: str) -> None:
    path = tiny_disk / f"overlay{suffix}"
    sink = VideoSink(path, name="overlay")
    with pytest.raises(SinkError, match="cannot write overlay: the disk is full"):
        write_noise_until_it_fails(sink)
    with pytest.raises(SinkError, match="failed before"):
        write_noise_until_it_fails(sink)
    sink.close()
    numbers, _ = read(path)
    assert len(numbers) > 5
    assert path.stat().st_size > 200 * 1024


@SUFFIXES
def test_a_disk_that_is_full_when_the_file_is_finished_costs_its_index_but_not_its_frames(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"overlay{suffix}"
    sink = VideoSink(path, name="overlay")
    write_numbered(sink, [number / 25 for number in range(50)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(SinkError, match="cannot write overlay: the file is larger than this system allows"):
            sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    sink.close()
    assert read(path)[0] == list(range(49))  # FFmpeg writes a frame when the next one comes.


@SUFFIXES
def test_a_killed_run_keeps_every_frame_but_the_last(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"overlay{suffix}"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from pipeline.sinks.video import VideoSink; from tests.pipeline.sinks.test_video import write_numbered\n"
        "sink = VideoSink(Path(sys.argv[1])); write_numbered(sink, [number / 25 for number in range(60)])\n"
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, cwd=PROJECT)
    assert done.returncode == -signal.SIGKILL
    numbers, times_s = read(path)
    assert numbers == list(range(59))  # FFmpeg writes a frame when the next one comes.
    assert times_s[-1] == pytest.approx(58 / 25, abs=0.001)


@pytest.mark.parametrize(("matrix", "code"), [("bt601", Colorspace.ITU601), ("bt709", Colorspace.ITU709)])
@pytest.mark.parametrize("full_range", [False, True])
def test_pictures_in_planes_keep_their_own_colours_and_later_ones_are_converted(
    tmp_path: Path, matrix: str, code: Colorspace, full_range: bool
) -> None:
    color = np.array([40, 170, 220], np.uint8)  # BGR
    bgr = np.tile(color, (96, 160, 1))
    pixels = np.empty((144, 160), np.uint8)
    picture = YuvImage(pixels, matrix, full_range)
    planes = picture.planes
    fill_planes(bgr.reshape(96, -1), yuv_weights(matrix, full_range), planes.y, planes.u, planes.v)
    sink = VideoSink(tmp_path / "overlay.mp4")
    sink.write_planes(make_scene(0, time_s=0.0, size_hw=(96, 160)), picture)
    sink.write(make_scene(1, time_s=0.1, size_hw=(96, 160)), bgr)
    sink.write_planes(
        make_scene(2, time_s=0.2, size_hw=(48, 80)), YuvImage(pixels[::2, ::2].copy(), matrix, full_range)
    )
    sink.close()
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 3
    for frame in frames:
        assert int(frame.colorspace) in {int(code), 6 if matrix == "bt601" else 1}
        assert (int(frame.color_range) == ColorRange.JPEG) == full_range
        shown = frame.to_ndarray(format="bgr24", src_colorspace=code)[48, 80].astype(int)
        assert np.abs(shown - color).max() <= 6
