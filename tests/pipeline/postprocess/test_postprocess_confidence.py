"""Calibrated confidence against the formula, and what it must not change."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engines.base import ConfidenceFit
from engines.classes import CITYSCAPES
from pipeline.postprocess import Postprocessor
from pipeline.postprocess.confidence import ConfidenceScale
from tests.pipeline.postprocess.test_postprocessor import frame_of, street_logits


@given(st.floats(0.3, 3.0), st.floats(-2.0, 2.0), st.integers(0, 1000))
def test_it_is_the_sigmoid_of_scaled_and_shifted_odds(scale: float, shift: float, seed: int):
    said = np.random.default_rng(seed).uniform(0.01, 0.99, (9, 7)).astype(np.float32)
    expected = 1 / (1 + np.exp(-(scale * np.log(said / (1 - said.astype(np.float64))) + shift)))
    ConfidenceScale(ConfidenceFit(scale, shift)).apply(said)
    np.testing.assert_allclose(said, expected, atol=1e-3)


@given(st.floats(0.3, 3.0), st.floats(-2.0, 2.0))
def test_what_was_surer_stays_surer_and_certainty_stays_certainty(scale: float, shift: float):
    said = np.linspace(0, 1, 5001, dtype=np.float32).reshape(1, -1)
    ConfidenceScale(ConfidenceFit(scale, shift)).apply(said)
    assert (np.diff(said) >= 0).all()
    assert said[0, 0] < 1e-6
    assert said[0, -1] > 1 - 1e-6


def test_no_class_changes_and_road_users_get_the_calibrated_mean():
    frame, logits = frame_of((360, 640)), street_logits()
    plain, _, (before,) = Postprocessor(CITYSCAPES).process(frame, logits)
    fit = ConfidenceFit(1.147, -0.4045)
    scaled, _, (after,) = Postprocessor(CITYSCAPES, confidence=fit).process(frame, logits)
    np.testing.assert_array_equal(plain.class_ids, scaled.class_ids)
    assert plain.grid_confidence.mean() != scaled.grid_confidence.mean()
    assert before.confidence != after.confidence
    expected = plain.grid_confidence.copy()
    ConfidenceScale(fit).apply(expected)
    np.testing.assert_array_equal(scaled.grid_confidence, expected)
