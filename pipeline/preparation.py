"""Before the first run on a machine: kernels are compiled in several processes at once, each part of them in its own.

Numba compiles one kernel at a time in a process, whatever the number of threads. What is compiled is kept
(`pipeline.kernel_cache`), so that this happens once for each version of the sources; a note is left when it is done,
and the next run begins at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding as llvm

from pipeline.kernel_cache import kernel_folder, prune_kernels, source_stamp
from pipeline.rehearsal import PARTS

__all__ = ["Preparation", "prepare"]

_UNUSED_S = 30 * 24 * 3600.0
"""Kernels that nobody used for so long are removed when others are compiled."""

_TURN_S = 0.2

_MADE_OF = ("preparation.py", "perception.py", "situation.py", "overlay/__init__.py", "synthetic/__init__.py")
"""What the parts are compiled from, with all that these import."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How far compiling has come.

    Attributes:
        done: Parts that are compiled. At the end all of them, but for those that failed.
        parts: All of them.
        elapsed_s: Since it began.
    """

    done: int
    parts: int
    elapsed_s: float


def prepare(parts: Sequence[str], on_progress: Callable[[Preparation], None] = lambda _: None) -> None:
    """Compile those of the parts that were not compiled on this machine before; some milliseconds where all were.

    What fails here is left to the run, which compiles what it misses, and fails where there is a reason to.

    Args:
        parts: Names out of `pipeline.rehearsal.PARTS`.
        on_progress: Called several times a second while there is something to do.
    """
    folder = kernel_folder()
    if folder is None:  # Nothing is kept, or not by us: a process of its own could give nothing to this one.
        return
    waiting = [part for part in PARTS if part in parts and not _note(folder, part).exists()]
    if not waiting:
        return
    prune_kernels(folder, _UNUSED_S)
    began_s, total, done = time.monotonic(), len(waiting), 0
    with _ended_with_us() as running:
        while waiting or running:
            while waiting and len(running) < _processors():
                part = waiting.pop(0)
                running[part] = _start(part, folder)
            on_progress(Preparation(done, total, time.monotonic() - began_s))
            time.sleep(_TURN_S)
            for part, process in list(running.items()):
                if process.poll() is not None:
                    del running[part]
                    if process.returncode == 0:
                        done += 1
                        with contextlib.suppress(OSError):  # A full disk: it is tried again next time.
                            _note(folder, part).touch(mode=0o600)
    on_progress(Preparation(done, total, time.monotonic() - began_s))


@contextlib.contextmanager
def _ended_with_us() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The processes that run, by part; they are not left behind where the user interrupts."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def _start(part: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipeline.preparation", part]
    # It starts elsewhere, where a relative folder would be another one.
    project, environment = Path(__file__).parents[1], os.environ | {"NUMBA_CACHE_DIR": str(folder.resolve())}
    # In a session of its own Ctrl-C does not reach it: who started it ends it.
    return subprocess.Popen(command, cwd=project, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _note(folder: Path, part: str) -> Path:
    """The file that says that a part is compiled: for these sources, this compiler, this processor, this Python."""
    features = llvm.get_host_cpu_features().flatten()
    sources = [source_stamp(Path(__file__).parent / name) for name in _MADE_OF]
    made_of = (sources, platform.python_version(), llvm.get_host_cpu_name(), features, part)
    return folder / f"{part.replace(' ', '-')}-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:20]}.ready"


if __name__ == "__main__":
    PARTS[sys.argv[1]]()
