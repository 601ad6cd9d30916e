"""Writes what was measured: whole files or none."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import ConfigError, SinkError
from pipeline.sinks.output_file import explain, prepare_folder

__all__ = ["check_outputs", "to_json", "to_toml", "today", "write_whole"]


def check_outputs(paths: Iterable[Path | None]) -> None:
    """Refuse outputs that cannot be written, before the work is done rather than after.

    Raises:
        ConfigError: Two outputs are the same file.
        SinkError: One is a folder, or its folder cannot be created or written.
    """
    named = [path for path in paths if path is not None]
    if len({path.resolve() for path in named}) < len(named):
        raise ConfigError("two outputs are the same file; name different ones")
    for path in named:
        prepare_folder(path.parent, str(path))
        _refuse_irregular(path)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise SinkError(f"cannot write {path}: permission denied; write elsewhere or change the permissions")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers find the old one or the new one, never half of it.

    Raises:
        SinkError: It cannot be written; an older file of that name is left as it was.
    """
    _refuse_irregular(path)
    target = path.resolve()  # A link stays a link.
    unfinished: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        unfinished = Path(name)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o644)
        unfinished.replace(target)
    except OSError as error:
        if unfinished is not None:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
        raise explain(f"cannot write {path}", error) from error


def _refuse_irregular(path: Path) -> None:
    """Devices and pipes must not be replaced by a file.

    Raises:
        SinkError: Something lies there that is not a regular file.
    """
    if path.exists() and not path.is_file():
        reason = "that is a folder; name a file in it" if path.is_dir() else "that is not a regular file"
        raise SinkError(f"cannot write {path}: {reason}")


def to_json(figures: Mapping[str, Any]) -> bytes:
    """A readable JSON document."""
    return (json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def to_toml(content: msgspec.Struct, heading: str) -> bytes:
    """A structure as TOML, its heading as a comment; what is None is left out, as TOML has no such value."""
    table = msgspec.to_builtins(content, builtin_types=(datetime.date,))
    lines = [f"# {heading}"]
    lines += [f"{key} = {_value(value)}" for key, value in table.items() if not _is_table(value) and value is not None]
    for key, value in table.items():
        if _is_table(value) and value:
            lines += ["", f"[{key}]", *(f"{name} = {_value(entry)}" for name, entry in value.items())]
    return ("\n".join(lines) + "\n").encode()


def today() -> datetime.date:
    """The date in Greenwich."""
    return datetime.datetime.now(tz=datetime.timezone.utc).date()


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _value(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)  # JSON writes these as TOML does.
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(round(value, 9))
    if isinstance(value, (list, tuple)):
        entries = [_value(entry) for entry in value]
        if value and isinstance(value[0], (list, tuple)):
            return "[\n" + "".join(f"  {entry},\n" for entry in entries) + "]"
        return f"[{', '.join(entries)}]"
    return str(value)
