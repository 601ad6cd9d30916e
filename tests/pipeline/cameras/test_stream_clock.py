"""When was a frame really taken?"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cameras.clock import StreamClock

PERIOD_S = 0.04


def arrivals(delays_s: list[float], first_s: float = 1000.0) -> list[tuple[float, float]]:
    """(stream time, arrival) of frames 40 ms apart, each so long under way; none overtakes another."""
    moments, earliest_s = [], 0.0
    for place, delay_s in enumerate(delays_s):
        stream_s = 5.0 + place * PERIOD_S
        earliest_s = max(earliest_s, first_s + stream_s + delay_s)
        moments.append((stream_s, earliest_s))
    return moments


def test_a_frame_that_nothing_held_up_was_captured_when_it_came():
    clock = StreamClock(started_s=1000.0)
    for stream_s, arrived_s in arrivals([0.02] * 50):
        _, captured_s = clock.place(stream_s, arrived_s)
        assert captured_s == pytest.approx(arrived_s)


def test_frames_that_a_stalled_server_held_back_are_as_old_as_they_are():
    clock = StreamClock(started_s=1000.0)
    # After 20 frames nothing comes for 2 s; then everything comes at once.
    delays_s = [0.02] * 20 + [2.0 - place * PERIOD_S for place in range(50)] + [0.02] * 20
    ages_s = [arrived_s - clock.place(stream_s, arrived_s)[1] for stream_s, arrived_s in arrivals(delays_s)]
    assert ages_s[:20] == pytest.approx([0.0] * 20, abs=1e-3)
    assert ages_s[20:70] == pytest.approx([1.98 - place * PERIOD_S for place in range(50)], abs=2e-3)
    assert ages_s[70:] == pytest.approx([0.0] * 20, abs=2e-3)


def test_two_clocks_that_drift_apart_are_no_delay():
    clock = StreamClock(started_s=1000.0)
    for place in range(0, 90_000, 25):  # an hour at 25 frames a second, the camera's clock 100 ppm slow
        stream_s = place * PERIOD_S
        arrived_s = 1000.0 + stream_s * (1 + 1e-4)
        assert arrived_s - clock.place(stream_s, arrived_s)[1] < 5e-3


def test_a_decoder_that_falls_behind_is_not_forgiven():
    clock = StreamClock(started_s=1000.0)
    for place in range(2000):  # each frame takes 10 % longer than the camera's period
        stream_s = place * PERIOD_S
        arrived_s = 1000.0 + stream_s * 1.1
        age_s = arrived_s - clock.place(stream_s, arrived_s)[1]
    assert age_s == pytest.approx(2000 * PERIOD_S * 0.1, rel=0.01)


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60), st.floats(-1e6, 1e6))
def test_no_frame_is_from_the_future_and_source_time_goes_on(delays_s: list[float], origin_s: float):
    clock = StreamClock(started_s=1000.0)
    last_source_s = -1.0
    for stream_s, arrived_s in arrivals(delays_s):
        source_s, captured_s = clock.place(stream_s + origin_s, arrived_s)
        assert captured_s <= arrived_s + 1e-6
        assert source_s > last_source_s
        last_source_s = source_s


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=8))
def test_source_time_goes_on_over_new_connections_and_clocks_that_jump(origins_s: list[float]):
    clock = StreamClock(started_s=0.0)
    arrived_s, last_source_s = 10.0, -1.0
    for place, origin_s in enumerate(origins_s):
        if place % 2:
            clock.restart()
        for step in range(5):
            arrived_s += PERIOD_S
            source_s, _ = clock.place(origin_s + step * PERIOD_S, arrived_s)
            assert source_s > last_source_s
            last_source_s = source_s


def test_within_a_connection_distances_are_the_streams_own():
    clock = StreamClock(started_s=1000.0)
    jittered = arrivals([0.0, 0.03, 0.01, 0.02, 0.0, 0.035])
    times_s = [clock.place(stream_s, arrived_s)[0] for stream_s, arrived_s in jittered]
    assert [after - before for before, after in itertools.pairwise(times_s)] == pytest.approx([PERIOD_S] * 5)
    assert clock.source_time_s(jittered[3][0]) == pytest.approx(times_s[3])
