"""Data sets: what they hold, what is never trained on, and samples that can be had again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training import labels
from training.augment import augment_colors, crop_scaled, paste_objects
from training.datasets import SampleStream, load_frames, load_mix
from training.frames import DataError, LabelledFrames
from training.labels import ANY_CLASS, class_set


def _frames(name: str, value: int, *, count: int = 3) -> LabelledFrames:
    """Plain pictures of one brightness, labelled with one CamVid value."""
    images = [np.full((30, 40, 3), value * 20, np.uint8)] * count
    return LabelledFrames(name, images, [np.full((30, 40), value, np.uint8)] * count, labels.label_table(labels.CAMVID))


def test_the_classes_are_eleven_in_order_of_their_train_ids() -> None:
    assert [entry.train_id for entry in labels.CLASSES] == [0, 1, 2, 4, 5, 7, 8, 10, 11, 12, 13]
    assert class_set("road") == 1
    assert class_set() == ANY_CLASS == 0b111_1111_1111


@pytest.mark.parametrize("name", ["camvid/dusk", "camvid/dusk/", "rendered:10:7"])
def test_frames_kept_for_validation_are_refused_for_training(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="kept for validation"):
        load_mix([f"{name}=1"], tmp_path)


def test_mistakes_in_the_mix_are_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="whole number"):
        load_mix(["camvid/train=lots"], tmp_path)
    with pytest.raises(DataError, match="no such data set"):
        load_mix(["imagenet"], tmp_path)
    with pytest.raises(DataError, match="no images in"):
        load_mix(["camvid/train"], tmp_path)
    with pytest.raises(DataError, match="whole numbers"):
        load_mix(["rendered:many"], tmp_path)


def test_an_image_without_its_label_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "camvid" / "train"
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "a.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"a\.png: missing"):
        load_frames("camvid/train", tmp_path)


def test_a_sample_can_be_had_again_and_shares_are_kept() -> None:
    mix = [(_frames("sky", 0), 3), (_frames("road", 3), 1)]
    stream, again = (SampleStream(mix, crop_hw=(24, 32), seed=5) for _ in range(2))
    roads = 0
    for index in range(40):
        image, sets = stream.sample(index)
        assert image.shape == (24, 32, 3)
        assert sets.shape == (24, 32)
        np.testing.assert_array_equal(image, again.sample(index)[0])
        roads += bool((sets == class_set("road")).any())
    assert roads == 10


def test_every_frame_is_seen_once_before_any_is_seen_twice() -> None:
    frames = _frames("road", 3, count=5)
    frames.images[:] = [np.full((30, 40, 3), 10 * k, np.uint8) for k in range(5)]
    frames.label_images[:] = [np.full((30, 40), k, np.uint8) for k in range(5)]
    stream = SampleStream([(frames, 1)], crop_hw=(24, 32), seed=0)
    for epoch in range(3):
        seen = {int(stream.sample(5 * epoch + k)[1].min()) for k in range(5)}
        assert seen == {int(labels.label_table(labels.CAMVID)[k]) for k in range(5)}


def test_a_small_picture_is_padded_without_a_label() -> None:
    image, sets = np.full((30, 40, 3), 9, np.uint8), np.full((30, 40), class_set("sky"), np.uint16)
    out, out_sets = crop_scaled(image, sets, (0.5, 0.5), (30, 40), np.random.default_rng(0))
    assert (out_sets == class_set("sky")).sum() == 15 * 20
    assert (out_sets == ANY_CLASS).sum() == 30 * 40 - 15 * 20
    assert set(np.unique(out)) == {9, 127}


def test_a_large_picture_is_cropped_and_labels_stay_on_their_pixels() -> None:
    rng = np.random.default_rng(0)
    sets = (1 << rng.integers(0, 11, (6, 8)).repeat(10, 0).repeat(10, 1)).astype(np.uint16)
    image = np.log2(sets).astype(np.uint8)[..., None].repeat(3, 2) * 20
    out, out_sets = crop_scaled(image, sets, (2.0, 2.0), (60, 80), rng)
    agree = np.abs(out[..., 0] / 20 - np.log2(out_sets)) < 0.2
    assert agree.mean() > 0.8  # all but the interpolated borders


def test_objects_are_pasted_with_their_labels() -> None:
    image, donor = np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 200, np.uint8)
    label, donor_label = np.full((4, 6), 3, np.uint8), np.full((4, 6), 1, np.uint8)
    donor_label[2:, 1] = 9
    pasted = np.arange(256) == 9
    out, out_label = paste_objects(image, label, donor, donor_label, pasted, False)
    np.testing.assert_array_equal(out_label == 9, donor_label == 9)
    np.testing.assert_array_equal(out[..., 0] == 200, donor_label == 9)
    mirrored = paste_objects(image, label, donor, donor_label, pasted, True)[1]
    np.testing.assert_array_equal(mirrored[:, ::-1], out_label)
    assert not image.any()


@pytest.mark.parametrize("seed", range(20))
def test_colours_change_but_stay_colours(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    out = augment_colors(image, np.random.default_rng(seed))
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    assert out.std() > 5


@pytest.mark.data
@pytest.mark.parametrize(("name", "count"), [("camvid/val", 101), ("camvid/dusk", 62), ("idd_lite", 1403)])
def test_real_data_sets_load(driving_data: Path, name: str, count: int) -> None:
    frames = load_frames(name, driving_data)
    assert len(frames) == count
    sets = frames.sets[frames.label_images[0]]
    assert (sets == class_set("road")).any()
    assert frames.sets[255] == ANY_CLASS


def test_rendered_frames_have_precise_labels() -> None:
    frames = load_frames("rendered:2:990", Path())
    assert len(frames) == 2
    assert frames.images[0].shape == (360, 640, 3)
    sets = frames.sets[frames.label_images[0]]
    assert (sets == class_set("road")).mean() > 0.1
