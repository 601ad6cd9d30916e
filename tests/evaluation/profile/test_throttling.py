"""What machines say of being slowed down, from files as kernels write them; NVIDIA's library where it is installed."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluation.profile.tegrastats import Tegrastats, parse_tegrastats
from evaluation.profile.throttling import Throttling, open_nvml, read_throttling
from evaluation.profile.watch import MachineWatch


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
    ("cpu-throttle-alert", 1, True),
    ("cv0-throttle-alert", 0, False),
    ("hot-surface-alert", 1, None),
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


NANO = (
    "RAM 2145/3964MB (lfb 118x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [25%@1479,35%@1479,15%@1479,"
    "25%@1479] EMC_FREQ 10%@1600 GR3D_FREQ 12%@921 APE 25 PLL@41C CPU@46.5C PMIC@100C GPU@43C AO@45C thermal@46.2C "
    "POM_5V_IN 4250/4250 POM_5V_GPU 480/480 POM_5V_CPU 1520/1520"
)
TX2 = (
    "RAM 2020/7852MB (lfb 1164x4MB) CPU [9%@345,21%@345,25%@345,3%@345,1%@345,1%@345] EMC_FREQ 0% "
    "GR3D_FREQ 0% PLL@42.5C MCPU@42.5C PMIC@100C Tboard@40C GPU@41C BCPU@42.5C thermal@41.9C "
    "Tdiode@41.25C VDD_SYS_GPU 153/158 VDD_SYS_SOC "
    "536/547 VDD_4V0_WIFI 633/527 VDD_IN 3140/3208 VDD_SYS_CPU 536/590 VDD_SYS_DDR 557/601"
)
XAVIER_AGX = (
    "RAM 10881/31919MB (lfb 4230x4MB) SWAP 0/15959MB (cached 0MB) CPU [17%@1190,17%@1190,off,off] EMC_FREQ 55%@2133 "
    "GR3D_FREQ 95%@1377 APE 150 MTS fg 0% bg 10% AO@48C GPU@54.5C PMIC@100C AUX@46C CPU@49C GPU 18401/18525 CPU "
    "2301/2330 SOC 4602/4602 CV 0/0 VDDRQ 2914/2911 SYS5V 4632/4620"
)
ORIN_NANO = (
    "05-15-2025 18:30:28 RAM 6982/7620MB (lfb 5x1MB) SWAP 2640/16384MB (cached 202MB) CPU [97%@1984,95%@1984,93%@247] "
    "EMC_FREQ 18%@3199 GR3D_FREQ 84%@[713] NVENC 1%@115 NVDEC 40%@115 NVJPG off VIC 31%@115 OFA off APE 174 "
    "cv0@-256C cpu@65.562C gpu@63.5C tj@65.562C VDD_IN 17946mW/15710mW VDD_CPU_GPU_CV 8896mW/7585mW VDD_SOC "
    "3923mW/3515mW"
)


@pytest.mark.parametrize(("line", "load", "gpu_mhz", "temperature", "power_w", "rails"), [
    (NANO, 0.12, 921, ("GPU", 43.0), ("POM_5V_IN", 4.25), 3),
    (TX2, 0.0, None, ("GPU", 41.0), ("VDD_IN", 3.14), 6),
    (XAVIER_AGX, 0.95, 1377, ("GPU", 54.5), ("GPU", 18.401), 6),
    (ORIN_NANO, 0.84, 713, ("tj", 65.562), ("VDD_IN", 17.946), 3),
])  # fmt: skip
def test_tegrastats_lines_of_real_boards(
    line: str,
    load: float,
    gpu_mhz: float | None,
    temperature: tuple[str, float],
    power_w: tuple[str, float],
    rails: int,
):
    said = parse_tegrastats(line)
    assert said["gpu_utilisation"] == {"GPU": load}
    assert said["clocks_mhz"].get("GPU") == gpu_mhz
    assert said["temperatures_c"][temperature[0]] == temperature[1]
    assert said["power_w"][power_w[0]] == power_w[1]
    assert len(said["power_w"]) == rails
    assert not {"PMIC", "cv0"} & set(said["temperatures_c"])  # no sensor; no power


def test_processors_that_are_off_have_no_clock():
    assert parse_tegrastats(XAVIER_AGX)["clocks_mhz"] == {"cpu0": 1190.0, "cpu1": 1190.0, "GPU": 1377.0}


def test_two_clusters_of_a_gpu_are_told_by_the_faster():
    assert parse_tegrastats("GR3D_FREQ 75%@[611,0] NVENC off")["clocks_mhz"] == {"GPU": 611.0}


def test_what_is_no_line_of_it_says_nothing():
    assert parse_tegrastats("nothing of the kind") == {
        "clocks_mhz": {}, "temperatures_c": {}, "power_w": {}, "gpu_utilisation": {}
    }  # fmt: skip


def test_the_program_is_read_while_it_runs_and_ended(tmp_path: Path):
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\nwhile true; do echo '{ORIN_NANO}'; sleep 0.02; done\n")
    program.chmod(0o700)
    stats = Tegrastats(str(program))
    until_s = time.monotonic() + 20
    while not stats.newest() and time.monotonic() < until_s:
        time.sleep(0.01)
    assert stats.newest()["gpu_utilisation"] == {"GPU": 0.84}
    stats.close()
    stats.close()


def test_the_watch_samples_this_process_until_it_is_left():
    with MachineWatch() as watch:
        while not watch.samples:
            sum(range(10_000))
    assert watch.samples[0].memory_mb > 10
    assert watch.samples[0].process_cores > 0
