"""The kernels of smoothing against plain NumPy."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.postprocess.runs import RunBuffers, Runs, encode_runs
from pipeline.postprocess.segmentation import segment
from pipeline.smoothing.blend import blend_unsettled, rank_classes
from pipeline.smoothing.hold import hold_pixels
from tests.pipeline.scenes import CLASSES

K = len(CLASSES)


def smooth_logits(noise: np.random.Generator, size_hw: tuple[int, int] = (12, 16)) -> np.ndarray:
    planes = noise.standard_normal((K, *size_hw)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in planes]) * np.float32(8)


def columns_of(runs: Runs) -> tuple[np.ndarray, ...]:
    return runs.row_offsets, runs.row, runs.start, runs.stop, runs.class_id


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 12), st.booleans())
def test_winner_and_lead_are_those_of_sorting(seed: int, classes: int, has_ties: bool):
    logits = np.random.default_rng(seed).standard_normal((classes, 5, 7)).astype(np.float32)
    if has_ties:
        logits = np.round(logits)
    winners, leads = rank_classes(logits)
    np.testing.assert_array_equal(winners, logits.argmax(axis=0))
    if classes > 1:
        ordered = np.sort(logits, axis=0)
        np.testing.assert_allclose(leads, ordered[-1] - ordered[-2])
    else:
        assert np.isinf(leads).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 4))
def test_a_pixel_changes_only_where_interpolated_logits_lead_by_enough(seed: int, least: float):
    noise = np.random.default_rng(seed)
    size_hw = (45, 61)
    before, logits = smooth_logits(noise), smooth_logits(noise)
    shown = segment(before, CLASSES, size_hw).class_ids
    new = segment(logits, CLASSES, size_hw).class_ids
    full = np.stack([cv2.resize(plane, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for plane in logits])
    lead = np.take_along_axis(full, new[None], 0)[0] - np.take_along_axis(full, shown[None], 0)[0]
    result = new.copy()
    holds = np.full((K, K), least, np.float32)
    runs = hold_pixels(result, encode_runs(new), encode_runs(shown), logits, holds, RunBuffers(size_hw))
    clear = np.abs(lead - least) > 0.05  # cv2.resize rounds positions to 1/2048 of a cell
    np.testing.assert_array_equal(result[clear], np.where(lead < least, shown, new)[clear])
    for found, expected in zip(columns_of(runs), columns_of(encode_runs(result)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_settled_cell_is_left_alone_and_others_are_blended_with_where_they_were():
    noise = np.random.default_rng(0)
    before = smooth_logits(noise)
    logits = np.roll(before, -2, axis=2) + smooth_logits(noise)
    before, logits = 3 * before, 3 * logits
    flow = np.zeros((12, 16, 2), np.float32)
    flow[..., 0] = 1.5  # everything came from one and a half cells to the right
    winners, leads = rank_classes(logits)
    unlike = np.zeros((12, 16), np.float32)
    unlike[0] = np.inf
    blend = logits.copy()
    blend_unsettled(
        blend, before, flow, unlike, winners, leads, before.argmax(axis=0).astype(np.uint8),
        np.full(K, 0.25, np.float32), np.float32(1.0), np.float32(4.0), np.float32(8.0),
    )  # fmt: skip
    np.testing.assert_array_equal(blend[:, 0], logits[:, 0])  # unlike what was there
    left, right = before[:, 1:, 1:-1], before[:, 1:, 2:]
    expected = 0.75 * logits[:, 1:, :-2] + 0.25 * (left + right) / 2
    moved = before.argmax(axis=0)[1:, 2:]
    lead = leads[1:, :-2]
    is_settled = (lead > 4.0) | ((lead > 1.0) & (winners[1:, :-2] == moved))
    np.testing.assert_allclose(
        blend[:, 1:, :-2], np.where(is_settled, logits[:, 1:, :-2], expected), rtol=1e-5, atol=1e-5
    )
    assert 0 < is_settled.sum() < is_settled.size
