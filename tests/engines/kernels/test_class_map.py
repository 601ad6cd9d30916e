"""The class map kernels against NumPy in double precision and against the CPU path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.classes import CITYSCAPES
from engines.kernels import ClassMapper
from pipeline.postprocess import segment
from tests.engines.kernels.host import HostKernels

grid_sizes = st.integers(1, 12)
image_sizes = st.integers(1, 60)
UNDECIDED = 1e-5
"""Two classes whose interpolated logits differ by less, relative to the largest logit: rounding decides."""


def interpolated(logits: NDArray[np.floating], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(K, H, W): bilinear with half-pixel centres, in double precision, written from the definition."""

    def axis(points: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        position = np.clip((np.arange(size) + 0.5) * points / size - 0.5, 0, points - 1)
        first = np.floor(position).astype(np.int64)
        return first, np.minimum(first + 1, points - 1), position - first

    top, bottom, v = axis(logits.shape[1], size_hw[0])
    left, right, u = axis(logits.shape[2], size_hw[1])
    values = logits.astype(np.float64)
    rows = values[:, top] * (1 - v)[:, None] + values[:, bottom] * v[:, None]
    return np.asarray(rows[:, :, left] * (1 - u) + rows[:, :, right] * u)


def assert_winners(class_ids: NDArray[np.uint8], logits: NDArray[np.floating], size_hw: tuple[int, int]) -> None:
    """Every pixel's class is the argmax, or undecided between it and the argmax."""
    values = interpolated(logits, size_hw)
    chosen = np.take_along_axis(values, class_ids[None].astype(np.int64), axis=0)[0]
    assert (values.max(axis=0) - chosen <= UNDECIDED * max(1.0, np.abs(values).max())).all()


def random_logits(seed: int, shape: tuple[int, int, int], half: bool) -> NDArray[np.floating]:
    logits = np.random.default_rng(seed).normal(0, 4, shape)
    return logits.astype(np.float16 if half else np.float32)


@settings(max_examples=150, deadline=None)
@given(
    classes=st.integers(1, 24),
    grid=st.tuples(grid_sizes, grid_sizes),
    image=st.tuples(image_sizes, image_sizes),
    half=st.booleans(),
    seed=st.integers(0, 999),
)
def test_classes_are_the_argmax_of_interpolated_logits(
    host_kernels: HostKernels, classes: int, grid: tuple[int, int], image: tuple[int, int], half: bool, seed: int
):
    logits = random_logits(seed, (classes, *grid), half)
    class_ids, confidence = host_kernels.class_map(ClassMapper(logits.shape, grid, image, half), logits, image)
    assert_winners(class_ids, logits, image)
    values = logits.astype(np.float64)
    softmax = 1 / np.exp(values - values.max(axis=0)).sum(axis=0)
    np.testing.assert_allclose(confidence, softmax, rtol=1e-5)


@settings(max_examples=80, deadline=None)
@given(grid=st.tuples(grid_sizes, grid_sizes), image=st.tuples(image_sizes, image_sizes), seed=st.integers(0, 999))
def test_classes_are_those_of_the_cpu_path(
    host_kernels: HostKernels, grid: tuple[int, int], image: tuple[int, int], seed: int
):
    logits = random_logits(seed, (11, *grid), half=False)
    class_ids, confidence = host_kernels.class_map(ClassMapper(logits.shape, grid, image), logits, image)
    expected = segment(logits, CITYSCAPES[:11], image)
    for y, x in zip(*np.nonzero(class_ids != expected.class_ids), strict=True):
        values = interpolated(logits, image)[:, y, x]
        pair = values[[class_ids[y, x], expected.class_ids[y, x]]]
        assert abs(pair[0] - pair[1]) <= UNDECIDED * np.abs(values).max()
    np.testing.assert_allclose(confidence, expected.grid_confidence, rtol=3e-5)


@settings(max_examples=60, deadline=None)
@given(grid=st.tuples(grid_sizes, grid_sizes), image=st.tuples(image_sizes, image_sizes), seed=st.integers(0, 999))
def test_of_equals_the_first_wins(host_kernels: HostKernels, grid: tuple[int, int], image: tuple[int, int], seed: int):
    """Logits of -1, 0 and 1 on doubled images: ties everywhere, and all arithmetic exact."""
    logits = np.random.default_rng(seed).integers(-1, 2, (6, *grid)).astype(np.float32)
    size = (grid[0] * 2, grid[1] * 2)
    class_ids, _ = host_kernels.class_map(ClassMapper(logits.shape, grid, size), logits, size)
    np.testing.assert_array_equal(class_ids, interpolated(logits, size).argmax(axis=0))


def test_only_the_content_of_a_letterboxed_grid_counts(host_kernels: HostKernels):
    logits = random_logits(7, (5, 9, 13), half=False)
    content = np.ascontiguousarray(logits[:, :6, :10])
    class_ids, confidence = host_kernels.class_map(ClassMapper(logits.shape, (6, 10), (48, 80)), logits, (48, 80))
    alone, alone_confidence = host_kernels.class_map(ClassMapper(content.shape, (6, 10), (48, 80)), content, (48, 80))
    np.testing.assert_array_equal(class_ids, alone)
    np.testing.assert_array_equal(confidence, alone_confidence)


def test_logits_without_sense_stay_within_the_classes(host_kernels: HostKernels):
    logits = np.full((4, 3, 3), np.nan, np.float32)
    logits[2, 1, 1] = np.inf
    class_ids, _ = host_kernels.class_map(ClassMapper(logits.shape, (3, 3), (12, 12)), logits, (12, 12))
    assert class_ids.max() < 4


@pytest.mark.parametrize(
    ("shape", "content", "image"),
    [
        ((0, 4, 4), (4, 4), (8, 8)),
        ((256, 4, 4), (4, 4), (8, 8)),
        ((5, 4, 4), (5, 4), (8, 8)),
        ((5, 4, 4), (4, 4), (0, 8)),
    ],
)
def test_shapes_that_cannot_be_are_refused(
    shape: tuple[int, int, int], content: tuple[int, int], image: tuple[int, int]
):
    with pytest.raises(ValueError, match=r"hold no content|no image is"):
        ClassMapper(shape, content, image)
