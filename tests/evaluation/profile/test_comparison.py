"""Is B slower? Intervals against SciPy's test and against what must come out."""

from __future__ import annotations

import math
from itertools import combinations, product

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.profile.comparison import _mann_whitney_ways, _rank, compare_profiles, ratio_of
from evaluation.profile.figures import ProfileFigures, SegmentFigures
from evaluation.profile.tables import comparison_table
from pipeline.console import Console
from tests.evaluation.profile.profiles import a_profile


@given(st.integers(1, 5), st.integers(1, 5))
def test_the_distribution_of_u_is_that_of_all_orders(first: int, second: int):
    counted = [0] * (first * second + 1)
    for places in combinations(range(first + second), first):
        others = [place for place in range(first + second) if place not in places]
        counted[sum(one > other for one, other in product(places, others))] += 1
    assert _mann_whitney_ways(first, second) == counted


def test_the_interval_of_eight_segments_each_is_the_tables():
    # Hollander and Wolfe, table A.6: P(U <= 13) = 0.0249 for 8 and 8, so that the 14th difference is the end.
    assert _rank(8, 8) == 14
    assert _rank(4, 4) == 1
    assert _rank(3, 3) == 0


def test_the_interval_covers_the_truth_in_nineteen_of_twenty_cases():
    noise = np.random.default_rng(1)
    hits = 0
    for _ in range(1000):
        ratio = ratio_of(noise.lognormal(0, 0.1, 8).tolist(), (1.1 * noise.lognormal(0, 0.1, 8)).tolist())
        assert ratio.low is not None
        assert ratio.high is not None
        hits += ratio.low <= 1.1 <= ratio.high
    assert 0.93 <= hits / 1000 <= 0.98


def test_three_segments_give_an_estimate_but_no_interval():
    ratio = ratio_of([1.0, 1.0, 1.0], [2.0, 2.0, 2.0])
    assert (ratio.estimate, ratio.low, ratio.high) == (2.0, None, None)
    assert not ratio.is_longer


def slowed(figures: ProfileFigures, factor: float, *, machine: float = 1.0) -> ProfileFigures:
    """The same, with frames that take longer; `machine`: together with everything else."""
    segments = [
        msgspec.structs.replace(
            segment,
            frame_ms=segment.frame_ms * factor * machine,
            cpu_ms=segment.cpu_ms * factor,
            engine_ms=segment.engine_ms * machine,
        )
        for segment in figures.segments
    ]
    return msgspec.structs.replace(figures, segments=segments)


def test_a_pipeline_that_became_slower_is_told_from_a_machine_that_did():
    before = a_profile()
    assert not compare_profiles(before, before).slower
    worse = compare_profiles(before, slowed(before, 1.1))
    assert worse.slower
    assert worse.frame_over_engine.estimate == pytest.approx(1.1, rel=1e-3)
    assert "1.1" in worse.verdict
    machine = compare_profiles(before, slowed(before, 1.0, machine=1.5))
    assert not machine.slower
    assert machine.verdict.startswith("not slower")
    assert machine.frame.is_longer
    assert "the machine" in machine.verdict
    better = compare_profiles(before, slowed(before, 0.9))
    assert not better.slower
    assert better.verdict.startswith("faster")


def test_an_interval_that_leaves_both_open_says_so():
    before, after = a_profile(noise=0.3), slowed(a_profile(noise=0.3), 1.05)
    comparison = compare_profiles(before, after)
    assert not comparison.slower
    assert comparison.verdict.startswith("not shown to be slower")


def test_less_than_the_margin_is_not_called_slower():
    before = a_profile(noise=0.0)
    assert not compare_profiles(before, slowed(before, 1.015)).slower
    assert compare_profiles(before, slowed(before, 1.025)).slower


def test_other_settings_are_named_and_compared_as_they_are():
    before = a_profile()
    settings = msgspec.structs.replace(before.settings, engine="ONNX Runtime")
    after = msgspec.structs.replace(slowed(before, 1.0, machine=1.5), settings=settings)
    comparison = compare_profiles(before, after)
    assert comparison.judged_by == "frame"
    assert comparison.slower
    assert any("ONNX Runtime" in difference for difference in comparison.differences)


def test_every_ratio_is_finite():
    comparison = compare_profiles(a_profile(), a_profile())
    assert all(math.isfinite(value) for value in comparison.stages.values())
    assert isinstance(a_profile().segments[0], SegmentFigures)


def test_other_programs_beside_either_are_told(capsys: pytest.CaptureFixture[str]):
    quiet, disturbed = a_profile(), msgspec.structs.replace(a_profile(), other_load=1.5)
    comparison_table(Console(), compare_profiles(quiet, quiet))
    assert "other programs" not in capsys.readouterr().err
    comparison_table(Console(), compare_profiles(quiet, disturbed))
    assert "other programs took 0.0 and 1.5 cores" in " ".join(capsys.readouterr().err.split())
