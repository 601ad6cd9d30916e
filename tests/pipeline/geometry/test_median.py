"""The median of kernels against NumPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry.median import median
from pipeline.jit import kernel


@kernel()
def median_of(values: np.ndarray) -> float:
    return median(values)


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=60))
def test_it_is_that_of_numpy_to_the_bit(values: list[float]) -> None:
    before = np.array(values)
    given_values = before.copy()
    assert median_of(given_values) == np.median(before)
    assert (given_values == before).all()
