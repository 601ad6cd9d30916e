"""Whether an NVIDIA GPU can be used here at all: answered from files, before any library is imported."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from engines.errors import EngineError, NoGpuError

__all__ = ["NO_GPU", "driver_version", "gpu_error", "why_no_gpu"]

NO_GPU = "no NVIDIA GPU here (no /dev/nvidia0)"
"""What `why_no_gpu` says of most machines."""

_DRIVER_LIBRARY = "libcuda.so.1"

# Desktop and server; Jetson with nvgpu (JetPack 5, 6) and before; WSL 2.
_NODES = ("nvidia[0-9]*", "nvgpu/igpu0", "nvhost-gpu", "dxg")


def why_no_gpu(root: Path = Path("/"), driver_library: str = _DRIVER_LIBRARY) -> str | None:
    """Why no NVIDIA GPU can be used on this machine, in a few words; None where nothing speaks against it.

    Args:
        root: Where ``/dev`` is; another one in tests.
        driver_library: What the driver's library is called; another one in tests.
    """
    if not any(next((root / "dev").glob(pattern), None) for pattern in _NODES):
        return NO_GPU
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in {"", "-1", "NoDevFiles"}:
        return f"CUDA_VISIBLE_DEVICES={visible} hides every GPU"
    try:
        ctypes.CDLL(driver_library)
    except OSError:
        return f"the NVIDIA driver is not installed ({driver_library} cannot be loaded)"
    return None


def gpu_error(engine: str, missing: str) -> EngineError:
    """The error of an engine that needs a GPU.

    Args:
        engine: How its sentence begins.
        missing: As `why_no_gpu` said it.
    """
    return (NoGpuError if missing == NO_GPU else EngineError)(f"{engine}: {missing}")


def driver_version(root: Path = Path("/")) -> str:
    """Version of the kernel's driver, for instance ``"580.65.06"``; on a Jetson that of L4T; "unknown" without either.

    Args:
        root: Where ``/proc`` and ``/etc`` are; another one in tests.
    """
    found = re.search(r"Kernel Module\b.*?\s(\d+(?:\.\d+)+)\s", _read(root / "proc/driver/nvidia/version") + "\n")
    if found:
        return found[1]
    tegra = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", _read(root / "etc/nv_tegra_release"))
    return f"L4T {tegra[1]}.{tegra[2]}" if tegra else "unknown"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
