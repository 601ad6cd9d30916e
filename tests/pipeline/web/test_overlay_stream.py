"""The overlay as MPEG-TS: what any player reads, begun at a keyframe, and no burden while nobody reads."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request

import av
import pytest

from pipeline.web import WebServer
from tests.pipeline.web.feeder import Run, until


def encoders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.endswith(".ts")]


def test_a_player_reads_moving_pictures(server: WebServer) -> None:
    with av.open(f"{server.url}overlay/front.ts", timeout=10) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(20), strict=False)]
    assert frames[0].key_frame
    assert (frames[0].width, frames[0].height) == (320, 180)
    times_s = [frame.time for frame in frames if frame.time is not None]
    assert times_s == sorted(set(times_s))
    assert len({frame.to_ndarray(format="gray")[90].argmax() // 8 for frame in frames}) > 10, "the bar moves"


def test_a_late_joiner_begins_at_a_keyframe_and_shares_the_encoder(server: WebServer) -> None:
    with av.open(f"{server.url}overlay/front.ts", timeout=10) as first:
        next(first.decode(video=0))
        with av.open(f"{server.url}overlay/front.ts", timeout=10) as second:
            assert next(second.decode(video=0)).key_frame
            assert encoders() == ["clearway-page-front.ts"]
    assert until(lambda: encoders() == []), "the encoder ends with its last reader"


def test_a_reader_that_takes_nothing_is_dropped(noisy: tuple[Run, WebServer]) -> None:
    _, server = noisy
    host, _, port = server.url.removeprefix("http://").rstrip("/").partition(":")
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((host, int(port)))
        reader.sendall(f"GET /overlay/front.ts HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert until(lambda: encoders() != [])
        assert until(lambda: encoders() == [], limit_s=30.0)


def test_the_stream_shows_that_the_signal_is_lost_and_found(server: WebServer, run: Run) -> None:
    with av.open(f"{server.url}overlay/front.ts", timeout=10) as container:
        pictures = (frame.to_ndarray(format="gray") for frame in container.decode(video=0))
        assert next(pictures).max() > 100
        run.cameras["front"].die()
        assert any(picture.max() < 60 for picture in pictures)
        run.cameras["front"].come_back()
        assert any(picture.max() > 100 for picture in pictures)


def test_head_and_unknown_cameras(server: WebServer) -> None:
    request = urllib.request.Request(f"{server.url}overlay/front.ts", method="HEAD")
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["content-type"] == "video/mp2t"
    assert encoders() == []
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server.url}overlay/nowhere.ts", timeout=10)
