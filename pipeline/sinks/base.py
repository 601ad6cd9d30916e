"""What a sink is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pipeline.scene import BgrImage, Scene, YuvImage

__all__ = ["PlanarSink", "Sink", "SinkClosed"]


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


@runtime_checkable
class PlanarSink(Sink, Protocol):
    """A sink that would make planes of a BGR picture anyway: it takes pictures that were drawn upon planes as they are.

    It gets them where every sink that wants the picture is of this kind, and BGR pictures all the same where there are
    no planes to draw upon.
    """

    def write_planes(self, scene: Scene, picture: YuvImage) -> None:
        """As `write`.

        Args:
            scene: The scene.
            picture: The overlay; not written to.
        """
