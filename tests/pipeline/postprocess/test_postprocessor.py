"""From logits to a scene's content in one call."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.classes import CITYSCAPES, SegmentationClass
from pipeline.postprocess import Postprocessor, encode_runs, find_drivable, find_road_users
from pipeline.scene import BgrImage, Frame, Segmentation

ROAD, PERSON, CAR = 0, 11, 13
CAMVID = tuple(CITYSCAPES[i] for i in (10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 12))
"""In the order of the label values of CamVid's files."""


def frame_of(size_hw: tuple[int, int]) -> Frame:
    def no_picture() -> BgrImage:
        raise AssertionError("post-processing never looks at the picture")

    return Frame(index=0, source_time_s=0.0, captured_at_s=0.0, size_hw=size_hw, to_bgr=no_picture)


def street_logits() -> np.ndarray:
    logits = np.zeros((19, 36, 64), np.float32)
    logits[2] = 1
    logits[ROAD, 18:] = 4
    logits[PERSON, 12:24, 40:44] = 8
    return logits


def test_a_frame_becomes_a_scene() -> None:
    segmentation, drivable, users = Postprocessor(CITYSCAPES).process(frame_of((360, 640)), street_logits())
    assert isinstance(segmentation, Segmentation)
    assert segmentation.class_ids.shape == (360, 640)
    assert segmentation.confidence.shape == (360, 640)
    np.testing.assert_array_equal(drivable.mask, segmentation.class_ids == ROAD)
    assert drivable.polygon.shape[1] == 2
    (person,) = users
    assert person.class_name == "person"
    np.testing.assert_allclose(person.box_xyxy, (400, 120, 440, 240), atol=5)


def test_its_parts_agree_with_the_whole() -> None:
    segmentation, drivable, users = Postprocessor(CITYSCAPES).process(frame_of((720, 1280)), street_logits())
    runs = encode_runs(segmentation.class_ids)
    np.testing.assert_array_equal(find_drivable(runs, ROAD, [PERSON]).mask, drivable.mask)
    (person,) = find_road_users(runs, CITYSCAPES, segmentation.grid_confidence)
    assert person.box_xyxy == users[0].box_xyxy
    assert person.confidence == users[0].confidence


def test_one_postprocessor_serves_frames_of_any_size() -> None:
    postprocessor = Postprocessor(CITYSCAPES)
    for size_hw in ((72, 128), (36, 64), (360, 640), (1, 1)):
        segmentation, drivable, _ = postprocessor.process(frame_of(size_hw), street_logits())
        assert segmentation.class_ids.shape == drivable.mask.shape == size_hw


def test_what_was_returned_is_never_touched_again() -> None:
    postprocessor = Postprocessor(CITYSCAPES)
    segmentation, drivable, (person,) = postprocessor.process(frame_of((72, 128)), street_logits())
    before = [
        array.copy() for array in (segmentation.class_ids, segmentation.grid_confidence, drivable.mask, person.mask)
    ]
    postprocessor.process(frame_of((72, 128)), -street_logits())
    after = [segmentation.class_ids, segmentation.grid_confidence, drivable.mask, person.mask]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_arrays_are_used_again_once_nobody_holds_them() -> None:
    postprocessor = Postprocessor(CITYSCAPES)
    addresses = {id(postprocessor.process(frame_of((72, 128)), street_logits())[0].class_ids) for _ in range(20)}
    assert len(addresses) <= 2
    held = [postprocessor.process(frame_of((72, 128)), street_logits())[1].mask[5:20, 3:] for _ in range(40)]
    assert len({id(view.base) for view in held}) == 40


def test_a_batch_of_one_is_accepted() -> None:
    segmentation, _, _ = Postprocessor(CITYSCAPES).process(frame_of((72, 128)), street_logits()[None])
    assert segmentation.class_ids.shape == (72, 128)


@pytest.mark.parametrize("missing", [{"road"}, {"person"}, {"car", "rider"}, {entry.name for entry in CITYSCAPES}])
def test_models_may_lack_any_class(missing: set[str]) -> None:
    classes = [SegmentationClass("?", (0, 0, 0)) if entry.name in missing else entry for entry in CITYSCAPES]
    _, drivable, users = Postprocessor(classes).process(frame_of((180, 320)), street_logits())
    assert (drivable.area_px == 0) == ("road" in missing)
    assert (len(users) == 0) == ("person" in missing)


def test_noise_is_handled() -> None:
    logits = np.random.default_rng(0).normal(0, 1, (19, 90, 160)).astype(np.float32)
    segmentation, drivable, users = Postprocessor(CITYSCAPES).process(frame_of((90, 160)), logits)
    np.testing.assert_array_equal(segmentation.class_ids, logits.argmax(axis=0))
    assert drivable.area_px == drivable.mask.sum()
    assert len(users) <= 1000


@pytest.mark.data
def test_real_street_maps(driving_data: Path) -> None:
    """On CamVid's own labels: nearly all road is the own road, and every frame of the recording shows somebody."""
    files = sorted((driving_data / "camvid" / "val" / "labels").glob("*.png"))[::10]
    for file in files:
        labels = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        assert labels is not None
        runs = encode_runs(labels.astype(np.uint8))
        drivable = find_drivable(runs, 3, [2, 6, 7, 8, 9, 10])
        road = labels == 3
        assert np.count_nonzero(road & (drivable.mask == 1)) > 0.97 * np.count_nonzero(road)
        assert np.count_nonzero(drivable.mask) < 1.01 * np.count_nonzero(road)
        users = find_road_users(runs, CAMVID, np.ones((1, 1), np.float32))
        people = [user for user in users if user.class_name in ("person", "rider")]
        assert people
        tall = [user for user in people if user.area_px > 150]
        for user in tall:
            x1, y1, x2, y2 = user.box_xyxy
            assert x2 - x1 < 1.2 * (y2 - y1)
