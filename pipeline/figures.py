"""Figures of a run as a JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, SinkError

__all__ = ["refuse_unwritable", "write_figures", "write_whole"]


def refuse_unwritable(file: Path, kept: Iterable[str | Path] = ()) -> None:
    """See that a file can be written, before a run that would be in vain. Leaves nothing behind.

    Args:
        file: What is to be written.
        kept: What it must not replace: the recording, other outputs. Addresses and names without a file count too.

    Raises:
        ConfigError: It would replace one of those.
        SinkError: It cannot be written.
    """
    for other in kept:
        if _is_same(file, Path(other)):
            raise ConfigError(f"{file}: would replace the input or another output; name another file")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise SinkError(f"{file}: cannot be written (Is a directory)")
        if file.exists():
            file.open("ab").close()
        if _is_replaceable(file):
            partial = _partial(file)
            partial.touch()
            partial.unlink()
    except OSError as error:
        raise SinkError(f"{file}: cannot be written ({error.strerror})") from error


def write_figures(file: Path, figures: Mapping[str, Any]) -> None:
    """Write figures, indented for people; see `write_whole`."""
    write_whole(file, (json.dumps(figures, indent=2) + "\n").encode())


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole: where that fails, an older one of its name stays as it was.

    Raises:
        SinkError: The disk is full or failed.
    """
    try:
        if not _is_replaceable(file):
            file.write_bytes(content)
            return
        partial = _partial(file)
        try:
            partial.write_bytes(content)
            partial.replace(file.resolve())
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"{file}: cannot be written ({error.strerror})") from error


def _is_replaceable(file: Path) -> bool:
    """Not a pipe or a device, such as /dev/stdout: these are written to."""
    return file.is_file() or not file.exists()


def _partial(file: Path) -> Path:
    """Beside the file itself where it is named by a link, which stays one."""
    target = file.resolve()
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def _is_same(file: Path, other: Path) -> bool:
    try:
        return file.resolve() == other.resolve() or file.samefile(other)
    except (OSError, ValueError, RuntimeError):
        return False  # One of them does not exist, or is no path.
