"""Which pictures are spoiled by one that was lost, on a clock of the test's own."""

from __future__ import annotations

import numpy as np

from pipeline.cameras.base import Taken
from pipeline.cameras.damage import Damage
from pipeline.scene import Frame

FRAME = Frame(0, 0.0, 0.0, (2, 2), lambda: np.zeros((2, 2, 3), np.uint8))
RATE_HZ = 25


def spoiled(damage: Damage, from_s: float, to_s: float, keys_s: tuple[float, ...] = ()) -> list[float]:
    """Feed good pictures at 25 Hz, with key frames at the given times; the times of those that were spoiled."""
    times_s = [round(from_s + step / RATE_HZ, 3) for step in range(round((to_s - from_s) * RATE_HZ))]
    return [at_s for at_s in times_s if damage.spoils(Taken(FRAME, at_s, is_keyframe=at_s in keys_s), at_s)]


def test_damage_ends_with_the_next_key_frame():
    damage = Damage()
    assert spoiled(damage, 0.0, 1.0, (0.0,)) == []
    assert damage.spoils(Taken(FRAME, 1.0, damaged=True, is_keyframe=False), 1.0)
    assert spoiled(damage, 1.04, 3.0, (2.0,))[-1] == 1.96


def test_a_damaged_key_frame_ends_nothing():
    damage = Damage()
    assert damage.spoils(Taken(FRAME, 0.0, damaged=True, is_keyframe=True), 0.0)
    assert spoiled(damage, 0.04, 1.0)[-1] == 0.96


def test_what_never_came_spoils_what_builds_upon_it():
    damage = Damage()
    spoiled(damage, 0.0, 1.0, (0.0,))
    damage.begin(1.0)
    assert spoiled(damage, 1.0, 2.0, (1.52,))[-1] == 1.48


def test_damage_outlives_any_fixed_wait_where_key_frames_are_far_apart():
    damage = Damage()
    spoiled(damage, 0.0, 9.0, (0.0, 8.0))
    damage.begin(9.0)
    assert spoiled(damage, 9.0, 16.0) == [round(9.0 + step / RATE_HZ, 3) for step in range(7 * RATE_HZ)]


def test_a_stream_without_key_frames_is_trusted_again_after_a_while():
    damage = Damage()
    damage.begin(0.0)
    assert 4.9 < spoiled(damage, 0.0, 8.0)[-1] <= 5.0


def test_a_new_connection_starts_without_damage():
    damage = Damage()
    damage.begin(0.0)
    damage.restart()
    assert spoiled(damage, 0.0, 1.0) == []
