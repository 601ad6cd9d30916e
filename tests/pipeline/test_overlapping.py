"""While the engine has a frame, the meaning of the one before is worked on: the same scenes, in order, none lost."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine
from pipeline.perception import Perception
from pipeline.scene import Frame, Scene
from pipeline.sources import open_source
from pipeline.timings import StageTimings

NETWORK_HW = (96, 160)


@pytest.fixture
def perception() -> Iterator[Perception]:
    engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=NETWORK_HW, threads=1)
    with Perception(engine, StageTimings(), smooth=True) as perception:
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
    infer, calls = perception.engine.infer, []

    def fail_at_the_third(tensor: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of order")
        return infer(tensor)

    monkeypatch.setattr(perception.engine, "infer", fail_at_the_third)
    scenes: list[Scene] = []
    with pytest.raises(RuntimeError, match="out of order"):
        deque(map(scenes.append, perception.see_each(drive(5))))
    assert [scene.frame.index for scene in scenes] == [0, 1]


def test_giving_up_midway_leaves_no_thread(perception: Perception):
    scenes = perception.see_each(drive(4))
    next(scenes)
    scenes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("clearway-meaning")]
