"""Pictures for browsers: every camera's newest overlay as a JPEG, made once for all viewers and only for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import cv2

from pipeline.scene import BgrImage
from pipeline.web.feed import Feeds, Shown

__all__ = ["JpegPicture", "JpegStream", "JpegStreams", "encode_jpeg"]

_LARGEST_WIDTH_PX = 1280
_QUALITY = 78
_STILL_QUALITY = 93
_RATE_HZ = 20.0
"""Pictures a second of one camera at most."""
_TOTAL_RATE_HZ = 40.0
"""The same of all cameras together."""
_WANT_S = 2.0
_STILL_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class JpegPicture:
    """A compressed picture and the scene that it shows."""

    shown: Shown
    data: bytes = field(repr=False)
    made_s: float


def encode_jpeg(picture: BgrImage, *, largest_width_px: int | None = None, quality: int = _QUALITY) -> bytes:
    """(H, W, 3) uint8 BGR → JPEG, made smaller where it is wider than that."""
    height, width = picture.shape[:2]
    if largest_width_px is not None and width > largest_width_px:
        size = (largest_width_px, max(1, round(height * largest_width_px / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _step_back() -> None:
    """The encoding thread yields to the engine wherever the system lets threads have priorities of their own."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


class JpegStream:
    """One camera's pictures for all of its viewers; lives in the server's loop."""

    def __init__(self, camera: str, feeds: Feeds, executor: ThreadPoolExecutor) -> None:
        self._feeds = feeds
        self._feed = feeds[camera]
        self._executor = executor
        self._newest: JpegPicture | None = None
        self._new_scene = asyncio.Event()
        self._waiters: set[asyncio.Future[JpegPicture]] = set()
        self._asked = asyncio.Event()
        self._task = asyncio.create_task(self._encode())

    def notify(self) -> None:
        """The feed has a new scene."""
        self._new_scene.set()

    def close(self) -> None:
        """Encode no more."""
        self._task.cancel()

    async def after(self, sequence: int) -> JpegPicture:
        """The newest picture that is newer than that one; waits until there is one."""
        made = self._newest
        if made is not None and made.shown.sequence > sequence and self._is_recent(made):
            return made
        waiter: asyncio.Future[JpegPicture] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        self._asked.set()
        try:
            return await waiter
        finally:
            self._waiters.discard(waiter)

    def _is_recent(self, made: JpegPicture) -> bool:
        """Whether nothing newer could be had by encoding: what nobody looked at meanwhile is not shown late."""
        newest = self._feed.newest
        is_newest = newest is not None and newest.sequence == made.shown.sequence
        return is_newest or time.monotonic() - made.made_s < 1.0 / _RATE_HZ

    async def _encode(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._asked.wait()
            if not self._waiters:
                self._asked.clear()
                continue
            self._feeds.want(_WANT_S)
            began_s = time.monotonic()
            shown = await self._next_scene()
            if shown is None or shown.picture is None:
                continue
            encode = partial(encode_jpeg, shown.picture, largest_width_px=_LARGEST_WIDTH_PX)
            data = await loop.run_in_executor(self._executor, encode)
            self._newest = JpegPicture(shown, data, time.monotonic())
            self._asked.clear()
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(self._newest)
            rate_hz = min(_RATE_HZ, _TOTAL_RATE_HZ / max(1, len(self._feeds.names)))
            await asyncio.sleep(max(0.0, began_s + 1.0 / rate_hz - time.monotonic()))

    async def _next_scene(self) -> Shown | None:
        """The newest scene with a picture that is newer than the last encoded one; None after a second without."""
        last = self._newest.shown.sequence if self._newest is not None else 0
        self._new_scene.clear()
        newest = self._feed.newest
        if newest is not None and newest.sequence > last and newest.picture is not None:
            return newest
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._new_scene.wait(), 1.0)
        return None


class JpegStreams:
    """The streams of all cameras; made in the server's loop, and closed there."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(1, "clearway-page-jpeg", initializer=_step_back)
        self._streams: dict[str, JpegStream] = {}
        feeds.on_new = self._on_new

    def __getitem__(self, camera: str) -> JpegStream:
        stream = self._streams.get(camera)
        if stream is None:
            stream = self._streams[camera] = JpegStream(camera, self._feeds, self._executor)
        return stream

    def _on_new(self, camera: str) -> None:
        """A scene came; called by the sink's thread."""
        if self._feeds.wanted and camera in self._streams:
            with contextlib.suppress(RuntimeError):  # The loop has just ended.
                self._loop.call_soon_threadsafe(self._streams[camera].notify)

    async def still(self, camera: str) -> bytes | None:
        """The newest overlay in full size, three seconds old at most; None where none comes within as long."""
        self._feeds.want(_STILL_WAIT_S)
        asked_s = time.monotonic()
        while time.monotonic() < asked_s + _STILL_WAIT_S:
            newest = self._feeds[camera].newest
            if newest is not None and newest.picture is not None and newest.written_s > asked_s - _STILL_WAIT_S:
                encode = partial(encode_jpeg, newest.picture, quality=_STILL_QUALITY)
                return await self._loop.run_in_executor(self._executor, encode)
            await asyncio.sleep(0.02)
        return None

    def close(self) -> None:
        """Stop encoding; what is being encoded is not waited for."""
        self._feeds.on_new = lambda _: None
        for stream in self._streams.values():
            stream.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
