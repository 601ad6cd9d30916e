"""What becomes of durations: medians, ratios, verdicts, JSON, and the table that people read."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nvidia.figures import Durations, ParityRow, Results, Speed, file_stem, summarise, table
from benchmarks.nvidia.inventory import Inventory, take_inventory


def inventory(**changes: object) -> Inventory:
    values: dict[str, object] = {
        "problem": "",
        "gpu": {"name": "NVIDIA H200", "compute_cap": "9.0", "memory.total": "143771 MiB"},
        "driver": "580.65.06",
        "cuda": {"driver": "13.0"},
        "packages": {"TensorRT": "8.6.0", "torch": "2.11.0+cu130"},
        "host": {"processor": "AMD EPYC", "cores": "16 cores", "system": "Linux", "python": "Python 3.12.3"},
    }
    return Inventory(**(values | changes))  # type: ignore[arg-type]


def speed(**changes: object) -> Speed:
    values: dict[str, object] = {
        "model": "clearway-lite 640x360, fp16",
        "bare_engine": Durations(1.0, 1.2, 500),
        "bare_engine_fps": 1000.0,
        "letterbox": Durations(0.03, 0.04, 500),
        "class_map": Durations(0.05, 0.06, 500),
        "letterbox_floor_ms": 0.02,
        "class_map_floor_ms": 0.03,
        "memory_gb_s": 4000.0,
        "latency": Durations(1.5, 1.9, 500),
        "without_decode_fps": 920.0,
    }
    return Speed(**(values | changes))  # type: ignore[arg-type]


def row(agreement: float, target: float = 0.995, ran: bool = True) -> ParityRow:
    return ParityRow(engine="tensorrt fp16", description="it", ran=ran, target=target, agreement=agreement, pictures=12)


def results(**changes: object) -> Results:
    values: dict[str, object] = {
        "measured_at": "2026-11-25",
        "commit": "abc1234",
        "inventory": inventory(),
        "tests": {"passed": 20, "skipped": 1},
        "parity": (row(0.998),),
        "speed": (speed(),),
    }
    return Results(**(values | changes))  # type: ignore[arg-type]


def test_one_slow_picture_in_a_hundred_is_not_the_99th_percentile():
    figures = summarise([1.0] * 99 + [50.0])
    assert figures == Durations(1.0, 1.0, 100)
    assert summarise([1.0] * 98 + [50.0] * 2).p99_ms == 50.0


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=300))
def test_figures_are_those_of_the_definition(durations_ms: list[float]):
    figures = summarise(durations_ms)
    assert figures.median_ms == pytest.approx(np.median(durations_ms))
    assert figures.p99_ms in durations_ms
    assert np.mean(np.array(durations_ms) <= figures.p99_ms) >= 0.99
    assert figures.median_ms <= figures.p99_ms or len(durations_ms) < 3


def test_of_nothing_there_are_no_figures():
    with pytest.raises(ValueError, match="no durations"):
        summarise([])


def test_ratios():
    assert speed().overlap_efficiency == pytest.approx(0.92)
    assert speed().around_share == pytest.approx(0.08)
    assert speed().over_byte_floor == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"tests": {"passed": 19, "failed": 1}}, False),
        ({"tests": {"errors": 1}}, False),
        ({"parity": (row(0.9949),)}, False),
        ({"parity": (row(0.0, ran=False),)}, True),
        ({"failures": ("the benchmark ended with exit code 139",)}, False),
    ],
)
def test_what_counts_as_passed(changes: dict[str, object], passed: bool):
    assert results(**changes).passed is passed


@pytest.mark.parametrize(
    ("laps_over_total", "total_ms", "agree"),
    [(0.93, 1.4, True), (1.0, 1.6, True), (1.02, 1.4, False), (0.9, 1.7, False)],
)
def test_a_clock_that_contradicts_itself_fails(laps_over_total: float, total_ms: float, agree: bool):
    """Parts longer than the whole, or a whole longer than its caller waited for it."""
    timed = speed(
        device_laps={"inference": Durations(1.0, 1.1, 500)},
        device_total=Durations(total_ms, 1.9, 500),
        laps_over_total=laps_over_total,
        timed_latency=Durations(1.6, 1.9, 500),
    )
    assert timed.laps_agree is agree
    assert results(speed=(timed,)).passed is agree
    text = table(results(speed=(timed,)))
    assert "| GPU: inference | 1.000 | 1.100 | 1000 |" in text
    assert ("≤ 1.01: FAILED" in text) is not agree


def test_results_survive_being_written_and_read():
    written = msgspec.json.encode(results())
    assert msgspec.json.decode(written, type=Results) == results()


def test_the_table_says_what_was_measured_and_what_did_not_run():
    missing = ParityRow(engine="tensorrt int8", description="no calibrated graph", ran=False, target=0.985)
    text = table(
        results(parity=(row(0.998), missing), failures=("something broke",), speed=(speed(notes=("no torch",)),))
    )
    assert text.startswith("# NVIDIA H200, trt8.6.0\n")
    for expected in (
        "20 passed, 1 skipped",
        "| tensorrt fp16 | 0.00e+00 | 0.00e+00 | 99.800% | ≥ 99.5% | passed |",
        "did not run: no calibrated graph",
        "- FAILED: something broke",
        "| bare engine (CUDA events) | 1.000 | 1.200 | 1000 |",
        "| overlap efficiency | 0.92 | ≥ 0.90 |",
        "no torch",
    ):
        assert expected in text
    columns = {line.count("|") for line in text.splitlines() if line.startswith("| tensorrt")}
    assert columns == {7}


def test_files_are_named_after_gpu_and_tensorrt():
    assert file_stem(inventory()) == "nvidia-h200-trt8.6.0"
    assert file_stem(inventory(gpu={}, packages={})) == "unknown-gpu-no-trt"


def test_this_machine_has_an_inventory():
    found = take_inventory()
    assert found.packages["onnx"]
    assert "pytest" in found.packages
    assert any("Python" in line for line in found.lines())


def test_a_jetson_is_recognised_by_its_device_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for path, text in (
        ("proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0"),
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    tool = tmp_path / "bin" / "nvpmodel"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'NV Power Mode: MAXN'\necho 0\n")
    tool.chmod(0o755)
    found = take_inventory(tmp_path)
    assert found.gpu == {"name": "NVIDIA Jetson AGX Orin Developer Kit", "power mode": "MAXN"}
    assert found.driver == "L4T 36.4.3"
    assert "no NVIDIA GPU" in found.problem
