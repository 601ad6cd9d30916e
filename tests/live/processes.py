"""Runs of the command line as processes, watched from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["LiveProcess", "Usage", "usage_of", "wait_until"]

_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds at one moment."""

    rss_mib: float
    threads: int
    descriptors: int


def usage_of(pid: int) -> Usage:
    """From /proc."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Usage(int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), descriptors)


def wait_until(condition: Callable[[], bool], limit_s: float, what: str) -> float:
    """Wait for something to become true; the seconds that it took.

    Raises:
        AssertionError: It did not within `limit_s`.
    """
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < limit_s, f"{what}: not within {limit_s:g} s"
        time.sleep(0.02)
    return time.monotonic() - began_s


class LiveProcess:
    """``launch.py live …`` as a process, which dies with the test.

    Args:
        uris: The cameras.
        options: As flags of the command line; outputs besides the scenes go first.
        folder: For its scenes, figures and messages.
        prefix: A command that runs it elsewhere, such as with a limit.
    """

    def __init__(self, uris: Sequence[str], *options: object, folder: Path, prefix: Sequence[str] = ()) -> None:
        self.scenes_path, self.figures_path = folder / "scenes.jsonl", folder / "figures.json"
        self._messages_path = folder / "messages.txt"
        die_with_parent = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
        # A shell's background job ignores SIGINT, and so would everything that it starts.
        interruptible = ("env", "--default-signal=INT")
        arguments = [*uris, self.scenes_path, *options, "--json", self.figures_path]
        launch = [sys.executable, str(_PROJECT / "launch.py"), "live", *map(str, arguments)]
        command = [*prefix, *interruptible, *die_with_parent, *launch]
        with self._messages_path.open("w") as messages:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                start_new_session=True,
            )

    @property
    def messages(self) -> str:
        return self._messages_path.read_text()

    @property
    def scenes(self) -> list[dict[str, Any]]:
        """The complete lines of the scenes file so far."""
        text = self.scenes_path.read_text() if self.scenes_path.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    @property
    def figures(self) -> dict[str, Any]:
        return dict(json.loads(self.figures_path.read_text()))

    @property
    def usage(self) -> Usage:
        return usage_of(self.process.pid)

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def end(self, limit_s: float = 30.0) -> int:
        """Interrupt it as Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait(limit_s)

    def wait(self, limit_s: float) -> int:
        """Wait for its own end; its exit code."""
        return self.process.wait(limit_s)

    def kill(self) -> None:
        """As a power cut does. May be called more than once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def __enter__(self) -> LiveProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
