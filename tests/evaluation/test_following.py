"""IDF1 against a second implementation, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from evaluation.following import Following, box_overlap, match_boxes

PLACES = [(x, 0, x + 10, 20) for x in (0, 100, 200, 300)]


def idf1_by_scipy(frames: list[tuple[list[int], list[int]]]) -> float:
    """Ristani et al. 2016 as py-motmetrics writes it: assign identities at the least cost of misses and false ids."""
    true, given_ids = (
        sorted({identity for frame in frames for identity in frame[side] if identity >= 0}) for side in (0, 1)
    )
    n, m = len(true), len(given_ids)
    cost = np.zeros((n + m, n + m))
    cost[:n, m:] = cost[n:, :m] = 1e9
    for i, one in enumerate(true):
        due = sum(one in frame[0] for frame in frames)
        cost[i, m + i] = due
        for j, other in enumerate(given_ids):
            given_count = sum(other in frame[1] for frame in frames)
            both = sum(any(a == one and b == other for a, b in zip(*frame, strict=True)) for frame in frames)
            cost[i, j] = (due - both) + (given_count - both)
    for j, other in enumerate(given_ids):
        cost[n + j, j] = sum(other in frame[1] for frame in frames)
    rows, columns = linear_sum_assignment(cost)
    wrong = cost[rows, columns].sum()
    total = sum(identity >= 0 for frame in frames for side in frame for identity in side)
    return 1.0 - wrong / total


# By place: who is there and who is said to be there; -1 is nobody, and no identity is at two places at once.
frame_of_ids = st.tuples(st.permutations([1, 2, 3, 4, -1, -1, -1]), st.permutations([11, 12, 13, 14, -1, -1, -1])).map(
    lambda sides: (list(sides[0][:4]), list(sides[1][:4]))
)


@given(st.lists(frame_of_ids, min_size=1, max_size=12))
def test_idf1_is_that_of_a_second_implementation(frames: list[tuple[list[int], list[int]]]):
    following = Following()
    for true, said in frames:
        sides = [([i for i in ids if i >= 0], [PLACES[k] for k, i in enumerate(ids) if i >= 0]) for ids in (true, said)]
        following.add(sides[0][0], np.array(sides[0][1]), sides[1][0], np.array(sides[1][1]))
    if any(identity >= 0 for frame in frames for side in frame for identity in side):
        assert following.identity.idf1 == pytest.approx(idf1_by_scipy(frames), abs=1e-9)


def test_an_id_that_is_swapped_half_way_is_half_right():
    following = Following()
    for index in range(10):
        said = [5, 6] if index < 5 else [6, 5]
        following.add([1, 2], np.array(PLACES[:2]), said, np.array(PLACES[:2]))
    identity = following.identity
    assert (identity.due, identity.given, identity.found, identity.switches) == (20, 20, 20, 2)
    assert identity.idf1 == pytest.approx(0.5)


def test_a_box_that_overlaps_by_less_than_half_is_nobody():
    true, said = np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 21]])
    assert box_overlap(true, said)[0, 0] == pytest.approx(100 / 210)
    assert match_boxes(box_overlap(true, said)) == {}
    assert match_boxes(np.zeros((0, 3))) == {}
