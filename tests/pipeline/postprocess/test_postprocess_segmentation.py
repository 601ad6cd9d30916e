"""Logits to class ids: against a plain bilinear upsampling of every class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.classes import CITYSCAPES
from pipeline.postprocess import encode_runs, segment
from pipeline.postprocess.runs import RunBuffers
from pipeline.postprocess.segmentation import segment_with_runs

seeds = st.integers(0, 2**32 - 1)


def upsampled(logits: NDArray[np.float32], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(K, H, W): bilinear with half-pixel centres, clamped at the edges, one axis after the other."""
    values = logits.astype(np.float64)
    for axis, size in ((1, size_hw[0]), (2, size_hw[1])):
        points = values.shape[axis]
        position = np.clip((np.arange(size) + 0.5) * points / size - 0.5, 0, points - 1)
        low = np.floor(position).astype(int)
        weight = (position - low).reshape((-1, 1) if axis == 1 else (-1,))
        high = np.minimum(low + 1, points - 1)
        values = values.take(low, axis) * (1 - weight) + values.take(high, axis) * weight
    return values


def assert_wins_everywhere(class_ids: NDArray[np.uint8], logits: NDArray[np.float32]) -> None:
    """The class of every pixel has the largest interpolated logit, up to the rounding of float32."""
    values = upsampled(logits, (class_ids.shape[0], class_ids.shape[1]))
    chosen = np.take_along_axis(values, class_ids[None].astype(int), 0)[0]
    assert (values.max(axis=0) - chosen).max() <= 2e-5 * (1 + np.abs(logits).max())


@settings(max_examples=80, deadline=None)
@given(
    seed=seeds,
    classes=st.integers(1, 7),
    grid_hw=st.tuples(st.integers(1, 9), st.integers(1, 12)),
    size_hw=st.tuples(st.integers(1, 40), st.integers(1, 45)),
    smoothness=st.sampled_from([0, 2, 5]),
)
def test_each_pixel_gets_the_largest_interpolated_logit(
    seed: int, classes: int, grid_hw: tuple[int, int], size_hw: tuple[int, int], smoothness: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (classes, *grid_hw)).astype(np.float32)
    logits[0] += smoothness  # the more one class dominates, the more cells agree
    buffers = RunBuffers(size_hw)
    segmentation, runs = segment_with_runs(logits, CITYSCAPES[:classes], buffers)

    assert segmentation.class_ids.shape == size_hw
    assert segmentation.class_ids.dtype == np.uint8
    assert_wins_everywhere(segmentation.class_ids, logits)

    # the runs that came with it are those of the map
    expected = encode_runs(segmentation.class_ids)
    for name in ("row_offsets", "row", "start", "stop", "class_id"):
        np.testing.assert_array_equal(getattr(runs, name), getattr(expected, name), err_msg=name)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, grid_hw=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_ties_between_whole_numbers_are_no_trouble(seed: int, grid_hw: tuple[int, int]) -> None:
    logits = np.random.default_rng(seed).integers(0, 3, (4, *grid_hw)).astype(np.float32)
    for size_hw in ((8 * grid_hw[0], 8 * grid_hw[1]), (13, 17), (2, 3)):
        segmentation, runs = segment_with_runs(logits, CITYSCAPES[:4], RunBuffers(size_hw))
        assert_wins_everywhere(segmentation.class_ids, logits)
        assert len(runs) == len(encode_runs(segmentation.class_ids))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, scale=st.sampled_from([0.1, 1.0, 30.0, 1000.0]))
def test_confidence_is_the_softmax_of_the_winner(seed: int, scale: float) -> None:
    logits = np.random.default_rng(seed).normal(0, scale, (11, 5, 7)).astype(np.float32)
    probabilities = np.exp(logits.astype(np.float64) - logits.max(axis=0))
    probabilities /= probabilities.sum(axis=0)
    segmentation = segment(logits, CITYSCAPES[:11], (10, 14))
    np.testing.assert_allclose(segmentation.grid_confidence, probabilities.max(axis=0), rtol=2e-5)


@pytest.mark.parametrize(("grid_hw", "size_hw"), [((85, 170), (512, 1024)), ((1, 1), (33, 44)), ((60, 80), (24, 20))])
def test_any_ratio_of_grid_and_image(grid_hw: tuple[int, int], size_hw: tuple[int, int]) -> None:
    logits = np.random.default_rng(7).normal(0, 1, (3, *grid_hw)).astype(np.float32)
    assert_wins_everywhere(segment(logits, CITYSCAPES[:3], size_hw).class_ids, logits)


def test_one_class_everywhere() -> None:
    segmentation, runs = segment_with_runs(np.zeros((1, 4, 4), np.float32), CITYSCAPES[:1], RunBuffers((20, 30)))
    assert not segmentation.class_ids.any()
    assert len(runs) == 20
    np.testing.assert_allclose(segmentation.grid_confidence, 1, rtol=1e-5)


def test_logits_that_are_not_numbers_do_no_harm() -> None:
    logits = np.full((3, 4, 4), np.nan, np.float32)
    logits[1, :2] = np.inf
    logits[2, 1:3] = -np.inf
    assert segment(logits, CITYSCAPES[:3], (16, 16)).class_ids.max() < 3


def test_results_outlive_the_next_frame() -> None:
    buffers = RunBuffers((16, 16))
    first, _ = segment_with_runs(np.array([[[1.0]], [[0.0]]], np.float32), CITYSCAPES[:2], buffers)
    second, _ = segment_with_runs(np.array([[[0.0]], [[1.0]]], np.float32), CITYSCAPES[:2], buffers)
    assert not first.class_ids.any()
    assert second.class_ids.all()


def test_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="3 classes"):
        segment(np.zeros((4, 2, 2), np.float32), CITYSCAPES[:3], (8, 8))
