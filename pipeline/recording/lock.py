"""One run at a time records into a folder: two would delete each other's segments."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.sinks.output_file import explain

__all__ = ["FolderLock"]

_NAME = ".recording.lock"


class FolderLock:
    """Holds a folder until it is released, or the process ends, however it ends.

    Args:
        folder: Which.
        output: What the user called it, for messages.

    Raises:
        SinkError: Another run holds it, or it cannot be written.
    """

    def __init__(self, folder: Path, output: str) -> None:
        try:
            self._descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise explain(f"cannot write {output}", error) from error
        try:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass  # Windows has no flock; two runs are then the user's own business.
        except BlockingIOError:
            self.release()
            raise SinkError(f"cannot write {output}: another run is recording into it; name another folder") from None
        except OSError:
            pass  # Some network file systems have no locks; recording works there all the same.

    def release(self) -> None:
        """Let another run have it. May be called more than once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
