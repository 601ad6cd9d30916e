"""Where cameras leave their frames and the engine takes them: one slot a camera, the newest frame wins."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pipeline.scene import Frame

__all__ = ["Mailbox"]


class Mailbox:
    """One slot for each camera. A frame is taken once; one that a newer frame replaces is counted as superseded.

    Args:
        cameras: Their names.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._arrived = threading.Condition()
        self._slots: dict[str, Frame | None] = dict.fromkeys(cameras)
        self._superseded = dict.fromkeys(cameras, 0)

    def put(self, frame: Frame) -> None:
        """Leave a camera's newest frame. Never waits."""
        with self._arrived:
            if self._slots[frame.camera] is not None:
                self._superseded[frame.camera] += 1
            self._slots[frame.camera] = frame
            self._arrived.notify()

    def take(self, timeout_s: float) -> list[Frame]:
        """Every camera's frame that is new since the last call: at most one each, none twice.

        Args:
            timeout_s: How long to wait for the first.
        """
        with self._arrived:
            if not any(self._slots.values()):
                self._arrived.wait(timeout_s)
            frames = [frame for frame in self._slots.values() if frame is not None]
            self._slots = dict.fromkeys(self._slots)
            return frames

    def superseded(self, camera: str) -> int:
        """How many of its frames were never taken because a newer one came."""
        with self._arrived:
            return self._superseded[camera]
