"""Who is smoothed: videos, unless told otherwise; still images, only when told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.sources import open_source
from pipeline.sources.synthetic import open_synthetic
from tests.pipeline.recordings import write_video


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    source = open_synthetic("synthetic://drive?frames=3&size=160x96&fps=10")
    pictures = [frame.image for frame in source.frames()]
    source.close()
    return pictures


def masks(source: str, folder: Path, *options: str) -> list[np.ndarray]:
    assert main(["replay", source, f"{folder}/", "--quiet", "--threads", "1", *options]) == 0
    return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.glob("*.png"))]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    assert len(one) == len(other) == 3
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_still_images_are_seen_one_by_one(tmp_path: Path, pictures: list[np.ndarray]):
    stills = tmp_path / "stills"
    stills.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(stills / f"{number}.png"), picture)
    assert not open_source(str(stills)).info.is_video
    auto = masks(str(stills), tmp_path / "auto")
    assert same(auto, masks(str(stills), tmp_path / "off", "--smoothing", "off"))
    assert not same(auto, masks(str(stills), tmp_path / "on", "--smoothing", "on"))


def test_a_video_is_smoothed_unless_told_otherwise(tmp_path: Path, pictures: list[np.ndarray]):
    video = str(write_video(tmp_path / "drive.mp4", pictures, times_s=[0.0, 0.1, 0.2]))
    auto = masks(video, tmp_path / "auto")
    off = masks(video, tmp_path / "off", "--smoothing", "off")
    assert np.array_equal(auto[0], off[0])
    assert not same(auto, off)
