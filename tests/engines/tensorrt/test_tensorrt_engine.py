"""How an engine runs: results under any order of streams, batches, several in flight, threads; and how it fails."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.base import PipelinedEngine
from engines.errors import EngineError
from engines.tensorrt.execution import DEPTH
from tests.engines.tensorrt.conftest import Machine
from tests.engines.tensorrt.simulated_gpu import SimulatedGpu
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt


def close_to(expected):
    return pytest.approx(expected, abs=1e-4)


class TestInfer:
    def test_gives_the_logits(self, machine, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        with machine.open() as engine:
            assert engine.spec.output_shape == (1, 5, 16, 24)
            for factor in (1, -1, 0, 2):
                np.testing.assert_allclose(engine.infer(images * factor), tiny.expected(images * factor), atol=1e-4)
        machine.assert_nothing_is_left()

    def test_the_view_is_the_same_memory_every_time_and_outlives_the_engine(self, machine, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        with machine.open() as engine:
            first = engine.infer(-images)
            logits = engine.infer(images)
            assert np.shares_memory(first, logits)
        np.testing.assert_allclose(logits, tiny.expected(images), atol=1e-4)

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_of_fewer_pictures_than_it_was_built_for(self, machine, tiny, random_images, count):
        images = random_images((3, 3, 64, 96))
        with machine.open(batch=3) as engine:
            for some in (images[:count], images, images[:count]):
                logits = engine.infer(some)
                assert logits.shape == (len(some), 5, 16, 24)
                np.testing.assert_allclose(logits, tiny.expected(some), atol=1e-4)
        machine.assert_nothing_is_left()

    def test_fp16_by_default(self, machine, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        with machine.open(precision="auto") as engine:
            assert "fp16" in engine.description
            expected = tiny.expected(images)
            np.testing.assert_allclose(engine.infer(images), expected, atol=5e-3 * np.abs(expected).max())
            assert not np.allclose(engine.infer(images), expected, atol=1e-6)

    def test_says_what_it_is(self, machine):
        with machine.open() as engine:
            assert engine.description == "TensorRT 10.3.0, Simulated GPU, fp32, CUDA graph"
            assert (engine.kind, engine.depth) == ("tensorrt", DEPTH)
            assert isinstance(engine, PipelinedEngine)

    def test_a_graph_that_cannot_be_captured_is_done_without(self, machine, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        machine.gpu.fail("capture")
        with machine.open() as engine:
            assert "CUDA graph" not in engine.description
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)
        machine.assert_nothing_is_left()

    @pytest.mark.parametrize("wrong", [(2, 3, 64, 96), (1, 3, 64, 97), (0, 3, 64, 96)])
    def test_refuses_what_it_was_not_built_for(self, machine, wrong):
        with machine.open() as engine:
            with pytest.raises(EngineError, match=r"takes a C-contiguous float32 array of \(1, 3, 64, 96\)"):
                engine.infer(np.zeros(wrong, np.float32))
            with pytest.raises(EngineError, match="takes a C-contiguous"):
                engine.submit(np.zeros(wrong, np.float32))


class TestInFlight:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seed=st.integers(0, 2**32), batches=st.lists(st.integers(1, 2), min_size=1, max_size=9))
    def test_every_order_of_streams_gives_every_picture_its_own_logits(
        self, machine, tiny, random_images, seed, batches
    ):
        machine.gpu = SimulatedGpu(seed)
        machine.trt = SimulatedTensorRt(machine.gpu)
        images = random_images((2, 3, 64, 96))
        buffer = np.zeros_like(images)
        results = []
        with machine.open(batch=2) as engine:
            for number, count in enumerate(batches):
                if engine.in_flight == engine.depth:
                    results.append(engine.collect().copy())
                buffer[:count] = images[:count] * (number + 1)  # one buffer for all: it is free after `submit`
                engine.submit(buffer[:count])
                buffer[:] = np.nan
            while engine.in_flight:
                results.append(engine.collect().copy())
        for number, (count, logits) in enumerate(zip(batches, results, strict=True)):
            np.testing.assert_allclose(logits, tiny.expected(images[:count] * (number + 1)), atol=1e-3)
        machine.assert_nothing_is_left()

    def test_logits_stay_while_the_next_are_under_way(self, machine, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        with machine.open() as engine:
            engine.submit(images)
            engine.submit(-images)
            first = engine.collect()
            engine.submit(2 * images)
            machine.gpu.run_until(lambda: not any(stream.queue for stream in machine.gpu.streams.values()))
            np.testing.assert_allclose(first, tiny.expected(images), atol=1e-4)
            engine.collect()
            np.testing.assert_allclose(engine.collect(), tiny.expected(2 * images), atol=1e-4)

    def test_too_many_too_few_and_mixed(self, machine, random_images):
        images = random_images((1, 3, 64, 96))
        with machine.open() as engine:
            with pytest.raises(EngineError, match="nothing was submitted"):
                engine.collect()
            for _ in range(DEPTH):
                engine.submit(images)
            with pytest.raises(EngineError, match="2 are in flight already: collect one first"):
                engine.submit(images)
            with pytest.raises(EngineError, match="must be collected before infer"):
                engine.infer(images)
        machine.assert_nothing_is_left()

    def test_closed_while_in_flight(self, machine, random_images):
        engine = machine.open()
        engine.submit(random_images((1, 3, 64, 96)))
        engine.close()
        engine.close()
        machine.assert_nothing_is_left()
        for call in (engine.collect, lambda: engine.submit(random_images((1, 3, 64, 96)))):
            with pytest.raises(EngineError, match="is closed"):
                call()


class TestThreads:
    def test_no_thread_is_left_with_a_context(self, machine, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        results = []
        engine = machine.open()
        threads = [threading.Thread(target=lambda: results.append(engine.infer(images).copy())) for _ in range(3)]
        for thread in threads:
            thread.start()
            thread.join(timeout=30)
        engine.close()
        assert len(results) == 3
        np.testing.assert_allclose(results[2], tiny.expected(images), atol=1e-4)
        machine.assert_nothing_is_left()


CALLS = ["allocate", "page_locked", "stream", "event", "upload", "download", "copy", "record", "wait", "execute"]


class TestFaults:
    @pytest.mark.parametrize("lost", [False, True], ids=["once", "for good"])
    @pytest.mark.parametrize("call", [*CALLS, "active", "builder", "runtime", "deserialize", "synchronize"])
    @pytest.mark.parametrize("after", [0, 1])
    def test_while_opening(self, machine, call, after, lost):
        machine.gpu.fail(call, after=after, lost=lost)
        try:
            machine.open().close()
        except EngineError as error:
            assert "\n" not in str(error)  # noqa: PT017 (some calls are made once only, and then nothing fails)
        gc.collect()
        assert machine.gpu.left_active == 0
        assert machine.trt.live == []
        if not lost:
            assert machine.gpu.memory == {}

    @pytest.mark.parametrize(
        "call", ["upload", "copy", "launch", "download", "record", "wait", "synchronize", "active"]
    )
    def test_while_running_once(self, machine, tiny, random_images, call):
        images = random_images((1, 3, 64, 96))
        with machine.open() as engine:
            machine.gpu.fail(call)
            with pytest.raises(EngineError, match="the GPU failed"):
                engine.infer(images)
        machine.assert_nothing_is_left()

    @pytest.mark.parametrize("call", ["upload", "launch", "synchronize", "active"])
    def test_a_lost_gpu_is_an_error_and_closes_without_another(self, machine, random_images, call):
        images = random_images((1, 3, 64, 96))
        with machine.open() as engine:
            machine.gpu.fail(call, lost=True)
            for _ in range(2):
                with pytest.raises(EngineError, match=r"the GPU failed|must be collected"):
                    engine.infer(images)
        assert machine.gpu.left_active == 0
        assert machine.trt.live == []

    def test_not_enough_memory(self, machine):
        machine.gpu.memory_bytes = 100_000
        with pytest.raises(EngineError, match=r"not enough memory on Simulated GPU: \d+ bytes needed, \d+ free"):
            machine.open()
        machine.assert_nothing_is_left()
        assert len(machine.kept()) == 1, "the engine itself is right, and stays"

    def test_no_memory_for_what_tensorrt_needs_in_between(self, machine):
        machine.trt.no_context = True
        with pytest.raises(EngineError, match="not enough memory on Simulated GPU to run"):
            machine.open()
        machine.assert_nothing_is_left()

    def test_tensorrt_refuses_to_run(self, machine, random_images):
        machine.gpu.fail("capture")
        with machine.open() as engine:
            machine.trt.run_nothing = True
            with pytest.raises(EngineError, match=r"TensorRT 10.3.0 failed: it does not say why"):
                engine.infer(random_images((1, 3, 64, 96)))
        assert machine.gpu.left_active == 0


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0", "11.4.0"])
def test_every_release_builds_and_runs(machine: Machine, upgrade, tiny, random_images, version):
    upgrade(version)
    images = random_images((1, 3, 64, 96))
    with machine.open(precision="fp16") as engine:
        expected = tiny.expected(images)
        np.testing.assert_allclose(engine.infer(images), expected, atol=5e-3 * np.abs(expected).max())
    build = machine.trt.builds[0]
    if version.startswith("8."):
        assert build.config.flags == {"TF32", "FP16"}
        assert build.network.flags == 1 << 0
    else:
        assert build.config.flags == {"TF32"}
        assert build.network.flags == 1 << 1
    machine.assert_nothing_is_left()


def test_rtx_compiles_for_the_shapes_at_once(machine, upgrade, tiny, random_images):
    """Or a CUDA graph would keep its first, general kernels."""
    upgrade("1.7.1.116")
    machine.flavour = "tensorrt_rtx"
    images = random_images((2, 3, 64, 96))
    with machine.open(batch=2) as engine:
        assert engine.description.startswith("TensorRT-RTX 1.7.1.116, ")
        for some in (images, images[:1]):
            np.testing.assert_allclose(engine.infer(some), tiny.expected(some), atol=1e-4)
    strategies = [config.dynamic_shapes_kernel_specialization_strategy.name for config in machine.trt.runtime_configs]
    assert strategies == ["EAGER", "EAGER"]
    assert machine.trt.builds[0].config.timings == b""
    machine.assert_nothing_is_left()
