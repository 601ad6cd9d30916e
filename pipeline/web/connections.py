"""How many may be connected: descriptors belong to the cameras first.

Whoever can reach the port could otherwise open connections until the process has no descriptors left, say nothing, and
keep the cameras from being connected anew.
"""

from __future__ import annotations

from asyncio import BaseTransport

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["BoundedProtocol"]

MOST_CONNECTIONS = 128
FIRST_REQUEST_LIMIT_S = 10.0


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a limit to connections, and to how long one may ask for nothing."""

    def connection_made(self, transport: BaseTransport) -> None:
        """A browser, or something else, has connected."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MOST_CONNECTIONS:
            self.transport.abort()
        else:
            self.loop.call_later(FIRST_REQUEST_LIMIT_S, self._end_if_mute)

    def _end_if_mute(self) -> None:
        # A connection that has become a WebSocket is not this protocol's any more.
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.abort()
