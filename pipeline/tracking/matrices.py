"""Products and inverses of small matrices for kernels: numba's own need SciPy, which the runtime does without."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel

__all__ = ["apply", "inverse", "product"]

Floats = NDArray[np.float64]


@kernel()
def product(left: Floats, right: Floats) -> Floats:
    """(N, K) by (K, M) → (N, M)."""
    result = np.zeros((left.shape[0], right.shape[1]))
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            for j in range(right.shape[1]):
                result[i, j] += left[i, k] * right[k, j]
    return result


@kernel()
def apply(matrix: Floats, vector: Floats) -> Floats:
    """(N, K) by (K,) → (N,)."""
    result = np.zeros(matrix.shape[0])
    for i in range(matrix.shape[0]):
        for k in range(matrix.shape[1]):
            result[i] += matrix[i, k] * vector[k]
    return result


@kernel()
def inverse(matrix: Floats) -> Floats:
    """(N, N) → (N, N) of a symmetric, positive definite matrix, by Gauss and Jordan; such a one needs no pivoting."""
    size = matrix.shape[0]
    rest, result = matrix.copy(), np.eye(size)
    for pivot in range(size):
        scale = 1.0 / rest[pivot, pivot]
        for j in range(size):
            rest[pivot, j] *= scale
            result[pivot, j] *= scale
        for i in range(size):
            factor = rest[i, pivot]
            if i == pivot or factor == 0.0:
                continue
            for j in range(size):
                rest[i, j] -= factor * rest[pivot, j]
                result[i, j] -= factor * result[pivot, j]
    return result
