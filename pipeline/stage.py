"""How the stages of the pipeline run side by side: threads, and the channels between them.

Two rules keep every run able to end. A producer *closes* its channel when it has nothing more to give; a consumer
that gives up *abandons* it, so that its producer stops too. No wait is without a limit: each looks at both flags,
and an exception in a thread is kept and raised again in the main thread, so that a failure never looks like the
end of a stream.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["Abandoned", "Channel", "Failures", "LossyChannel", "StageThread"]

T = TypeVar("T")

_WAIT_S = 0.1
"""How long a wait lasts before the flags are looked at again. Wake-ups come by notification, long before."""


class Abandoned(Exception):  # noqa: N818 - a signal between threads, not an error
    """The consumer of a channel is gone: whatever is put into it would never be read."""


class Channel(Generic[T]):
    """A bounded first-in first-out queue from one thread to another. Nothing put into it is lost or reordered.

    Args:
        capacity: How many items may wait; `put` blocks beyond that.
    """

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = False
        self._abandoned = False

    def put(self, item: T) -> None:
        """Add an item, waiting for room.

        Raises:
            Abandoned: The consumer is gone.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._abandoned:
                self._changed.wait(_WAIT_S)
            if self._abandoned:
                raise Abandoned
            self._items.append(item)
            self._changed.notify_all()

    def poll(self, timeout_s: float) -> T | None:
        """The next item, or None when none came within `timeout_s` seconds or none will come any more."""
        with self._changed:
            if not self._items and not self._closed:
                self._changed.wait(timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[T]:
        """Every item until the channel is closed and empty, or abandoned."""
        while not self.finished:
            item = self.poll(_WAIT_S)
            if item is not None:
                yield item

    def batches(self, size: int) -> Iterator[list[T]]:
        """Every item, so many at a time; at the end what is left."""
        batch: list[T] = []
        for item in self:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    @property
    def waiting(self) -> bool:
        """Whether an item can be had at once."""
        with self._changed:
            return bool(self._items)

    @property
    def finished(self) -> bool:
        """Whether no item is left and none will come."""
        with self._changed:
            return self._abandoned or (self._closed and not self._items)

    def close(self) -> None:
        """Say that nothing more will be put in. What waits can still be read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that nothing more will be read. What waits is let go."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()


class LossyChannel(Channel[T]):
    """A channel whose producer never waits: where there is no room, the oldest item makes it, and is counted.

    For live runs, in which what is newest matters and nothing behind the engine may slow it down.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.lost = 0

    def put(self, item: T) -> None:
        """Add an item. What is put into an abandoned channel is let go."""
        with self._changed:
            if self._abandoned:
                return
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self.lost += 1
            self._items.append(item)
            self._changed.notify_all()


class Failures:
    """The exceptions of all threads, in the order in which they happened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []

    def add(self, error: BaseException) -> None:
        """Keep an exception."""
        with self._lock:
            self._errors.append(error)

    @property
    def first(self) -> BaseException | None:
        """The exception that came first: the cause; later ones are often its echoes."""
        with self._lock:
            return self._errors[0] if self._errors else None


class StageThread(threading.Thread):
    """A thread that keeps its exception instead of printing it.

    Args:
        name: The stage's name, for messages and debuggers.
        work: What it does.
        failures: Where its exception goes.
        on_failure: Called after that, in this thread, to stop the others.
    """

    def __init__(
        self, name: str, work: Callable[[], None], failures: Failures, on_failure: Callable[[], None] = lambda: None
    ) -> None:
        # A daemon: a library call that never returns must not keep the process alive after the run was given up.
        super().__init__(name=f"clearway-{name}", daemon=True)
        self._work = work
        self._failures = failures
        self._on_failure = on_failure

    def run(self) -> None:
        """Do the work; end quietly when the consumer is gone; keep any other exception."""
        try:
            self._work()
        except Abandoned:
            pass
        except BaseException as error:
            self._failures.add(error)
            self._on_failure()
