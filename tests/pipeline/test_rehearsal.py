"""Nothing is left to be compiled, or loaded, in the middle of a run."""

from __future__ import annotations

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
