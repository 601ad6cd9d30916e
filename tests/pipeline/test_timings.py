"""Quantiles from logarithmic bins against NumPy's exact ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.timings import StageTimings, Stopwatch


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_quantiles_are_right_to_one_percent(durations_ms: list[float], share: float):
    timings = StageTimings()
    for duration_ms in durations_ms:
        timings.add("engine", duration_ms)
    exact = np.quantile(durations_ms, share, method="inverted_cdf")
    assert timings.quantile_ms("engine", share) == pytest.approx(exact, rel=0.01)


def test_the_table_follows_the_data_flow():
    timings = StageTimings()
    for stage in ("out.mp4", "postprocess", "engine", "decode", "preprocess"):
        timings.add(stage, 2.0)
    assert list(timings.table()) == ["decode", "preprocess", "engine", "postprocess", "out.mp4"]
    assert timings.table()["engine"]["max"] == 2.0


def test_a_stage_never_seen_has_no_quantile():
    assert math.isnan(StageTimings().quantile_ms("engine", 0.5))


def test_memory_does_not_grow_with_the_number_of_durations():
    timings = StageTimings()
    timings.add("engine", 1.0)
    bins = timings._histograms["engine"].bins
    for duration_ms in (0.0, 1e-9, 1e12):
        timings.add("engine", duration_ms)
    assert timings._histograms["engine"].bins is bins


def test_a_stopwatch_counts_each_lap_once():
    timings = StageTimings()
    watch = Stopwatch(timings)
    watch.lap("preprocess")
    watch.lap("engine")
    assert set(watch.laps_ms) == {"preprocess", "engine"}
    assert timings.table()["engine"]["max"] == pytest.approx(watch.laps_ms["engine"], abs=1e-3)
