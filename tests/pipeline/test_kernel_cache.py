"""Compiled kernels are kept by what they were made of: the same in every clone, and never stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import kernel_cache
from pipeline.kernel_cache import kernel_folder, prune_kernels
from tests.pipeline.test_cli import PROJECT

TWICE = """
from pipeline.jit import kernel

@kernel(inner=True)
def twice(value):
    return value * FACTOR
"""

CALLER = """
from pipeline.jit import kernel
from pipeline.twice import twice

@kernel()
def one_more(value):
    return twice(value) + 1

print(one_more(5), sum(one_more.stats.cache_hits.values()))
"""


def run(project: Path, cache: Path) -> str:
    """What the caller prints: its result, and whether it came from the cache."""
    environment = os.environ | {"PYTHONPATH": str(project), "CLEARWAY_CACHE": str(cache)}
    environment.pop("NUMBA_CACHE_DIR", None)
    told = subprocess.run(
        [sys.executable, "-m", "pipeline.caller"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


def clone(to: Path, factor: int) -> Path:
    for package in ("pipeline", "engines"):
        shutil.copytree(PROJECT / package, to / package, ignore=shutil.ignore_patterns("__pycache__"))
    (to / "pipeline" / "twice.py").write_text(TWICE.replace("FACTOR", str(factor)))
    (to / "pipeline" / "caller.py").write_text(CALLER)
    return to


def test_a_kernel_serves_every_clone_until_something_that_it_calls_changes(tmp_path):
    cache, project = tmp_path / "cache", clone(tmp_path / "one", factor=2)
    assert run(project, cache) == "11 0"
    assert run(project, cache) == "11 1"
    assert run(clone(tmp_path / "another", factor=2), cache) == "11 1"
    (project / "pipeline" / "twice.py").write_text(TWICE.replace("FACTOR", "3"))
    assert run(project, cache) == "16 0"
    assert {path.stat().st_mode & 0o077 for path in cache.iterdir()} == {0}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_cache.config, "CACHE_DIR", "")
    monkeypatch.setenv("CLEARWAY_CACHE", str(tmp_path / "cache"))
    kernel_folder.cache_clear()
    yield tmp_path / "cache"
    kernel_folder.cache_clear()


def test_the_folder_is_made_private(cache):
    assert kernel_folder() == cache / "kernels"
    assert (cache / "kernels").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_not_used(cache):
    (cache / "kernels").mkdir(parents=True)
    (cache / "kernels").chmod(0o777)
    assert kernel_folder() is None


def test_what_nobody_uses_any_more_is_removed(cache):
    folder = kernel_folder()
    for name in ("used", "forgotten"):
        (folder / name).mkdir()
        (folder / name / "kernel.nbi").touch()
    os.utime(folder / "forgotten", (0.0, 0.0))
    prune_kernels(folder, unused_s=3600.0)
    assert [path.name for path in folder.iterdir()] == ["used"]
