"""The drawn picture in a window."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

from pipeline.errors import SinkError
from pipeline.scene import BgrImage, Scene
from pipeline.sinks.base import SinkClosed

__all__ = ["WindowSink", "display_available"]

TITLE = "Clearway"

_LARGEST_PX = (1600, 900)
"""(width, height) of the window at first; larger pictures are shown smaller, and the user may drag its corner."""

_PROBE = f"import cv2; cv2.namedWindow({TITLE!r}); cv2.destroyAllWindows()"
_PROBE_LIMIT_S = 20.0


def display_available() -> bool:
    """Whether there seems to be a screen to show a window on. Takes no time; `WindowSink` makes sure of it."""
    if sys.platform in {"darwin", "win32"}:
        return True
    display = os.environ.get("DISPLAY", "")
    if display.startswith(":"):
        return _x_server_listens(display[1:].partition(".")[0])
    return bool(display or os.environ.get("WAYLAND_DISPLAY"))


def _x_server_listens(number: str) -> bool:
    """Whether a local X server answers: DISPLAY often outlives it, in containers and remote shells."""
    for address in (f"/tmp/.X11-unix/X{number}", f"\0/tmp/.X11-unix/X{number}"):  # noqa: S108 - set by the X protocol
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.settimeout(1.0)
            connection.connect(address)
            return True
    return False


class WindowSink:
    """Shows the overlay. Lives on the main thread, which some window systems insist on."""

    needs_overlay = True
    on_main_thread = True

    def __init__(self, *, name: str = "display://") -> None:
        """Make sure that a window can be opened; it appears with the first picture.

        Raises:
            SinkError: There is no display, or the installed OpenCV cannot open windows.
        """
        self.name = name
        self._open = False
        # The wheel's Qt brings no fonts and complains about that at length; a picture needs none.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        _require_display(name)

    def write(self, scene: Scene, picture: BgrImage | None) -> None:  # noqa: ARG002
        """Show one picture and handle the keys pressed meanwhile.

        Raises:
            SinkClosed: The user has seen enough.
            SinkError: The window system failed.
        """
        import cv2

        if picture is None:
            raise ValueError("WindowSink.write needs the drawn picture")
        try:
            if not self._open:
                self._show_window(picture)
            elif not _is_visible():
                raise SinkClosed
            cv2.imshow(TITLE, picture)
            key = cv2.waitKey(1) & 0xFF
        except cv2.error as error:
            raise SinkError(f"cannot write {self.name}: the window failed: {error.err}") from error
        if key in {ord("q"), ord("Q"), 27}:
            raise SinkClosed

    def _show_window(self, picture: BgrImage) -> None:
        import cv2

        height, width = picture.shape[:2]
        scale = min(1.0, _LARGEST_PX[0] / width, _LARGEST_PX[1] / height)
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        cv2.resizeWindow(TITLE, round(width * scale), round(height * scale))
        self._open = True

    def close(self) -> None:
        """Close the window. May be called more than once."""
        if not self._open:
            return
        import cv2

        self._open = False
        with contextlib.suppress(cv2.error):  # The user closed it first.
            cv2.destroyWindow(TITLE)


def _is_visible() -> bool:
    import cv2

    try:
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # Qt takes all its machinery down with the last window.
        return False


def _require_display(name: str) -> None:
    """Raise a `SinkError` unless a window can be opened here.

    Qt ends the whole process when it cannot reach the display, and an X server that is listed in DISPLAY may well
    be gone or refuse us: only trying tells, so a child process tries.
    """
    instead = "name an output file instead, for instance out/overlay.mp4"
    if not display_available():
        screen = (
            f"the display {os.environ['DISPLAY']} is gone" if "DISPLAY" in os.environ else "this machine has no display"
        )
        raise SinkError(f"cannot open {name}: {screen}; {instead}")
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise SinkError(f"cannot open {name}: the display does not answer; {instead}") from None
    if probe.returncode != 0:
        screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or "the screen"
        raise SinkError(f"cannot open {name}: OpenCV cannot show a window on {screen}; {instead}")
