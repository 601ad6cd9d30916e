"""`synthetic://drive` as a source, and what it says about addresses that it cannot use."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.sources.synthetic import open_synthetic


def test_options_reach_the_drive() -> None:
    source = open_synthetic("synthetic://drive?frames=3&seed=9&size=320x180&fps=15")
    assert source.info.frame_count == 3
    assert source.info.size_hw == (180, 320)
    assert source.info.frame_rate_hz == 15.0
    frames = list(source.frames())
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.source_time_s for frame in frames] == pytest.approx([0.0, 1 / 15, 2 / 15])
    assert all(frame.size_hw == frame.image.shape[:2] == (180, 320) for frame in frames)
    assert np.array_equal(frames[2].image, source.drive.render(2).image)
    source.close()
    source.close()


def test_defaults() -> None:
    info = open_synthetic("synthetic://drive").info
    assert (info.frame_count, info.size_hw, info.frame_rate_hz) == (300, (360, 640), 30.0)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("synthetic://walk", "there is only synthetic://drive"),
        ("synthetic://drive/far", "there is only synthetic://drive"),
        ("synthetic://drive?sead=3", "unknown option 'sead'"),
        ("synthetic://drive?seed=", "seed= must be a whole number"),
        ("synthetic://drive?seed=-1", "seed=-1 must be a whole number"),
        ("synthetic://drive?frames=0", "frames=0 must be a whole number"),
        ("synthetic://drive?frames=3.5", "frames=3.5 must be a whole number"),
        ("synthetic://drive?size=640", "size=640 must be WIDTHxHEIGHT"),
        ("synthetic://drive?size=640x9", "size=640x9 must be WIDTHxHEIGHT"),
        ("synthetic://drive?fps=fast", "fps=fast must be a number"),
        ("synthetic://drive?fps=nan", "fps=nan must be a number"),
        ("synthetic://drive?seed=1&seed=2", "given twice"),
    ],
)
def test_one_clear_line(uri: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^synthetic://") as caught:
        open_synthetic(uri)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
