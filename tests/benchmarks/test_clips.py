"""Clips that benchmarks make: the packets of another, at the times that were asked for."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from benchmarks.clips import lengthened, retimed
from tests.pipeline.recordings import number_of, numbered_picture, write_video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    pictures = [numbered_picture(number, (96, 160)) for number in range(12)]
    return write_video(tmp_path / "clip.mp4", pictures, options={"bf": "2"})


def frames_of(clip: Path) -> tuple[list[int], list[float]]:
    with av.open(str(clip)) as container:
        frames = list(container.decode(video=0))
    return [number_of(frame.to_ndarray(format="bgr24")) for frame in frames], [float(frame.time) for frame in frames]


@pytest.mark.parametrize("rate_hz", [5.0, 10.0, 7.5, 60.0])
def test_another_rate(clip: Path, tmp_path: Path, rate_hz: float):
    numbers, times_s = frames_of(retimed(clip, tmp_path, rate_hz))
    assert numbers == list(range(12))
    assert times_s == pytest.approx([number / rate_hz for number in range(12)], abs=1e-3)


def test_another_length(clip: Path, tmp_path: Path):
    numbers, times_s = frames_of(lengthened(clip, tmp_path, 5.0, 7.2))
    assert numbers == [*range(12)] * 3
    assert times_s == pytest.approx([number / 5 for number in range(36)], abs=1e-3)
