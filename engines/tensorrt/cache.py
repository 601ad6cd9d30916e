"""Plans, kept: one file for each engine, in a folder that nobody but the user can write to.

A plan is machine code, and TensorRT checks little of what it is given to load. So none is loaded on trust:

- The folder and all above it must belong to the user (or root) and be closed to the pens of others.
- A file begins with a header that says what it was built for and the plan's SHA-256. Both are checked before TensorRT
  sees a byte of it.
- What does not fit exactly is not used; the engine is built anew, and one line says why.

The file's name says what was asked for (model, precision, shape, GPU, library), so that a newer driver or model takes
the older engine's place and nothing piles up.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.errors import EngineError
from engines.tensorrt.record import EngineKey, EngineRecord, UnusableError, difference, pack, unpack
from engines.user_cache import cache_folder, refuse_open_folder

__all__ = ["CachedEngine", "EngineCache", "engine_folder"]

_SUFFIXES = (".engine", ".timings")
_LEFTOVER = ".partial"


@dataclass(frozen=True, slots=True)
class CachedEngine:
    """A file of the cache, as `engines` lists it.

    Attributes:
        path: Where it is.
        size_bytes: How large.
        used_at: When it was last used, seconds since 1970.
        record: Its header; None where it is damaged.
        problem: What is wrong with it, or "".
    """

    path: Path
    size_bytes: int
    used_at: float
    record: EngineRecord | None
    problem: str


def engine_folder() -> Path:
    """Where engines are kept: see `engines.user_cache.cache_folder`."""
    return cache_folder("engines")


class EngineCache:
    """The folder of engines. Several processes may use it at once: files appear whole or not at all.

    Args:
        folder: By default `engine_folder`. Made with mode 0700 when the first engine is kept.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = engine_folder() if folder is None else folder

    def find(self, key: EngineKey) -> tuple[bytes | None, str]:
        """The plan that was built for exactly this.

        Returns:
            The plan and ""; or None and why what is there cannot be used, "" where nothing is there.

        Raises:
            EngineError: Others can write to the folder.
        """
        plan, problem = self._content(key.file_stem + ".engine", key, "plan")
        if plan is not None:
            self._touch(key.file_stem + ".engine")
        return plan, problem

    def keep(self, key: EngineKey, plan: bytes, build_s: float) -> Path:
        """Write a plan down.

        Raises:
            EngineError: It cannot be written, or others can write to the folder.
        """
        return self._write(key.file_stem + ".engine", key, "plan", plan, build_s)

    def timings(self, key: EngineKey) -> bytes:
        """What TensorRT measured in earlier builds on this GPU, or nothing."""
        content, _ = self._content(key.timings_stem + ".timings", key, "timings")
        return content or b""

    def keep_timings(self, key: EngineKey, timings: bytes) -> None:
        """Write down what TensorRT measured.

        Raises:
            EngineError: It cannot be written, or others can write to the folder.
        """
        if timings:
            self._write(key.timings_stem + ".timings", key, "timings", timings, 0.0)

    def forget(self, key: EngineKey) -> None:
        """Remove the plan of that key, which turned out not to load."""
        (self.folder / f"{key.file_stem}.engine").unlink(missing_ok=True)

    def entries(self) -> list[CachedEngine]:
        """Every engine that is kept, and every damaged or unfinished file, the last used first.

        Raises:
            EngineError: Others can write to the folder.
        """
        return sorted(self._entries(), key=lambda entry: -entry.used_at)

    def _entries(self) -> Iterator[CachedEngine]:
        if not self.folder.is_dir():
            return
        refuse_open_folder(self.folder)
        for path in self.folder.iterdir():
            if path.suffix not in {*_SUFFIXES, _LEFTOVER} or path.is_dir():
                continue
            try:
                status = path.lstat()
                record, problem = (None, "unfinished") if path.suffix == _LEFTOVER else (unpack(_read(path))[0], "")
            except FileNotFoundError:  # another process was quicker
                continue
            except UnusableError as error:
                record, problem = None, str(error)
            yield CachedEngine(path, status.st_size, status.st_mtime, record, problem)

    def _content(self, name: str, key: EngineKey, kind: str) -> tuple[bytes | None, str]:
        path = self.folder / name
        refuse_open_folder(self.folder)
        if not os.path.lexists(path):
            return None, ""
        try:
            record, content = unpack(_read(path))
        except FileNotFoundError:
            return None, ""
        except UnusableError as error:
            return None, str(error)
        if record.kind != kind:
            return None, f"it holds {record.kind}"
        if kind == "timings":
            same = (record.key.gpu, record.key.library) == (key.gpu, key.library)
            return (content, "") if same else (None, "it is of another GPU or TensorRT")
        problem = difference(record.key, key)
        return (None, problem) if problem else (content, "")

    def _touch(self, name: str) -> None:
        try:
            os.utime(self.folder / name)
        except OSError:  # a read-only folder still serves
            return

    def _write(
        self, name: str, key: EngineKey, kind: Literal["plan", "timings"], content: bytes, build_s: float
    ) -> Path:
        target = self.folder / name
        partial: Path | None = None
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_open_folder(self.folder)
            descriptor, text = tempfile.mkstemp(suffix=_LEFTOVER, dir=self.folder)  # mode 0600
            partial = Path(text)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pack(key, kind, content, build_s))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except OSError as error:
            if partial is not None:
                partial.unlink(missing_ok=True)
            raise EngineError(f"engine cache {self.folder}: cannot be written ({error.strerror})") from error
        return target


def _read(path: Path) -> bytes:
    """The whole file, if it is a plain one of the user's own.

    The checks are made on what was opened, so that nothing can be put in its place between the two.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableError(f"it cannot be read ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnusableError("it is no plain file")
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise UnusableError("others can write to it, or own it")
        return file.read()
