"""Where a batch's time on the GPU goes: the right parts, of the right batch, and faults that are told as all others."""

from __future__ import annotations

import gc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.base import DeviceLaps, DeviceTimedEngine
from engines.errors import EngineError
from tests.engines.tensorrt.simulated_gpu import KERNEL_MS, MS_PER_BYTE, SimulatedGpu
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt

STAGES = ("upload", "inference", "download")
PICTURE_BYTES, LOGIT_BYTES = 4 * 3 * 64 * 96, 4 * 5 * 16 * 24


def durations_of(laps: DeviceLaps) -> list[float]:
    assert tuple(lap.stage for lap in laps.laps) == STAGES
    return [lap.duration_ms for lap in laps.laps]


def expected_of(pictures: int) -> list[float]:
    """What the simulated GPU takes: by the byte for copies, and so long for the network."""
    return [pictures * PICTURE_BYTES * MS_PER_BYTE, KERNEL_MS, pictures * LOGIT_BYTES * MS_PER_BYTE]


def test_parts_lie_side_by_side_and_within_the_time_that_was_waited(machine, random_images):
    images = random_images((2, 3, 64, 96))
    found: list[DeviceLaps] = []
    with machine.open(batch=2) as engine:
        assert isinstance(engine, DeviceTimedEngine)
        engine.time_device(found.append)
        for count in (1, 2, 1):
            before_ms = machine.gpu.host_ms
            engine.infer(images[:count])
            laps = found[-1]
            assert laps.pictures == count
            assert durations_of(laps) == pytest.approx(expected_of(count))
            assert sum(durations_of(laps)) <= laps.total_ms + 1e-9
            assert laps.total_ms <= machine.gpu.host_ms - before_ms + 1e-9
            for lap, following in pairwise(laps.laps):
                assert lap.began_ms + lap.duration_ms <= following.began_ms + 1e-9
    assert len(found) == 3
    machine.assert_nothing_is_left()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), batches=st.lists(st.integers(1, 2), min_size=3, max_size=8))
def test_batches_in_flight_keep_their_own_times(machine, tiny, random_images, seed, batches):
    machine.gpu = SimulatedGpu(seed)
    machine.trt = SimulatedTensorRt(machine.gpu)
    images = random_images((2, 3, 64, 96))
    found: list[DeviceLaps] = []
    with machine.open(batch=2) as engine:
        engine.time_device(found.append)
        for count in batches:
            if engine.in_flight == engine.depth:
                engine.collect()
            engine.submit(images[:count])
        while engine.in_flight:
            np.testing.assert_allclose(engine.collect()[0], tiny.expected(images)[0], atol=1e-3)
    assert [laps.pictures for laps in found] == batches
    for count, laps in zip(batches, found, strict=True):
        assert durations_of(laps) == pytest.approx(expected_of(count))
        assert sum(durations_of(laps)) <= laps.total_ms + 1e-9
    # The second went up while the first was computed, and waited for it: that is in no part, but in the whole.
    assert found[1].total_ms > sum(expected_of(batches[1])) + KERNEL_MS / 2
    assert [laps.submitted_s for laps in found] == sorted(laps.submitted_s for laps in found)
    machine.assert_nothing_is_left()


def test_nothing_is_made_set_or_read_unless_it_is_asked_for(machine, random_images):
    images = random_images((1, 3, 64, 96))
    found: list[DeviceLaps] = []
    with machine.open() as engine:
        engine.infer(images)
        assert not {"timed event", "timed record", "elapsed"} & set(machine.gpu.counts)
        engine.submit(images)
        engine.time_device(found.append)  # the one under way was not timed
        engine.collect()
        assert not found
        for _ in range(9):
            engine.infer(images)
        assert len(found) == 9
        calls = {name: machine.gpu.counts[name] for name in ("timed event", "timed record", "elapsed", "synchronize")}
        assert calls["timed record"] == 9 * 2 * len(STAGES)
        assert calls["timed event"] <= 3 * 2 * len(STAGES)  # made once for each slot
        engine.time_device(None)
        engine.infer(images)
        assert len(found) == 9
        assert machine.gpu.counts["timed record"] == calls["timed record"]
        assert machine.gpu.counts["synchronize"] == calls["synchronize"] + 1, "the wait that is there anyway"


@pytest.mark.parametrize("lost", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("call", ["timed event", "timed record", "elapsed"])
@pytest.mark.parametrize("after", range(3))
def test_an_event_that_fails_is_told_as_every_fault(machine, tiny, random_images, call, after, lost):
    images = random_images((1, 3, 64, 96))
    found: list[DeviceLaps] = []
    with machine.open() as engine:
        engine.time_device(found.append)
        machine.gpu.fail(call, after=after, lost=lost)
        with pytest.raises(EngineError, match="the GPU failed"):
            engine.infer(images)
        assert not found
        if not lost:
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)
            assert durations_of(found[0]) == pytest.approx(expected_of(1))
    gc.collect()
    assert machine.gpu.left_active == 0
    assert machine.trt.live == []
    if not lost:  # a lost GPU keeps what its streams never came to
        assert machine.gpu.memory == {}
        assert not machine.gpu.events


def test_times_are_none_of_a_graph_that_was_captured(machine, random_images):
    """Events that were captured would keep no time: they are set around the launch."""
    found: list[DeviceLaps] = []
    with machine.open() as engine:
        assert "CUDA graph" in engine.description
        engine.time_device(found.append)
        launches = machine.gpu.counts["launch"]
        engine.infer(random_images((1, 3, 64, 96)))
        assert machine.gpu.counts["launch"] == launches + 1
    assert durations_of(found[0]) == pytest.approx(expected_of(1))
