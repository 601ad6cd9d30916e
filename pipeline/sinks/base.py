"""What a sink is."""

from __future__ import annotations

from typing import Protocol

from pipeline.scene import BgrImage, Scene

__all__ = ["Sink", "SinkClosed"]


class SinkClosed(Exception):  # noqa: N818 - a wish, not an error
    """The user closed a sink (a window) and wishes the run to end. Raised by `Sink.write`; the run ends well."""


class Sink(Protocol):
    """Where scenes go. Created before the first frame, so that an output that cannot be written says so at once.

    Every sink has a thread of its own, except one with `on_main_thread`. A sink is never told of failure or
    interruption: `close` always finishes the output so that everything written so far can be read.

    Attributes:
        name: What the user called it; shown in tables and messages.
        needs_overlay: Whether `write` wants the drawn picture.
        on_main_thread: Whether `write` must be called by the main thread (windows).
    """

    name: str
    needs_overlay: bool
    on_main_thread: bool

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        """Write one scene.

        Args:
            scene: The scene; its arrays are shared and must not be written to.
            picture: (H, W, 3) uint8 BGR overlay, drawn once for all sinks and read-only; None unless some sink
                has `needs_overlay`.

        Raises:
            SinkError: The output cannot be written (disk full, permission).
            SinkClosed: The user closed the window.
        """

    def close(self) -> None:
        """Finish the output. May be called more than once.

        Raises:
            SinkError: What was written could not be finished.
        """
