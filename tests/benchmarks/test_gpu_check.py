"""`scripts/gpu_check` without a GPU: one line; and its steps, each a process whose end becomes a result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.nvidia import check
from benchmarks.nvidia.check import Check
from benchmarks.nvidia.figures import Results
from engines.cuda.presence import why_no_gpu

SCRIPT = check.PROJECT / "scripts" / "gpu_check"


@pytest.mark.skipif(why_no_gpu() is None, reason="this machine has a GPU")
def test_without_a_gpu_one_line_and_exit_code_2(tmp_path: Path):
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(
        [str(SCRIPT), "--out", str(tmp_path / "results")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("gpu_check: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert "nothing was measured" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_python_without_what_clearway_needs_is_said_in_one_line(tmp_path: Path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')  # no site-packages
    bare.chmod(0o755)
    done = subprocess.run(
        [str(SCRIPT)], env=os.environ | {"PYTHON": str(bare)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No module named" in done.stderr
    assert "gpu_pack" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_tests_are_counted(tmp_path: Path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "def test_left_out(): pytest.skip('not here')\n"
        "def test_broken(missing): pass\n"
    )
    steps = Check(tmp_path, quick=True)
    counts = steps.run_tests(["-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)])
    assert counts == {"passed": 1, "failed": 1, "errors": 1, "skipped": 1}
    assert not steps.failures


def test_a_step_that_crashes_is_a_line_and_no_end(tmp_path: Path):
    steps = Check(tmp_path, quick=True)
    assert steps._figures("a step", ["-c", "import os; os.abort()"], list[int]) is None
    assert steps._figures("another", ["-c", "import sys; open(sys.argv[2], 'w').write('[3]')"], list[int]) == [3]
    assert steps.failures == ["a step: ended with exit code -6"]


@pytest.mark.slow
@pytest.mark.skipif(why_no_gpu() is None, reason="this machine has a GPU")
def test_a_gpu_on_which_nothing_runs_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every step is real; all of them find no GPU."""
    found = msgspec.structs.replace(check.take_inventory(), problem="", gpu={"name": "Pretended GPU"})
    monkeypatch.setattr(check, "take_inventory", lambda: found)
    assert check.main(["--quick", "--out", str(tmp_path)]) == 1
    (written,) = tmp_path.glob("*.json")
    results = msgspec.json.decode(written.read_bytes(), type=Results)
    assert not results.passed
    assert "no test marked gpu has run and passed" in results.failures
    assert results.tests["skipped"] > 10
    assert {row.verdict for row in results.parity} == {"did not run"}
    assert "FAILED: no test marked gpu" in written.with_suffix(".md").read_text() or any(tmp_path.glob("*.md"))
