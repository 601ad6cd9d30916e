"""Runs and their connected components: against pixel loops and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.postprocess import Runs, encode_runs
from pipeline.postprocess.runs import RunBuffers, join_runs, select_runs


@st.composite
def class_maps(draw: st.DrawFn) -> NDArray[np.uint8]:
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    block = draw(st.sampled_from([1, 2, 5]))
    small = rng.integers(0, draw(st.integers(1, 4)), (height // block + 1, width // block + 1), np.uint8)
    return np.ascontiguousarray(small.repeat(block, 0).repeat(block, 1)[:height, :width])


def painted(runs: Runs) -> NDArray[np.uint8]:
    image = np.full(runs.size_hw, 255, np.uint8)
    for y, start, stop, class_id in zip(runs.row, runs.start, runs.stop, runs.class_id, strict=True):
        assert (image[y, start:stop] == 255).all()
        image[y, start:stop] = class_id
    return image


@settings(max_examples=50, deadline=None)
@given(class_ids=class_maps())
def test_runs_paint_the_map_they_were_made_from(class_ids: NDArray[np.uint8]) -> None:
    runs = encode_runs(class_ids)
    np.testing.assert_array_equal(painted(runs), class_ids)
    # maximal: one run more per row than there are changes in it
    assert len(runs) == len(class_ids) + np.count_nonzero(np.diff(class_ids.astype(int), axis=1))
    for y in range(len(class_ids)):
        assert (runs.row[runs.row_offsets[y] : runs.row_offsets[y + 1]] == y).all()


@settings(max_examples=50, deadline=None)
@given(class_ids=class_maps(), connectivity=st.sampled_from([4, 8]))
def test_components_are_those_of_opencv(class_ids: NDArray[np.uint8], connectivity: int) -> None:
    runs = encode_runs(class_ids)
    wanted = np.zeros(256, np.bool_)
    wanted[[0, 2]] = True
    chosen, selected = select_runs(runs, wanted)
    assert (np.isin(runs.class_id, [0, 2]).nonzero()[0] == selected).all()
    np.testing.assert_array_equal(chosen.start, runs.start[selected])
    component = np.empty(len(chosen), np.int32)
    count = join_runs(chosen.row_offsets, chosen.start, chosen.stop, chosen.class_id, connectivity == 8, component)
    ours = np.full(class_ids.shape, -1)
    for run, number in zip(selected, component, strict=True):
        ours[runs.row[run], runs.start[run] : runs.stop[run]] = number
    expected = 0
    for class_id in (0, 2):
        number, labels = cv2.connectedComponents((class_ids == class_id).astype(np.uint8), connectivity=connectivity)
        expected += number - 1
        for label in range(1, number):
            assert len(np.unique(ours[labels == label])) == 1
    assert count == expected
    assert sorted(set(component.tolist())) == list(range(count))


@pytest.mark.parametrize("size_hw", [(0, 0), (0, 5), (5, 0)])
def test_empty_maps_have_no_runs(size_hw: tuple[int, int]) -> None:
    assert len(encode_runs(np.zeros(size_hw, np.uint8))) == 0


def test_a_checkerboard_has_a_run_per_pixel() -> None:
    board = (np.indices((90, 121)).sum(axis=0) % 2).astype(np.uint8)
    runs = encode_runs(board)
    assert len(runs) == board.size
    component = np.empty(len(runs), np.int32)
    assert join_runs(runs.row_offsets, runs.start, runs.stop, runs.class_id, 0, component) == board.size
    assert join_runs(runs.row_offsets, runs.start, runs.stop, runs.class_id, 1, component) == 2


def test_buffers_are_reused_and_owned_runs_are_not() -> None:
    buffers = RunBuffers((4, 6))
    first = encode_runs(np.zeros((4, 6), np.uint8), buffers)
    encode_runs(np.ones((4, 6), np.uint8), buffers)
    assert (first.class_id == 1).all()
    owned = encode_runs(np.zeros((4, 6), np.uint8))
    encode_runs(np.ones((4, 6), np.uint8))
    assert (owned.class_id == 0).all()
