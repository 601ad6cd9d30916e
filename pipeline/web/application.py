"""What the server answers to.

| path | |
|---|---|
| ``/`` | the page |
| ``/live`` | WebSocket of the page |
| ``/still/<camera>.jpg`` | the newest overlay, full size |
| ``/overlay/<camera>.ts`` | the overlay as MPEG-TS |
| ``/status`` | `LiveStatus` as JSON |
| ``/metrics`` | Prometheus |
| ``/healthz`` | 200 while the run is well, else 503 |
| ``POST /save`` | keep the recording's last seconds |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import ClearwayError
from pipeline.live.status import LiveStatus
from pipeline.web.access import Access, AccessGuard
from pipeline.web.board import StatusBoard
from pipeline.web.feed import Feeds
from pipeline.web.jpeg import JpegStreams
from pipeline.web.metrics import CONTENT_TYPE, Metrics
from pipeline.web.overlay_stream import MEDIA_TYPE, OverlayStreams
from pipeline.web.viewers import Viewers

__all__ = ["Application"]

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page.webmanifest": ("page.webmanifest", "application/manifest+json"),
} | {f"/{script.name}": (script.name, "text/javascript") for script in sorted(_STATIC.glob("*.js"))}


class Application:
    """Everything that lives in the server's loop; made there, and closed there.

    Args:
        feeds: What the run hands over.
        status: What the run says of itself.
        access: Who may look.
        metrics: Figures for Prometheus.
        save_recording: Keeps the last seconds of a recording, and returns one line for people.
        abort: Ends a connection at once, by the address of its other end.
    """

    def __init__(
        self,
        *,
        feeds: Feeds,
        status: Callable[[], LiveStatus],
        access: Access,
        metrics: Metrics,
        save_recording: Callable[[], str] | None,
        abort: Callable[[tuple[str, int]], None],
    ) -> None:
        self._access, self._metrics, self._save_recording, self._abort = access, metrics, save_recording, abort
        self._board = StatusBoard(status, feeds, can_save=save_recording is not None)
        self._streams = JpegStreams(feeds)
        self._overlays = OverlayStreams(feeds)
        self._viewers = Viewers(self._board, self._streams, abort)
        routes: list[BaseRoute] = [
            Route("/healthz", self._health),
            Route("/status", self._status),
            Route("/metrics", self._metrics_text),
            Route("/still/{camera:path}.jpg", self._still),
            Route("/overlay/{camera:path}.ts", self._overlay),
            Route("/save", self._save, methods=["POST"]),
            WebSocketRoute("/live", self._viewers.serve),
            *(Route(path, _file(name, kind)) for path, (name, kind) in _FILES.items()),
        ]
        self.asgi: ASGIApp = AccessGuard(Starlette(routes=routes), access)

    def watchers(self) -> dict[str, int]:
        """Who looks at the moment, by kind."""
        return {"page": self._viewers.count, "stream": self._overlays.reader_count}

    def close(self) -> None:
        """Encode no more, and end every stream."""
        self._streams.close()
        self._overlays.close()

    async def _health(self, request: Request) -> Response:
        reasons = await self._board.health()
        # Cameras' names and addresses are for those who may look.
        told = reasons if self._access.knows_token(request.headers) else ["it is not well"][: len(reasons)]
        return PlainTextResponse("".join(f"{line}\n" for line in told) or "well\n", 503 if reasons else 200)

    async def _status(self, _: Request) -> Response:
        return JSONResponse(await self._board.document())

    async def _metrics_text(self, _: Request) -> Response:
        text = await anyio.to_thread.run_sync(self._metrics.text, abandon_on_cancel=True)
        return Response(text, media_type=CONTENT_TYPE)

    async def _still(self, request: Request) -> Response:
        camera = request.path_params["camera"]
        if not await self._is_known(camera):
            return _no_such(camera)
        picture = await self._streams.still(camera)
        if picture is None:
            return PlainTextResponse(f"{camera} has given no picture for some seconds.\n", 503)
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", camera).strip("-") or "camera"
        taken = datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
        disposition = f'attachment; filename="clearway-{name}-{taken}.jpg"'
        return Response(picture, media_type="image/jpeg", headers={"Content-Disposition": disposition})

    async def _overlay(self, request: Request) -> Response:
        camera = request.path_params["camera"]
        if not await self._is_known(camera):
            return _no_such(camera)
        if self._overlays.is_full:
            return PlainTextResponse("There are too many readers.\n", 503)
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        return _OverlayResponse(self._overlays, camera, self._abort)

    async def _save(self, _: Request) -> Response:
        if self._save_recording is None:
            return JSONResponse({"error": "nothing is being recorded: start the run with --record DIR"}, 404)
        try:
            saved = await anyio.to_thread.run_sync(self._save_recording, abandon_on_cancel=True)
        except ClearwayError as error:
            return JSONResponse({"error": str(error)}, 409)
        return JSONResponse({"saved": saved})

    async def _is_known(self, camera: str) -> bool:
        return any(known.name == camera for known in (await self._board.status()).cameras)


class _OverlayResponse(StreamingResponse):
    """Reads for as long as it is being sent."""

    def __init__(self, overlays: OverlayStreams, camera: str, abort: Callable[[tuple[str, int]], None]) -> None:
        self._overlays, self._camera, self._abort = overlays, camera, abort
        super().__init__(iter(()), media_type=MEDIA_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        def end() -> None:
            if scope["client"] is not None:
                self._abort(scope["client"])

        with self._overlays.reading(self._camera, end) as chunks:
            self.body_iterator = chunks
            await super().__call__(scope, receive, send)


def _file(name: str, kind: str) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return FileResponse(_STATIC / name, media_type=kind)

    return answer


def _no_such(camera: str) -> Response:
    return PlainTextResponse(f"There is no camera called {camera}.\n", 404)
