"""A sink, the channel before it and the thread that serves it: what replay and live runs have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeline.overlay import Hud, OverlayPainter
from pipeline.scene import Picture, Scene, YuvImage
from pipeline.sinks.base import PlanarSink, Sink, SinkClosed
from pipeline.stage import Channel
from pipeline.timings import StageTimings

__all__ = ["Outlet", "draw_for", "serve_windows"]


class Outlet:
    """Brings scenes to one sink.

    Args:
        sink: Where they go; closed by the thread that serves it, else by `close`.
        channel: What waits for it.
        timings: Where writing is counted, under the sink's name.
        on_failure: Called with what the sink raised, before it is closed: closing is likely to fail for the same reason
            and would hide the first.
        on_closed: Called when the user closed it (a window).
    """

    def __init__(
        self,
        sink: Sink,
        channel: Channel[tuple[Scene, Picture | None]],
        timings: StageTimings,
        on_failure: Callable[[Sink, Exception], None],
        on_closed: Callable[[], None],
    ) -> None:
        self.sink = sink
        self.channel = channel
        self._timings = timings
        self._on_failure = on_failure
        self._on_closed = on_closed

    def run(self) -> None:
        """Write scene after scene until no more come: the work of the sink's thread."""
        try:
            for scene, picture in self.channel:
                self._write(scene, picture)
        except SinkClosed:
            self._on_closed()
        except Exception as error:
            self._on_failure(self.sink, error)
        finally:
            self.channel.abandon()
            self.close()

    def serve(self, timeout_s: float) -> None:
        """Write what waits, if anything comes within that time: for sinks that live on the main thread."""
        item = self.channel.poll(timeout_s)
        if item is None:
            return
        try:
            self._write(*item)
        except SinkClosed:
            self._on_closed()

    def close(self) -> None:
        """Close the sink. May be called more than once, and by another thread once its own has ended."""
        try:
            self.sink.close()
        except Exception as error:
            self._on_failure(self.sink, error)

    def _write(self, scene: Scene, picture: Picture | None) -> None:
        sink = self.sink
        with self._timings.measure(sink.name):
            if not sink.needs_overlay or picture is None:
                sink.write(scene, None)
            elif not isinstance(picture, YuvImage):
                sink.write(scene, picture)
            else:
                assert isinstance(sink, PlanarSink), f"{sink.name} takes no planes"
                sink.write_planes(scene, picture)


def draw_for(outlets: Iterable[Outlet], painter: OverlayPainter, scene: Scene, hud: Hud) -> Picture:
    """Draw a scene once for all sinks that want pictures: upon the frame's own planes where all of them take those."""
    if all(isinstance(outlet.sink, PlanarSink) for outlet in outlets if outlet.sink.needs_overlay):
        return painter.draw_planes(scene, hud)
    return painter.draw(scene, hud)


def serve_windows(outlets: Sequence[Outlet], timeout_s: float) -> bool:
    """Give every window a chance on the main thread; whether there was any to wait for."""
    windows = [outlet for outlet in outlets if outlet.sink.on_main_thread]
    for window in windows:
        window.serve(timeout_s)
    return bool(windows)
