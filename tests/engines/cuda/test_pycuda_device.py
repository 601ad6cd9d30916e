"""That PyCUDA is called as it wants to be, and what is said when it cannot be had."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from engines.cuda import pycuda_device
from engines.errors import EngineError
from tests.engines.cuda.conftest import compile_driver
from tests.engines.cuda.pycuda_session import SCENARIOS

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Path:
    """The driver in memory, with a name for everything that the installed PyCUDA is linked against."""
    found = importlib.util.find_spec("pycuda")
    if found is None or found.origin is None:
        pytest.skip("PyCUDA is not installed (it is compiled against a CUDA toolkit)")
    extension = next(Path(found.origin).parent.glob("_driver.*.so"))
    symbols = sorted(set(re.findall(rb"\bcu[A-Z]\w+", extension.read_bytes())))
    return compile_driver(tmp_path_factory.mktemp("driver"), [symbol.decode() for symbol in symbols])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_pycuda_on_a_driver_in_memory(driver, scenario):
    result = subprocess.run(
        [sys.executable, "-m", "tests.engines.cuda.pycuda_session", str(driver), scenario],
        cwd=PROJECT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


class TestWithoutPycuda:
    @pytest.fixture(autouse=True)
    def a_gpu(self, monkeypatch):
        monkeypatch.setattr(pycuda_device, "why_no_gpu", lambda: None)

    def test_not_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pycuda", None)
        with pytest.raises(EngineError, match=r"PyCUDA is not installed: pip install 'clearway\[nvidia\]'"):
            pycuda_device.open_device()

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (
                "/site-packages/pycuda/_driver.so: undefined symbol: cuCtxCreate_v4",
                "the driver is older than the CUDA toolkit that PyCUDA was built with: update the driver",
            ),
            ("libcuda.so.1: cannot open shared object file", "PyCUDA cannot be loaded (libcuda.so.1: cannot open"),
        ],
    )
    def test_that_cannot_be_loaded(self, monkeypatch, error, said):
        class Broken(types.ModuleType):
            def __getattr__(self, name: str):
                raise ImportError(error)

        monkeypatch.setitem(sys.modules, "pycuda", Broken("pycuda"))
        with pytest.raises(EngineError) as caught:
            pycuda_device.open_device()
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_no_gpu_is_said_before_pycuda_is_imported(self, monkeypatch):
        monkeypatch.setattr(pycuda_device, "why_no_gpu", lambda: "no NVIDIA GPU here")
        monkeypatch.setitem(sys.modules, "pycuda", None)
        with pytest.raises(EngineError, match="no NVIDIA GPU here"):
            pycuda_device.open_device()
