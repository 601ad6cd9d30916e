"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer, over sizes, pitches and layouts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.kernels.host import HERE, SANITIZERS, compile_kernels


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the kernels with")
    try:
        return compile_kernels(tmp_path_factory.mktemp("sanitized"), *SANITIZERS)
    except subprocess.CalledProcessError:
        pytest.skip("this g++ has no sanitizers")


def run(library: Path, what: str) -> subprocess.CompletedProcess[str]:
    runtimes = [
        subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    # Python itself does not free everything; its small-object allocator would hide overruns.
    environment = os.environ | {
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.engines.kernels.sanitized", str(library), what]
    return subprocess.run(command, cwd=HERE.parents[2], env=environment, capture_output=True, text=True, check=False)


def test_nothing_beyond_the_buffers_is_touched_and_nothing_is_undefined(sanitized: Path):
    done = run(sanitized, "within")
    assert done.returncode == 0, done.stderr
    assert "450 cases" in done.stdout


def test_one_byte_too_few_would_be_caught(sanitized: Path):
    done = run(sanitized, "beyond")
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
