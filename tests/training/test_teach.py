"""A model labels pictures for the next one: where it is sure, and never against a label that was there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.sources import open_source
from training.datasets import load_frames
from training.labels import ANY_CLASS, CLASSES, class_set
from training.teach import main, narrowed_sets

NAMES = [entry.name for entry in CLASSES]
PERSON, RIDER, ROAD = (NAMES.index(name) for name in ("person", "rider", "road"))


def said(**shares: float) -> np.ndarray:
    """(1, 1, classes): what the model says of one pixel."""
    return np.array([[[shares.get(name, 0.0) for name in NAMES]]], np.float32)


@pytest.mark.parametrize(("probabilities", "allowed", "expected"), [
    (said(person=0.95, rider=0.05), class_set(), class_set("person")),
    (said(person=0.6, rider=0.35, road=0.05), class_set(), class_set("person", "rider")),
    (said(person=0.4, rider=0.3, road=0.3), class_set(), class_set()),  # not even two of them are sure
    (said(person=0.3, car=0.7), class_set("person", "rider"), class_set("person")),  # a living thing: then a person
    (said(person=0.05, car=0.95), class_set("person", "rider"), class_set("person", "rider")),  # it saw something else
    (said(road=1.0), class_set("sky"), class_set("sky")),  # a label is never contradicted
])  # fmt: skip
def test_a_label_becomes_what_the_model_is_sure_of(probabilities: np.ndarray, allowed: int, expected: int):
    assert narrowed_sets(probabilities, np.array([[allowed]], np.uint16), 0.9)[0, 0] == expected


@settings(deadline=None)
@given(
    arrays.arrays(np.float32, (3, 4, len(CLASSES)), elements=st.floats(0, 1, width=32)),
    arrays.arrays(np.uint16, (3, 4), elements=st.integers(1, ANY_CLASS)),
    st.floats(0.51, 1.0),
)
def test_a_label_never_grows_and_never_vanishes(probabilities: np.ndarray, sets: np.ndarray, sure: float):
    narrowed = narrowed_sets(probabilities / max(probabilities.sum(-1).max(), 1e-6), sets, sure)
    assert ((narrowed & ~sets) == 0).all()
    assert (narrowed != 0).all()


def test_a_recording_becomes_a_data_set_to_train_on(tmp_path: Path):
    drive = "synthetic://drive?frames=7&seed=3&size=320x192"
    assert main([drive, "--every", "3", "--out", str(tmp_path)]) == 0
    frames = load_frames(str(tmp_path / "taught.toml"), tmp_path)
    assert len(frames) == 3
    pictures = list(open_source(drive).frames())[::3]
    for picture, image in zip(pictures, frames.images, strict=True):
        np.testing.assert_array_equal(picture.image, image)
    sets = np.stack([frames.sets[label] for label in frames.label_images])
    ground, sky = sets[:, 150:], sets[:, :20]
    assert np.isin(sets, [1 << rank for rank in range(len(CLASSES))]).mean() > 0.6
    assert (ground & 1 << ROAD > 0).mean() > 0.9
    assert (ground == 1 << ROAD).mean() > 0.8
    assert (sky & class_set("sky", "building", "vegetation") > 0).mean() > 0.9


def test_a_vague_label_becomes_a_precise_one_and_stays_true(driving_data: Path, tmp_path: Path):
    vague = load_frames("idd_lite", driving_data)
    assert main(["idd_lite", "--data", str(driving_data), "--every", "350", "--out", str(tmp_path)]) == 0
    taught = load_frames(str(tmp_path / "taught.toml"), driving_data)
    assert len(taught) == len(range(0, len(vague), 350))
    for number, label in enumerate(taught.label_images):
        before, after = vague.sets[vague.label_images[350 * number]], taught.sets[label]
        assert ((after & ~before) == 0).all()
        assert (after != before).mean() > 0.1


@pytest.mark.parametrize(("arguments", "said"), [
    (["camvid/dusk"], "camvid/dusk is kept for validation"),
    (["camvid/val", "--sure", "0.3"], "--sure 0.3: must be above 0.5"),
    (["camvid/val", "--every", "0"], "--every 0: must be 1 or more"),
    (["nobody/knows"], "nobody/knows: no such data set"),
    (["camvid/val", "--model", "no-such-model"], "no-such-model"),
])  # fmt: skip
def test_mistakes_are_one_line(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*arguments, "--out", str(tmp_path / "out"), "--data", str(tmp_path)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_what_is_kept_for_validation_is_not_learnt_from_by_its_path_either(driving_data: Path, tmp_path: Path):
    images = driving_data / "camvid" / "dusk" / "images"
    assert main([str(images), "--data", str(driving_data), "--out", str(tmp_path)]) == 2
