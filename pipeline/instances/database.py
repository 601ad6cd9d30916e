"""`InstanceDatabase`: known road users in one SQLite file, private to its owner.

    instances(name, class_name, views, first_seen_unix_s, last_seen_unix_s, descriptor)

A descriptor is a vector of float32 (`pipeline.instances.descriptor`). No picture is ever stored.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, SinkError
from pipeline.instances.descriptor import DESCRIPTOR_LENGTH

__all__ = ["Instance", "InstanceDatabase"]

Floats = NDArray[np.float32]
Result = TypeVar("Result")

_APPLICATION = 0x43_4C_52_57
""""CLRW": SQLite's own field for whose file it is."""
_VERSION = 1
"""Raised with the tables, and with every change of the descriptor: vectors of different kinds cannot be compared."""

_SCHEMA = """
CREATE TABLE instances (
    name TEXT PRIMARY KEY NOT NULL,
    class_name TEXT NOT NULL,
    views INTEGER NOT NULL CHECK (views > 0),
    first_seen_unix_s REAL NOT NULL,
    last_seen_unix_s REAL NOT NULL,
    descriptor BLOB NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """A road user that is known.

    Attributes:
        name: Its name, unique in the database.
        class_name: ``"person"``, ``"rider"``, ``"car"``, ….
        views: How many views the descriptor is the mean of.
        first_seen_unix_s: When it was entered, in seconds since 1970 (UTC), by the clock of the machine.
        last_seen_unix_s: When it was last recognised.
        descriptor: (DESCRIPTOR_LENGTH,) float32 of length 1.
    """

    name: str
    class_name: str
    views: int
    first_seen_unix_s: float
    last_seen_unix_s: float
    descriptor: Floats = field(repr=False)


class InstanceDatabase:
    """Opens a database, or creates one that nobody else may read. Nobody else can open it meanwhile.

    All instances are held in memory; what changes is written by a thread of its own, so no caller waits for a disk.

    Args:
        path: The file; its folder must be there.
        create: Whether to create it where there is none.

    Raises:
        ConfigError: That is no database of instances, one of another version, damaged, or in use.
        SinkError: It cannot be created, read or written.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self._writer = ThreadPoolExecutor(1, "clearway-instances")
        self._waiting: list[Future[None]] = []
        try:
            _claim(path, create=create)
            connection = self._writer.submit(_open, path).result()
            self._known = {one.name: one for one in self._writer.submit(_read, connection, path).result()}
            self._connection: sqlite3.Connection | None = connection
        except BaseException:
            self._writer.shutdown()
            raise

    def __len__(self) -> int:
        return len(self._known)

    def instances(self) -> list[Instance]:
        """All that are known, in the order in which they were entered."""
        return sorted(self._known.values(), key=lambda one: one.first_seen_unix_s)

    def find(self, name: str) -> Instance | None:
        """The one of that name."""
        return self._known.get(name)

    def new_name(self, class_name: str) -> str:
        """A name that is free: the class and the next number."""
        taken = [name.rpartition(" ")[2] for name in self._known if name.startswith(f"{class_name} ")]
        return f"{class_name} {max((int(number) for number in taken if number.isdigit()), default=0) + 1}"

    def put(self, instance: Instance) -> None:
        """Enter an instance, or replace the one of its name.

        Raises:
            SinkError: An earlier change could not be written.
        """
        if instance.descriptor.shape != (DESCRIPTOR_LENGTH,):
            message = f"expected a descriptor of {DESCRIPTOR_LENGTH} numbers, got {instance.descriptor.shape}"
            raise ValueError(message)
        self._known[instance.name] = instance
        values = (
            instance.name,
            instance.class_name,
            instance.views,
            instance.first_seen_unix_s,
            instance.last_seen_unix_s,
            np.ascontiguousarray(instance.descriptor, "<f4").tobytes(),
        )
        self._write("INSERT OR REPLACE INTO instances VALUES (?, ?, ?, ?, ?, ?)", values)

    def rename(self, old: str, new: str) -> None:
        """Call an instance by another name.

        Raises:
            ConfigError: There is none of that name, or the other is taken or empty.
            SinkError: It cannot be written.
        """
        if old not in self._known:
            raise ConfigError(f"{self.path}: nobody is called {old!r}")
        if not new.strip() or new in self._known:
            raise ConfigError(f"{self.path}: the name {new!r} is {'taken' if new.strip() else 'empty'}")
        known = self._known.pop(old)
        self._known[new] = Instance(
            new, known.class_name, known.views, known.first_seen_unix_s, known.last_seen_unix_s, known.descriptor
        )
        self._write("UPDATE instances SET name = ? WHERE name = ?", (new, old))

    def forget(self, names: Iterable[str]) -> int:
        """Delete instances; their bytes are overwritten in the file. Returns how many there were.

        Raises:
            ConfigError: There is none of such a name; nothing was deleted.
            SinkError: It cannot be written.
        """
        names = list(dict.fromkeys(names))
        if missing := [name for name in names if name not in self._known]:
            raise ConfigError(f"{self.path}: nobody is called {missing[0]!r}")
        for name in names:
            del self._known[name]
            self._write("DELETE FROM instances WHERE name = ?", (name,))
        return len(names)

    def flush(self) -> None:
        """Wait until everything is on the disk.

        Raises:
            SinkError: It cannot be written.
        """
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.result()

    def close(self) -> None:
        """Write what is not written yet. May be called more than once.

        Raises:
            SinkError: It cannot be written.
        """
        try:
            self.flush()
        finally:
            connection, self._connection = self._connection, None
            if connection is not None:
                self._writer.submit(connection.close).result()
                self._writer.shutdown()

    def __enter__(self) -> InstanceDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        for future in [each for each in self._waiting if each.done()]:
            self._waiting.remove(future)
            future.result()
        connection = self._connection
        if connection is None:
            raise SinkError(f"{self.path}: the database is closed")
        self._waiting.append(self._writer.submit(_execute, connection, self.path, statement, values))


