"""«Save the last 30 seconds»: hard links to segments, in a folder that the ring never touches.

A link costs nothing and holds from the moment it is made, also to a segment that is still being written. File systems
without hard links (FAT on memory cards) get a copy as soon as the segment is finished.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec

from pipeline.errors import SinkError
from pipeline.recording.kept import Kept
from pipeline.recording.layout import (
    SAVED_FOLDER,
    make_private_folder,
    new_folder,
    scenes_beside,
    sync_folder,
    time_stamp,
)
from pipeline.recording.manifest import RecordingManifest, write_manifest
from pipeline.recording.ring import Ring

__all__ = ["Saver"]

_LONGEST_REASON = 40
_WAIT_S = 0.25


@dataclass(eq=False)
class _Save:
    """One folder in ``saved``."""

    folder: Path
    until_us: int
    reasons: list[str]
    entries: list[Kept] = field(default_factory=list)
    changed: bool = True


class Saver:
    """Saves what the ring holds. `save` returns at once; a thread of its own links and copies.

    Args:
        ring: What there is.
        folder: Where all runs and ``saved`` lie.
        manifests: Folder's name of each camera → its manifest.
        save_us: How far back a save reaches; it goes on for a third of that.
        quota_bytes: Of all recordings; half of it may be saved.
        output: What the user called the recording, for messages.
        on_note: Told when something could not be saved.
    """

    def __init__(
        self,
        ring: Ring,
        folder: Path,
        manifests: Mapping[str, RecordingManifest],
        *,
        save_us: int,
        quota_bytes: int,
        output: str,
        on_note: Callable[[str], None],
    ) -> None:
        self._ring = ring
        self._folder = folder / SAVED_FOLDER
        self._manifests = manifests
        self._save_us = save_us
        self._quota_bytes = quota_bytes
        self._output = output
        self._on_note = on_note
        self._lock = threading.RLock()
        self._active: _Save | None = None
        self._now_us = -1
        self._jobs: queue.SimpleQueue[tuple[_Save, Kept] | None] = queue.SimpleQueue()
        self._touched: set[Path] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clearway-saving", daemon=True)
        self._thread.start()

    @property
    def active(self) -> str:
        """The folder that is being saved into, or nothing."""
        active = self._active
        return str(active.folder) if active is not None else ""

    def advance(self, now_us: int) -> None:
        """A picture of that time was recorded."""
        self._now_us = max(self._now_us, now_us)

    def save(self, reason: str) -> str:
        """Save the last seconds and the next ones; a save that still goes on is extended instead.

        Returns:
            The folder.

        Raises:
            SinkError: Nothing was recorded yet, half of the quota would be saved, or the folder cannot be created.
        """
        if self._now_us < 0:
            raise SinkError(f"cannot save from {self._output}: nothing has been recorded yet")
        with self._lock:
            until_us = self._now_us + self._save_us // 3
            if self._active is not None and self._now_us <= self._active.until_us:
                self._require_room(0)
                self._active.until_us = until_us
                if reason not in self._active.reasons:
                    self._active.reasons.append(reason)
                    self._active.changed = True
                return str(self._active.folder)
            finished, self._active = self._active, self._begin(reason, until_us)
            folder = str(self._active.folder)
        if finished is not None:
            self._finish(finished)
        return folder

    def _begin(self, reason: str, until_us: int) -> _Save:
        entries = self._ring.overlapping(self._now_us - self._save_us)
        try:
            self._require_room(sum(entry.size_bytes for entry in entries) * 4 // 3)
            save = _Save(self._new_folder(reason), until_us, [reason], entries)
        except SinkError:
            for entry in entries:
                self._ring.unpin(entry)
            raise
        for entry in entries:
            self._jobs.put((save, entry))
        return save

    def _require_room(self, bytes_needed: int) -> None:
        """Raise a `SinkError` when more than half of the quota would be saved: the ring needs the rest."""
        saving = sum(entry.size_bytes for entry in self._active.entries) if self._active is not None else 0
        if self._ring.saved_bytes + saving + bytes_needed > self._quota_bytes // 2:
            raise SinkError(
                f"cannot save from {self._output}: half of the quota is all that may be saved; move some of it away, "
                "or raise --record-quota-gb"
            )

    def _new_folder(self, reason: str) -> Path:
        make_private_folder(self._folder, self._output)
        plain = re.sub(r"[^\w.-]+", "_", reason)[:_LONGEST_REASON].strip("._- ") or "save"
        began = next(iter(self._manifests.values())).started_at
        moment = began.astimezone(timezone.utc) + timedelta(microseconds=self._now_us)
        return new_folder(self._folder, f"{time_stamp(moment)}-{plain}", self._output)

    def opened(self, entry: Kept) -> None:
        """A segment was begun: it belongs to a save that still goes on."""
        with self._lock:
            if self._active is None or entry.start_us > self._active.until_us:
                return
            try:
                self._require_room(0)
            except SinkError as error:
                self._on_note(str(error))
                self._active.until_us = entry.start_us - 1
                return
            self._ring.pin(entry)
            self._active.entries.append(entry)
            self._jobs.put((self._active, entry))

    def close(self, timeout_s: float) -> bool:
        """Finish what goes on, all segments being closed by now; whether that was done in time."""
        self._stop.set()
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # The thread.

    def _run(self) -> None:
        waiting: list[tuple[_Save, Kept]] = []
        while True:
            stopping = self._stop.is_set()
            waiting += self._new_jobs(0.0 if stopping else _WAIT_S)
            waiting = [job for job in waiting if not self._do(*job)]
            while self._touched:
                sync_folder(self._touched.pop())
            self._settle(waiting)
            if stopping and self._jobs.empty():
                break
        with self._lock:
            last, self._active = self._active, None
        if last is not None:
            self._finish(last)

    def _new_jobs(self, timeout_s: float) -> list[tuple[_Save, Kept]]:
        jobs: list[tuple[_Save, Kept] | None] = []
        with contextlib.suppress(queue.Empty):
            jobs.append(self._jobs.get(timeout=timeout_s))
            while True:
                jobs.append(self._jobs.get_nowait())
        return [job for job in jobs if job is not None]

    def _do(self, save: _Save, entry: Kept) -> bool:
        """Put a segment into a save; whether that is done, for better or worse."""
        try:
            done = self._keep(save, entry)
        except OSError as error:
            self._on_note(f"cannot save {entry.video.name} into {save.folder}: {error.strerror or error}")
            done = True
        if done:
            self._ring.unpin(entry)
        return done

    def _keep(self, save: _Save, entry: Kept) -> bool:
        folder = save.folder / entry.camera_folder
        if not folder.exists():
            folder.mkdir(mode=0o700)
            save.changed = True
        done = True
        for path in (scenes_beside(entry.video), entry.video):
            target = folder / path.name
            if target.exists():
                continue
            try:
                done &= _link_or_copy(path, target, entry)
            except OSError as error:
                if path.exists():  # Else closing the segment took away what nothing had been written into.
                    self._on_note(f"cannot save {path.name} into {save.folder}: {error.strerror or error}")
        self._touched.add(folder)
        return done

    def _settle(self, waiting: list[tuple[_Save, Kept]]) -> None:
        """Describe a save anew when it got another reason, and for the last time when it is complete."""
        with self._lock:
            save = self._active
            if save is None:
                return
            busy = any(other is save for other, _ in waiting) or any(entry.is_open for entry in save.entries)
            over = self._now_us > save.until_us and not busy and self._jobs.empty()
            if over:
                self._active = None
        if over:
            self._finish(save)
        elif save.changed:
            save.changed = False
            self._describe(save, ended_at=None)

    def _finish(self, save: _Save) -> None:
        self._describe(save, ended_at=datetime.now(timezone.utc))
        self._ring.measure_saved()

    def _describe(self, save: _Save, ended_at: datetime | None) -> None:
        for name, manifest in self._manifests.items():
            if (save.folder / name).is_dir():
                described = msgspec.structs.replace(manifest, ended_at=ended_at, saved_for=list(save.reasons))
                try:
                    write_manifest(save.folder / name, described)
                except OSError as error:
                    self._on_note(f"cannot describe {save.folder / name}: {error.strerror or error}")


def _link_or_copy(path: Path, target: Path, entry: Kept) -> bool:
    """Whether that is done; a copy waits until the segment is finished."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # A file system without hard links.
        if entry.is_open:
            return False
        shutil.copy2(path, target)
    return True
