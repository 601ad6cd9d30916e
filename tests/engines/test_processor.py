"""How many cores are ours, on machines described by the files that Linux would show of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.processor import available_cores, gains_from_int8, processor_features, processor_name


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Describe a machine: which threads share a core, which of them are ours, and the quota of control groups."""

    def describe(
        siblings: list[str], affinity: set[int], quotas: dict[str, str] | None = None, group: str = "/"
    ) -> Path:
        for cpu, text in enumerate(siblings):
            folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(f"{text}\n")
        for folder, text in (quotas or {}).items():
            (tmp_path / "sys/fs/cgroup" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "sys/fs/cgroup" / folder / "cpu.max").write_text(f"{text}\n")
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(f"0::{group}\n")
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: affinity, raising=False)
        return tmp_path

    return describe


HYPER_THREADED = ["0,4", "1,5", "2,6", "3,7"] * 2


def test_two_threads_of_a_core_count_once(machine):
    assert available_cores(machine(HYPER_THREADED, set(range(8)))) == 4


def test_affinity_is_respected(machine):
    assert available_cores(machine(HYPER_THREADED, {1, 5, 6})) == 2


def test_a_machine_that_tells_nothing(machine):
    assert available_cores(machine([], {0, 1, 2})) == 3


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("garbage", 4), ("1 0", 4)]
)
def test_the_quota_of_a_container(machine, quota, cores):
    assert available_cores(machine(HYPER_THREADED, set(range(8)), {"": quota})) == cores


def test_the_smallest_quota_above_the_process_counts(machine):
    quotas = {"jobs": "300000 100000", "jobs/job": "max 100000", "other": "100000 100000"}
    assert available_cores(machine(HYPER_THREADED, set(range(8)), quotas, group="/jobs/job")) == 3


def test_this_machine_has_cores_and_a_name():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    assert processor_name()


def test_the_name_is_read_from_the_kernel(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Some Processor @ 3 GHz\n")
    assert processor_name(tmp_path) == "Some Processor @ 3 GHz"


@pytest.mark.parametrize(
    ("cpuinfo", "features", "gains"),
    [
        ("processor : 0\nflags\t\t: fpu avx avx2 fma\n", {"fpu", "avx", "avx2", "fma"}, True),
        ("processor : 0\nflags\t\t: fpu sse4_2\n", {"fpu", "sse4_2"}, False),
        ("processor : 0\nFeatures\t: fp asimd asimddp\n", {"fp", "asimd", "asimddp"}, False),  # not measured there
        ("", set(), False),
    ],
)
def test_what_the_processor_can_do(tmp_path, cpuinfo, features, gains):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo)
    assert processor_features(tmp_path) == features
    assert gains_from_int8(tmp_path) == gains
