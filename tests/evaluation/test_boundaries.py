"""The boundary F-score against a second implementation, and on shapes whose score is plain."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from evaluation.boundaries import TOLERANCE, BoundaryScore

ndimage = pytest.importorskip("scipy.ndimage", reason="the second implementation: pip install clearway[test]")

SIZE_HW = (90, 120)  # a diagonal of 150 px, a tolerance of 1.1
VOID = 255


def blobs(seed: int, classes: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((classes, *SIZE_HW)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 6) for plane in noise]).argmax(0).astype(np.uint8)


def by_scipy(truth: np.ndarray, predicted: np.ndarray, rank: int) -> float:
    """The definition, pixel by pixel, with other tools: shifted copies for edges, scipy's exact distances."""
    void = truth == VOID
    near = TOLERANCE * math.hypot(*truth.shape)
    judged = ndimage.distance_transform_edt(~void) > near if void.any() else np.ones_like(void)

    def line(ranks: np.ndarray) -> np.ndarray:
        edge = np.zeros(ranks.shape, bool)
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            other, other_void = np.roll(ranks, step, axis), np.roll(void, step, axis)
            differs = (ranks != other) & ~other_void & ~void
            differs[(slice(None),) * axis + ((0 if step == 1 else -1),)] = False
            edge |= differs
        return edge & (ranks == rank) & judged

    true_line, seen_line = line(truth), line(predicted)
    if not true_line.any():
        return math.nan
    if not seen_line.any():
        return 0.0
    precision = (ndimage.distance_transform_edt(~true_line)[seen_line] <= near).mean()
    recall = (ndimage.distance_transform_edt(~seen_line)[true_line] <= near).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(6))
def test_scores_equal_those_of_another_implementation(seed: int):
    truth, predicted = blobs(seed, 4), blobs(seed, 4)
    predicted = np.roll(predicted, 1 + seed % 3, axis=1)
    if seed % 2:
        truth[40:60, 30:70] = VOID
    score = BoundaryScore(4)
    score.add(truth, predicted)
    np.testing.assert_allclose(score.f_scores, [by_scipy(truth, predicted, rank) for rank in range(4)])


def test_within_the_tolerance_all_is_well_and_beyond_nothing():
    truth = np.zeros(SIZE_HW, np.uint8)
    truth[:, 60:] = 1
    for shift, expected in ((0, 1.0), (1, 1.0), (4, 0.0)):
        predicted = np.zeros(SIZE_HW, np.uint8)
        predicted[:, 60 + shift :] = 1
        score = BoundaryScore(2)
        score.add(truth, predicted)
        np.testing.assert_array_equal(score.f_scores, [expected, expected])


def test_void_has_no_outline():
    truth = np.zeros(SIZE_HW, np.uint8)
    truth[20:50, 20:50] = VOID
    predicted = np.zeros(SIZE_HW, np.uint8)
    predicted[22:48, 22:48] = 1
    score = BoundaryScore(2)
    score.add(truth, predicted)
    assert np.isnan(score.f_scores).all()
    assert math.isnan(score.mean)
