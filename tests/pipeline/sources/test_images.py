"""Folders, globs and single images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.sources import open_source
from tests.pipeline.recordings import number_of, numbered_picture


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), numbered_picture(number))


def test_a_folder_plays_in_natural_order(tmp_path: Path):
    write_images(tmp_path / "drive", ["frame2.png", "frame10.png", "frame1.png"])
    (tmp_path / "drive" / "notes.txt").write_text("not an image")
    frames = list(open_source(str(tmp_path / "drive")).frames())
    assert [frame.name for frame in frames] == ["frame1", "frame2", "frame10"]
    assert [number_of(frame.image) for frame in frames] == [2, 0, 1]
    assert [frame.source_time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2])


def test_a_glob_chooses(tmp_path: Path):
    write_images(tmp_path, ["left_1.png", "right_1.png", "left_2.png"])
    frames = list(open_source(str(tmp_path / "left_*.png")).frames())
    assert [frame.name for frame in frames] == ["left_1", "left_2"]


def test_one_image_is_a_recording_of_one_frame(tmp_path: Path):
    write_images(tmp_path, ["still.png"])
    assert [frame.name for frame in open_source(str(tmp_path / "still.png")).frames()] == ["still"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path):
    write_images(tmp_path, ["drive[1].png"])
    assert len(list(open_source(str(tmp_path / "drive[1].png")).frames())) == 1


def test_images_may_differ_in_size(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((80, 50, 3), np.uint8))
    assert [frame.size_hw for frame in open_source(str(tmp_path)).frames()] == [(40, 60), (80, 50)]


def test_a_folder_without_images_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="no images there"):
        open_source(str(tmp_path))


def test_a_folder_of_folders_says_which_of_them_hold_images(tmp_path: Path):
    for name in ("image_l", "image_r"):
        (tmp_path / name).mkdir()
        write_images(tmp_path / name, ["1.png"])
    with pytest.raises(SourceError, match=r"name one of its folders: image_l, image_r$"):
        open_source(str(tmp_path))


def test_a_damaged_image_ends_the_recording_after_the_good_ones(tmp_path: Path):
    write_images(tmp_path, ["1.png", "2.png", "3.png"])
    (tmp_path / "2.png").write_bytes(b"\x89PNG damaged")
    frames = open_source(str(tmp_path)).frames()
    assert next(frames).name == "1"
    with pytest.raises(SourceError, match=r"2\.png: not an image"):
        next(frames)


@pytest.mark.parametrize("uri", ["rtps://camera", "webcam://0"])
def test_an_unknown_scheme_is_refused_with_what_is_known(uri: str):
    with pytest.raises(SourceError, match=r"not known here\. Give a video file"):
        open_source(uri)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="no such file"):
        open_source(str(tmp_path / "nothing.mp4"))
