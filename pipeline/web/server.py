"""The server: a thread with a loop of its own. Whatever befalls it, the run goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.errors import ConfigError
from pipeline.live.status import LiveStatus
from pipeline.web.address import bind, require_token, url_of
from pipeline.web.feed import Feeds, PageSink

if TYPE_CHECKING:
    from uvicorn import Server

    from pipeline.web.application import Application

__all__ = ["WebServer"]

CLOSE_LIMIT_S = 2.0
_POLITE_S = 0.4
"""How long connections may take to end by themselves."""


class WebServer:
    """Serves the page of a run.

    Attributes:
        sink: The page as an output of the run.
        url: What to type into a browser on this machine, or one that may reach it.
        login_url: The same with the token, where one is needed.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        status: Callable[[], LiveStatus],
        token: str = "",
        save_recording: Callable[[], str] | None = None,
    ) -> None:
        """Claim the address. Nothing is answered before `start`.

        Args:
            address: (host, port); port 0 takes any free one.
            status: What the run says of itself. Called by the server's threads, some four times a second at most.
            token: What viewers must know. Needed where others than this machine can reach the address.
            save_recording: Keeps the last seconds of a recording and returns one line for people.

        Raises:
            ConfigError: A token is needed, or the libraries of the extra ``web`` are not installed.
            SinkError: The port is taken, or this machine has no such address.
        """
        host, port = address
        require_token(host, token)
        _require_libraries()
        from pipeline.web.metrics import Metrics

        self._listener = bind(host, port)
        self._port: int = self._listener.getsockname()[1]
        self._status, self._token, self._save_recording = status, token, save_recording
        self.url = url_of(host, self._port)
        self.login_url = f"{self.url}?token={quote(token)}" if token else self.url
        self._feeds = Feeds()
        self._metrics = Metrics(status, self._watchers)
        self.sink = PageSink(self._feeds, self._metrics.observe)
        self._application: Application | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._closed = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clearway-page", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._ready.wait(CLOSE_LIMIT_S)

    @property
    def is_serving(self) -> bool:
        """Whether its thread is at work."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End every connection, the loop and the thread, within two seconds. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        if self._thread.ident is None:
            self._listener.close()
            return
        loop, ending = self._loop, self._ending
        if loop is not None and ending is not None:
            with contextlib.suppress(RuntimeError):  # It has ended already.
                loop.call_soon_threadsafe(ending.set)
        self._thread.join(CLOSE_LIMIT_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # Nothing may pass: a page is no reason to end a run.
            self.sink.fail(f"{type(error).__name__}: {error}")
        else:
            if not self._closed:
                self.sink.fail("the server has ended by itself")
        finally:
            self._ready.set()
            self._listener.close()

    async def _serve(self) -> None:
        import uvicorn

        from pipeline.web.access import Access
        from pipeline.web.application import Application
        from pipeline.web.connections import BoundedProtocol

        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        server: Server
        application = self._application = Application(
            feeds=self._feeds,
            status=self._status,
            access=Access(self._token, self._port),
            metrics=self._metrics,
            save_recording=self._save_recording,
            abort=lambda client: _abort(server, client),
        )
        server = uvicorn.Server(
            uvicorn.Config(
                application.asgi,
                loop="asyncio",
                http=BoundedProtocol,
                ws="websockets-sansio",
                ws_max_size=16 * 1024,
                ws_per_message_deflate=False,  # JPEG cannot be made smaller.
                lifespan="off",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[self._listener]))
        ending = asyncio.create_task(self._ending.wait())
        self._loop.call_soon(self._ready.set)
        if self._closed:  # While it was still being set up.
            self._ending.set()
        await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        server.should_exit = True
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # It complains of every viewer that it cuts off.
        application.close()
        await asyncio.wait({serving}, timeout=_POLITE_S)
        _abort(server)
        await serving

    def _watchers(self) -> dict[str, int]:
        return self._application.watchers() if self._application is not None else {}


def _abort(server: Server, client: tuple[str, int] | None = None) -> None:
    """End connections at once, without waiting for what they have not read: that one, or all."""
    for connection in list(server.server_state.connections):
        if client is None or getattr(connection, "client", None) == client:
            connection.transport.abort()


def _require_libraries() -> None:
    try:
        import prometheus_client
        import starlette
        import uvicorn
        import websockets
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--web: the page needs {error.name}, which is not installed; run: pip install 'clearway[web]'"
        ) from error
    del prometheus_client, starlette, uvicorn, websockets
