"""`build` and `engines`: what a user types, sees and is told, on a simulated GPU and on none."""

from __future__ import annotations

import os
import time

import pytest

from engines.cuda.presence import why_no_gpu
from engines.tensorrt.cache import EngineCache
from pipeline.cli import main
from tests.engines.conftest import TinyModel
from tests.engines.tensorrt.simulated_gpu import SimulatedGpu
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt

without_gpu = pytest.mark.skipif(why_no_gpu() is None, reason="this machine has an NVIDIA GPU")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CLEARWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def trt(monkeypatch) -> SimulatedTensorRt:
    gpu = SimulatedGpu()
    module = SimulatedTensorRt(gpu)
    for place in ("pipeline.build", "engines.tensorrt.engine"):
        monkeypatch.setattr(f"{place}.gpu_and_library", lambda: (gpu, module.library()))
    return module


@pytest.fixture
def model(tmp_path) -> str:
    return str(TinyModel(tmp_path).write())


class TestBuild:
    def test_builds_one_engine_for_each_size_and_keeps_them(self, trt, model, capsys):
        assert main(["build", model, "--size", "64x96", "32x48", "--batch", "2"]) == 0
        shapes = sorted(entry.record.key.shape for entry in EngineCache().entries() if entry.record.kind == "plan")
        assert shapes == [(2, 3, 32, 48), (2, 3, 64, 96)]
        assert capsys.readouterr().err.count("kept as") == 2

    def test_leaves_what_is_there_unless_forced(self, trt, model, capsys):
        for options, builds in (([], 1), ([], 1), (["--force"], 2), (["--precision", "fp32"], 3)):
            assert main(["build", model, "--size", "64x96", *options]) == 0
            assert len(trt.builds) == builds
        assert "is there already; --force builds it again" in capsys.readouterr().err

    def test_what_is_damaged_is_said_and_built_again(self, trt, model, capsys):
        main(["build", model, "--size", "64x96"])
        path = next(EngineCache().folder.glob("*.engine"))
        path.write_bytes(path.read_bytes()[:-1])
        assert main(["build", model, "--size", "64x96"]) == 0
        assert "is not used: it is cut short" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--precision", "int8"], "int8 needs the calibrated graph tiny.int8-tensorrt.onnx beside the model"),
            (["--size", "0x96"], "there is no input of batch 1 and size (0, 96)"),
        ],
    )
    def test_bad_input_is_one_line_and_exit_code_2(self, trt, model, capsys, options, said):
        assert main(["build", model, *options, "--quiet"]) == 2
        message = capsys.readouterr().err
        assert said in message
        assert message.count("\n") == 1

    def test_an_operator_that_tensorrt_does_not_know(self, trt, model, capsys):
        trt.operators_unknown = {"Relu"}
        assert main(["build", model, "--quiet"]) == 2
        assert "operator Relu: no importer registered" in capsys.readouterr().err

    def test_ctrl_c_leaves_nothing_half_done(self, trt, model, monkeypatch, capsys):
        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr("rich.progress.Progress.update", interrupt)
        assert main(["build", model]) == 130
        assert EngineCache().entries() == []

    @without_gpu
    def test_without_a_gpu(self, model, capsys):
        assert main(["build", model]) == 2
        assert capsys.readouterr().err == (
            "clearway: error: TensorRT cannot run: no NVIDIA GPU here (no /dev/nvidia0)\n"
        )

    @pytest.mark.parametrize("wrong", [["--batch", "0"], ["--batch", "x"], ["--precision", "bf16"], ["--size", "64"]])
    def test_options_that_make_no_sense(self, model, wrong):
        with pytest.raises(SystemExit) as caught:
            main(["build", model, *wrong])
        assert caught.value.code == 2


class TestReplay:
    @without_gpu
    def test_tensorrt_asked_for_by_name_without_a_gpu(self, capsys):
        assert main(["replay", "synthetic://drive?frames=2&size=96x64", "--engine", "tensorrt", "--quiet"]) == 2
        message = capsys.readouterr().err
        assert message == "clearway: error: TensorRT cannot run: no NVIDIA GPU here (no /dev/nvidia0)\n"

    def test_with_tensorrt_builds_on_first_use_and_says_so(self, trt, model, tmp_path, capsys):
        arguments = ["replay", "synthetic://drive?frames=2&size=96x64", str(tmp_path / "out.jsonl"), "--engine"]
        for builds in (1, 1):
            assert main([*arguments, "tensorrt", "--model", model]) == 0
            assert len(trt.builds) == builds
        said = " ".join(capsys.readouterr().err.split())
        assert said.count("building tiny for Simulated GPU with TensorRT 10.3.0, fp16: once, some minutes") == 1
        assert trt.gpu.memory == {}
        assert trt.gpu.left_active == 0


class TestEngines:
    def test_none(self, capsys):
        assert main(["engines"]) == 0
        assert "no engines in" in capsys.readouterr().err

    def test_lists_what_is_kept_and_what_is_damaged(self, trt, model, capsys):
        main(["build", model, "--size", "64x96"])
        (EngineCache().folder / "stranger.engine").write_bytes(b"?")
        capsys.readouterr()
        assert main(["engines"]) == 0
        table = capsys.readouterr().err
        for text in ("tiny", "1x3x64x96", "Simulated GPU", "tensorrt 10.3.0", "stranger.engine", "not an engine of"):
            assert text in table

    def test_prune_removes_the_damaged_and_the_unused(self, trt, model, capsys):
        main(["build", model, "--size", "64x96", "32x48"])
        folder = EngineCache().folder
        (folder / "stranger.engine").write_bytes(b"?")
        (folder / "fresh.partial").write_bytes(b"")
        (folder / "stale.partial").write_bytes(b"")
        (folder / "notes.txt").write_text("not ours")
        old = next(folder.glob("*32x48*.engine"))
        for path, days in ((old, 31), (folder / "stale.partial", 1)):
            os.utime(path, (time.time() - days * 86400,) * 2)
        assert main(["engines", "--prune"]) == 0
        kept = sorted(path.name for path in folder.iterdir())
        assert not old.exists()
        assert {"notes.txt", "fresh.partial"} <= set(kept)
        assert not {"stranger.engine", "stale.partial"} & set(kept)
        assert any("64x96" in name for name in kept)
        assert "removed 3 of" in capsys.readouterr().err

    def test_prune_to_nothing(self, trt, model):
        main(["build", model, "--size", "64x96"])
        assert main(["engines", "--prune", "--unused-days", "0"]) == 0
        assert EngineCache().entries() == []

    def test_a_folder_that_others_can_write_to(self, trt, model, capsys):
        main(["build", model, "--size", "64x96"])
        EngineCache().folder.chmod(0o777)
        for command in (["engines"], ["engines", "--prune"], ["build", model, "--size", "64x96"]):
            capsys.readouterr()
            assert main(command) == 2
            assert "others can write to" in capsys.readouterr().err

    @pytest.mark.parametrize("wrong", ["-1", "x", "nan", "inf"])
    def test_days_that_make_no_sense(self, wrong):
        with pytest.raises(SystemExit):
            main(["engines", "--prune", f"--unused-days={wrong}"])
