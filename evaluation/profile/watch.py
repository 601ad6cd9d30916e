"""A thread that looks at the machine several times a second while the pipeline runs: memory, load, clocks, heat."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import psutil

from evaluation.profile.tegrastats import Tegrastats
from evaluation.profile.throttling import Throttling, read_throttling

__all__ = ["MachineSample", "MachineWatch", "gpu_names"]

_PERIOD_S = 0.2
_SAMPLE_LIMIT = 20_000
_MB = 1e6


@dataclass(frozen=True, slots=True)
class MachineSample:
    """The machine at one moment.

    Attributes:
        at_s: `time.perf_counter()`.
        memory_mb: Of this process, in RAM.
        process_cores: Cores' worth of time that this process took since the last sample.
        other_cores: That everything else on the machine took.
        clocks_mhz: By processor or GPU; empty where the machine does not say.
        temperatures_c: By sensor.
        power_w: By GPU or rail.
        gpu_utilisation: By GPU, 0 to 1: the share of time in which any kernel ran.
    """

    at_s: float
    memory_mb: float
    process_cores: float
    other_cores: float
    clocks_mhz: dict[str, float] = field(default_factory=dict)
    temperatures_c: dict[str, float] = field(default_factory=dict)
    power_w: dict[str, float] = field(default_factory=dict)
    gpu_utilisation: dict[str, float] = field(default_factory=dict)


class MachineWatch:
    """Samples until the block ends.

    Args:
        nvml: As `evaluation.profile.throttling.open_nvml` gives it.

    Attributes:
        samples: So far.
        throttling: What slowed the machine down since the block began.
    """

    def __init__(self, nvml: Any | None = None) -> None:
        self.samples: list[MachineSample] = []
        self.throttling = Throttling()
        self._nvml = nvml
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="clearway-machine", daemon=True)
        self._before = self._busy_s()
        self._tegrastats = Tegrastats()

    def memory_mb(self) -> float:
        """Of this process, in RAM, now."""
        return float(self._process.memory_info().rss) / _MB

    def __enter__(self) -> MachineWatch:
        self.throttling.add(read_throttling(self._nvml))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._tegrastats.close()
        self.throttling.add(read_throttling(self._nvml))

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            self.throttling.add(read_throttling(self._nvml))
            if len(self.samples) < _SAMPLE_LIMIT:
                self.samples.append(self._sample())

    def _sample(self) -> MachineSample:
        now, before = self._busy_s(), self._before
        self._before = now
        passed_s = max(now[0] - before[0], 1e-6)
        own = (now[1] - before[1]) / passed_s
        jetson = self._tegrastats.newest()
        return MachineSample(
            at_s=now[0],
            memory_mb=self.memory_mb(),
            process_cores=own,
            other_cores=max(0.0, (now[2] - before[2]) / passed_s - own),
            clocks_mhz=_cpu_clocks() | _gpu(self._nvml, _gpu_clock) | jetson.get("clocks_mhz", {}),
            temperatures_c=_temperatures() | _gpu(self._nvml, _gpu_temperature) | jetson.get("temperatures_c", {}),
            power_w=_gpu(self._nvml, _gpu_power) | jetson.get("power_w", {}),
            gpu_utilisation=_gpu(self._nvml, _gpu_load) | jetson.get("gpu_utilisation", {}),
        )

    @staticmethod
    def _busy_s() -> tuple[float, float, float]:
        """The clock, this process's CPU seconds, and the whole machine's, stolen ones included."""
        times = psutil.cpu_times()
        return time.perf_counter(), time.process_time(), sum(times) - times.idle - getattr(times, "iowait", 0.0)


def gpu_names(nvml: Any | None) -> list[str]:
    """Names of the NVIDIA GPUs."""
    return list(_gpu(nvml, lambda lib, handle: lib.nvmlDeviceGetName(handle)).values())


def _cpu_clocks() -> dict[str, float]:
    """Only where the kernel says what it is and what it may be: a virtual machine's nominal clock is no measurement."""
    clocks = psutil.cpu_freq(percpu=True) or []
    return {f"cpu{index}": round(clock.current, 1) for index, clock in enumerate(clocks) if clock.max > 0}


def _temperatures() -> dict[str, float]:
    read = getattr(psutil, "sensors_temperatures", dict)
    return {f"{chip} {sensor.label}".strip(): sensor.current for chip, sensors in read().items() for sensor in sensors}


def _gpu(nvml: Any | None, ask: Any) -> dict[str, Any]:
    """An answer from every GPU that gives one."""
    answers: dict[str, Any] = {}
    if nvml is None:
        return answers
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            answers[f"GPU {index}"] = ask(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
        except nvml.NVMLError:  # noqa: PERF203 - not supported by this GPU
            continue
    return answers


def _gpu_clock(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))


def _gpu_temperature(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))


def _gpu_power(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetPowerUsage(handle)) / 1e3


def _gpu_load(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
