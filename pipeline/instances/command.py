"""The command `instances`: who is known in a database, under which names, and how to have them forgotten."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

import rich.console
from rich.table import Table
from rich.text import Text

from pipeline.errors import ConfigError
from pipeline.instances.database import Instance, InstanceDatabase

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `instances` understands."""
    parser.add_argument("database", type=Path, metavar="DB", help="what `--instances DB` of replay and live wrote")
    parser.add_argument("action", choices=["list", "rename", "forget"], nargs="?", default="list")
    parser.add_argument("names", metavar="NAME", nargs="*", help="rename: OLD NEW; forget: whom")
    parser.add_argument("--all", action="store_true", help="forget: everybody")


def run(args: argparse.Namespace) -> int:
    """List, rename or forget.

    Raises:
        ClearwayError: The database cannot be opened or written, or a name is wrong; nothing was changed then.
    """
    _refuse_contradictions(args)
    console = rich.console.Console(soft_wrap=True)
    with InstanceDatabase(args.database, create=False) as database:
        if args.action == "rename":
            old, new = args.names
            database.rename(old, new)
        elif args.action == "forget":
            count = database.forget([one.name for one in database.instances()] if args.all else args.names)
            console.print(Text(f"{count} forgotten, {len(database)} left in {args.database}"))
        else:
            console.print(_table(database.instances()))
            console.print(Text(f"{len(database)} known in {args.database}"))
    return 0


def _refuse_contradictions(args: argparse.Namespace) -> None:
    if args.action == "rename" and len(args.names) != 2:
        raise ConfigError('instances rename: give the old name and the new one, for instance "person 3" Ada')
    if args.action == "forget" and bool(args.names) == args.all:
        raise ConfigError('instances forget: give names, for instance "person 3", or --all')
    if args.action != "forget" and args.all:
        raise ConfigError("--all is about instances forget")
    if args.action == "list" and args.names:
        raise ConfigError(f"instances list takes no names; {args.names[0]!r} was given")


def _table(instances: list[Instance]) -> Table:
    table = Table()
    for heading in ("name", "class", "views", "first seen (UTC)", "last seen (UTC)"):
        table.add_column(heading, justify="right" if heading == "views" else "left")
    for one in instances:
        first, last = _moment(one.first_seen_unix_s), _moment(one.last_seen_unix_s)
        table.add_row(Text(one.name), Text(one.class_name), str(one.views), first, last)
    return table


def _moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
