"""Engines have a frame each, and the one before is understood meanwhile: the same scenes, in order, none lost."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import count

import cv2
import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.errors import EngineError
from engines.factory import open_engines
from pipeline.looking import LOOKING_THREAD, Looked, _Looker
from pipeline.perception import MEANING_THREAD, Perception
from pipeline.scene import Frame, Scene
from pipeline.sources import open_source
from pipeline.timings import StageTimings

NETWORK_HW = (96, 160)


@pytest.fixture(params=[1, 3], ids=["one engine", "three side by side"])
def perception(request: pytest.FixtureRequest) -> Iterator[Perception]:
    artifact = load_artifact(find_model("clearway-lite"))
    engine, *beside = open_engines(artifact, size_hw=NETWORK_HW, threads=request.param)
    assert len(beside) == request.param - 1
    with Perception(engine, StageTimings(), beside=beside, smooth=True) as perception:
        yield perception


def drive(count: int) -> list[Frame]:
    return list(open_source(f"synthetic://drive?frames={count}&seed=2&size=320x192").frames())


def same(one: Scene, other: Scene) -> bool:
    return (
        one.frame is other.frame
        and bool((one.segmentation.class_ids == other.segmentation.class_ids).all())
        and bool((one.drivable.mask == other.drivable.mask).all())
        and [user.box_xyxy for user in one.road_users] == [user.box_xyxy for user in other.road_users]
    )


def test_scenes_are_those_that_come_one_after_the_other(perception: Perception):
    frames = drive(12)
    expected = [perception.see(frame) for frame in frames]
    perception.forget()
    scenes = list(perception.see_each(frames))
    assert all(map(same, scenes, expected))
    assert len(scenes) == len(frames)
    assert list(scenes[3].timings_ms) == ["preprocess", "engine", "smoothing", "postprocess"]


def test_where_no_frame_waits_a_scene_comes_before_the_next_is_asked_for(perception: Perception):
    given: list[int] = []

    def one_by_one() -> Iterator[Frame]:
        for frame in drive(4):
            given.append(frame.index)
            yield frame

    for number, scene in enumerate(perception.see_each(one_by_one(), lambda: False)):
        assert scene.frame.index == number == given[-1]


def test_what_was_seen_before_a_failure_of_the_engine_is_not_lost(
    perception: Perception, monkeypatch: pytest.MonkeyPatch
):
    look, frames = _Looker.look, drive(5)

    def fail_at_the_third(looker: _Looker, frame: Frame) -> Looked:
        if frame is frames[2]:
            raise RuntimeError("out of order")
        return look(looker, frame)

    monkeypatch.setattr(_Looker, "look", fail_at_the_third)
    scenes: list[Scene] = []
    with pytest.raises(RuntimeError, match="out of order"):
        deque(map(scenes.append, perception.see_each(frames)))
    assert [scene.frame.index for scene in scenes] == [0, 1]


def test_giving_up_midway_leaves_no_thread(perception: Perception):
    scenes = perception.see_each(drive(4))
    next(scenes)
    scenes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith((MEANING_THREAD, LOOKING_THREAD))]


@pytest.mark.parametrize("perception", [3], indirect=True)
def test_a_slow_engine_holds_up_the_order_but_not_the_others(perception: Perception, monkeypatch: pytest.MonkeyPatch):
    infer = perception.engine.infer

    def late(tensor: np.ndarray) -> np.ndarray:
        time.sleep(0.05)
        return infer(tensor)

    frames = drive(9)
    expected = [perception.see(frame) for frame in frames]
    perception.forget()
    monkeypatch.setattr(perception.engine, "infer", late)
    scenes = list(perception.see_each(frames))
    assert [scene.frame.index for scene in scenes] == list(range(9))
    assert all(map(same, scenes, expected))


@pytest.mark.parametrize("perception", [3], indirect=True)
def test_while_one_frame_takes_long_the_other_engines_have_work(
    perception: Perception, monkeypatch: pytest.MonkeyPatch
):
    look, looked_at, rest_done = _Looker.look, [], threading.Event()

    def first_comes_last(looker: _Looker, frame: Frame) -> Looked:
        if frame.index == 0:
            assert rest_done.wait(20), f"only {looked_at} were looked at meanwhile"
        looked = look(looker, frame)
        looked_at.append(frame.index)
        if set(looked_at) >= {1, 2, 3, 4, 5}:
            rest_done.set()
        return looked

    monkeypatch.setattr(_Looker, "look", first_comes_last)
    scenes = list(perception.see_each(drive(8)))
    assert [scene.frame.index for scene in scenes] == list(range(8))


@pytest.mark.parametrize("perception", [3], indirect=True)
def test_a_frame_that_comes_late_is_given_to_an_engine_that_has_nothing_to_do(
    perception: Perception, monkeypatch: pytest.MonkeyPatch
):
    look, second_done, asked = _Looker.look, threading.Event(), count()

    def first_waits_for_the_second(looker: _Looker, frame: Frame) -> Looked:
        if frame.index == 0:
            assert second_done.wait(20), "the engines stood still while the source was slow"
        looked = look(looker, frame)
        if frame.index == 1:
            second_done.set()
        return looked

    monkeypatch.setattr(_Looker, "look", first_waits_for_the_second)
    scenes = list(perception.see_each(drive(4), lambda: next(asked) > 3))
    assert [scene.frame.index for scene in scenes] == list(range(4))


@pytest.mark.parametrize("perception", [3], indirect=True)
def test_while_each_core_has_a_frame_opencv_takes_one_thread_and_has_its_own_back_afterwards(perception: Perception):
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        scenes = perception.see_each(drive(4))
        next(scenes)
        assert cv2.getNumThreads() == 1
        scenes.close()
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_closing_closes_every_engine(perception: Perception):
    perception.close()
    for engine in perception._engines:
        with pytest.raises(EngineError, match="closed"):
            engine.infer(np.zeros(engine.spec.input_shape, np.float32))
