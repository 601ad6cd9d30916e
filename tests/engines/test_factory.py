"""Which engine is opened, at which size, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engines.artifact import load_artifact
from engines.errors import ConfigError, EngineError
from engines.factory import ENGINE_KINDS, choose_input_size, open_engine

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hide(monkeypatch):
    """Make inference libraries impossible to import, as on a machine that lacks them."""

    def hider(*modules: str) -> None:
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    return hider


class TestOpenEngine:
    def test_auto_takes_the_first(self, tiny):
        notes: list[str] = []
        with open_engine(load_artifact(tiny.write()), size_hw=(64, 96), on_note=notes.append) as engine:
            assert engine.kind == ENGINE_KINDS[0]
        assert notes == []

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
        assert notes == ["engine openvino passed over: OpenVINO is not installed: pip install openvino"]

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
        with pytest.raises(EngineError, match=r"no engine can run tiny: OpenVINO .* ONNX Runtime .*"):
            open_engine(model)

    def test_an_unknown_kind(self, tiny):
        with pytest.raises(ConfigError, match="no engine is called 'tpu'; there are: auto, openvino, onnxruntime"):
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


class TestChooseInputSize:
    @pytest.mark.parametrize(
        ("image_hw", "input_hw"),
        [
            ((720, 1280), (360, 640)),
            ((1080, 1920), (360, 640)),
            ((540, 960), (360, 640)),
            ((360, 640), (360, 640)),
            ((360, 480), (360, 480)),
            ((240, 320), (240, 320)),
            ((720, 960), (416, 552)),
            ((512, 1024), (336, 672)),
            ((1920, 1080), (640, 360)),
            ((241, 322), (240, 320)),
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
        assert 8 <= height <= image_hw[0]
        assert 8 <= width <= image_hw[1]
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
