"""The command `engines`: what is kept of engines that were built, and how to be rid of it."""

from __future__ import annotations

import argparse
import time

from rich.table import Table
from rich.text import Text

from engines.tensorrt.cache import CachedEngine, EngineCache
from pipeline.console import Console
from pipeline.errors import SinkError

__all__ = ["add_arguments", "run"]

_DAY_S = 24 * 3600.0
_UNFINISHED_S = 3600.0
"""A file that was not finished for so long is nobody's any more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `engines` understands."""
    parser.add_argument("--prune", action="store_true", help="remove what is damaged, or was not used for 30 days")
    parser.add_argument(
        "--unused-days", type=_days, default=None, metavar="D", help="with --prune: days instead of 30; 0 removes all"
    )


def run(args: argparse.Namespace) -> int:
    """List engines, or remove some.

    Raises:
        ClearwayError: Others can write to the folder, or a file cannot be removed.
    """
    console = Console()
    cache = EngineCache()
    entries = cache.entries()
    if args.prune or args.unused_days is not None:
        unused_s = _DAY_S * (30.0 if args.unused_days is None else args.unused_days)
        gone = [entry for entry in entries if _is_rubbish(entry, unused_s)]
        for entry in gone:
            _remove(entry)
        freed = sum(entry.size_bytes for entry in gone)
        console.out.print(Text(f"removed {len(gone)} of {len(entries)} files, {_mb(freed)}, from {cache.folder}"))
        return 0
    if not entries:
        console.out.print(Text(f"no engines in {cache.folder}; replay and build make them on a machine with a GPU"))
        return 0
    console.out.print(_table(entries))
    console.out.print(
        Text(f"{len(entries)} files, {_mb(sum(entry.size_bytes for entry in entries))}, in {cache.folder}")
    )
    return 0


def _table(entries: list[CachedEngine]) -> Table:
    table = Table()
    for column in ("model", "precision", "shape", "GPU", "library", "driver", "size", "built in", "last used"):
        table.add_column(column)
    for entry in entries:
        used = f"{(time.time() - entry.used_at) / _DAY_S:.1f} days ago"
        record = entry.record
        if record is None:
            table.add_row(entry.path.name, entry.problem, "", "", "", "", _mb(entry.size_bytes), "", used)
            continue
        key = record.key
        built = f"{record.build_s:.1f} s" if record.kind == "plan" else ""
        what = (
            (key.model, key.precision, "x".join(map(str, key.shape))) if record.kind == "plan" else ("timings", "", "")
        )
        table.add_row(*what, key.gpu, key.library, key.driver, _mb(entry.size_bytes), built, used)
    return table


def _is_rubbish(entry: CachedEngine, unused_s: float) -> bool:
    age_s = time.time() - entry.used_at
    if entry.problem == "unfinished":  # perhaps another process is writing it at this moment
        return age_s > min(unused_s, _UNFINISHED_S)
    return bool(entry.problem) or age_s >= unused_s


def _remove(entry: CachedEngine) -> None:
    try:
        entry.path.unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"{entry.path}: cannot be removed ({error.strerror})") from error


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days")
    return days
