"""Data of one's own: layouts, label files by value and by colour, several data sets with different labels at once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ClearwayError
from training.datasets import SampleStream, load_frames, load_mix
from training.frames import DataError
from training.labels import ANY_CLASS, class_set
from training.own_data import _PairFiles

ROAD, LANE_MARK, KERB, SOMEBODY, UNKNOWN = range(5)
COLORS_RGB = {ROAD: "804080", LANE_MARK: "ffffff", KERB: "f423e8", SOMEBODY: "dc143c", UNKNOWN: "000000"}


def _write_pairs(root: Path, labels: np.ndarray, *, colored: bool = False, count: int = 2) -> None:
    """`count` noisy pictures, all with that label picture."""
    if colored:
        rgb = np.array([list(bytes.fromhex(COLORS_RGB[value])) for value in range(5)], np.uint8)
        labels = rgb[labels][..., ::-1]
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for index in range(count):
        image = np.random.default_rng(index).integers(0, 255, (*labels.shape[:2], 3), np.uint8)
        cv2.imwrite(str(root / "images" / f"{index}.jpg"), image)
        cv2.imwrite(str(root / "labels" / f"{index}.png"), labels)


LABELS = np.repeat(np.arange(5, dtype=np.uint8), 8)[:, None].repeat(60, 1)

BY_VALUE = """
data = "pictures"
paste = ["person"]

[labels]
0 = "road"
1 = "road"
2 = ["sidewalk", "terrain"]
3 = "person"
4 = "ignore"
"""

BY_COLOR = """
data = "pictures"
others = "ignore"

[colors]
"#804080" = "road"
"#ffffff" = "road"
"#f423e8" = ["sidewalk", "terrain"]
"#dc143c" = "person"
"""


@pytest.mark.parametrize(("text", "colored"), [(BY_VALUE, False), (BY_COLOR, True)])
def test_a_file_says_what_values_or_colours_mean(text: str, colored: bool, tmp_path: Path) -> None:
    _write_pairs(tmp_path / "pictures", LABELS, colored=colored)
    (tmp_path / "mine.toml").write_text(text)
    frames = load_frames(str(tmp_path / "mine.toml"), Path())
    sets = frames.sets[frames.label_images[1]][:, 0].reshape(5, 8)
    assert len(frames) == 2
    assert [set(row) for row in sets.tolist()] == [
        {class_set("road")},
        {class_set("road")},
        {class_set("sidewalk")},  # our networks do not tell terrain
        {class_set("person")},
        {ANY_CLASS},
    ]
    assert frames.pasted[SOMEBODY] == (not colored)


def test_cityscapes_is_found_as_it_is_laid_out(tmp_path: Path) -> None:
    image, label = np.zeros((16, 32, 3), np.uint8), np.full((16, 32), 7, np.uint8)  # 7 is road among labelIds
    for kind, stem, picture in (("leftImg8bit", "leftImg8bit", image), ("gtFine", "gtFine_labelIds", label)):
        folder = tmp_path / kind / "train" / "aachen"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / f"aachen_000000_000019_{stem}.png"), picture)
    frames = load_frames(f"cityscapes:{tmp_path}", Path())
    assert (frames.sets[frames.label_images[0]] == class_set("road")).all()


def test_data_sets_with_different_labels_are_learnt_from_together(tmp_path: Path) -> None:
    """One of them knows no people: its pixels leave open whether there is one."""
    _write_pairs(tmp_path / "a" / "pictures", LABELS)
    (tmp_path / "a" / "a.toml").write_text(BY_VALUE)
    _write_pairs(tmp_path / "b", np.zeros((40, 60), np.uint8))
    (tmp_path / "b" / "b.toml").write_text('[labels]\n0 = ["building", "person"]\n')
    mix = load_mix([f"{tmp_path}/a/a.toml=2", f"{tmp_path}/b/b.toml=1"], Path())
    stream = SampleStream(mix, crop_hw=(40, 60), seed=0)
    third = stream.sample(2)[1]
    assert set(np.unique(third)) <= {class_set("building", "person"), ANY_CLASS}
    assert class_set("road") in np.unique(stream.sample(0)[1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BY_VALUE.replace('"person"\n4', '"preson"\n4'), "did you mean 'person'"),
        (BY_VALUE.replace("[labels]", "[label]"), "not a file of label values"),
        (BY_VALUE.replace('4 = "ignore"\n', ""), r"holds the value 4 \(480 pixels\), which is no label of"),
        (BY_VALUE.replace('data = "pictures"', 'data = "elsewhere"'), "no such folder"),
        (BY_COLOR, "this is no coloured picture"),
        (BY_VALUE + '[colors]\n"#000000" = "road"\n', "not both"),
        (BY_COLOR.replace("#ffffff", "white"), "must be a colour such as"),
    ],
)
def test_mistakes_are_said_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    _write_pairs(tmp_path / "pictures", LABELS)
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ClearwayError, match=said) as caught:
        load_frames(str(tmp_path / "mine.toml"), Path())
    assert "\n" not in str(caught.value)


def test_a_colour_that_nobody_knows_is_named(tmp_path: Path) -> None:
    _write_pairs(tmp_path / "pictures", LABELS, colored=True)
    (tmp_path / "mine.toml").write_text(BY_COLOR.replace('others = "ignore"\n', ""))
    with pytest.raises(ClearwayError, match=r"holds the colour #000000 \(480 pixels\)"):
        load_frames(str(tmp_path / "mine.toml"), Path())


def test_an_image_without_its_label_is_named_before_training(tmp_path: Path) -> None:
    _write_pairs(tmp_path, LABELS)
    (tmp_path / "labels" / "1.png").unlink()
    with pytest.raises(ClearwayError, match=r"1\.png: the label of image 1\.jpg is missing"):
        load_frames(f"folder:{tmp_path}", Path())


def test_frames_kept_for_validation_are_refused_by_any_name(tmp_path: Path) -> None:
    _write_pairs(tmp_path / "camvid" / "dusk", LABELS)
    with pytest.raises(DataError, match="kept for validation"):
        load_mix([f"camvid:{tmp_path}/camvid/dusk"], tmp_path)
    (tmp_path / "mine.toml").write_text('data = "camvid/dusk"\nformat = "camvid"\n')
    with pytest.raises(DataError, match="kept for validation"):
        load_mix([f"{tmp_path}/mine.toml"], tmp_path)


def test_more_pictures_than_memory_are_read_when_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_pairs(tmp_path / "pictures", LABELS, count=3)
    (tmp_path / "mine.toml").write_text(BY_VALUE)
    monkeypatch.setattr("training.own_data._KEPT_BYTES", 2 * 40 * 60 * 4)
    files: list[_PairFiles] = []
    monkeypatch.setattr(_PairFiles, "__init__", _noting(files, _PairFiles.__init__))
    frames = load_frames(str(tmp_path / "mine.toml"), Path())
    for _ in range(2):
        assert [image.shape for image in frames.images] == [(40, 60, 3)] * 3
    assert len(files[0]._kept) == 2


def _noting(seen: list[_PairFiles], initialise):
    def noting(self, *args):
        seen.append(self)
        initialise(self, *args)

    return noting
