"""What a road user looks like."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.instances import DESCRIPTOR_LENGTH, describe
from pipeline.scene import RoadUser
from tests.pipeline.instances.looks import mask_of, rendered


def user_of(box: tuple[int, int, int, int], mask: np.ndarray) -> RoadUser:
    return RoadUser(1, "person", box, (0.0, 0.0), int(mask.sum()), 1.0, mask)


@given(st.integers(1, 120), st.integers(1, 200), st.integers(0, 1000))
def test_it_is_a_vector_of_length_one_whatever_the_size(width: int, height: int, seed: int):
    noise = np.random.default_rng(seed)
    image = noise.integers(0, 256, (220, 140, 3), np.uint8)
    mask = noise.integers(0, 2, (height, width), np.uint8)
    descriptor = describe(image, user_of((5, 7, 5 + width, 7 + height), mask))
    assert descriptor.shape == (DESCRIPTOR_LENGTH,)
    assert np.isfinite(descriptor).all()
    assert abs(float(np.linalg.norm(descriptor)) - 1.0) < 1e-5


def test_what_is_outside_the_mask_hardly_matters():
    frame = rendered(11)[4]
    for user in frame.road_users:
        _, top, _, bottom = user.box_xyxy
        if user.class_name != "person" or bottom - top < 40:
            continue
        cut = user_of(user.box_xyxy, mask_of(frame, user.id, user.box_xyxy))
        elsewhere = frame.image.copy()
        elsewhere[frame.instance_ids != user.id] = (60, 120, 60)
        assert float(describe(frame.image, cut) @ describe(elsewhere, cut)) > 0.95


def test_the_same_road_user_is_alike_from_frame_to_frame_and_others_are_less_so():
    first, second = rendered(11)[4], rendered(11)[6]

    def looks(frame):
        return {
            user.id: describe(frame.image, user_of(user.box_xyxy, mask_of(frame, user.id, user.box_xyxy)))
            for user in frame.road_users
            if user.class_name == "person" and user.box_xyxy[3] - user.box_xyxy[1] >= 28
        }

    before, after = looks(first), looks(second)
    both = sorted(before.keys() & after.keys())
    assert len(both) >= 3
    same = [float(before[id_] @ after[id_]) for id_ in both]
    others = [float(before[a] @ after[b]) for a in both for b in both if a != b]
    assert np.mean(same) > np.mean(others) + 0.05
