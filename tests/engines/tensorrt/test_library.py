"""Which TensorRT is taken, and what is said when there is none that works."""

from __future__ import annotations

import importlib.util
import types

import pytest

from engines.artifact import load_artifact
from engines.errors import EngineError
from engines.factory import open_engine
from engines.tensorrt.library import load_library
from tests.engines.tensorrt.simulated_gpu import SimulatedGpu
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt


@pytest.fixture
def install(monkeypatch):
    """Describe what is installed: a module, an exception that importing it raises, or nothing."""
    installed: dict[str, object] = {"tensorrt": None, "tensorrt_rtx": None}
    really = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None):
        return really(name, package) if name not in installed else installed[name]

    def import_module(name: str):
        what = installed[name]
        if isinstance(what, BaseException):
            raise what
        return what

    monkeypatch.setattr("engines.tensorrt.library.importlib.util.find_spec", find_spec)
    monkeypatch.setattr("engines.checked.importlib.import_module", import_module)
    return lambda **modules: installed.update(modules)


def library(version: str) -> types.ModuleType:
    module = types.ModuleType("tensorrt")
    module.__version__, module.Builder = version, object
    return module


def test_nothing_installed(install):
    with pytest.raises(EngineError) as caught:
        load_library()
    assert str(caught.value) == (
        "TensorRT is not installed: pip install 'clearway[nvidia]' (on a Jetson it comes with JetPack)"
    )


def test_tensorrt_before_rtx(install):
    install(tensorrt=library("10.3.0"), tensorrt_rtx=library("1.7.1.116"))
    assert load_library().title == "TensorRT 10.3.0"


def test_rtx_where_tensorrt_cannot_be_loaded(install):
    install(tensorrt=ImportError("libnvinfer.so.11: cannot open"), tensorrt_rtx=library("1.7.1.116"))
    assert load_library().title == "TensorRT-RTX 1.7.1.116"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (
            ImportError("libnvinfer.so.11: cannot open shared object file"),
            "TensorRT cannot be loaded: libnvinfer.so.11",
        ),
        (OSError("libcudnn.so.8: cannot open shared object file"), "TensorRT cannot be loaded: libcudnn.so.8"),
        (types.ModuleType("tensorrt"), "TensorRT is not complete: pip install --upgrade 'clearway[nvidia]'"),
        (library("8.2.1.8"), "TensorRT 8.2.1.8 is too old: Clearway needs 8.5 or newer"),
    ],
)
def test_one_that_does_not_work_is_one_line(install, module, said):
    install(tensorrt=module)
    with pytest.raises(EngineError) as caught:
        load_library()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG = {
    "no driver": "TensorRT cannot run: the NVIDIA driver is not installed (libcuda.so.1 cannot be loaded)",
    "driver too old": "the driver is older than the CUDA toolkit that PyCUDA was built with: update the driver",
    "no PyCUDA": "PyCUDA is not installed: pip install 'clearway[nvidia]'",
    "no TensorRT": "TensorRT is not installed: pip install 'clearway[nvidia]' (on a Jetson it comes with JetPack)",
}


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG)
def test_whatever_is_missing_auto_goes_on_and_says_so(tiny, monkeypatch, said):
    def missing():
        raise EngineError(said)

    monkeypatch.setattr("engines.tensorrt.engine.gpu_and_library", missing)
    notes: list[str] = []
    with open_engine(load_artifact(tiny.write()), size_hw=(64, 96), on_note=notes.append) as engine:
        assert engine.kind != "tensorrt"
    assert notes[0] == f"engine tensorrt passed over: {said}"


@pytest.mark.parametrize("fault", ["memory", "folder", "operator"])
def test_whatever_goes_wrong_auto_goes_on_with_an_engine_that_works(tiny, monkeypatch, tmp_path, fault):
    monkeypatch.setenv("CLEARWAY_CACHE", str(tmp_path / "cache"))
    gpu = SimulatedGpu(memory_bytes=1000 if fault == "memory" else 1 << 30)
    trt = SimulatedTensorRt(gpu)
    if fault == "folder":
        (tmp_path / "cache/engines").mkdir(parents=True)
        (tmp_path / "cache/engines").chmod(0o777)
    if fault == "operator":
        trt.operators_unknown = {"Relu"}
    monkeypatch.setattr("engines.tensorrt.engine.gpu_and_library", lambda: (gpu, trt.library()))
    notes: list[str] = []
    with open_engine(load_artifact(tiny.write()), size_hw=(64, 96), on_note=notes.append) as engine:
        assert engine.kind != "tensorrt"
    passed_over = next(note for note in notes if note.startswith("engine tensorrt passed over: "))
    said = {"memory": "not enough memory", "folder": "others can write to", "operator": "operator Relu"}[fault]
    assert said in passed_over
    assert gpu.memory == {}
