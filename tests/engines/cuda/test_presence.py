"""Whether there is a GPU, on machines described by the files that Linux would show of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engines.cuda.presence import driver_version, why_no_gpu

PROJECT = Path(__file__).resolve().parents[3]
DRIVER_OF_EVERY_MACHINE = "libm.so.6"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Describe a machine by files that exist, and what is in them."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def describe(**files: str) -> Path:
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return describe


class TestWhyNoGpu:
    def test_no_device(self, machine):
        assert why_no_gpu(machine(dev__null="", dev__nvidiactl="")) == "no NVIDIA GPU here (no /dev/nvidia0)"

    @pytest.mark.parametrize(
        "node", ["dev__nvidia0", "dev__nvidia7", "dev__nvgpu__igpu0", "dev__nvhost-gpu", "dev__dxg"]
    )
    def test_nothing_speaks_against_it(self, machine, node):
        assert why_no_gpu(machine(**{node: ""}), DRIVER_OF_EVERY_MACHINE) is None

    def test_no_driver(self, machine):
        root = machine(dev__nvidia0="")
        assert why_no_gpu(root, "libnowhere.so.1") == (
            "the NVIDIA driver is not installed (libnowhere.so.1 cannot be loaded)"
        )

    @pytest.mark.parametrize("hidden", ["", " ", "-1"])
    def test_hidden_by_the_user(self, machine, monkeypatch, hidden):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert "hides every GPU" in str(why_no_gpu(machine(dev__nvidia0=""), DRIVER_OF_EVERY_MACHINE))


class TestDriverVersion:
    @pytest.mark.parametrize(
        ("said", "version"),
        [
            ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:12:35 UTC 2025", "580.65.06"),
            ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build", "580.82.07"),
            ("something else", "unknown"),
        ],
    )
    def test_of_a_desktop(self, machine, said, version):
        assert driver_version(machine(proc__driver__nvidia__version=said)) == version

    def test_of_a_jetson(self, machine):
        said = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64"
        assert driver_version(machine(etc__nv_tegra_release=said)) == "L4T 36.4.3"


@pytest.mark.parametrize(
    "module", ["engines.cuda.presence", "engines.tensorrt.engine", "engines.ort_cuda_engine", "pipeline.cached_engines"]
)
def test_importing_imports_nothing_of_nvidia(module):
    heavy = "{'pycuda', 'tensorrt', 'tensorrt_rtx', 'onnx', 'onnxruntime', 'torch'}"
    code = f"import sys, {module}; print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "set()"
