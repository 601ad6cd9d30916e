"""Ratios between peers: medians with an interval that means what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.peers.comparison import Pass, figures_of, median_interval, table


def one(fps: float, latencies_ms: tuple[float, ...] = ()) -> Pass:
    return Pass("engine", 200, (540, 960), fps, 1e3 / fps, list(latencies_ms), 300.0)


def test_few_rounds_give_their_whole_range():
    assert median_interval([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


@pytest.mark.parametrize(("rounds", "cut"), [(6, 0), (8, 0), (9, 1), (12, 2), (15, 3)])
def test_more_rounds_leave_out_the_outermost(rounds: int, cut: int):
    # The table of the sign test at 5 %, two-sided.
    assert median_interval(range(rounds))[1:] == (cut, rounds - 1 - cut)


def test_the_interval_holds_the_true_median_as_often_as_it_says():
    draws = np.random.default_rng(0).lognormal(0.0, 1.0, (2000, 9))
    held = [low <= 1.0 <= high for _, low, high in map(median_interval, draws)]
    assert np.mean(held) >= 0.95


def test_a_peer_is_compared_round_by_round():
    # The machine is twice as slow in the second round, for both.
    figures = figures_of([one(10), one(5)], [one(8, (3.0, 1.0)), one(8, (2.0, 9.0))], [one(30), one(15)])
    assert figures.fps_ratio == (3.0, 3.0, 3.0)
    assert figures.cpu_ratio == pytest.approx((3.0, 3.0, 3.0))
    assert (figures.latency_p50_ms, figures.latency_p99_ms) == (2.0, 9.0)
    assert "| 3.00 (3.00 to 3.00) |" in table({"peer": figures})


def test_without_a_pace_there_are_no_latencies():
    assert math.isnan(figures_of([one(10)], [], [one(20)]).latency_p50_ms)
