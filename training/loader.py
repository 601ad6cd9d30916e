"""Batches prepared by a thread, ahead of the training step that wants them."""

from __future__ import annotations

import queue
import threading
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from training.datasets import SampleStream

__all__ = ["Batch", "BatchLoader"]

Batch = tuple[NDArray[np.uint8], NDArray[np.uint16]]
"""Images (N, h, w, 3) uint8 BGR and class sets (N, h, w) uint16."""

_AHEAD = 3
_POLL_S = 0.5


class BatchLoader:
    """A context manager that yields batch after batch, in order, from ``first`` on.

    OpenCV lets go of the interpreter's lock while it resizes, so one thread keeps up with a CPU's training.

    Args:
        samples: Where the samples come from.
        size: Samples a batch.
        first: Number of the first batch; batch ``b`` holds samples ``b * size`` and the following.
    """

    def __init__(self, samples: SampleStream, *, size: int, first: int) -> None:
        self._samples = samples
        self._size = size
        self._first = first
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._load, name="batch-loader", daemon=True)

    def __enter__(self) -> BatchLoader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def next_batch(self) -> Batch:
        """The next batch; waits for it, and raises what went wrong in the thread."""
        batch = self._ready.get()
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def _load(self) -> None:
        number = self._first
        while not self._stop.is_set():
            try:
                samples = [self._samples.sample(number * self._size + k) for k in range(self._size)]
                self._offer((np.stack([image for image, _ in samples]), np.stack([sets for _, sets in samples])))
            except Exception as error:  # raised again by next_batch, in the thread that trains
                self._offer(error)
                return
            number += 1

    def _offer(self, batch: Batch | BaseException) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(batch, timeout=_POLL_S)
            except queue.Full:
                continue
            return
