"""Small matrices, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking.matrices import apply, inverse, product


@pytest.mark.parametrize("size", [2, 4])
def test_they_agree_with_numpy(size: int):
    rng = np.random.default_rng(size)
    for _ in range(50):
        root, vector = rng.normal(size=(size, size)), rng.normal(size=size)
        definite = root @ root.T + 0.1 * np.eye(size)
        np.testing.assert_allclose(inverse(definite), np.linalg.inv(definite), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(product(root, definite), root @ definite)
        np.testing.assert_allclose(product(root.T, definite[:, :2]), root.T @ definite[:, :2])
        np.testing.assert_allclose(apply(root, vector), root @ vector)
