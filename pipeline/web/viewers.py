"""Those who watch the page: each is sent the newest pictures as fast as it shows them, and no faster.

Sockets buffer seconds of pictures, so that a viewer on a slow link would see the past without knowing. Therefore the
page answers every picture that it has drawn, and at most two of a camera are on their way to it at any time.

What is sent: the status as JSON text; pictures as bytes: length of a JSON header (4 bytes, little-endian), the header
(``camera`` and what `board.scene_facts` says), the JPEG. What is received, as JSON text: ``{"drawn": camera}``, and
``{"watch": [camera, …] or null for all}``; a page in the background watches none.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import anyio
import msgspec
from anyio.abc import TaskGroup
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from pipeline.web.board import StatusBoard, scene_facts
from pipeline.web.jpeg import JpegPicture, JpegStreams

__all__ = ["MOST_VIEWERS", "Viewers"]

MOST_VIEWERS = 32
_ON_THE_WAY = 2
"""Pictures of one camera that a viewer has not drawn yet, at most. One would halve the rate on a slow link."""
_UNANSWERED_LIMIT_S = 10.0
"""A viewer that does not draw what it was sent is dropped after that long."""

_STATUS_PERIOD_S = 0.25


class _ViewerGone(Exception):  # noqa: N818 - not an error: viewers come and go
    """The viewer left, or takes nothing any more."""


class _Said(msgspec.Struct):
    """What a viewer may say."""

    drawn: str | msgspec.UnsetType = msgspec.UNSET
    watch: list[str] | msgspec.UnsetType | None = msgspec.UNSET


_DECODER = msgspec.json.Decoder(_Said)


class Viewers:
    """All viewers; lives in the server's loop.

    Args:
        board: The run's status.
        streams: The cameras' pictures.
        abort: Ends a connection at once, by the address of its other end.
    """

    def __init__(self, board: StatusBoard, streams: JpegStreams, abort: Callable[[tuple[str, int]], None]) -> None:
        self._board, self._streams, self._abort = board, streams, abort
        self.count = 0

    async def serve(self, socket: WebSocket) -> None:
        """Serve one viewer until it leaves, or is dropped."""
        await socket.accept()
        if self.count >= MOST_VIEWERS:
            await socket.close(1013, "too many viewers")
            return
        self.count += 1
        try:
            await _Viewer(socket, self._board, self._streams).serve()
        finally:
            self.count -= 1
            if socket.client is not None and socket.client_state is not WebSocketState.DISCONNECTED:
                # A closing handshake would wait behind what this viewer does not read.
                self._abort((socket.client.host, socket.client.port))


class _Viewer:
    def __init__(self, socket: WebSocket, board: StatusBoard, streams: JpegStreams) -> None:
        self._socket, self._board, self._streams = socket, board, streams
        self._watched: frozenset[str] | None = None  # None: all
        self._sent_s: dict[str, list[float]] = {}  # By camera: when each picture that is on its way was sent.
        self._changed = anyio.Event()
        self._group: TaskGroup

    async def serve(self) -> None:
        async with anyio.create_task_group() as group:
            self._group = group
            for part in (self._listen, self._report, self._drop_if_silent):
                self._start(part)

    def _start(self, part: Callable[..., Awaitable[None]], *arguments: str) -> None:
        """Run a part beside the others; the first that sees that the viewer is gone ends them all."""

        async def run() -> None:
            with suppress(_ViewerGone, WebSocketDisconnect, OSError):
                await part(*arguments)
            self._group.cancel_scope.cancel()

        self._group.start_soon(run)

    async def _listen(self) -> None:
        while True:
            try:
                said = _DECODER.decode(await self._socket.receive_text())
            except (msgspec.MsgspecError, KeyError):
                raise _ViewerGone from None  # Not our page.
            if isinstance(said.drawn, str) and (waiting := self._sent_s.get(said.drawn)):
                waiting.pop(0)
            if said.watch is not msgspec.UNSET:
                self._watched = None if said.watch is None else frozenset(said.watch)
            self._changed.set()
            self._changed = anyio.Event()

    async def _report(self) -> None:
        with_history = True
        while True:
            document = await self._board.document(with_history=with_history)
            text = json.dumps({"status": document}, separators=(",", ":"), allow_nan=False)
            await self._send(partial(self._socket.send_text, text))
            for camera in document["cameras"]:
                if camera["name"] not in self._sent_s:
                    self._sent_s[camera["name"]] = []
                    self._start(self._show, camera["name"])
            with_history = False
            await anyio.sleep(_STATUS_PERIOD_S)

    async def _drop_if_silent(self) -> None:
        while True:
            await anyio.sleep(1.0)
            oldest_s = min((times[0] for times in self._sent_s.values() if times), default=time.monotonic())
            if time.monotonic() - oldest_s > _UNANSWERED_LIMIT_S:
                raise _ViewerGone

    async def _show(self, camera: str) -> None:
        """Send the pictures of one camera, each the newest when the viewer is ready for it."""
        stream, sequence = self._streams[camera], 0
        while True:
            while not self._is_ready(camera):
                await self._changed.wait()
            made = await stream.after(sequence)
            sequence = made.shown.sequence
            if self._is_ready(camera):
                self._sent_s[camera].append(time.monotonic())
                await self._send(partial(self._socket.send_bytes, _packed(camera, made)))

    def _is_ready(self, camera: str) -> bool:
        watched = self._watched is None or camera in self._watched
        return watched and len(self._sent_s[camera]) < _ON_THE_WAY

    async def _send(self, send: Callable[[], Awaitable[None]]) -> None:
        with anyio.move_on_after(_UNANSWERED_LIMIT_S) as scope:
            await send()
        if scope.cancelled_caught:
            raise _ViewerGone


def _packed(camera: str, made: JpegPicture) -> bytes:
    header = json.dumps({"camera": camera, **(scene_facts(made.shown) or {})}, allow_nan=False).encode()
    return struct.pack("<I", len(header)) + header + made.data
