"""What a run shows on the terminal: a heading, a live line, a table. Everything goes to stderr; stdout stays free."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import rich.console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from engines.artifact import ModelArtifact
from pipeline.preparation import Preparation, prepare
from pipeline.runner import Progress as RunProgress
from pipeline.runner import RunReport
from pipeline.sinks.base import Sink
from pipeline.sources.base import SourceInfo

__all__ = ["Console", "compile_kernels", "progress_line", "timings_table"]

_PATIENCE_S = 3.0
"""After so long without a scene, say what takes the time."""


class Console:
    """The terminal, or nothing when quiet.

    Args:
        quiet: Show nothing at all; errors still reach stderr.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.out = rich.console.Console(stderr=True, quiet=quiet, highlight=False)

    def note(self, text: str) -> None:
        """Say something in passing. Safe from any thread."""
        self.out.print(Text(f"  {text}", style="dim"))

    def heading(self, source: SourceInfo, artifact: ModelArtifact, sinks: Sequence[Sink]) -> None:
        """What goes in, what sees it, where it goes."""
        targets = ", ".join(sink.name for sink in sinks) or "no output: figures only"
        self.out.print(Text.assemble((source.uri, "bold"), " → ", (artifact.name, "bold"), " → ", (targets, "bold")))
        self.note(source.description)
        for note in artifact.notes:
            self.note(note)


def compile_kernels(console: Console, parts: Sequence[str]) -> None:
    """Compile what a run needs and this machine has not compiled yet, and show how far that has come.

    Args:
        console: Where to say so. Nothing is said where there is nothing to do.
        parts: Names out of `pipeline.rehearsal.PARTS`.
    """
    columns = (TextColumn("  compiling"), BarColumn(), MofNCompleteColumn(), TextColumn("parts"), TimeElapsedColumn())
    bar = Progress(*columns, console=console.out, transient=True)
    task = bar.add_task("compiling")
    last: Preparation | None = None

    def show(now: Preparation) -> None:
        nonlocal last
        if last is None:
            console.note(f"kernels are compiled for this machine, once, in {now.parts} parts; later runs find them")
            bar.start()
        last = now
        bar.update(task, total=now.parts, completed=now.done)

    try:
        prepare(parts, show)
    finally:
        if last is not None:
            bar.stop()
    if last is not None:
        failed = last.parts - last.done
        left = f"; {failed} of {last.parts} parts failed, and are left to the run" if failed else ""
        console.note(f"compiled in {last.elapsed_s:.0f} s{left}")


@contextmanager
def progress_line(console: Console, expected: int | None) -> Iterator[Callable[[RunProgress], None]]:
    """A progress bar with frames, frames a second and latency; gives the function that moves it."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[bold]{task.fields[fps]:6.1f}[/] FPS"),
        TextColumn("[bold]{task.fields[latency_ms]:5.1f}[/] ms a frame"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console.out, transient=False) as bar:
        task: TaskID = bar.add_task("replay", total=expected, fps=0.0, latency_ms=0.0)
        patience_until_s = time.monotonic() + _PATIENCE_S

        def move(progress: RunProgress) -> None:
            nonlocal patience_until_s
            if progress.scenes:
                bar.update(task, completed=progress.scenes, fps=progress.fps, latency_ms=progress.latency_ms)
            elif time.monotonic() > patience_until_s:
                patience_until_s = math.inf
                console.note("getting ready: opening the engine, loading or compiling kernels")

        yield move


def timings_table(console: Console, report: RunReport) -> None:
    """The figures of a run: milliseconds by stage, frames a second."""
    table = Table(title=None, caption="milliseconds a frame; stages run side by side", caption_justify="left")
    table.add_column("stage")
    for quantile in ("p50", "p95", "p99", "max"):
        table.add_column(quantile, justify="right")
    for stage, figures in report.timings_ms.items():
        table.add_row(stage, *(f"{figures[name]:.2f}" for name in ("p50", "p95", "p99", "max")))
    console.out.print(table)
    dropped = report.frames - report.scenes
    console.out.print(
        Text.assemble(
            (f"{report.scenes} scenes", "bold"),
            f" from {report.frames} frames, {dropped} dropped, in {report.elapsed_s:.2f} s: ",
            (f"{report.fps:.1f} FPS", "bold green"),
            f" with {report.engine}",
        )
    )
