"""The overlay as MPEG-TS over HTTP, for VLC, ffplay, GStreamer, recorders: one encoder a camera, while somebody reads.

A reader begins at a keyframe. One that takes less than is made is dropped, so that it can come back to the present
instead of falling behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from fractions import Fraction

import av
from av.error import FFmpegError

from pipeline.scene import BgrImage
from pipeline.sinks.h264 import H264Writer, fitted
from pipeline.web.feed import CameraFeed, Feeds

__all__ = ["MEDIA_TYPE", "OverlayStreams"]

MEDIA_TYPE = "video/mp2t"

_LARGEST_WIDTH_PX = 1280
_MOST_READERS = 8
_BACKLOG_BYTES = 4 * 1024 * 1024
"""What a reader may lag behind: some ten seconds."""
_WAIT_S = 0.5
_TS_OPTIONS = {"mpegts_flags": "pat_pmt_at_frames", "omit_video_pes_length": "0", "flush_packets": "1"}


class _Reader:
    """What waits for one reader; lives in the server's loop."""

    def __init__(self, on_lag: Callable[[], None]) -> None:
        self._on_lag = on_lag
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._started = False
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, chunk: bytes, is_keyframe: bool) -> None:
        self._started |= is_keyframe
        if not self._started or self._ended:
            return
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > _BACKLOG_BYTES:
            self._chunks.clear()
            self.end()
            self._on_lag()
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                yield chunk
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()


class _Collector(io.RawIOBase):
    """The container's file: holds what was written since it was last emptied."""

    def __init__(self) -> None:
        super().__init__()
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


class _Encoding:
    """One run of the encoder, in a thread of its own, from the first reader to the last."""

    def __init__(self, feed: CameraFeed, feeds: Feeds) -> None:
        self._feed, self._feeds = feed, feeds
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self.readers: set[_Reader] = set()
        self.ended = False
        self._thread = threading.Thread(target=self._run, name=f"clearway-page-{feed.name}.ts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        with contextlib.suppress(FFmpegError):
            self._encode()
        self._in_loop(self._end)

    def _encode(self) -> None:
        collector, writer, sequence = _Collector(), None, 0
        while not self._stop.is_set():
            self._feeds.want(4 * _WAIT_S)
            shown = self._feed.wait_newer(sequence, _WAIT_S)
            if shown is None or shown.picture is None:
                continue
            sequence = shown.sequence
            if writer is None:
                writer = self._open(collector, _size_for(shown.picture))
            writer.encode(fitted(shown.picture, writer.size_hw), shown.source_time_s)
        if writer is not None:
            writer.finish()

    def _open(self, collector: _Collector, size_hw: tuple[int, int]) -> H264Writer:
        keyframe = False

        def before(is_keyframe: bool) -> None:
            nonlocal keyframe
            keyframe = is_keyframe

        def after() -> None:
            self._in_loop(self._deliver, collector.take(), keyframe)

        container = av.open(collector, "w", format="mpegts", container_options=_TS_OPTIONS)
        return H264Writer(container, size_hw, Fraction(30), threads=1, before_packet=before, after_packet=after)

    def _deliver(self, chunk: bytes, is_keyframe: bool) -> None:
        for reader in self.readers:
            reader.put(chunk, is_keyframe)

    def _end(self) -> None:
        self.ended = True
        for reader in self.readers:
            reader.end()

    def _in_loop(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has just ended.
            self._loop.call_soon_threadsafe(call, *arguments)


class OverlayStreams:
    """The streams of all cameras; lives in the server's loop."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._encodings: dict[str, _Encoding] = {}

    @property
    def reader_count(self) -> int:
        """Who reads at the moment."""
        return sum(len(encoding.readers) for encoding in self._encodings.values())

    @property
    def is_full(self) -> bool:
        """Whether there are as many readers as there may be."""
        return self.reader_count >= _MOST_READERS

    @contextlib.contextmanager
    def reading(self, camera: str, on_lag: Callable[[], None]) -> Iterator[AsyncIterator[bytes]]:
        """The camera's overlay from the next keyframe on. It ends when the reader lags, or the run ends.

        Args:
            camera: Which.
            on_lag: Called when the reader lags: what was sent already may never be read.
        """
        encoding = self._encodings.get(camera)
        if encoding is None or encoding.ended:
            encoding = self._encodings[camera] = _Encoding(self._feeds[camera], self._feeds)
        reader = _Reader(on_lag)
        encoding.readers.add(reader)
        try:
            yield reader.chunks()
        finally:
            encoding.readers.discard(reader)
            if not encoding.readers:
                encoding.stop()
                if self._encodings.get(camera) is encoding:
                    del self._encodings[camera]

    def close(self) -> None:
        """End every stream."""
        for encoding in self._encodings.values():
            encoding.stop()
            for reader in encoding.readers:
                reader.end()


def _size_for(picture: BgrImage) -> tuple[int, int]:
    """(H, W) of the stream: the picture's own, or smaller where it is very wide."""
    height, width = picture.shape[:2]
    if width <= _LARGEST_WIDTH_PX:
        return height, width
    return max(2, round(height * _LARGEST_WIDTH_PX / width)), _LARGEST_WIDTH_PX
