"""What a machine has that the NVIDIA path can use: GPU, driver, libraries and their versions. Nothing is imported."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec

from engines.cuda.presence import driver_version, why_no_gpu

__all__ = ["Inventory", "take_inventory"]

_PACKAGES = {
    "TensorRT": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-bindings"),
    "TensorRT-RTX": ("tensorrt-rtx-cu13", "tensorrt-rtx"),
    "ONNX Runtime": ("onnxruntime-gpu", "onnxruntime"),
    "torch": ("torch",),
    "PyCUDA": ("pycuda",),
    "PyNvVideoCodec": ("PyNvVideoCodec",),
    "onnx": ("onnx",),
    "pytest": ("pytest",),
}

_QUERY = ("name", "compute_cap", "memory.total", "clocks.max.sm", "clocks.sm", "power.limit", "temperature.gpu")


class Inventory(msgspec.Struct, frozen=True):
    """What is there.

    Attributes:
        problem: Why no GPU can be used, or "" where one can.
        gpu: What nvidia-smi says of the first GPU, by its own field names; on a Jetson its model and power mode.
        driver: Version of the kernel's driver.
        cuda: The CUDA version that the driver knows, and that of nvcc, where there are any.
        packages: Installed versions by name; what is missing is not in it.
        host: Processor, cores, operating system, Python.
    """

    problem: str
    gpu: dict[str, str]
    driver: str
    cuda: dict[str, str]
    packages: dict[str, str]
    host: dict[str, str]

    @property
    def gpu_name(self) -> str:
        """For instance ``"NVIDIA H200"``."""
        return self.gpu.get("name", "unknown GPU")

    @property
    def tensorrt(self) -> str:
        """Which TensorRT, for file names: ``trt10.3.0``, ``rtx1.7.1.116``, ``no-trt``."""
        if "TensorRT" in self.packages:
            return f"trt{self.packages['TensorRT']}"
        return f"rtx{self.packages['TensorRT-RTX']}" if "TensorRT-RTX" in self.packages else "no-trt"

    def lines(self) -> list[str]:
        """For people."""
        missing = [name for name in _PACKAGES if name not in self.packages]
        found = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return [
            f"GPU       {self.gpu_name} ({', '.join(f'{k} {v}' for k, v in self.gpu.items() if k != 'name')})",
            f"driver    {self.driver}; CUDA: {', '.join(f'{k} {v}' for k, v in self.cuda.items()) or 'unknown'}",
            f"packages  {found or 'none'}",
            f"missing   {', '.join(missing) or 'nothing'}",
            f"host      {', '.join(self.host.values())}",
        ]


def take_inventory(root: Path = Path("/")) -> Inventory:
    """Look.

    Args:
        root: Where ``/dev``, ``/proc`` and ``/etc`` are; another one in tests.
    """
    return Inventory(
        problem=why_no_gpu(root) or "",
        gpu=_gpu(root),
        driver=driver_version(root),
        cuda=_cuda(),
        packages=_packages(),
        host={
            "processor": _processor(root),
            "cores": f"{os.cpu_count()} cores",
            "system": platform.platform(terse=True),
            "python": f"Python {platform.python_version()}",
        },
    )


def _gpu(root: Path) -> dict[str, str]:
    said = _said("nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader")
    first = said.splitlines()[0].split(", ") if said else []
    if len(first) == len(_QUERY) and "not supported" not in said.lower():
        return {name: value for name, value in zip(_QUERY, first, strict=True) if value and "N/A" not in value}
    try:  # Jetson
        model = (root / "proc/device-tree/model").read_text().strip("\0 \n")
    except OSError:
        return {}
    mode = re.search(r"NV Power Mode: *(\S+)", _said("nvpmodel", "-q"))
    return {"name": model} | ({"power mode": mode[1]} if mode else {})


def _cuda() -> dict[str, str]:
    driver = re.search(r"CUDA Version: *([\d.]+)", _said("nvidia-smi"))
    nvcc = re.search(r"\bV(\d[\d.]*)", _said(shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc", "--version"))
    return {name: found[1] for name, found in (("driver", driver), ("nvcc", nvcc)) if found}


def _packages() -> dict[str, str]:
    found = {}
    for name, candidates in _PACKAGES.items():
        for candidate in candidates:
            try:
                version = metadata.version(candidate)
            except metadata.PackageNotFoundError:
                continue
            found[name] = version + (" (no CUDA)" if candidate == "onnxruntime" else "")
            break
    return found


def _processor(root: Path) -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", (root / "proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def _said(program: str, *arguments: str) -> str:
    """What a program writes to stdout; "" where it is missing or fails."""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
