"""One file that is being written, and that stays readable whatever happens to the disk beneath it.

Videos and scene files share three needs that plain `open` does not meet: an older file must survive a run that
never delivers a first frame; two outputs must not write the same file; and the first write that fails must be the
last, so that what follows (a container's index, the rest of a line) cannot damage what is already there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from pipeline.errors import SinkError

__all__ = ["OutputFile", "explain", "prepare_folder"]

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EFBIG: "the file is larger than this system allows; split the run with --start and --end",
    errno.EROFS: "that file system is read-only; write elsewhere",
    errno.EACCES: "permission denied; write elsewhere or change the permissions",
    errno.EPERM: "permission denied; write elsewhere or change the permissions",
    errno.EISDIR: "that is a folder; name a file in it",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the device failed",
}


def explain(what: str, error: OSError) -> SinkError:
    """One line for the user: `what` (for instance ``"cannot write out/x.mp4"``), why, and what to do."""
    reason = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return SinkError(f"{what}: {reason}")


def prepare_folder(folder: Path, output: str) -> None:
    """Create a folder and its parents if need be.

    Raises:
        SinkError: It cannot be created; the message names `output`, as the user gave it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(f"cannot create {output}", error) from error


class OutputFile:
    """A file opened for writing now, and emptied only when the first byte is written.

    It is what PyAV expects of a Python file object. After a failed write it is cut back to the last `commit` and
    *sealed*: later writes do nothing and report success, so a container that still wants to append an index or to
    patch its header while closing cannot harm what is on disk. `failure` then holds the error. No write is
    buffered: what `write` was given has reached the kernel when it returns, and outlives the process.

    Attributes:
        path: Where it is.
        failure: The first error of a write, or None.
    """

    def __init__(self, path: Path, output: str, *, mode: int = 0o666) -> None:
        """Open or create the file.

        Args:
            path: The file; missing parent folders are created.
            output: What the user called it, for messages.
            mode: Permissions of a new file, before the user's umask.

        Raises:
            SinkError: It cannot be created or written, is not a regular file, or is being written already.
        """
        self.path = path
        self.failure: OSError | None = None
        self.closed = False
        self._output = output
        self._pristine = True
        self._committed_size = 0
        prepare_folder(path.parent, output)
        try:
            self._existed = path.exists()
            if self._existed and not stat.S_ISREG(path.stat().st_mode):
                reason = "that is a folder; name a file in it" if path.is_dir() else "that is not a regular file"
                raise SinkError(f"cannot write {output}: {reason}")
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), mode)
        except OSError as error:
            raise explain(f"cannot write {output}", error) from error
        self._lock()

    def _lock(self) -> None:
        """Claim the file, so that neither another output of this run nor another run writes it too."""
        try:
            import fcntl
        except ImportError:  # Windows has no flock; two writers are then the user's own business.
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            self.closed = True
            raise SinkError(
                f"cannot write {self._output}: another output is writing the same file; name another one"
            ) from None
        except OSError:
            pass  # Some network file systems have no locks; writing works there all the same.

    @property
    def untouched(self) -> bool:
        """Whether nothing has been written yet."""
        return self._pristine

    def write(self, data: bytes | bytearray) -> int:
        """Write all of `data`; on an error cut the file back, seal it, and keep the error in `failure`.

        Returns:
            The length of `data`, also when the file is sealed (containers take less for an error of their own).
        """
        if self.failure is not None:
            return len(data)
        try:
            if self._pristine:
                os.ftruncate(self._descriptor, 0)
                self._pristine = False
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self.failure = error
            with contextlib.suppress(OSError):  # A device that failed may refuse this too.
                os.ftruncate(self._descriptor, self._committed_size)
        return len(data)

    def commit(self) -> None:
        """Declare what is in the file to be whole: a line, a fragment. Nothing after a failure is."""
        if self.failure is None:
            self._committed_size = os.fstat(self._descriptor).st_size

    def sync(self) -> None:
        """Bring what was written onto the disk itself, where it outlives a loss of power: as slow as the disk is.

        An error is kept in `failure`, like that of a write.
        """
        if self.failure is not None or self.closed:
            return
        try:
            getattr(os, "fdatasync", os.fsync)(self._descriptor)
        except OSError as error:
            self.failure = error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position of the next write; a sealed file only pretends."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """Position of the next write in bytes."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def seekable(self) -> bool:
        """Always true: only regular files are opened."""
        return True

    def writable(self) -> bool:
        """Always true."""
        return True

    def close(self) -> None:
        """Close the file, and remove it if it is new and empty. May be called more than once."""
        if self.closed:
            return
        self.closed = True
        os.close(self._descriptor)
        if self._pristine and not self._existed:
            self.path.unlink(missing_ok=True)
