"""The processor: what it is called, what it can do, and how many of its cores are ours."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["available_cores", "gains_from_int8", "processor_features", "processor_name"]


def available_cores(root: Path = Path("/")) -> int:
    """How many threads a network is best run with: the physical cores that this process may use.

    Two hyper-threads of one core share its multipliers, so that a second thread there only gets in the way. The
    process's CPU affinity (taskset, cpusets) and its control group's quota (``docker run --cpus``) are respected;
    a thread above the quota would be stopped by the kernel in the middle of a frame.

    Args:
        root: Where ``/sys`` and ``/proc`` are; another one in tests.
    """
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = {_siblings(root, cpu) for cpu in affinity}
    return max(1, min(len(cores), int(_quota(root))))


def processor_name(root: Path = Path("/")) -> str:
    """The processor's name for people, for instance ``"Intel(R) Xeon(R) Processor"``."""
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def processor_features(root: Path = Path("/")) -> frozenset[str]:
    """What the processor can do, as Linux lists it: ``"avx2"``, ``"avx512_vnni"``; empty where nothing tells."""
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def gains_from_int8(root: Path = Path("/")) -> bool:
    """Whether a quantised network is faster here than in the fastest floats: as far as it was measured.

    With VNNI four products of bytes are one instruction; with AVX2 alone three are, which still is faster than float32
    (docs/engines.md has the figures). Other processors were not measured.
    """
    return "avx2" in processor_features(root)


def _siblings(root: Path, cpu: int) -> str:
    return _read(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").strip() or str(cpu)


def _quota(root: Path) -> float:
    """Cores' worth of time a second that cgroup v2 grants (``cpu.max`` of the group or any above it)."""
    own = next((line[3:] for line in _read(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    top = root / "sys/fs/cgroup"
    group = top / own.strip().lstrip("/")
    quota = float("inf")
    for folder in (group, *group.parents):
        allowed_us, _, period_us = _read(folder / "cpu.max").strip().partition(" ")
        if allowed_us.isdigit() and period_us.isdigit() and int(period_us) > 0:
            quota = min(quota, int(allowed_us) / int(period_us))
        if folder == top:
            break
    return min(quota, 1e6)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
