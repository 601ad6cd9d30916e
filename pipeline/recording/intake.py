"""The queue between a camera's thread, which must never wait, and the thread that writes, which waits for the disk."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from pipeline.cameras.base import EncodedPacket, VideoParameters
from pipeline.scene import Frame

__all__ = ["Begin", "End", "Intake", "Item", "SceneLine"]

_ITEM_BYTES = 200
"""What an item costs beside its content."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A connection was made; its stream's parameters, or None where frames will come."""

    parameters: VideoParameters | None


@dataclass(frozen=True, slots=True)
class End:
    """The connection is gone."""


@dataclass(frozen=True, slots=True)
class SceneLine:
    """A scene as it will stand in the file, and the time of its frame in microseconds."""

    time_us: int
    data: bytes = field(repr=False)


Item: TypeAlias = Begin | End | EncodedPacket | Frame | SceneLine


class Intake:
    """A first-in first-out queue that is bounded in bytes. What does not fit is left out and counted.

    Of a compressed stream, everything from a packet that did not fit to the next key frame is left out: pictures in
    between could not be decoded. It goes on only once half of the room is free again, so that a slow disk costs a few
    long gaps and not many short ones.

    Args:
        capacity_bytes: How much may wait.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._items: deque[tuple[Item, int]] = deque()
        self._waiting_bytes = 0
        self._skipping = False
        self._closed = False
        self._changed = threading.Condition()
        self._dropped = self._dropped_scenes = 0

    @property
    def dropped(self) -> int:
        """Pictures that were left out."""
        with self._changed:
            return self._dropped

    @property
    def dropped_scenes(self) -> int:
        """Scenes that were left out."""
        with self._changed:
            return self._dropped_scenes

    @property
    def waiting_bytes(self) -> int:
        """What waits now."""
        with self._changed:
            return self._waiting_bytes

    def put(self, item: Item) -> bool:
        """Add an item; never waits for room.

        Returns:
            Whether it was taken. `Begin` and `End` always are; nothing is after `close`.
        """
        cost = _cost(item)
        with self._changed:
            if self._closed:
                return False
            if not self._fits(item, cost):
                self._dropped += isinstance(item, (EncodedPacket, Frame))
                self._dropped_scenes += isinstance(item, SceneLine)
                return False
            self._items.append((item, cost))
            self._waiting_bytes += cost
            self._changed.notify_all()
            return True

    def _fits(self, item: Item, cost: int) -> bool:
        if isinstance(item, (Begin, End)):
            self._skipping = False
            return True
        room = self._capacity_bytes - self._waiting_bytes
        if not isinstance(item, EncodedPacket):
            return cost <= room
        if self._skipping and item.is_keyframe and self._waiting_bytes <= self._capacity_bytes // 2:
            self._skipping = False
        if cost > room:
            self._skipping = True
        return not self._skipping

    def take(self, timeout_s: float) -> Item | None:
        """The next item, or None when none came within `timeout_s` seconds."""
        with self._changed:
            if not self._items and not self._closed:
                self._changed.wait(timeout_s)
            if not self._items:
                return None
            item, cost = self._items.popleft()
            self._waiting_bytes -= cost
            return item

    def close(self, *, discard: bool = False) -> None:
        """Take nothing more. What waits can still be taken, unless it is discarded."""
        with self._changed:
            self._closed = True
            if discard:
                self._items.clear()
                self._waiting_bytes = 0
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Whether nothing waits and nothing will come."""
        with self._changed:
            return self._closed and not self._items


def _cost(item: Item) -> int:
    if isinstance(item, (EncodedPacket, SceneLine)):
        return len(item.data) + _ITEM_BYTES
    if isinstance(item, Frame):
        height, width = item.size_hw
        return height * width * (3 if item.planes is None else 2) + _ITEM_BYTES
    return _ITEM_BYTES
