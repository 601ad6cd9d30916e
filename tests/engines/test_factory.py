"""Which engine is opened, at which size, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engines import factory
from engines.artifact import load_artifact
from engines.cuda.presence import why_no_gpu
from engines.errors import ConfigError, EngineError
from engines.factory import ENGINE_KINDS, choose_input_size, open_engine, open_engines

PROJECT = Path(__file__).resolve().parents[2]

without_gpu = pytest.mark.skipif(why_no_gpu() is None, reason="this machine has an NVIDIA GPU")


def raising(error: Exception) -> Callable[..., None]:
    def fail(*args: object, **options: object) -> None:
        raise error

    return fail


@pytest.fixture
def hide(monkeypatch):
    """Make inference libraries impossible to import, as on a machine that lacks them."""

    def hider(*modules: str) -> None:
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    return hider


class TestOpenEngine:
    @without_gpu
    def test_without_a_gpu_auto_does_not_speak_of_engines_for_one(self, tiny):
        notes: list[str] = []
        with open_engine(load_artifact(tiny.write()), size_hw=(64, 96), on_note=notes.append) as engine:
            assert engine.kind == "openvino"
        assert notes == []

    def test_a_gpu_that_cannot_be_used_is_spoken_of(self, tiny, monkeypatch):
        for module in ("engines.tensorrt.engine", "engines.ort_cuda_engine"):
            monkeypatch.setattr(f"{module}.why_no_gpu", lambda: "CUDA_VISIBLE_DEVICES= hides every GPU")
        notes: list[str] = []
        with open_engine(load_artifact(tiny.write()), size_hw=(64, 96), on_note=notes.append) as engine:
            assert engine.kind == "openvino"
        assert notes == [
            "engine tensorrt passed over: TensorRT cannot run: CUDA_VISIBLE_DEVICES= hides every GPU",
            "engine onnxruntime-cuda passed over: ONNX Runtime cannot use CUDA: CUDA_VISIBLE_DEVICES= hides every GPU",
        ]

    def test_auto_takes_tensorrt_where_there_is_one(self, tiny, make_runnable):
        make_runnable("tensorrt")
        notes: list[str] = []
        with open_engine(load_artifact(tiny.write()), size_hw=(64, 96), on_note=notes.append) as engine:
            assert engine.kind == "tensorrt"
        assert [note.partition(" ")[0] for note in notes] == ["building", "built"]

    def test_auto_goes_on_where_tensorrt_cannot_build(self, tiny, make_runnable, monkeypatch):
        make_runnable("tensorrt")
        monkeypatch.setattr(
            "engines.tensorrt.engine.build_plan", raising(EngineError("node 'a', operator Det: not known"))
        )
        notes: list[str] = []
        with open_engine(load_artifact(tiny.write()), size_hw=(64, 96), on_note=notes.append) as engine:
            assert engine.kind != "tensorrt"
        assert "engine tensorrt passed over: node 'a', operator Det: not known" in notes

    @without_gpu
    def test_an_onnx_runtime_without_cuda_says_what_to_install(self, tiny, monkeypatch):
        monkeypatch.setattr("engines.ort_cuda_engine.why_no_gpu", lambda: None)
        with pytest.raises(EngineError, match="has no CUDA: pip uninstall onnxruntime && pip install onnxruntime-gpu"):
            open_engine(load_artifact(tiny.write()), "onnxruntime-cuda")

    @without_gpu
    @pytest.mark.parametrize("kind", ["tensorrt", "onnxruntime-cuda"])
    def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error(self, tiny, kind):
        with pytest.raises(EngineError, match="no NVIDIA GPU here"):
            open_engine(load_artifact(tiny.write()), kind)

    @pytest.mark.parametrize(
        ("kind", "precision", "said"),
        [
            ("tensorrt", "bf16", "TensorRT computes in fp16, fp32 or int8 here"),
            ("onnxruntime-cuda", "fp16", "ONNX Runtime computes in fp32 on a GPU here, not in fp16"),
            ("openvino", "fp16", "OpenVINO computes in fp32, bf16 or int8 on the CPU, not in fp16"),
            ("openvino", "int8", r"int8 needs the calibrated graph tiny\.int8-cpu\.onnx beside the model"),
            ("onnxruntime", "int8", r"int8 needs the calibrated graph tiny\.int8-cpu\.onnx beside the model"),
            ("onnxruntime", "bf16", "ONNX Runtime computes in fp32 or int8 on the CPU, not in bf16"),
        ],
    )
    def test_a_precision_that_an_engine_does_not_have_is_an_error(self, tiny, make_runnable, kind, precision, said):
        with pytest.raises(EngineError, match=said):
            open_engine(load_artifact(tiny.write()), kind, precision=precision)

    def test_the_size_the_model_was_made_for_is_the_default(self, tiny):
        path = tiny.write()
        tiny.write_sidecar(path)
        with open_engine(load_artifact(path)) as engine:
            assert engine.spec.input_size_hw == (64, 96)

    def test_auto_passes_over_a_missing_library_and_says_so(self, tiny, hide):
        model = load_artifact(tiny.write())
        hide("openvino")
        notes: list[str] = []
        with open_engine(model, size_hw=(64, 96), on_note=notes.append) as engine:
            assert engine.kind == "onnxruntime"
        assert notes[-1:] == ["engine openvino passed over: OpenVINO is not installed: pip install openvino"]

    def test_a_missing_library_that_was_asked_for_is_an_error(self, tiny, hide):
        model = load_artifact(tiny.write())
        hide("openvino", "onnxruntime")
        with pytest.raises(EngineError, match="OpenVINO is not installed: pip install openvino"):
            open_engine(model, "openvino")
        with pytest.raises(EngineError, match="ONNX Runtime is not installed: pip install onnxruntime"):
            open_engine(model, "onnxruntime")

    def test_no_engine_at_all_gives_every_reason(self, tiny, hide):
        model = load_artifact(tiny.write())
        hide("openvino", "onnxruntime")
        with pytest.raises(EngineError, match=r"no engine can run tiny: TensorRT .* OpenVINO .* ONNX Runtime .*"):
            open_engine(model)

    def test_an_unknown_kind(self, tiny):
        with pytest.raises(ConfigError, match="no engine is called 'tpu'; there are: auto, tensorrt, onnx"):
            open_engine(load_artifact(tiny.write()), "tpu")

    @pytest.mark.parametrize("kind", ["auto", *ENGINE_KINDS])
    def test_no_threads(self, tiny, kind):
        with pytest.raises(ConfigError, match="0 threads"):
            open_engine(load_artifact(tiny.write()), kind, threads=0)


@pytest.mark.parametrize("module", ["engines", "engines.factory", "engines.openvino_engine", "engines.ort_engine"])
def test_importing_imports_no_inference_library(module):
    code = f"import sys, {module}; print({{'openvino', 'onnxruntime', 'onnx', 'torch'}} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "set()"


class TestOpenEngines:
    @pytest.mark.parametrize("kind", ["openvino", "onnxruntime"])
    @pytest.mark.parametrize(("threads", "shares"), [(1, [1]), (2, [1, 1]), (5, [2, 1, 1, 1]), (8, [2, 2, 2, 2])])
    def test_engines_of_a_processor_share_its_threads(self, tiny, kind, threads, shares):
        engines = open_engines(load_artifact(tiny.write()), kind, size_hw=(64, 96), threads=threads)
        assert [engine.kind for engine in engines] == [kind] * len(shares)
        told = [engine.description.rsplit(", ", 1)[1] for engine in engines]
        assert told == [f"{share} thread{'s' * (share > 1)}" for share in shares]
        for engine in engines:
            engine.close()

    def test_they_say_the_same_as_one_alone(self, tiny, random_images):
        images, artifact = random_images((1, 3, 64, 96)), load_artifact(tiny.write())
        engines = open_engines(artifact, "openvino", size_hw=(64, 96), threads=3)
        with open_engine(artifact, "openvino", size_hw=(64, 96), threads=3) as alone:
            for engine in engines:
                with engine:
                    np.testing.assert_array_equal(engine.infer(images), alone.infer(images))

    def test_one_is_all_that_a_live_camera_wants(self, tiny):
        (engine,) = open_engines(load_artifact(tiny.write()), "openvino", size_hw=(64, 96), threads=2, together=1)
        assert engine.description.endswith("2 threads")
        engine.close()

    def test_a_gpu_engine_is_alone(self, tiny, make_runnable):
        make_runnable("tensorrt")
        (engine,) = open_engines(load_artifact(tiny.write()), "auto", size_hw=(64, 96), threads=4)
        with engine:
            assert engine.kind == "tensorrt"

    def test_where_a_second_cannot_be_opened_the_first_is_closed(self, tiny, monkeypatch):
        opened, open_ = [], factory.open_engine

        def once(*args: object, **options: object) -> object:
            if opened:
                raise EngineError("no memory left")
            opened.append(open_(*args, **options))
            return opened[0]

        monkeypatch.setattr(factory, "open_engine", once)
        with pytest.raises(EngineError, match="no memory left"):
            open_engines(load_artifact(tiny.write()), "openvino", size_hw=(64, 96), threads=2)
        with pytest.raises(EngineError, match="closed"):
            opened[0].infer(np.zeros((1, 3, 64, 96), np.float32))


class TestChooseInputSize:
    @pytest.mark.parametrize(
        ("image_hw", "input_hw"),
        [
            ((720, 1280), (360, 640)),
            ((1080, 1920), (360, 640)),
            ((540, 960), (360, 640)),
            ((360, 640), (360, 640)),
            ((360, 480), (416, 552)),
            ((240, 320), (304, 400)),
            ((720, 960), (416, 552)),
            ((512, 1024), (336, 672)),
            ((1920, 1080), (640, 360)),
            ((241, 322), (304, 408)),
            ((100, 10_000), (48, 4800)),
            ((4, 4), (8, 8)),
        ],
    )
    def test_of_an_open_graph(self, tiny, image_hw, input_hw):
        assert choose_input_size(load_artifact(tiny.write()), image_hw) == input_hw

    @pytest.mark.parametrize("image_hw", [(h, w) for h in (8, 97, 360, 719, 1080) for w in (8, 131, 641, 1920, 4096)])
    def test_keeps_its_promises(self, tiny, image_hw):
        height, width = choose_input_size(load_artifact(tiny.write()), image_hw)
        assert height % 8 == width % 8 == 0
        assert height * width <= 360 * 640
        assert 8 <= height < 1.25 * image_hw[0] + 8
        assert 8 <= width < 1.25 * image_hw[1] + 8
        # Rounding to a multiple of 8 moves each side by less than 8.
        aspect = image_hw[1] / image_hw[0]
        assert (width - 8) / (height + 8) < aspect
        assert height <= 8 or aspect < (width + 8) / (height - 8)

    def test_of_a_fixed_graph_is_its_own(self, tiny):
        model = load_artifact(tiny.write(input_dims=(1, 3, 64, 96)))
        assert choose_input_size(model, (720, 1280)) == (64, 96)

    def test_follows_the_size_in_the_sidecar(self, tiny):
        path = tiny.write()
        tiny.write_sidecar(path)
        assert choose_input_size(load_artifact(path), (640, 960)) == (64, 96)
