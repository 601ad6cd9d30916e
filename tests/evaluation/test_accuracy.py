"""The confusion matrix against scikit-learn, which counts in its own way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.accuracy import ConfusionMatrix

metrics = pytest.importorskip("sklearn.metrics", reason="the second implementation: pip install clearway[test]")

NAMES = ["road", "sidewalk", "person", "car"]
VOID = 255


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_figures_equal_those_of_another_implementation(seed: int, pictures: int):
    noise = np.random.default_rng(seed)
    truth = noise.choice(np.array([0, 1, 2, 3, VOID], np.uint8), (pictures, 7, 9))
    predicted = noise.choice(np.array([0, 1, 2, 3, VOID], np.uint8), truth.shape)
    matrix = ConfusionMatrix(NAMES)
    for one_truth, one_prediction in zip(truth, predicted, strict=True):
        matrix.add(one_truth, one_prediction)
    counted = truth != VOID
    flat_truth, flat_seen = truth[counted], predicted[counted]
    theirs = metrics.confusion_matrix(flat_truth, flat_seen, labels=[0, 1, 2, 3, VOID])
    np.testing.assert_array_equal(matrix.counts[:4], theirs[:4])
    iou = metrics.jaccard_score(flat_truth, flat_seen, labels=range(4), average=None, zero_division=0)
    np.testing.assert_allclose(np.nan_to_num(matrix.iou), iou)
    assert matrix.mean_iou == pytest.approx(iou[np.isin(range(4), flat_truth)].mean())
    assert matrix.pixel_accuracy == pytest.approx(metrics.accuracy_score(flat_truth, flat_seen))


def test_void_is_not_counted_but_an_alien_prediction_is_wrong():
    matrix = ConfusionMatrix(NAMES)
    matrix.add(np.array([[0, 0, VOID]], np.uint8), np.array([[0, VOID, 3]], np.uint8))
    assert matrix.iou[0] == 0.5
    assert matrix.pixel_accuracy == 0.5
    assert math.isnan(matrix.iou[3])
    np.testing.assert_array_equal(matrix.shares[0], [0.5, 0, 0, 0, 0.5])


def test_a_class_that_never_occurs_does_not_enter_the_mean():
    matrix = ConfusionMatrix(NAMES)
    matrix.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    assert matrix.mean_iou == 1.0
