"""What machines say of being slowed down, from files as kernels write them; NVIDIA's library where it is installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluation.profile.throttling import Throttling, open_nvml, read_throttling
from evaluation.profile.watch import MachineWatch, parse_tegrastats


def write(root: Path, path: str, text: object) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n")


def after(*readings: Path | None) -> Throttling:
    throttling = Throttling()
    for root in readings:
        throttling.add(read_throttling(root=root or Path("/nowhere")))
    return throttling


def test_a_machine_that_tells_nothing_is_not_called_cool(tmp_path: Path):
    assert after(tmp_path).throttled is None


def test_intels_counters_tell_when_they_rise_during_the_run(tmp_path: Path):
    counter = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    write(tmp_path, counter, 41)
    throttling = after(tmp_path)
    assert throttling.throttled is False  # what happened before the run does not count
    write(tmp_path, counter, 43)
    throttling.add(read_throttling(root=tmp_path))
    assert throttling.throttled is True
    assert throttling.reasons == {"heat (cpu0 core)"}


@pytest.mark.parametrize(("kind", "state", "expected"), [
    ("Processor", 0, False),
    ("Processor", 3, True),
    ("cpufreq-cpu0", 1, True),
    ("thermal-devfreq-0", 2, True),
    ("Fan", 5, None),
    ("intel_powerclamp", -1, None),
])  # fmt: skip
def test_cooling_by_slowing_down_is_told_from_fans(tmp_path: Path, kind: str, state: int, expected: bool | None):
    write(tmp_path, "sys/class/thermal/cooling_device0/type", kind)
    write(tmp_path, "sys/class/thermal/cooling_device0/cur_state", state)
    assert after(tmp_path).throttled is expected


def test_a_jetsons_over_current_events_count(tmp_path: Path):
    write(tmp_path, "sys/class/hwmon/hwmon4/oc1_event_cnt", 0)
    throttling = after(tmp_path)
    write(tmp_path, "sys/class/hwmon/hwmon4/oc1_event_cnt", 1)
    throttling.add(read_throttling(root=tmp_path))
    assert throttling.reasons == {"current (hwmon4 oc1)"}


def nvml_saying(reasons: int) -> SimpleNamespace:
    """As pynvml behaves with one GPU; its constants are the real ones."""
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    constants = {name: getattr(pynvml, name) for name in dir(pynvml) if name.startswith("nvmlClocksEventReason")}
    return SimpleNamespace(
        **constants,
        NVMLError=pynvml.NVMLError,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetCurrentClocksEventReasons=lambda _: reasons,
    )


@pytest.mark.parametrize(("reasons", "expected"), [(0x0, set()), (0x1 | 0x2, set()), (0x4, {"GPU 0: power cap"}),
                                                   (0x40, {"GPU 0: heat (hardware)"})])  # fmt: skip
def test_a_gpus_reasons(reasons: int, expected: set[str], tmp_path: Path):
    throttling = Throttling()
    throttling.add(read_throttling(nvml_saying(reasons), tmp_path))
    assert throttling.reasons == expected
    assert throttling.throttled is bool(expected)


def test_without_a_driver_there_is_no_nvml_and_no_error():
    with open_nvml() as nvml:
        assert nvml is None or nvml.nvmlDeviceGetCount() >= 0


def test_tegrastats_lines_of_old_and_new_releases():
    # From NVIDIA's documentation of tegrastats and a Jetson Orin's output.
    orin = parse_tegrastats(
        "11-25-2026 12:00:00 RAM 2448/7620MB (lfb 3x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@1510,0%@1510,off,off] "
        "EMC_FREQ 2%@2133 GR3D_FREQ 42%@[611] CPU@49.5C tboard@41C GPU@48.25C VDD_IN 4950mW/4906mW "
        "VDD_SOC 1443mW/1430mW"
    )
    assert orin["clocks_mhz"] == {"cpu0": 1510.0, "cpu1": 1510.0}
    assert orin["temperatures_c"] == {"CPU": 49.5, "tboard": 41.0, "GPU": 48.25}
    assert orin["power_w"] == {"VDD_IN": 4.95, "VDD_SOC": 1.443}
    assert orin["gpu_utilisation"] == {"GPU": 0.42}
    nano = parse_tegrastats("RAM 2448/3956MB CPU [10%@1479,5%@1479] GR3D_FREQ 0% PLL@41C POM_5V_IN 2933/2933")
    assert nano["power_w"] == {"POM_5V_IN": 2.933}
    assert parse_tegrastats("nothing of the kind") == {
        "clocks_mhz": {}, "temperatures_c": {}, "power_w": {}, "gpu_utilisation": {}
    }  # fmt: skip


def test_the_watch_samples_this_process_until_it_is_left():
    with MachineWatch() as watch:
        while not watch.samples:
            sum(range(10_000))
    assert watch.samples[0].memory_mb > 10
    assert watch.samples[0].process_cores > 0
