"""What systemd, or another supervisor that speaks its protocol, is told (``sd_notify(3)``).

One datagram of text a message to the socket that NOTIFY_SOCKET names. The packages that wrap this are either in C or
unmaintained, and it is a dozen lines.
"""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["Supervisor"]


class Supervisor:
    """Tells the supervisor that started this process how it is; does nothing where there is none."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._said = ""

    def ready(self) -> None:
        """The run has begun: the engine is open."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """Everything moves; the watchdog need not bite. Said of a run whose perception has just taken its turn.

        Args:
            status: One line for ``systemctl status``.
        """
        self._send("WATCHDOG=1" if status == self._said else f"WATCHDOG=1\nSTATUS={status}")
        self._said = status

    def stopping(self) -> None:
        """The run is being ended on purpose."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(message.encode(), self._address)
