"""How kernels are compiled: once for all whole numbers, and those that only kernels call with no way in from Python."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.jit import kernel


@kernel(inner=True)
def power(values: np.ndarray, place: int, exponent: int) -> float:
    return values[place] ** exponent


@kernel()
def sum_of_powers(values: np.ndarray, exponent: int) -> float:
    return power(values, 0, 1) + power(values, 1, 2) + power(values, 2, exponent)


def test_one_compilation_serves_all_whole_numbers():
    for one in (power, sum_of_powers):
        one._cache.flush()  # What an earlier run has kept is loaded whole, without its parts.
    assert sum_of_powers(np.array([1.0, 2.0, 3.0]), 3) == 1.0 + 4.0 + 27.0
    assert len(power.signatures) == 1


def test_an_inner_kernel_refuses_calls_from_python():
    with pytest.raises(TypeError, match="power is an inner kernel"):
        power(np.ones(3), 0, 1)
