"""Decoding on the hardware: what is said where there is none, and that its NV12 pictures are the CPU's pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines.cuda.presence import why_no_gpu
from pipeline.cli import main
from pipeline.errors import SourceError
from pipeline.sources import open_source
from pipeline.sources.hardware import nvdec, refusal
from pipeline.sources.video import VideoSource

without_gpu = pytest.mark.skipif(why_no_gpu() is None, reason="this machine has an NVIDIA GPU")


def write_raw(path: Path, layout: str) -> Path:
    """Three uncompressed pictures in that layout, tagged BT.709 and full range."""
    noise = np.random.default_rng(9).integers(0, 256, (3, 48 * 3 // 2, 64), np.uint8)
    with av.open(str(path), "w", format="nut") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, layout
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 2
        for index, planes in enumerate(noise):
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.colorspace, picture.color_range = 1, 2
            picture = picture.reformat(format=layout)
            picture.pts, picture.time_base = index * 7, Fraction(1, 100)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def test_nv12_pictures_are_those_of_three_planes(tmp_path):
    woven = list(VideoSource(write_raw(tmp_path / "woven.nut", "nv12")).frames())
    plain = list(VideoSource(write_raw(tmp_path / "plain.nut", "yuv420p")).frames())
    assert len(woven) == len(plain) == 3
    for one, other in zip(woven, plain, strict=True):
        assert one.planes is not None
        assert other.planes is not None
        for plane in ("y", "u", "v"):
            np.testing.assert_array_equal(getattr(one.planes, plane), getattr(other.planes, plane))
        assert (one.planes.matrix, one.planes.full_range) == (other.planes.matrix, other.planes.full_range)
        assert one.source_time_s == other.source_time_s
        np.testing.assert_array_equal(one.image, other.image)


@without_gpu
class TestWithoutAGpu:
    def test_is_one_line(self):
        with pytest.raises(SourceError) as caught:
            nvdec()
        assert str(caught.value) == (
            "NVDEC cannot be used: no NVIDIA GPU here (no /dev/nvidia0); decode on the CPU instead (--decode cpu)"
        )

    def test_asked_for_by_name_is_exit_code_2(self, tmp_path, capsys):
        path = write_raw(tmp_path / "plain.nut", "yuv420p")
        assert main(["replay", str(path), "--decode", "nvdec", "--quiet"]) == 2
        assert "NVDEC cannot be used: no NVIDIA GPU here" in capsys.readouterr().err

    def test_ffmpeg_itself_refuses(self, tmp_path, monkeypatch, driving_data):
        monkeypatch.setattr("pipeline.sources.hardware.why_no_gpu", lambda: None)
        clip = next((driving_data / "clips").glob("*.mp4"))
        with pytest.raises(SourceError, match="NVDEC cannot decode it") as caught:
            open_source(str(clip), decode="nvdec")
        assert "\n" not in str(caught.value)


def test_a_pyav_without_cuda_is_one_line(monkeypatch):
    monkeypatch.setattr("pipeline.sources.hardware.why_no_gpu", lambda: None)
    monkeypatch.setattr("pipeline.sources.hardware.hwdevices_available", lambda: ["drm"])
    with pytest.raises(SourceError, match="the FFmpeg of this PyAV has no CUDA; decode on the CPU instead"):
        nvdec()


def test_a_codec_that_the_gpu_lacks_is_one_line():
    assert refusal(NotImplementedError("No supported hardware config")) == (
        "NVDEC cannot decode it (No supported hardware config): no such codec in this GPU, or no libnvcuvid; "
        "decode on the CPU instead (--decode cpu)"
    )


@pytest.mark.gpu
def test_decodes_as_the_cpu_does(driving_data):
    if why_no_gpu():
        pytest.skip(str(why_no_gpu()))
    clip = str(next((driving_data / "clips").glob("*.mp4")))
    for _, one, other in zip(
        range(30), open_source(clip).frames(), open_source(clip, decode="nvdec").frames(), strict=False
    ):
        assert one.source_time_s == other.source_time_s
        np.testing.assert_array_equal(one.planes.y, other.planes.y)
        np.testing.assert_array_equal(one.planes.u, other.planes.u)
