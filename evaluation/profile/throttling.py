"""Is the machine slowing itself down? What the kernel and NVIDIA's driver count and say of it; nothing is guessed.

The places that are asked:

    /sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count   Intel: times that it was slowed for heat
    /sys/class/thermal/cooling_device*/{type,cur_state}              every Linux: a processor or GPU being held back
    /sys/class/hwmon/hwmon*/oc*_event_cnt                            Jetson: times that the current was too high
    NVML, "clocks event reasons"                                     NVIDIA GPUs: why their clock is what it is
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Throttling", "ThrottlingReading", "open_nvml", "read_throttling"]

_SLOWED_COOLERS = ("Processor", "cpufreq", "thermal-cpufreq", "devfreq", "thermal-devfreq", "cpu_throttle", "gpu")
"""Beginnings of types of cooling devices that cool by slowing down; the others are fans and the like."""
_SLOWED_ALERT = "throttle-alert"
"""What they end with on a Jetson: cpu-throttle-alert, cv0-throttle-alert, …"""

_NVML_REASONS = {
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "heat (software)",
    "HwThermalSlowdown": "heat (hardware)",
    "HwPowerBrakeSlowdown": "power brake",
}


@dataclass(frozen=True, slots=True)
class ThrottlingReading:
    """What the machine says at one moment.

    Attributes:
        counters: Source → how often it has happened since the machine was started.
        states: Source → whether it is happening now.
    """

    counters: dict[str, int] = field(default_factory=dict)
    states: dict[str, bool] = field(default_factory=dict)


class Throttling:
    """What became of the machine between the first reading and the last.

    Attributes:
        reasons: What slowed it down; empty where nothing is known to have.
        sources: How many places told anything.
    """

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._seen: set[str] = set()
        self.reasons: set[str] = set()

    def add(self, reading: ThrottlingReading) -> None:
        """Take one reading into account."""
        self._seen.update(reading.counters, reading.states)
        for source, count in reading.counters.items():
            if count > self._first.setdefault(source, count):
                self.reasons.add(source)
        self.reasons.update(source for source, happens in reading.states.items() if happens)

    @property
    def sources(self) -> int:
        """How many places have told anything."""
        return len(self._seen)

    @property
    def throttled(self) -> bool | None:
        """Whether it was slowed down; None where the machine tells nothing."""
        if self.reasons:
            return True
        return False if self._seen else None


def read_throttling(nvml: Any | None = None, root: Path = Path("/")) -> ThrottlingReading:
    """Ask every place there is.

    Args:
        nvml: As `open_nvml` gives it.
        root: Where ``/sys`` is; another one in tests.
    """
    counters: dict[str, int] = {}
    for file in root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count"):
        kind = file.name.removesuffix("_throttle_count")
        _count(counters, f"heat ({file.parts[-3]} {kind})", file)
    for file in root.glob("sys/class/hwmon/hwmon*/oc[0-9]*_event_cnt"):
        _count(counters, f"current ({file.parts[-2]} {file.name.removesuffix('_event_cnt')})", file)
    states: dict[str, bool] = {}
    for folder in root.glob("sys/class/thermal/cooling_device*"):
        kind, state = _read(folder / "type"), _read(folder / "cur_state")
        if (kind.startswith(_SLOWED_COOLERS) or kind.endswith(_SLOWED_ALERT)) and state.lstrip("-").isdigit():
            states[f"cooling by {kind} ({folder.name})"] = int(state) > 0
    if nvml is not None:
        states.update(_gpu_states(nvml))
    return ThrottlingReading(counters, states)


@contextlib.contextmanager
def open_nvml() -> Iterator[Any | None]:
    """NVIDIA's management library for as long as the block lasts; None without its Python package or a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except ImportError:
        yield None
        return
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _gpu_states(nvml: Any) -> dict[str, bool]:
    states: dict[str, bool] = {}
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            reasons = nvml.nvmlDeviceGetCurrentClocksEventReasons(nvml.nvmlDeviceGetHandleByIndex(index))
        except nvml.NVMLError:
            continue  # this GPU, or its driver, does not say
        for name, meaning in _NVML_REASONS.items():
            states[f"GPU {index}: {meaning}"] = bool(reasons & getattr(nvml, f"nvmlClocksEventReason{name}"))
    return states


def _count(counters: dict[str, int], source: str, file: Path) -> None:
    text = _read(file)
    if text.isdigit():
        counters[source] = int(text)


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
