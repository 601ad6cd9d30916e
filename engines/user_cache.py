"""The user's cache folder for Clearway: what is made for this machine once, and loaded on trust from then on."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engines.errors import EngineError

__all__ = ["cache_folder", "refuse_open_folder"]


def cache_folder(kind: str) -> Path:
    """Where things of a kind are kept: in ``$CLEARWAY_CACHE``, else in Clearway's part of the user's cache folder."""
    own = os.environ.get("CLEARWAY_CACHE")
    if own:
        return Path(own).expanduser() / kind
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "clearway" / kind


def refuse_open_folder(folder: Path) -> None:
    """Make sure that nobody but the user (and root) can change what is in a folder, or put another in its place.

    Raises:
        EngineError: Somebody else can; says who is let in, and what to do.
    """
    real = folder.resolve()
    hint = "set CLEARWAY_CACHE to a folder of your own"
    for place in (real, *real.parents):
        try:
            status = place.stat()
        except FileNotFoundError:  # it will be made; what is above it counts already
            continue
        except OSError as error:
            raise EngineError(f"cache {folder}: {place} cannot be entered ({error.strerror})") from error
        if status.st_uid not in {os.geteuid(), 0} or (place == real and status.st_uid != os.geteuid()):
            raise EngineError(f"cache {folder}: {place} belongs to another user; {hint}")
        # Others may make files of their own in a sticky folder such as /tmp, and not replace ours.
        closed = 0o022 if place == real else 0o002
        if status.st_mode & closed and not (place != real and status.st_mode & stat.S_ISVTX):
            mode = stat.S_IMODE(status.st_mode)
            raise EngineError(
                f"cache {folder}: others can write to {place} (mode {mode:04o}); chmod go-w {place}, or {hint}"
            )
