"""Label pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.classes import SegmentationClass
from pipeline.errors import SinkError
from pipeline.sinks.masks import MasksSink, train_id_table
from tests.pipeline.scenes import BUILDING, CAR, PERSON, RIDER, ROAD, SIDEWALK, SKY, make_scene, write_all


def labels_of(path: Path) -> np.ndarray:
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    return labels


def test_values_are_cityscapes_train_ids(tmp_path: Path) -> None:
    ids = np.array([[ROAD, SIDEWALK, BUILDING, SKY], [PERSON, RIDER, CAR, 200]], np.uint8)
    sink = MasksSink(tmp_path / "masks")
    sink.write(make_scene(3, ids=ids), None)
    sink.close()
    labels = labels_of(tmp_path / "masks" / "000003.png")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, [[0, 1, 2, 10], [11, 12, 13, 255]])


def test_a_class_that_cityscapes_lacks_becomes_void() -> None:
    table = train_id_table((SegmentationClass("road", (0, 0, 0), 0), SegmentationClass("curb", (9, 9, 9))))
    assert table[:3].tolist() == [0, 255, 255]


def test_pictures_are_named_after_their_source_image_or_their_index(tmp_path: Path) -> None:
    sink = MasksSink(tmp_path)
    for scene in (make_scene(0, name="0016E5_07959"), make_scene(1), make_scene(1_234_567)):
        sink.write(scene, None)
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001.png", "0016E5_07959.png", "1234567.png"]


def test_two_source_images_of_one_name_both_keep_their_labels(tmp_path: Path) -> None:
    sink = MasksSink(tmp_path)
    sink.write(make_scene(4, name="a", ids=np.full((8, 8), ROAD, np.uint8)), None)
    sink.write(make_scene(5, name="a", ids=np.full((8, 8), CAR, np.uint8)), None)
    sink.close()
    assert {path.name: int(labels_of(path)[0, 0]) for path in tmp_path.iterdir()} == {"a.png": 0, "a.000005.png": 13}


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    for class_id in (ROAD, CAR):
        sink = MasksSink(tmp_path)
        sink.write(make_scene(0, name="a", ids=np.full((8, 8), class_id, np.uint8)), None)
        sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert labels_of(tmp_path / "a.png").max() == 13


def test_a_full_disk_leaves_only_complete_pictures(tiny_disk: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 7, (200, 300), np.uint8)
    sink = MasksSink(tiny_disk / "masks", name="masks/")
    with pytest.raises(SinkError, match="cannot write masks/: the disk is full"):
        write_all(sink, (make_scene(index, ids=noise) for index in range(1000)))
    sink.close()
    files = sorted((tiny_disk / "masks").iterdir())
    assert len(files) > 3
    for path in files:
        assert labels_of(path).shape == (200, 300)
