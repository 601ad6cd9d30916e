"""How sure a model really is: Platt's scaling of its confidence, fitted to labelled pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.base import ConfidenceFit
from evaluation.reliability import Reliability
from pipeline.errors import ConfigError

__all__ = ["fit_confidence"]

Floats = NDArray[np.float64]

_MAX_STEPS = 50
_CLOSE_ENOUGH = 1e-9
_LEAST_PIXELS = 10_000
_LARGEST_ODDS = 16.0


def fit_confidence(reliability: Reliability) -> ConfidenceFit:
    """The scale and shift under which the labels are the likeliest (Platt 1999), by Newton's method.

    Args:
        reliability: Of the model's own confidence, with no fit applied.

    Raises:
        ConfigError: Too few pixels, none or all of them right, or those that the model is surer of are no more often
            right.
    """
    filled = reliability.counts > 0
    counts, right = reliability.counts[filled], reliability.right[filled]
    if counts.sum() < _LEAST_PIXELS:
        raise ConfigError(f"only {int(counts.sum())} labelled pixels; {_LEAST_PIXELS} or more are needed")
    if right.sum() in {0, counts.sum()}:
        raise ConfigError("all pixels are right, or none is; nothing can be told of sureness from that")
    said = np.clip(reliability.confidence[filled] / counts, 1e-9, 1 - 1e-9)
    features = np.stack([np.clip(np.log(said) - np.log1p(-said), -_LARGEST_ODDS, _LARGEST_ODDS), np.ones_like(said)])
    fit = np.array([1.0, 0.0])
    for _ in range(_MAX_STEPS):
        expected = _sigmoid(fit @ features)
        slope = features @ (right - counts * expected)
        curvature = (features * (counts * expected * (1.0 - expected))) @ features.T
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), slope)
        # Newton's step may be too long far from the end; no halving is ever needed near it.
        before = _log_likelihood(fit, features, counts, right)
        while _log_likelihood(fit + step, features, counts, right) < before and np.abs(step).max() > _CLOSE_ENOUGH:
            step = step / 2.0
        fit = fit + step
        if np.abs(step).max() < _CLOSE_ENOUGH:
            break
    if not np.isfinite(fit).all() or fit[0] <= 0:
        raise ConfigError("what the model is surer of is not more often right here; are these the right labels?")
    return ConfidenceFit(float(fit[0]), float(fit[1]))


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -500.0, 500.0))))


def _log_likelihood(fit: Floats, features: Floats, counts: Floats, right: Floats) -> float:
    odds = fit @ features
    return float((right * odds - counts * np.logaddexp(0.0, odds)).sum())
