"""Every layout is found, and what is wrong with data is said in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluation.labelled import open_labelled
from evaluation.labels import CAMVID, CITYSCAPES_IDS, IDD_LITE, TRAIN_IDS
from pipeline.errors import ConfigError, SourceError

SIZE_HW = (24, 32)


def write(path: Path, value: int | np.ndarray = 0, *, size_hw: tuple[int, int] = SIZE_HW) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(size_hw, value, np.uint8) if isinstance(value, int) else value)


def pair(root: Path, image: str, label: str, value: int = 0) -> None:
    write(root / image, np.zeros((*SIZE_HW, 3), np.uint8))
    write(root / label, value)


def follows(root: Path, layout: str, **options) -> list[bool]:
    return [item.follows for item in open_labelled(str(root), layout, **options).frames]


def test_camvid_frames_of_one_recording_follow_one_another(tmp_path: Path):
    for name in ("0016E5_07959", "0016E5_07961", "0016E5_08001", "0006R0_08003"):
        pair(tmp_path, f"images/{name}.png", f"labels/{name}.png", 3)
    labelled = open_labelled(str(tmp_path), "camvid")
    assert labelled.scheme is CAMVID
    assert labelled.frame_count == 4
    assert labelled.size_hw == SIZE_HW
    seen = {item.frame.name: item.follows for item in labelled.frames}
    assert seen == {"0006R0_08003": False, "0016E5_07959": False, "0016E5_07961": True, "0016E5_08001": False}


def test_camvid_as_segnet_lays_it_out(tmp_path: Path):
    pair(tmp_path, "test/a_1.png", "testannot/a_1.png")
    assert follows(tmp_path / "test", "camvid") == [False]


def test_idd_lite_as_a_plain_copy_and_as_published(tmp_path: Path):
    pair(tmp_path / "a", "images/12/frame7_image.jpg", "labels/12/frame7_label.png", 255)
    pair(tmp_path / "b", "leftImg8bit/val/12/frame7_image.jpg", "gtFine/val/12/frame7_label.png", 6)
    pair(tmp_path / "b", "leftImg8bit/train/1/frame1_image.jpg", "gtFine/train/1/frame1_label.png", 6)
    assert open_labelled(str(tmp_path / "a"), "idd").scheme is IDD_LITE
    assert follows(tmp_path / "a", "idd") == [False]
    assert len(follows(tmp_path / "b", "idd")) == 2
    assert len(follows(tmp_path / "b", "idd", split="val")) == 1


@pytest.mark.parametrize(("ending", "scheme"), [("labelTrainIds", TRAIN_IDS), ("labelIds", CITYSCAPES_IDS)])
def test_cityscapes_with_either_kind_of_label(tmp_path: Path, ending: str, scheme):
    stem = "ulm/ulm_000000_000019"
    pair(tmp_path, f"leftImg8bit/val/{stem}_leftImg8bit.png", f"gtFine/val/{stem}_gtFine_{ending}.png", 7)
    write(tmp_path / f"gtFine/val/{stem}_gtFine_color.png")
    labelled = open_labelled(str(tmp_path), "cityscapes", split="val")
    assert labelled.scheme is scheme
    assert next(labelled.frames).label[0, 0] == 7


def test_a_folder_of_ones_own_with_its_own_values(tmp_path: Path):
    pair(tmp_path, "images/day/a.jpg", "labels/day/a.png", 40)
    (tmp_path / "classes.toml").write_text('[labels]\n40 = "road"\n')
    labelled = open_labelled(str(tmp_path), "folder", scheme_file=tmp_path / "classes.toml")
    assert next(labelled.frames).label.max() == 40


def test_frames_of_a_folder_are_stills_unless_they_are_called_a_video(tmp_path: Path):
    for name in ("one/1", "one/2", "two/3"):
        pair(tmp_path, f"images/{name}.png", f"labels/{name}.png")
    assert follows(tmp_path, "folder") == [False, False, False]
    assert follows(tmp_path, "folder", video=True) == [False, True, False]


def _without_label(root: Path) -> None:
    (root / "labels" / "a.png").unlink()


def _damaged(root: Path) -> None:
    (root / "labels" / "a.png").write_bytes(b"\x89PNG and no more")


def _other_size(root: Path) -> None:
    write(root / "labels" / "a.png", size_hw=(12, 32))


def _unknown_value(root: Path) -> None:
    label = np.zeros(SIZE_HW, np.uint8)
    label[0, :3] = 77
    write(root / "labels" / "a.png", label)


def _coloured(root: Path) -> None:
    write(root / "labels" / "a.png", np.zeros((*SIZE_HW, 3), np.uint8))


def _broken_image(root: Path) -> None:
    (root / "images" / "b.png").write_bytes(b"no picture")
    write(root / "labels" / "b.png")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_label, r"labels/a\.png: the label of image a\.png is missing"),
        (_damaged, r"labels/a\.png: not an image that OpenCV can read, or damaged"),
        (_other_size, r"labels/a\.png: the label is 32x12, its image 32x24"),
        (_unknown_value, r"labels/a\.png: holds the value 77 \(3 pixels\), which is no label of CamVid"),
        (_coloured, r"labels/a\.png: a label has one 8-bit value a pixel, this one has 3 channels"),
        (_broken_image, r"images/b\.png: not an image that OpenCV can read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, spoil, message: str):
    pair(tmp_path, "images/a.png", "labels/a.png")
    spoil(tmp_path)
    with pytest.raises(SourceError, match=message) as caught:
        list(open_labelled(str(tmp_path), "camvid").frames)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("camvid", "the camvid format needs the folders images/ and labels/ there"),
        ("idd", "needs the folders images/ and labels/ or leftImg8bit/ and gtFine/"),
        ("cityscapes", "needs the folders leftImg8bit/ and gtFine/"),
    ],
)
def test_another_layout_is_refused(tmp_path: Path, layout: str, message: str):
    with pytest.raises(SourceError, match=message):
        open_labelled(str(tmp_path), layout)


def test_folders_that_are_missing_or_empty_are_named(tmp_path: Path):
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        open_labelled(str(tmp_path / "nowhere"), "camvid")
    pair(tmp_path, "images/a.png", "labels/a.png")
    with pytest.raises(SourceError, match=r"images: no images named \*_image there"):
        open_labelled(str(tmp_path), "idd")
    with pytest.raises(SourceError, match="images/test: no images there"):
        open_labelled(str(tmp_path), "camvid", split="test")


def test_a_rendered_drive_takes_no_split():
    with pytest.raises(ConfigError, match="neither splits nor"):
        open_labelled("synthetic://drive?frames=2", "synthetic", split="val")
