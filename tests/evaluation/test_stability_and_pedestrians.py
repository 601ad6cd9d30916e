"""Flicker and pedestrian recall on pictures small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.pedestrians import PedestrianRecall
from evaluation.stability import Flicker

VOID = 255


def row(*ranks: int) -> np.ndarray:
    return np.array([ranks], np.uint8)


def test_only_pixels_whose_truth_stays_can_flicker():
    flicker = Flicker(3)
    assert math.isnan(flicker.add(row(0, 0, 1, 2, VOID), row(0, 1, 1, 2, 0), follows=False))
    # stays and holds; stays and changes; truth changes; stays, changes; void
    assert flicker.add(row(0, 0, 2, 2, VOID), row(0, 0, 2, 1, 1), follows=True) == pytest.approx(2 / 3)
    assert flicker.share == pytest.approx(2 / 3)
    np.testing.assert_allclose(flicker.of_class, [0.5, math.nan, 1.0])
    assert flicker.pairs == 1


def test_a_frame_that_follows_none_is_compared_with_none():
    flicker = Flicker(2)
    flicker.add(row(0, 0), row(0, 0), follows=True)
    assert math.isnan(flicker.add(row(0, 0), row(1, 1), follows=False))
    assert math.isnan(flicker.share)


def test_a_class_that_the_truth_lacks_may_still_come_and_go():
    flicker = Flicker(2)
    flicker.add(row(0, 0), row(0, VOID), follows=False)
    flicker.add(row(0, 0), row(0, 1), follows=True)
    assert flicker.share == 0.5


def test_pedestrians_are_counted_by_height_and_found_by_half():
    truth = np.zeros((200, 100), bool)
    truth[10:30, 10:15] = True  # 20 px: far
    truth[50:100, 10:20] = True  # 50 px: medium
    truth[100:190, 50:70] = True  # 90 px: near
    truth[0, 90:95] = True  # a crumb
    seen, people = np.zeros_like(truth), np.zeros_like(truth)
    seen[10:20, 10:15] = True  # half of the first
    people[50:100, 10:20] = True  # the second, as a rider
    people |= seen
    seen[100:140, 50:70] = people[100:140, 50:70] = True  # four ninths of the third
    recall = PedestrianRecall()
    recall.add(truth, seen, people)
    far, medium, near = recall.sizes
    assert (far.count, far.found, far.found_as_people) == (1, 1, 1)
    assert (medium.count, medium.found, medium.found_as_people) == (1, 0, 1)
    assert (near.count, near.found) == (1, 0)
    assert near.pixel_recall == pytest.approx(4 / 9)
    assert far.pixel_recall == 0.5
