"""What smoothing promises: steadier classes, no ghosts, and no memory across breaks."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.base import ModelSpec
from engines.factory import open_engine
from pipeline.perception import Perception
from pipeline.postprocess import encode_runs
from pipeline.scene import Frame
from pipeline.smoothing import GreyCells, Smoother
from pipeline.smoothing.motion import MotionField
from pipeline.sources.synthetic import open_synthetic
from pipeline.timings import StageTimings
from tests.pipeline.scenes import CLASSES, PERSON, ROAD, SIDEWALK

GRID_HW = (30, 40)
SPEC = ModelSpec(
    "steady", Path("steady.onnx"), (1, 3, 120, 160), (1, len(CLASSES), *GRID_HW), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0),
    "rgb", CLASSES,
)  # fmt: skip


def street(shift_px: int = 0, seed: int = 0, grid_hw: tuple[int, int] = GRID_HW) -> np.ndarray:
    """A picture on the grid: smooth noise, so that there is something to follow, moved to the right."""
    noise = np.random.default_rng(seed).standard_normal((120, 320)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 5)
    texture = 128 + 60 * texture / texture.std()
    view = texture[:, 80 - shift_px : 240 - shift_px]
    return GreyCells(SPEC).average(np.ascontiguousarray(np.broadcast_to(view, (3, 120, 160)), np.float32), grid_hw)


def doubtful(winner: int, other: int, lead: float) -> np.ndarray:
    """Logits of a network that sees one class everywhere, hardly ahead of another."""
    logits = np.full((len(CLASSES), *GRID_HW), -5.0, np.float32)
    logits[winner], logits[other] = lead, 0.0
    return logits


def step(smoother: Smoother, grey: np.ndarray, logits: np.ndarray, time_s: float) -> np.ndarray:
    blend = smoother.blend(grey, logits.copy(), time_s)
    ids = cv2.resize(blend.argmax(axis=0).astype(np.uint8), (160, 120), interpolation=cv2.INTER_NEAREST)
    runs = smoother.hold(ids, encode_runs(ids), blend)
    np.testing.assert_array_equal(runs.class_id, encode_runs(ids).class_id)
    return ids


def test_a_class_in_doubt_stays_and_a_clear_one_comes_through_at_once():
    smoother = Smoother(SPEC)
    grey = street()
    assert (step(smoother, grey, doubtful(ROAD, SIDEWALK, 1.0), 0.0) == ROAD).all()
    assert (step(smoother, grey, doubtful(SIDEWALK, ROAD, 0.4), 0.1) == ROAD).all()
    assert (step(smoother, grey, doubtful(PERSON, ROAD, 8.0), 0.2) == PERSON).all()


def test_what_is_in_doubt_for_long_gives_way():
    smoother = Smoother(SPEC)
    grey = street()
    seen = [step(smoother, grey, doubtful(ROAD, PERSON, 1.0), 0.0)]
    seen += [step(smoother, grey, doubtful(PERSON, ROAD, 1.0), 0.1 * (1 + n)) for n in range(5)]
    assert [bool((ids == PERSON).all()) for ids in seen] == [False, False, True, True, True, True]


@pytest.mark.parametrize("after_s", [5.0, -1.0])
def test_nothing_is_remembered_across_a_break_in_time(after_s: float):
    smoother = Smoother(SPEC)
    step(smoother, street(), doubtful(ROAD, SIDEWALK, 1.0), 1.0)
    logits = doubtful(SIDEWALK, ROAD, 0.1)
    np.testing.assert_array_equal(smoother.blend(street(), logits.copy(), 1.0 + after_s), logits)
    assert (step(smoother, street(), logits, 1.1 + after_s) == SIDEWALK).all()


def test_nothing_is_remembered_across_a_cut_to_another_scene():
    smoother = Smoother(SPEC)
    step(smoother, street(seed=0), doubtful(ROAD, SIDEWALK, 1.0), 0.0)
    assert (step(smoother, street(seed=1), doubtful(SIDEWALK, ROAD, 0.1), 0.04) == SIDEWALK).all()


def test_nothing_is_remembered_of_pictures_of_another_size():
    smoother = Smoother(SPEC)
    step(smoother, street(), doubtful(ROAD, SIDEWALK, 1.0), 0.0)
    smaller = doubtful(SIDEWALK, ROAD, 0.1)[:, :20, :40].copy()
    np.testing.assert_array_equal(smoother.blend(street(grid_hw=(20, 40)), smaller.copy(), 0.04), smaller)


def test_memory_moves_along_with_the_picture():
    """A patch seen clearly once, then in doubt, while the camera pans by two cells a frame."""
    smoother = Smoother(SPEC)
    for frame in range(4):
        logits = doubtful(ROAD, PERSON, 0.1) if frame else doubtful(ROAD, PERSON, 8.0)
        at = 14 + 2 * frame
        if frame == 0:
            logits[PERSON, 10:20, at : at + 8] = 16.0
        blend = smoother.blend(street(8 * frame), logits, frame / 15)
    is_person = blend.argmax(axis=0) == PERSON
    assert is_person[11:19, 21:27].all()
    assert not is_person[:, 14:18].any()


def test_the_flow_is_that_of_the_picture():
    motion = MotionField()
    assert motion.follow(street())[0] is None
    flow, unlike = motion.follow(street(8))
    assert flow is not None
    inner = flow[4:-4, 6:-4]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), [-2.0, 0.0], atol=0.05)
    assert np.median(unlike) < 1
    assert np.isinf(unlike[:, 0]).all()  # came from outside of the picture


def test_a_picture_too_small_to_follow_is_taken_as_standing_still():
    motion = MotionField()
    for _ in range(2):
        flow, _ = motion.follow(street(grid_hw=(6, 8)))
    assert flow is not None
    assert not flow.any()


def test_perception_forgets_when_told_and_keeps_one_memory_for_each_source():
    engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=(96, 160), threads=1)
    with Perception(engine, StageTimings(), smooth=True) as perception:
        drive = open_synthetic("synthetic://drive?frames=4&size=160x96")
        frames = list(drive.frames())
        drive.close()
        perception.warm_up((96, 160))
        alone = perception.see(frames[2]).segmentation.class_ids.copy()
        perception.forget()
        perception.see(frames[0])
        perception.see(frames[1])
        smoothed = perception.see(frames[2]).segmentation.class_ids.copy()
        perception.forget()
        again = perception.see(frames[2]).segmentation.class_ids
        np.testing.assert_array_equal(again, alone)
        assert (smoothed != alone).any()


def test_no_ghost_stays_behind_road_users_that_move():
    """Against the rendered drive's exact truth.

    A ghost is a road user seen where there was one within the last third of a second and there is none now, further
    than three pixels from any that is there.
    """
    users = (11, 12, 13)
    seen: dict[bool, dict[str, int]] = {}
    for smooth in (False, True):
        engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=(360, 640))
        ids = np.array([entry.train_id for entry in engine.spec.classes], np.uint8)
        drive = open_synthetic("synthetic://drive?frames=30&seed=2").drive
        counts = dict.fromkeys(("ghosts", "left", "hits", "there"), 0)
        history: list[np.ndarray] = []
        with Perception(engine, StageTimings(), smooth=smooth) as perception:
            for index in range(drive.frame_count):
                rendered = drive.render(index)
                frame = Frame(index, rendered.time_s, time.monotonic(), (360, 640), partial(np.copy, rendered.image))
                found = np.isin(ids[perception.see(frame).segmentation.class_ids], users)
                there = np.isin(rendered.class_ids, users)
                near = cv2.dilate(there.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
                left = np.logical_or.reduce(history[-10:], axis=0) & ~near if history else np.zeros_like(near)
                counts["left"] += int(left.sum())
                counts["ghosts"] += int((left & found).sum())
                counts["there"] += int(there.sum())
                counts["hits"] += int((there & found).sum())
                history.append(there)
        drive.close()
        seen[smooth] = counts
    plain, smoothed = seen[False], seen[True]
    assert plain["left"] == smoothed["left"] > 20_000
    assert smoothed["ghosts"] / smoothed["left"] <= plain["ghosts"] / plain["left"] + 0.01
    assert smoothed["hits"] / smoothed["there"] >= plain["hits"] / plain["there"] - 0.015
