"""Many viewers, some of which never read: nobody waits for them, and they are gone in the end."""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import socket
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pipeline.errors import SinkError
from pipeline.web import WebServer
from tests.pipeline.web.feeder import Run, until
from tests.pipeline.web.test_figures import get


class Viewer:
    """Draws what it is sent, as fast as it is told to."""

    def __init__(self, server: WebServer, draw_s: float = 0.0) -> None:
        self.sequences: list[int] = []
        self.closed = False
        self._draw_s = draw_s
        self._address = address_of(server)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10.0)

    def _watch(self) -> None:
        with contextlib.suppress(ConnectionClosed), connect(self._address) as connection:
            for message in connection:
                if self._stop.is_set():
                    break
                if isinstance(message, bytes):
                    time.sleep(self._draw_s)
                    header = header_of(message)
                    self.sequences.append(header["sequence"])
                    connection.send(json.dumps({"drawn": header["camera"]}))
        self.closed = True


def address_of(server: WebServer) -> str:
    return server.url.replace("http", "ws") + "live"


def drain(connection: ClientConnection) -> None:
    """Take what comes until nothing can come any more."""
    while True:
        connection.recv(timeout=5)


def header_of(message: bytes) -> dict:  # type: ignore[type-arg]
    length = struct.unpack_from("<I", message)[0]
    return json.loads(message[4 : 4 + length])  # type: ignore[no-any-return]


def memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def never_reading(server: WebServer) -> socket.socket:
    """A viewer whose computer takes nothing more once its small buffers are full."""
    viewer = connected(server)
    viewer.sendall(
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    return viewer


def connected(server: WebServer) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").rstrip("/").partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    return connection


def watching(server: WebServer) -> float:
    for line in get(server, "metrics")[1].decode().splitlines():
        if line.startswith('clearway_watchers{kind="page"}'):
            return float(line.split()[1])
    raise AssertionError("no such metric")


def test_twenty_viewers_of_which_five_never_read(noisy: tuple[Run, WebServer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.web.viewers._UNANSWERED_LIMIT_S", 4.0)
    run, server = noisy
    stuck = [never_reading(server) for _ in range(5)]
    viewers = [Viewer(server) for _ in range(15)]
    assert until(lambda: watching(server) == 20)
    assert until(lambda: all(len(viewer.sequences) > 3 for viewer in viewers), limit_s=20.0)
    gc.collect()
    before_mb = memory_mb()
    run.writes_s.clear()
    seen = [len(viewer.sequences) for viewer in viewers]
    assert until(lambda: watching(server) == 15, limit_s=20.0), "those that never read are gone"
    assert until(lambda: all(len(v.sequences) > n + 3 for v, n in zip(viewers, seen, strict=True)), limit_s=20.0)
    gc.collect()
    assert memory_mb() - before_mb < 40
    assert np.median(run.writes_s) < 0.005, "the run does not notice"
    for viewer in viewers:
        assert viewer.sequences == sorted(set(viewer.sequences)), "no picture twice, none out of order"
        viewer.close()
    for connection in stuck:
        connection.close()
    assert until(lambda: watching(server) == 0)


def test_a_slow_viewer_skips_and_is_never_behind(server: WebServer, run: Run) -> None:
    slow, fast = Viewer(server, draw_s=0.3), Viewer(server)
    assert until(lambda: len(slow.sequences) > 8)
    newest = max(run.cameras["front"].count, run.cameras["rear"].count)
    assert newest - max(slow.sequences) < 60, "two pictures of each camera are on their way, not all that were made"
    assert len(fast.sequences) > 2 * len(slow.sequences)
    slow.close()
    fast.close()


def test_nothing_is_encoded_while_nobody_looks(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    from pipeline.web import jpeg

    encode = jpeg.encode_jpeg
    monkeypatch.setattr(jpeg, "encode_jpeg", lambda *given, **options: made.append(1) or encode(*given, **options))
    time.sleep(0.5)
    assert made == []
    viewers = [Viewer(server) for _ in range(4)]
    assert until(lambda: all(len(viewer.sequences) > 10 for viewer in viewers))
    assert len(made) < 0.6 * sum(len(viewer.sequences) for viewer in viewers), "once for all"
    for viewer in viewers:
        viewer.close()
    assert until(lambda: not server.sink.wants_picture)
    count = len(made)
    time.sleep(0.5)
    assert len(made) == count


@pytest.mark.parametrize("message", ["nonsense", "[]", '{"watch": 3}', '{"drawn": {}}', b"\x00"])
def test_a_viewer_that_talks_nonsense_is_gone_and_nobody_else(
    server: WebServer, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    other = Viewer(server)
    with connect(address_of(server)) as rude:
        rude.send(message)
        with pytest.raises(ConnectionClosed):
            drain(rude)
    count = len(other.sequences)
    assert until(lambda: len(other.sequences) > count + 2)
    other.close()
    assert not caplog.records, "no traceback for others' mistakes"


def test_connections_that_say_nothing_are_ended(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they could take the descriptors that a camera needs to be connected anew."""
    monkeypatch.setattr("pipeline.web.connections.FIRST_REQUEST_LIMIT_S", 1.0)
    monkeypatch.setattr("pipeline.web.connections.MOST_CONNECTIONS", 8)
    watching_viewer = Viewer(server)
    assert until(lambda: bool(watching_viewer.sequences))
    mute = [connected(server) for _ in range(20)]
    assert until(lambda: sum(map(is_ended, mute)) >= 12, limit_s=0.9), "those beyond the limit at once"
    assert until(lambda: all(map(is_ended, mute))), "the others when they have said nothing for a while"
    count = len(watching_viewer.sequences)
    assert until(lambda: len(watching_viewer.sequences) > count + 2)
    watching_viewer.close()
    for connection in mute:
        connection.close()


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_too_many_viewers_are_turned_away(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.web.viewers.MOST_VIEWERS", 1)
    first = Viewer(server)
    assert until(lambda: bool(first.sequences))
    second = Viewer(server)
    assert until(lambda: second.closed)
    assert not first.closed
    first.close()


@pytest.mark.parametrize("count", [0, 3])
def test_the_server_ends_in_time_whoever_is_connected(run: Run, count: int) -> None:
    threads = threading.active_count()
    server = WebServer(("127.0.0.1", 0), status=run.status)
    server.start()
    run.feed(server.sink)
    stuck = [never_reading(server) for _ in range(count)]
    viewers = [Viewer(server) for _ in range(count)]
    assert until(lambda: all(viewer.sequences for viewer in viewers))
    began_s = time.monotonic()
    server.close()
    server.close()
    assert time.monotonic() - began_s < 3.0
    assert until(lambda: all(viewer.closed for viewer in viewers))
    for connection in stuck:
        connection.close()
    run.close()
    assert until(lambda: threading.active_count() <= threads)
    server.sink.write(run.scene(run.cameras["front"]), None)


def test_a_server_that_was_never_started_gives_its_port_back(run: Run) -> None:
    server = WebServer(("127.0.0.1", 0), status=run.status)
    port = int(server.url.rstrip("/").rpartition(":")[2])
    server.close()
    WebServer(("127.0.0.1", port), status=run.status).close()


def test_a_server_that_fails_says_so_with_the_next_scene(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvicorn.Server.main_loop", lambda _: (_ for _ in ()).throw(OSError("no memory")))
    server = WebServer(("127.0.0.1", 0), status=run.status)
    server.start()
    assert until(lambda: not server.is_serving)
    with pytest.raises(SinkError, match="no memory"):
        server.sink.write(run.scene(run.cameras["front"]), None)
    server.close()


def test_a_status_that_hangs_stops_neither_pictures_nor_the_end(run: Run) -> None:
    released = threading.Event()
    server = WebServer(("127.0.0.1", 0), status=lambda: (released.wait(20.0), run.status())[1])
    server.start()
    run.feed(server.sink)
    with connect(address_of(server)) as viewer:
        with pytest.raises(TimeoutError):
            viewer.recv(timeout=1.0)
        began_s = time.monotonic()
        server.close()
        assert time.monotonic() - began_s < 3.0
    released.set()