def _claim(path: Path, *, create: bool) -> None:
    """See that the file is there. A new one is its owner's alone from its first moment."""
    try:
        if create:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, stat.S_IRUSR | stat.S_IWUSR))
        if not path.is_file():
            raise ConfigError(f"{path}: {'not a file' if path.exists() else 'there is no such database'}")
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: that is a folder; name a file in it") from error
    except OSError as error:
        raise SinkError(f"{path}: cannot be opened ({error.strerror})") from error


def _open(path: Path) -> sqlite3.Connection:
    # Opened by one thread and used by another, one after the other: who sees in pictures changes threads.
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        _explained(path, lambda: _prepare(connection, path))
        _make_private(path)  # Only now is it known to be ours.
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Nobody but its owner can read it, also where it was copied here by somebody careless."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    except OSError as error:
        raise SinkError(f"{path}: cannot be made private ({error.strerror})") from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if is_empty and application == 0 and version == 0:
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    elif application != _APPLICATION:
        raise ConfigError(f"{path}: a database of something else, not of instances; name another file")
    elif version != _VERSION:
        raise ConfigError(
            f"{path}: written by another version of Clearway (format {version}, not {_VERSION}); name another file"
        )
    connection.execute("COMMIT")
    if (said := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise ConfigError(f"{path}: the database is damaged ({said}); remove it or name another file")


def _read(connection: sqlite3.Connection, path: Path) -> list[Instance]:
    rows = _explained(path, lambda: connection.execute("SELECT * FROM instances").fetchall())
    if any(len(row[-1]) != 4 * DESCRIPTOR_LENGTH for row in rows):
        raise ConfigError(f"{path}: the database is damaged (a descriptor of another length); name another file")
    return [
        Instance(name, class_name, views, first_s, last_s, np.frombuffer(descriptor, "<f4").astype(np.float32))
        for name, class_name, views, first_s, last_s, descriptor in rows
    ]


def _execute(connection: sqlite3.Connection, path: Path, statement: str, values: tuple[object, ...]) -> None:
    _explained(path, lambda: connection.execute(statement, values))


def _explained(path: Path, work: Callable[[], Result]) -> Result:
    """Do something with the database; what SQLite raises becomes one line."""
    try:
        return work()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # Python 3.10 does not tell SQLite's codes.
            raise ConfigError(f"{path}: another run is using this database; end it, or name another file") from error
        raise SinkError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path}: not a database of instances, or damaged ({error}); name another file") from error
