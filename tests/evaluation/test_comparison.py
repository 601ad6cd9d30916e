"""Labels and classes that do not agree meet at the finest level that both can tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.classes import CITYSCAPES, SegmentationClass
from evaluation.comparison import compare
from evaluation.label_file import read_scheme
from evaluation.labels import CAMVID, CITYSCAPES_IDS, IDD_LITE, TRAIN_IDS
from pipeline.errors import ConfigError

ELEVEN = [CITYSCAPES[index] for index in (0, 1, 2, 4, 5, 7, 8, 10, 11, 12, 13)]


def groups_of(comparison) -> dict[str, tuple[str, ...]]:
    return {group.name: group.classes for group in comparison.groups}


def test_camvid_and_our_network_agree_class_by_class():
    comparison = compare(CAMVID, ELEVEN)
    assert groups_of(comparison) == {entry.name: (entry.name,) for entry in ELEVEN}
    assert comparison.left_out == ()
    assert comparison.rank_of_label[11] == 255


def test_camvids_car_takes_all_vehicles_of_a_model_with_19_classes():
    groups = groups_of(compare(CAMVID, CITYSCAPES))
    assert groups["car"] == ("car", "truck", "bus", "train")
    assert groups["rider"] == ("rider", "motorcycle", "bicycle")
    assert groups["vegetation"] == ("vegetation", "terrain")


def test_idd_lite_keeps_what_is_drivable_apart_and_joins_labels_that_overlap():
    comparison = compare(IDD_LITE, ELEVEN)
    groups = groups_of(comparison)
    assert groups["drivable"] == ("road",)
    assert groups["sky"] == ("sky",)
    assert groups["living things + vehicles"] == ("person", "rider", "car")
    assert len(groups) == 4
    np.testing.assert_array_equal(comparison.rank_of_label[[0, 255]], [0, 255])
    assert comparison.rank_of_label[1] == comparison.rank_of_label[4] == comparison.rank_of_label[5]


def test_labels_that_the_model_cannot_know_do_not_count():
    comparison = compare(TRAIN_IDS, ELEVEN)
    assert set(comparison.left_out) == {
        "wall", "traffic light", "terrain", "truck", "bus", "train", "motorcycle", "bicycle",
    }  # fmt: skip
    assert comparison.rank_of_label[14] == 255


def test_label_ids_and_train_ids_of_cityscapes_mean_the_same():
    by_id, by_train_id = compare(CITYSCAPES_IDS, CITYSCAPES), compare(TRAIN_IDS, CITYSCAPES)
    assert groups_of(by_id) == groups_of(by_train_id)
    # labels.py of cityscapesScripts: road 7, person 24, rider 25, car 26, bicycle 33; 29 (caravan) is not evaluated
    ranks = [by_train_id.rank_of_label[train_id] for train_id in (0, 11, 12, 13, 18, 255)]
    np.testing.assert_array_equal(by_id.rank_of_label[[7, 24, 25, 26, 33, 29]], ranks)


def test_a_model_with_nothing_in_common_is_refused():
    with pytest.raises(ConfigError, match="no class in common: the model knows mark"):
        compare(CAMVID, [SegmentationClass("mark", (1, 2, 3))])


def test_a_file_says_what_values_mean(tmp_path: Path):
    file = tmp_path / "classes.toml"
    file.write_text('[labels]\n3 = "road"\n10 = ["sidewalk", "terrain"]\n200 = []\n')
    scheme = read_scheme(file)
    assert [(label.value, label.classes) for label in scheme.labels] == [
        (3, ("road",)), (10, ("sidewalk", "terrain")), (200, ()),
    ]  # fmt: skip
    assert groups_of(compare(scheme, ELEVEN)) == {"road": ("road",), "sidewalk/terrain": ("sidewalk",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[labels]\n0 = "raod"\n', "label 0 names the class 'raod', which Cityscapes lacks; did you mean 'road'"),
        ('[labels]\n300 = "road"\n', "'300' in .labels. must be a label value from 0 to 255"),
        ('[labels]\nroad = "road"\n', "'road' in .labels. must be a label value"),
        ("[labels]\n0 = []\n", "gives no value a class"),
        ("[label]\n", "not a file of label values"),
        ("[labels\n", "not a file of label values"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_line(tmp_path: Path, text: str, message: str):
    file = tmp_path / "classes.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_scheme(file)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        read_scheme(tmp_path / "none.toml")
