"""What is kept of engines: never trusted unread, never in a folder that others can write to."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.errors import EngineError
from engines.tensorrt import cache as cache_module
from engines.tensorrt.cache import EngineCache, engine_folder
from engines.tensorrt.record import EngineKey
from engines.user_cache import refuse_open_folder
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt

KEY = EngineKey(
    model="clearway-lite",
    model_sha256="ab" * 32,
    precision="fp16",
    shape=(2, 3, 360, 640),
    gpu="NVIDIA GeForce RTX 4090",
    compute_capability="8.9",
    driver="580.65.06, CUDA 13.0",
    library="tensorrt 10.3.0",
    options={"builder": "clearway-2"},
)
PLAN = bytes(range(256)) * 40


@pytest.fixture
def cache(tmp_path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


class TestFolder:
    def test_is_the_users_own(self, monkeypatch):
        for name in ("CLEARWAY_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        assert engine_folder() == Path("~/.cache/clearway/engines").expanduser()
        monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
        assert engine_folder() == Path("/elsewhere/clearway/engines")
        monkeypatch.setenv("CLEARWAY_CACHE", "/data/clearway")
        assert engine_folder() == Path("/data/clearway/engines")

    def test_is_made_for_nobody_else(self, cache):
        path = cache.keep(KEY, PLAN, 1.0)
        assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.name.startswith("clearway-lite-fp16-2x3x360x640-NVIDIA_GeForce_RTX_4090-")

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o1777])
    def test_that_others_can_write_to_is_refused(self, cache, mode):
        cache.keep(KEY, PLAN, 1.0)
        cache.folder.chmod(mode)
        for use in (lambda: cache.find(KEY), lambda: cache.keep(KEY, PLAN, 1.0), cache.entries):
            with pytest.raises(
                EngineError, match=r"others can write to .*engines \(mode \d{4}\); chmod go-w"
            ) as caught:
                use()
            assert "\n" not in str(caught.value)

    def test_within_a_folder_that_others_can_write_to_is_refused_before_anything_is_built(self, cache, tmp_path):
        tmp_path.chmod(0o777)
        with pytest.raises(EngineError, match="others can write to"):
            cache.find(KEY)

    def test_within_a_sticky_folder_such_as_tmp_is_fine(self, cache, tmp_path):
        tmp_path.chmod(0o1777)
        cache.keep(KEY, PLAN, 1.0)
        assert cache.find(KEY) == (PLAN, "")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_of_another_user_is_refused(self, cache):
        cache.keep(KEY, PLAN, 1.0)
        os.chown(cache.folder, 12345, 12345)
        with pytest.raises(EngineError, match="belongs to another user; set CLEARWAY_CACHE"):
            cache.find(KEY)

    def test_behind_a_link_is_judged_where_it_leads(self, cache, tmp_path):
        real = tmp_path / "real"
        real.mkdir(mode=0o777)
        real.chmod(0o777)
        cache.folder.symlink_to(real)
        with pytest.raises(EngineError, match="others can write"):
            refuse_open_folder(cache.folder)

    def test_without_room_is_one_line(self, cache, monkeypatch):
        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(cache_module.os, "fsync", full)
        with pytest.raises(EngineError, match="cannot be written \\(No space left on device\\)"):
            cache.keep(KEY, PLAN, 1.0)
        assert list(cache.folder.iterdir()) == []


class TestFind:
    def test_what_was_kept(self, cache):
        assert cache.find(KEY) == (None, "")
        cache.keep(KEY, PLAN, 1.5)
        assert cache.find(KEY) == (PLAN, "")

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"driver": "590.10, CUDA 13.1"}, "the driver was 580.65.06, CUDA 13.0, it is 590.10, CUDA 13.1"),
            ({"library": "tensorrt 10.9.0"}, "it was built by tensorrt 10.3.0, tensorrt 10.9.0 is installed"),
            ({"model_sha256": "cd" * 32}, "the model has changed"),
            ({"options": {"builder": "clearway-3"}}, "the builder's options have changed"),
        ],
    )
    def test_a_stale_one_is_not_used(self, cache, changed, said):
        cache.keep(KEY, PLAN, 1.0)
        now = msgspec.structs.replace(KEY, **changed)
        assert cache.find(now) == (None, said)
        cache.keep(now, PLAN[:100], 1.0)
        assert cache.find(now) == (PLAN[:100], "")
        assert len(list(cache.folder.iterdir())) == 1, "the new one takes the old one's place"

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"gpu": "Orin"}, "it was built on NVIDIA GeForce RTX 4090, this is Orin"),
            ({"compute_capability": "8.7"}, "it was built for compute capability 8.9, this GPU has 8.7"),
            ({"precision": "int8"}, "it was built for another model, size or precision"),
            ({"shape": (1, 3, 8, 8)}, "it was built for another model, size or precision"),
        ],
    )
    def test_a_foreign_one_under_our_name_is_not_used(self, cache, changed, said):
        here = msgspec.structs.replace(KEY, **changed)
        path = cache.keep(KEY, PLAN, 1.0)
        path.rename(cache.folder / f"{here.file_stem}.engine")
        assert cache.find(here) == (None, said)

    def test_for_each_gpu_size_and_precision_its_own(self, cache):
        others = [{"gpu": "Orin"}, {"precision": "fp32"}, {"shape": (1, 3, 360, 640)}, {"model": "clearway lite"}]
        keys = [KEY, *(msgspec.structs.replace(KEY, **other) for other in others)]
        for number, key in enumerate(keys):
            cache.keep(key, bytes([number]), 1.0)
        assert [cache.find(key)[0] for key in keys] == [bytes([number]) for number in range(5)]

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(position=st.integers(0, 20_000), value=st.integers(1, 255))
    def test_one_damaged_byte_is_noticed_wherever_it_is(self, cache, position, value):
        path = cache.keep(KEY, PLAN, 1.0)
        content = bytearray(path.read_bytes())
        content[position % len(content)] ^= value
        path.write_bytes(content)
        plan, problem = cache.find(KEY)
        # Only the build's date and duration may change unnoticed: nothing depends on them.
        assert (plan is None and problem) or plan == PLAN

    @pytest.mark.parametrize("part", [0, 5, 18, 22, 300, 600, -1])
    def test_cut_short(self, cache, part):
        path = cache.keep(KEY, PLAN, 1.0)
        path.write_bytes(path.read_bytes()[:part])
        plan, problem = cache.find(KEY)
        assert plan is None
        assert problem.startswith(("it is", "its header"))

    def test_a_header_of_another_version(self, cache):
        path = cache.keep(KEY, PLAN, 1.0)
        path.write_bytes(path.read_bytes().replace(b'"driver"', b'"Driver"'))
        assert cache.find(KEY) == (None, "its header is damaged, or of another version")

    def test_a_bare_plan(self, cache):
        path = cache.keep(KEY, PLAN, 1.0)
        path.write_bytes(PLAN)
        assert cache.find(KEY) == (None, "it is damaged, or not an engine of Clearway's")

    def test_a_link_a_pipe_and_a_file_of_others_are_not_read(self, cache, tmp_path):
        path = cache.keep(KEY, PLAN, 1.0)
        elsewhere = path.rename(tmp_path / "elsewhere")
        path.symlink_to(elsewhere)
        assert cache.find(KEY)[1].startswith("it cannot be read")
        path.unlink()
        os.mkfifo(path)
        assert cache.find(KEY) == (None, "it is no plain file")
        path.unlink()
        elsewhere.rename(path).chmod(0o666)
        assert cache.find(KEY) == (None, "others can write to it, or own it")


class TestTimings:
    def test_are_shared_by_the_engines_of_a_gpu_and_a_library(self, cache):
        assert cache.timings(KEY) == b""
        cache.keep_timings(KEY, b"measured")
        assert cache.timings(msgspec.structs.replace(KEY, model="another", precision="fp32")) == b"measured"
        assert cache.timings(msgspec.structs.replace(KEY, gpu="Orin")) == b""
        assert cache.timings(msgspec.structs.replace(KEY, library="tensorrt 11.0.0")) == b""

    def test_that_are_damaged_are_done_without(self, cache):
        cache.keep_timings(KEY, b"measured")
        (path,) = cache.folder.glob("*.timings")
        path.write_bytes(path.read_bytes()[:-1])
        assert cache.timings(KEY) == b""

    def test_a_plan_is_no_timings(self, cache):
        path = cache.keep(KEY, PLAN, 1.0)
        path.rename(cache.folder / f"{KEY.timings_stem}.timings")
        assert cache.timings(KEY) == b""


@dataclass
class Opened:
    notes: list[str]
    builds: int


@pytest.fixture
def reopen(machine, tiny, random_images):
    """Open an engine, see that it is right, and tell what was said and built for it."""

    def opener(**options) -> Opened:
        before = len(machine.trt.builds)
        images = random_images((1, 3, 64, 96))
        with machine.open(**options) as engine:
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)
        machine.assert_nothing_is_left()
        return Opened(machine.notes, len(machine.trt.builds) - before)

    return opener


class TestOpening:
    def test_builds_once_and_says_so(self, machine, reopen):
        first = reopen()
        assert first.builds == 1
        assert first.notes[0] == "building tiny for Simulated GPU with TensorRT 10.3.0, fp32: once, some minutes"
        assert "kept as" in first.notes[1]
        assert reopen() == Opened([], 0)

    def test_a_second_size_uses_what_was_measured_for_the_first(self, machine, reopen):
        machine.open(size_hw=(64, 96)).close()
        machine.open(size_hw=(32, 64)).close()
        assert [build.config.timings for build in machine.trt.builds] == [b"", b"measured;"]

    def test_another_driver_is_one_line_and_a_build(self, machine, reopen):
        reopen()
        machine.gpu.driver = "590.10, CUDA 13.1"
        again = reopen()
        assert again.builds == 1
        assert again.notes[0] == (
            "the engine that was kept for tiny is not used: "
            "the driver was 580.65.06, CUDA 13.0, it is 590.10, CUDA 13.1"
        )

    def test_a_changed_model_or_sidecar_is_built_again(self, machine, tiny, reopen):
        reopen()
        tiny.write_sidecar(machine.model, name="tiny")
        assert reopen().notes[0].endswith("the model has changed")
        model = onnx.load(machine.model)
        model.doc_string = "changed"
        onnx.save(model, machine.model)
        assert reopen().notes[0].endswith("the model has changed")

    def test_a_change_in_weights_that_lie_beside_the_model_counts(self, machine, reopen):
        onnx.save(
            onnx.load(machine.model), machine.model, save_as_external_data=True, size_threshold=0, location="weights"
        )
        reopen()
        weights = machine.model.parent / "weights"
        content = bytearray(weights.read_bytes())
        content[3] ^= 0x80  # the first weight's sign
        weights.write_bytes(content)
        machine.notes.clear()
        machine.open().close()
        assert machine.notes[0].endswith("the model has changed")

    def test_a_damaged_file_never_reaches_tensorrt(self, machine, reopen):
        reopen()
        (path,) = machine.kept()
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        before = machine.gpu.counts["deserialize"]
        assert "its SHA-256 is not the one it was kept with" in reopen().notes[0]
        assert machine.gpu.counts["deserialize"] == before + 1, "only the fresh plan was loaded"

    def test_a_plan_that_tensorrt_refuses_is_built_again_once(self, machine, reopen):
        reopen()
        machine.trt.refuse_plans = 1
        again = reopen()
        assert again.builds == 1
        assert "TensorRT 10.3.0 cannot load its engine: The engine plan file is not compatible" in again.notes[0]

    def test_a_fresh_plan_that_is_refused_too_is_an_error(self, machine):
        machine.trt.refuse_plans = 2
        with pytest.raises(EngineError, match="cannot load its engine: The engine plan file is not compatible"):
            machine.open()
        machine.assert_nothing_is_left()

    def test_without_room_for_it_the_engine_runs_all_the_same(self, machine, reopen, monkeypatch):
        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(cache_module.os, "fsync", full)
        assert "not kept: engine cache" in reopen().notes[1]
        assert machine.kept() == []

    def test_an_open_folder_is_refused_before_the_build(self, machine):
        machine.cache.folder.mkdir()
        machine.cache.folder.chmod(0o777)
        with pytest.raises(EngineError, match="others can write to"):
            machine.open()
        assert machine.trt.builds == []

    def test_another_library_on_the_same_machine(self, machine, upgrade, reopen):
        reopen()
        upgrade("11.4.0")
        assert "it was built by tensorrt 10.3.0, tensorrt 11.4.0 is installed" in reopen().notes[0]
        assert isinstance(machine.trt, SimulatedTensorRt)
