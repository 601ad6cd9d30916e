"""The confusion matrix against figures computed class by class with boolean masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.classes import CITYSCAPES, VOID_ID
from evaluation.accuracy import ConfusionMatrix

CLASSES = [CITYSCAPES[index] for index in (0, 1, 11, 13)]
IDS = [entry.train_id for entry in CLASSES]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_figures_equal_those_of_plain_masks(seed: int, pictures: int):
    noise = np.random.default_rng(seed)
    truth = noise.choice(np.array([*IDS, VOID_ID, 5], np.uint8), (pictures, 7, 9))
    predicted = noise.choice(np.array([*IDS, 5], np.uint8), truth.shape)
    matrix = ConfusionMatrix(CLASSES)
    for one_truth, one_prediction in zip(truth, predicted, strict=True):
        matrix.add(one_truth, one_prediction)
    counted = np.isin(truth, IDS)
    for position, train_id in enumerate(IDS):
        true, seen = (truth == train_id) & counted, (predicted == train_id) & counted
        union = (true | seen).sum()
        expected = (true & seen).sum() / union if union else math.nan
        assert matrix.iou[position] == pytest.approx(expected, nan_ok=True)
    assert matrix.pixel_accuracy == pytest.approx((truth == predicted)[counted].mean(), nan_ok=True)


def test_void_is_not_counted_but_an_alien_prediction_is_wrong():
    matrix = ConfusionMatrix(CLASSES)
    matrix.add(np.array([[0, 0, VOID_ID]], np.uint8), np.array([[0, 5, 13]], np.uint8))
    assert matrix.iou[0] == 0.5
    assert matrix.pixel_accuracy == 0.5
    assert math.isnan(matrix.iou[3])


def test_a_class_that_never_occurs_does_not_enter_the_mean():
    matrix = ConfusionMatrix(CLASSES)
    matrix.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    assert matrix.mean_iou == 1.0
