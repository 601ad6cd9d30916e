"""Nothing is left to be compiled, or loaded, in the middle of a run."""

from __future__ import annotations

import os
import subprocess
import sys

from pipeline.rehearsal import rehearse
from tests.pipeline.test_cli import PROJECT

DRIVE = """
import gc
from numba.core.dispatcher import Dispatcher
from pipeline.rehearsal import rehearse
from tests.pipeline.test_situation import Situation, SituationSettings, drive_of

def ready():
    kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {(one.__module__, one.__name__, str(kind)) for one in kernels for kind in one.signatures}

scenes = [scene for seed in (2, 5) for _, scene in drive_of(seed, 25)]
rehearse()
before = ready()
for settings in (SituationSettings(), SituationSettings(scenes[0].frame.view)):
    situation = Situation(settings)
    for scene in scenes:
        situation.understand(scene)
print(len(before), sorted(ready() - before))
"""


def test_a_drive_after_it_needs_no_kernel_that_was_not_ready():
    # In a process of its own: other tests have called them.
    told = subprocess.run([sys.executable, "-c", DRIVE], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    count, _, left = told.stdout.strip().partition(" ")
    assert int(count) > 20
    assert left == "[]"


def test_it_can_be_repeated():
    rehearse()
    rehearse()


RUNS = """
import gc, sys
from pipeline.cli import main
from pipeline.jit import InnerKernel, Kernel
from pipeline.rehearsal import PARTS

def kernels():
    return [one for one in gc.get_objects() if isinstance(one, Kernel)]

def ready():
    return {(one.__module__, one.__name__, str(kind)) for one in kernels() for kind in one.signatures}

if __name__ == "__main__":
    folder = sys.argv[1]
    for part in PARTS.values():
        part()
    before = ready()
    drive, video = "synthetic://drive?frames=30&seed=1&size=320x180", f"{folder}/drive.mp4"
    for source, target in ((drive, video), (video, f"{folder}/again.mp4")):
        assert main(["replay", source, target, f"{target}.jsonl", "--quiet"]) == 0
    called = sum(len(one.signatures) for one in kernels() if not isinstance(one, InnerKernel))
    print(len(kernels()), called, sorted(ready() - before))
"""

MOST_KERNELS, MOST_SIGNATURES = 255, 95
"""Kernels, and kinds of arguments that those which Python calls are compiled for; in an empty cache some more than in a
full one, where what only kernels call is not loaded by itself. Each takes some tenths of a second of a first run: look
at `benchmarks/first_run.py` before raising these."""


def test_what_is_compiled_beforehand_is_what_runs_need_and_not_much(tmp_path):
    script = tmp_path / "runs.py"
    script.write_text(RUNS)
    told = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    kernels, signatures, left = told.stdout.strip().split(" ", 2)
    assert left == "[]"
    assert 150 < int(kernels) <= MOST_KERNELS
    assert 50 < int(signatures) <= MOST_SIGNATURES
