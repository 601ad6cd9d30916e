"""Road users of rendered drives leave and return, or do not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.instances import InstanceDatabase, Recogniser, RecognitionRules
from pipeline.scene import Recognition, Scene
from tests.pipeline.instances.looks import RATE_HZ, rendered, scenes


@pytest.fixture
def database(tmp_path: Path):
    with InstanceDatabase(tmp_path / "known.db") as opened:
        yield opened


def meet(recogniser: Recogniser, seen: Iterable[Scene]) -> dict[int, Recognition]:
    """What was said of every road user in the end."""
    said = {}
    for scene in seen:
        for user in recogniser.recognise(scene).road_users:
            if user.recognition is not None:
                said[user.id] = user.recognition
    recogniser.forget()
    return said


def test_who_returns_is_recognised_under_a_new_id_and_a_new_recorder(database: InstanceDatabase):
    first = meet(Recogniser(database), scenes(rendered(11)))
    assert len(first) >= 5
    again = meet(Recogniser(database), scenes(rendered(11), begin_s=100.0, first_id=1000))
    assert all(one.is_new for one in first.values())
    names = {1000 + id_: one.name for id_, one in first.items()}
    same = [one for id_, one in again.items() if not one.is_new and one.name == names.get(id_)]
    assert len(same) >= 0.9 * len(again)
    assert all(one.score > 0.95 for one in same)


def test_strangers_of_another_drive_are_mostly_new(database: InstanceDatabase):
    meet(Recogniser(database), scenes(rendered(11)))
    others = meet(Recogniser(database), scenes(rendered(14), begin_s=100.0, first_id=1000))
    assert len(others) >= 5
    assert sum(one.is_new for one in others.values()) >= 0.75 * len(others)


def test_nothing_is_said_before_several_views(database: InstanceDatabase):
    recogniser = Recogniser(database, RecognitionRules(views=4, every_s=0.15))
    said = [
        {user.id for user in recogniser.recognise(scene).road_users if user.recognition is not None}
        for scene in scenes(rendered(11))
    ]
    assert said[:3] == [set()] * 3, f"at {RATE_HZ:g} frames a second, three frames are three views"
    assert said[-1]


def test_two_road_users_of_one_scene_never_have_the_same_name(database: InstanceDatabase):
    recogniser = Recogniser(database, RecognitionRules(people_score=-1.0, vehicle_score=-1.0))
    for scene in scenes(rendered(11)):
        users = recogniser.recognise(scene).road_users
        names = [user.recognition.name for user in users if user.recognition is not None]
        assert len(names) == len(set(names))


def test_what_was_learnt_is_kept_and_those_who_were_forgotten_stay_so(database: InstanceDatabase):
    recogniser = Recogniser(database)
    for scene in scenes(rendered(11)):
        recogniser.recognise(scene)
    victim = database.instances()[0].name
    views = {one.name: one.views for one in database.instances()}
    database.forget([victim])
    recogniser.forget()
    assert database.find(victim) is None
    assert all(one.views > views[one.name] for one in database.instances())
