"""Which machine a figure was measured on, in words that let another one be told from it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import msgspec
import psutil

from engines.processor import available_cores, processor_name

__all__ = ["Machine", "describe_machine", "library_versions"]

_LIBRARIES = ("clearway", "av", "numba", "numpy", "onnxruntime", "opencv-python", "openvino", "tensorrt")


class Machine(msgspec.Struct, frozen=True):
    """A machine.

    Attributes:
        processor: Its name.
        cores: Physical cores that this process may use.
        cpus: Logical processors that this process may use.
        memory_gb: Of the machine.
        system: Kernel and architecture.
        board: What a device tree calls the board (Jetson, Raspberry Pi); "" elsewhere.
        gpus: Names of NVIDIA GPUs.
        virtual: Whether it is a virtual machine, as far as its processor says so.
    """

    processor: str
    cores: int
    cpus: int
    memory_gb: float
    system: str
    board: str = ""
    gpus: list[str] = []
    virtual: bool = False


def describe_machine(gpus: list[str], root: Path = Path("/")) -> Machine:
    """This machine.

    Args:
        gpus: Names of its NVIDIA GPUs.
        root: Where ``/proc`` is; another one in tests.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        processor=processor_name(root),
        cores=available_cores(root),
        cpus=cpus,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        board=_read(root / "proc/device-tree/model").rstrip("\0\n "),
        gpus=gpus,
        virtual=" hypervisor" in _read(root / "proc/cpuinfo"),
    )


def library_versions() -> dict[str, str]:
    """Versions of what the speed depends on, Python included; what is not installed is left out."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # noqa: PERF203
            continue
    return versions


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
