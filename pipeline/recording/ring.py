"""What a folder of recordings holds, and what goes first when there is no more room.

The ring spans all runs and cameras in the folder. The oldest segment goes first: whenever the quota would be passed,
or the disk would be left with less than `free_floor_bytes`, or a camera has more than the minutes that are kept.
Segments that are being written are never deleted, nor is anything in ``saved``.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.recording.kept import Kept, count_expired, earlier_segments, linked_inodes, remove_emptied
from pipeline.recording.layout import SAVED_FOLDER, scenes_beside, segment_lengths_us
from pipeline.sinks.output_file import explain

__all__ = ["Ring", "free_floor_bytes"]

_LARGEST_FLOOR_BYTES = 1_000_000_000
_SAVED_MEASURED_EVERY_S = 10.0


def free_floor_bytes(disk_bytes: int) -> int:
    """What is left free on a disk of that size: 5 % of it, at most 1 GB."""
    return min(_LARGEST_FLOOR_BYTES, disk_bytes // 20)


class Ring:
    """Knows every segment, and makes room. Safe for all threads; deleting is done by the thread that needs the room.

    Args:
        folder: Where all runs lie.
        quota_bytes: What everything in there may take, saved recordings included.
        kept_us: How much recorded time is kept of each camera; None: all that the quota has room for.
        segment_us: How long a segment is meant to be.
        output: What the user called the recording, for messages.

    Raises:
        SinkError: The folder cannot be read.

    Attributes:
        run: Name of the folder of the present run; it stays when it is empty.
    """

    def __init__(self, folder: Path, *, quota_bytes: int, kept_us: int | None, segment_us: int, output: str) -> None:
        self.run = ""
        self._folder = folder
        self._quota_bytes = quota_bytes
        self._kept_us = kept_us
        self._longest_us = 2 * segment_us
        self._output = output
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        try:
            self._floor_bytes = free_floor_bytes(shutil.disk_usage(folder).total)
            self._entries = earlier_segments(folder)
        except OSError as error:
            raise explain(f"cannot read {output}", error) from error
        self._ring_bytes = sum(entry.size_bytes for entry in self._entries)
        self._saved_bytes = self._saved_alone_bytes = 0
        self._saved_measured_s = 0.0
        self.measure_saved()

    # What is there.

    @property
    def total_bytes(self) -> int:
        """Everything in the folder; what hangs on hard links counts once."""
        with self._lock:
            return self._ring_bytes + self._saved_alone_bytes

    @property
    def saved_bytes(self) -> int:
        """Everything that was saved."""
        with self._lock:
            return self._saved_bytes

    def overlapping(self, from_us: int) -> list[Kept]:
        """The segments of the present run that may hold something of that time or later; pinned, so that they stay."""
        with self._lock:
            by_camera: dict[str, list[Kept]] = {}
            present = (entry for entry in self._entries if entry.age_order[0] == self.run)
            for entry in sorted(present, key=lambda entry: entry.age_order):
                by_camera.setdefault(entry.camera_folder, []).append(entry)
            found: list[Kept] = []
            for entries in by_camera.values():
                lengths_us = segment_lengths_us(
                    [entry.start_us for entry in entries], self._longest_us, self._longest_us
                )
                pairs = zip(entries, lengths_us, strict=True)
                found += [entry for entry, length in pairs if entry.is_open or entry.start_us + length > from_us]
            for entry in found:
                entry.pins += 1
            return found

    def pin(self, entry: Kept) -> None:
        """Keep a segment until `unpin`."""
        with self._lock:
            entry.pins += 1

    def unpin(self, entry: Kept) -> None:
        """It was linked or copied: the ring may let it go."""
        with self._lock:
            entry.pins -= 1

    # What comes.

    def opened(self, video: Path, start_us: int) -> Kept:
        """A segment was begun."""
        entry = Kept(video, start_us, is_open=True)
        with self._lock:
            self._entries.append(entry)
        return entry

    def expire(self, camera_folder: str) -> None:
        """Delete what of a camera is older than what is kept.

        Raises:
            SinkError: It cannot be deleted.
        """
        if self._kept_us is not None:
            with self._one_at_a_time:
                for old in self._expired(camera_folder, self._kept_us):
                    self._delete(old)

    def closed(self, entry: Kept, size_bytes: int) -> None:
        """A segment is finished; its true size."""
        with self._lock:
            entry.is_open = False
            if not entry.is_gone:
                self._ring_bytes += size_bytes - entry.size_bytes
                entry.size_bytes = size_bytes

    def grow(self, entry: Kept, by_bytes: int) -> None:
        """Make sure of room for what will be appended to a segment, and count it.

        Raises:
            SinkError: There is none, and nothing is left that could go.
        """
        with self._lock:
            crowded = self._is_crowded(by_bytes)
        if crowded:
            self.make_room(by_bytes)
        with self._lock:
            if not entry.is_gone:
                entry.size_bytes += by_bytes
                self._ring_bytes += by_bytes

    def make_room(self, bytes_needed: int) -> None:
        """Delete the oldest segments until that much can be written.

        Raises:
            SinkError: Nothing is left that could go, or it cannot be deleted.
        """
        with self._one_at_a_time:
            if time.monotonic() - self._saved_measured_s > _SAVED_MEASURED_EVERY_S:
                self.measure_saved()
            while True:
                with self._lock:
                    if not self._is_crowded(bytes_needed):
                        return
                    victim = self._oldest()
                if victim is None:
                    raise self._no_room(bytes_needed)
                self._delete(victim)

    def give_way(self, newest: Kept | None) -> bool:
        """The disk says that it is full, whatever was counted: delete the oldest segment.

        Args:
            newest: What could not be written to; it stays, and so does what is newer.

        Returns:
            Whether there was one.
        """
        with self._one_at_a_time:
            with self._lock:
                victim = self._oldest()
            if victim is None or (newest is not None and victim.age_order >= newest.age_order):
                return False
            self._delete(victim)
            return True

    def measure_saved(self) -> None:
        """Look how much lies in ``saved``: the user may have taken something away."""
        sizes: dict[tuple[int, int], int] = {}
        saved = self._folder / SAVED_FOLDER
        for path in saved.rglob("*") if saved.is_dir() else ():
            with contextlib.suppress(OSError):
                status = path.stat()
                if path.is_file():
                    sizes[status.st_dev, status.st_ino] = status.st_size
        with self._lock:
            videos = [entry.video for entry in self._entries]
        in_ring = set(linked_inodes(videos))
        with self._lock:
            self._saved_measured_s = time.monotonic()
            self._saved_bytes = sum(sizes.values())
            self._saved_alone_bytes = sum(size for inode, size in sizes.items() if inode not in in_ring)

    # What goes.

    def _is_crowded(self, bytes_needed: int) -> bool:
        if self._ring_bytes + self._saved_alone_bytes + bytes_needed > self._quota_bytes:
            return True
        return shutil.disk_usage(self._folder).free - bytes_needed < self._floor_bytes

    def _no_room(self, bytes_needed: int) -> SinkError:
        if shutil.disk_usage(self._folder).free - bytes_needed < self._floor_bytes:
            return SinkError(
                f"cannot write {self._output}: the disk is full (less than {_amount(self._floor_bytes)} would be left) "
                "and there is no older segment to delete; free some space or write elsewhere"
            )
        return SinkError(
            f"cannot write {self._output}: the quota of {_amount(self._quota_bytes)} is used up by what is being "
            "written and what was saved; move saved recordings away or raise --record-quota-gb"
        )

    def _oldest(self) -> Kept | None:
        free = (entry for entry in self._entries if not entry.is_open and not entry.pins)
        return min(free, key=lambda entry: entry.age_order, default=None)

    def _expired(self, camera_folder: str, kept_us: int) -> list[Kept]:
        with self._lock:
            entries = sorted(
                (entry for entry in self._entries if entry.camera_folder == camera_folder),
                key=lambda entry: entry.age_order,
            )
            runs: dict[str, list[int]] = {}
            for entry in entries:
                runs.setdefault(entry.age_order[0], []).append(entry.start_us)
            count = count_expired(list(runs.values()), self._longest_us, kept_us)
            return [entry for entry in entries[:count] if not entry.is_open and not entry.pins]

    def _delete(self, entry: Kept) -> None:
        files = [scenes_beside(entry.video), entry.video]
        try:
            saved_bytes = sum(path.stat().st_size for path in files if path.exists() and path.stat().st_nlink > 1)
            for path in files:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise explain(f"cannot delete {entry.video}", error) from error
        with self._lock:
            self._entries.remove(entry)
            entry.is_gone = True
            self._ring_bytes -= entry.size_bytes
            self._saved_alone_bytes += saved_bytes
            empty = not any(other.video.parent == entry.video.parent for other in self._entries)
        if empty and entry.video.parent.parent.name != self.run:
            remove_emptied(entry.video.parent)


def _amount(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.3g} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.3g} MB"
