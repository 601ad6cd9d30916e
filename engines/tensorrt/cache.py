"""Plans, kept: one file for each engine, in a folder that nobody but the user can write to.

A plan is machine code, and TensorRT checks little of what it is given to load. So none is loaded on trust:

- The folder and all above it must belong to the user (or root) and be closed to the pens of others.
- A file begins with a header that says what it was built for and the plan's SHA-256. Both are checked before TensorRT
  sees a byte of it.
- What does not fit exactly is not used; the engine is built anew, and one line says why.

    "clearway-engine/1", newline | length of the header, 4 bytes, little-endian | header, JSON | plan

The file's name says what was asked for (model, precision, shape, GPU, library), so that a newer driver or model takes
the older engine's place and nothing piles up.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engines.errors import EngineError

__all__ = ["CachedEngine", "EngineCache", "EngineKey", "EngineRecord", "engine_folder"]

_MAGIC = b"clearway-engine/1\n"
_HEADER_LIMIT = 64 * 1024
_SUFFIXES = (".engine", ".timings")
_LEFTOVER = ".partial"


class EngineKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides whether a plan is the right one.

    Attributes:
        model: The model's short name.
        model_sha256: Of the graph and its sidecar.
        precision: What it computes in.
        shape: (N, 3, H, W); N is the largest batch.
        gpu: The GPU's name.
        compute_capability: For instance ``"8.9"``.
        driver: The driver's version, and that of CUDA.
        library: TensorRT's flavour and version, for instance ``"tensorrt 10.3.0"``.
        options: The builder's options.
    """

    model: str
    model_sha256: str
    precision: Literal["fp32", "fp16", "int8"]
    shape: tuple[int, int, int, int]
    gpu: str
    compute_capability: str
    driver: str
    library: str
    options: dict[str, str]

    @property
    def file_stem(self) -> str:
        """The name of its file, without the suffix; for people to read, and unique by its last eight characters."""
        flavour = self.library.partition(" ")[0]
        asked = (self.model, self.precision, self.shape, self.gpu, self.compute_capability, flavour)
        tag = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]
        size = "x".join(str(side) for side in self.shape)
        return f"{_plain(self.model)}-{self.precision}-{size}-{_plain(self.gpu)}-{tag}"

    @property
    def timings_stem(self) -> str:
        """The name of the timing cache that all engines of this GPU and library share."""
        tag = hashlib.sha256(repr((self.gpu, self.compute_capability, self.library)).encode()).hexdigest()[:8]
        return f"{_plain(self.gpu)}-{_plain(self.library)}-{tag}"


class EngineRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The header of a file.

    Attributes:
        key: What it was built for.
        kind: Whether a plan follows, or a timing cache.
        content_bytes: Length of what follows.
        content_sha256: Its SHA-256.
        built_at: Seconds since 1970.
        build_s: How long the build took.
    """

    key: EngineKey
    kind: Literal["plan", "timings"]
    content_bytes: int
    content_sha256: str
    built_at: float
    build_s: float


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
    """Where engines are kept: ``$CLEARWAY_CACHE/engines``, else ``engines`` in the user's cache folder for Clearway."""
    own = os.environ.get("CLEARWAY_CACHE")
    if own:
        return Path(own).expanduser() / "engines"
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "clearway" / "engines"


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
                record, problem = (None, "unfinished") if path.suffix == _LEFTOVER else (_unpack(_read(path))[0], "")
            except FileNotFoundError:  # another process was quicker
                continue
            except _Unusable as error:
                record, problem = None, str(error)
            yield CachedEngine(path, status.st_size, status.st_mtime, record, problem)

    def _content(self, name: str, key: EngineKey, kind: str) -> tuple[bytes | None, str]:
        path = self.folder / name
        refuse_open_folder(self.folder)
        if not os.path.lexists(path):
            return None, ""
        try:
            record, content = _unpack(_read(path))
        except FileNotFoundError:
            return None, ""
        except _Unusable as error:
            return None, str(error)
        if record.kind != kind:
            return None, f"it holds {record.kind}"
        if kind == "timings":
            same = (record.key.gpu, record.key.library) == (key.gpu, key.library)
            return (content, "") if same else (None, "it is of another GPU or TensorRT")
        difference = _difference(record.key, key)
        return (None, difference) if difference else (content, "")

    def _touch(self, name: str) -> None:
        try:
            os.utime(self.folder / name)
        except OSError:  # a read-only folder still serves
            return

    def _write(
        self, name: str, key: EngineKey, kind: Literal["plan", "timings"], content: bytes, build_s: float
    ) -> Path:
        record = EngineRecord(
            key=key,
            kind=kind,
            content_bytes=len(content),
            content_sha256=hashlib.sha256(content).hexdigest(),
            built_at=time.time(),
            build_s=round(build_s, 2),
        )
        header = msgspec.json.encode(record)
        target = self.folder / name
        partial: Path | None = None
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_open_folder(self.folder)
            descriptor, text = tempfile.mkstemp(suffix=_LEFTOVER, dir=self.folder)  # mode 0600
            partial = Path(text)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + len(header).to_bytes(4, "little") + header)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except OSError as error:
            if partial is not None:
                partial.unlink(missing_ok=True)
            raise EngineError(f"engine cache {self.folder}: cannot be written ({error.strerror})") from error
        return target


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
            raise EngineError(f"engine cache {folder}: {place} cannot be entered ({error.strerror})") from error
        if status.st_uid not in {os.geteuid(), 0} or (place == real and status.st_uid != os.geteuid()):
            raise EngineError(f"engine cache {folder}: {place} belongs to another user; {hint}")
        # Others may make files of their own in a sticky folder such as /tmp, and not replace ours.
        closed = 0o022 if place == real else 0o002
        if status.st_mode & closed and not (place != real and status.st_mode & stat.S_ISVTX):
            mode = stat.S_IMODE(status.st_mode)
            raise EngineError(
                f"engine cache {folder}: others can write to {place} (mode {mode:04o}); chmod go-w {place}, or {hint}"
            )


class _Unusable(Exception):  # noqa: N818 - it is caught here and becomes a reason, never an error
    """Why a file is not used."""


def _read(path: Path) -> bytes:
    """The whole file, if it is a plain one of the user's own.

    The checks are made on what was opened, so that nothing can be put in its place between the two.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unusable(f"it cannot be read ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _Unusable("it is no plain file")
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise _Unusable("others can write to it, or own it")
        return file.read()


def _unpack(file: bytes) -> tuple[EngineRecord, bytes]:
    if not file.startswith(_MAGIC):
        raise _Unusable("it is damaged, or not an engine of Clearway's")
    start = len(_MAGIC) + 4
    length = int.from_bytes(file[len(_MAGIC) : start], "little")
    if length > _HEADER_LIMIT or len(file) < start + length:
        raise _Unusable("it is cut short")
    try:
        record = msgspec.json.decode(file[start : start + length], type=EngineRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Unusable("its header is damaged, or of another version") from error
    content = file[start + length :]
    if len(content) != record.content_bytes:
        raise _Unusable("it is cut short" if len(content) < record.content_bytes else "it is longer than it says")
    if hashlib.sha256(content).hexdigest() != record.content_sha256:
        raise _Unusable("it is damaged: its SHA-256 is not the one it was kept with")
    return record, content


_WORDS = {
    "gpu": "it was built on {was}, this is {now}",
    "compute_capability": "it was built for compute capability {was}, this GPU has {now}",
    "library": "it was built by {was}, {now} is installed",
    "driver": "the driver was {was}, it is {now}",
    "model_sha256": "the model has changed",
    "options": "the builder's options have changed",
}


def _difference(was: EngineKey, now: EngineKey) -> str:
    """The first thing in which two keys differ, for people; "" where they agree."""
    for field, words in _WORDS.items():
        if getattr(was, field) != getattr(now, field):
            return words.format(was=getattr(was, field), now=getattr(now, field))
    return "" if was == now else "it was built for another model, size or precision"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.") or "unnamed"
