"""Real pictures, clean and made worse, seen by the shipped network and judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine
from evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from evaluation.labelled import LabelledFrame, open_labelled
from pipeline.perception import Perception
from pipeline.scene import BgrImage, CameraView, DrivableArea, Frame, Scene, Segmentation, Visibility, YuvPlanes
from pipeline.timings import StageTimings
from pipeline.visibility import VisibilityJudge
from pipeline.visibility.light import CELLS_HW, measure_light, small_luma

RATE_HZ = 15.0


@pytest.fixture(scope="module")
def perception() -> Iterator[Perception]:
    engine = open_engine(load_artifact(find_model("clearway-lite")), kind="onnxruntime", size_hw=(360, 480), threads=1)
    with Perception(engine, StageTimings()) as opened:
        yield opened


def frame_of(image: BgrImage, time_s: float = 0.0) -> Frame:
    return Frame(0, time_s, 0.0, (image.shape[0], image.shape[1]), image.copy)


@cache
def all_labelled(folder: Path) -> list[LabelledFrame]:
    return list(open_labelled(str(folder), "camvid").frames)


def labelled(driving_data: Path, split: str, count: int) -> list[LabelledFrame]:
    frames = all_labelled(driving_data / "camvid" / split)
    return frames[:: max(len(frames) // count, 1)][:count]


def sure_scene(image: BgrImage, time_s: float = 0.0, confidence: float = 0.99) -> Scene:
    """A scene whose mask is as sure as that everywhere: only the light speaks."""
    height, width = image.shape[:2]
    segmentation = Segmentation(np.zeros((height, width), np.uint8), (), np.full((12, 16), confidence, np.float32))
    area = DrivableArea(np.zeros((height, width), np.uint8), 0, np.full(width, -1, np.int32))
    return Scene(frame_of(image, time_s), segmentation, area, ())


@pytest.mark.data
@pytest.mark.parametrize(("split", "may_be_low"), [("val", 0), ("dusk", 1)])
def test_clean_pictures_are_trusted_at_dusk_too(
    split: str, may_be_low: int, perception: Perception, driving_data: Path
):
    judged = [VisibilityJudge().judge(perception.see(item.frame)) for item in labelled(driving_data, split, 8)]
    assert sum(each.is_low for each in judged) <= may_be_low
    assert all(0.8 < each.mask_confidence < 1.0 for each in judged)


@pytest.mark.data
@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("dark", "dark"),
        ("glare", "glare"),
        ("rain", "rain"),
        ("covered", "covered lens"),
        ("blur", "dirty lens"),
        ("mud", "unsure mask"),
        ("fog", "covered lens"),
    ],
)
def test_what_leaves_nothing_to_see_is_named_in_the_first_picture(
    kind: str, cause: str, perception: Perception, driving_data: Path
):
    item = labelled(driving_data, "dusk", 3)[1]
    judged = VisibilityJudge().judge(perception.see(frame_of(corrupt(item.frame.image, kind, 5))))
    assert judged.is_low
    assert cause in judged.causes


@pytest.mark.data
def test_no_false_road_is_claimed_of_a_single_picture_without_low_confidence(
    perception: Perception, driving_data: Path
):
    """What covers a part of the lens takes time to be told from the road: see the next test."""
    missed, claimed = [], 0
    kinds = sorted(CORRUPTIONS.keys() - {"mud", "covered"})
    for split in ("val", "dusk"):
        road = open_labelled(str(driving_data / "camvid" / split), "camvid").scheme.values_within("road")
        for item, kind, severity in product(labelled(driving_data, split, 4), kinds, SEVERITIES[2:]):
            scene = perception.see(frame_of(corrupt(item.frame.image, kind, severity)))
            is_false = ((scene.drivable.mask > 0) & ~road[item.label] & (item.label != 11)).mean() > 0.05
            claimed += is_false
            if is_false and not VisibilityJudge().judge(scene).is_low:
                missed.append((split, kind, severity))
    assert not missed
    assert claimed >= 10, "or nothing was proven"


def drive(driving_data: Path, kind: str | None, severity: int = 1) -> list[Visibility]:
    """A real drive of seven seconds, its masks taken for sure."""
    judge, judged = VisibilityJudge(), []
    for number, item in enumerate(labelled(driving_data, "val", 101)):
        image = item.frame.image if kind is None else corrupt(item.frame.image, kind, severity, place=4, moment=number)
        judged.append(judge.judge(sure_scene(image, number / RATE_HZ)))
    return judged


@pytest.mark.data
def test_dirt_is_told_by_its_staying_where_it_is(driving_data: Path):
    clean, dirty = drive(driving_data, None), drive(driving_data, "covered", 2)
    assert not any(each.causes for each in clean)
    told = [bool({"dirty lens", "covered lens"} & set(each.causes)) for each in dirty]
    assert not any(told[: int(2 * RATE_HZ)]), "too early to tell"
    assert all(told[int(3.5 * RATE_HZ) :])
    assert dirty[-1].is_low


@pytest.mark.data
def test_a_vehicle_that_stands_has_no_dirty_lens(driving_data: Path):
    (item,) = labelled(driving_data, "val", 1)
    judge = VisibilityJudge()
    judged = [judge.judge(sure_scene(item.frame.image, number / RATE_HZ)) for number in range(60)]
    assert not any(each.causes for each in judged)


@pytest.mark.parametrize("rate_hz", [8.0, 15.0, 60.0])
def test_one_picture_does_not_change_what_was_judged(rate_hz: float):
    fine = np.random.default_rng(1).integers(40, 200, (180, 320, 3), np.uint8)
    black = np.zeros_like(fine)
    judge = VisibilityJudge()
    pictures = [fine] * 5 + [black] + [fine] * 5
    low = [judge.judge(sure_scene(picture, k / rate_hz)).is_low for k, picture in enumerate(pictures)]
    assert not any(low)
    for k in range(11, 11 + round(rate_hz)):
        last = judge.judge(sure_scene(black, k / rate_hz))
    assert last.is_low
    assert last.causes[0] in {"dark", "covered lens"}
    again = [judge.judge(sure_scene(fine, 20 + k / rate_hz)).is_low for k in range(3)]
    assert not any(again), "after a gap, what is seen counts, and not what was"


def test_without_a_signal_nothing_is_trusted():
    scene = replace(sure_scene(np.full((90, 160, 3), 120, np.uint8)), camera=CameraView("front", "stale", 900.0))
    assert VisibilityJudge().judge(scene) == Visibility(0.0, (), is_low=True)


@given(st.integers(1, 70), st.integers(1, 2000), st.integers(0, 255))
def test_a_picture_of_any_size_has_figures(height: int, width: int, level: int):
    light = measure_light(small_luma(frame_of(np.full((height, width, 3), level, np.uint8))))
    for figures in (light.mean, light.contrast, light.across, light.down, light.saturated):
        assert figures.shape == CELLS_HW
        assert np.isfinite(figures).all()


def test_the_planes_of_a_decoder_say_the_same_as_the_picture():
    image = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (360, 640, 3), np.uint8), (0, 0), 3)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    video_range = np.round(grey * (219 / 255) + 16).astype(np.uint8)
    chroma = np.full((180, 320), 128, np.uint8)

    def never() -> BgrImage:
        raise AssertionError("there are planes")

    for luma, full_range in ((grey, True), (video_range, False)):
        planes = YuvPlanes(luma, chroma, chroma, "bt601", full_range)
        seen = small_luma(Frame(0, 0.0, 0.0, (360, 640), never, planes=planes))
        np.testing.assert_allclose(seen, small_luma(frame_of(image)), atol=2)
