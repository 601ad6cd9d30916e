"""Real cameras on the network, that tests switch off, freeze and move at will."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import pytest

from tests.live import clock

__all__ = ["MjpegCamera", "RtspCamera", "free_port", "require_gstreamer"]

_SERVER = Path(__file__).with_name("rtsp_server.py")
_SYSTEM_PYTHON = "/usr/bin/python3"
_START_LIMIT_S = 20.0


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_gstreamer() -> None:
    """Skip the test, saying why, where the RTSP server cannot run."""
    check = (
        "import gi\nfor name in ('Gst', 'GstApp', 'GstRtspServer'): gi.require_version(name, '1.0')\n"
        "from gi.repository import Gst, GstRtspServer\nGst.init(None)\n"
        "missing = [name for name in ('x264enc', 'x265enc', 'jpegenc', 'rtph264pay', 'decodebin', 'avdec_h264')"
        " if not Gst.ElementFactory.find(name)]\nassert not missing, missing"
    )
    if shutil.which(_SYSTEM_PYTHON) is None:
        pytest.skip(f"no RTSP server: no {_SYSTEM_PYTHON}")
    done = subprocess.run([_SYSTEM_PYTHON, "-c", check], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(
            f"no RTSP server (scripts/install_test_services installs it): {done.stderr.strip().splitlines()[-1]}"
        )


class RtspCamera:
    """An RTSP camera: a process that can be killed, paused, frozen and moved. Starts at once.

    Args:
        options: As `rtsp_server.py` takes them, such as ``"--size", "1280x720"``.
        port: Where to listen; 0 takes a free one. It stays the same over restarts.
        prefix: A command that runs the server elsewhere, such as in a network namespace.
        address: Where it listens and is called.
    """

    def __init__(self, *options: str, port: int = 0, prefix: Sequence[str] = (), address: str = "127.0.0.1") -> None:
        self.options = options
        self.port = port
        self.address = address
        self._prefix = tuple(prefix)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def uri(self) -> str:
        return f"rtsp://{self.address}:{self.port}/camera"

    def start(self, *options: str) -> None:
        """Start, or restart at the same address; with other options than before where some are given."""
        self.kill()
        self.options = options or self.options
        command = [*self._prefix, _SYSTEM_PYTHON, str(_SERVER), "--address", self.address, "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, *self.options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        answer = self._answer(_START_LIMIT_S)
        assert answer.startswith("ready"), f"the RTSP server did not start: {answer!r}"
        self.port = int(answer.split()[1])

    def tell(self, command: str) -> str:
        """Give one of the commands of `rtsp_server.py`; its answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer(_START_LIMIT_S)

    def pause(self) -> None:
        """Stop the process with its connections open: to the other side a network that swallows everything."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Cut the power. May be called more than once."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate(timeout=10)
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _answer(self, limit_s: float) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], limit_s)
        return self._process.stdout.readline().strip() if readable else ""

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class MjpegCamera:
    """An HTTP camera that sends JPEGs with the clock in them, one after the other, in a multipart reply.

    Args:
        size_hw: (H, W) of its pictures.
        rate_hz: Pictures a second.
        port: Where to listen; 0 takes a free one. It stays the same over restarts.
    """

    def __init__(self, size_hw: tuple[int, int] = (360, 640), rate_hz: float = 25.0, port: int = 0) -> None:
        self.size_hw, self.rate_hz = size_hw, rate_hz
        self.port = port
        self.frozen = threading.Event()
        self.damaged = threading.Event()
        self.sent = 0
        self._server: ThreadingHTTPServer | None = None
        self._off = threading.Event()
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/camera.mjpg"

    def start(self) -> None:
        """Start, or start again at the same address."""
        self._off = off = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._serve(self, off)

            def log_message(self, *_: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Close every connection and stop listening. May be called more than once."""
        self._off.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, handler: BaseHTTPRequestHandler, off: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        handler.end_headers()
        due_s = time.monotonic()
        with contextlib.suppress(OSError):
            while not off.is_set():
                if not self.frozen.is_set():
                    jpeg = self._jpeg()
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    handler.wfile.write(head.encode() + jpeg + b"\r\n")
                    self.sent += 1
                due_s = max(due_s + 1 / self.rate_hz, time.monotonic() + 0.5 / self.rate_hz)
                off.wait(due_s - time.monotonic())
        handler.close_connection = True

    def _jpeg(self) -> bytes:
        image = np.full((*self.size_hw, 3), 114, np.uint8)
        clock.draw_on(image, clock.now_ms())
        jpeg = bytes(cv2.imencode(".jpg", image)[1])
        # Half of the picture's own bytes, the lengths as promised: what a bad cable makes of it.
        return jpeg[: len(jpeg) // 2] + bytes(len(jpeg) - len(jpeg) // 2) if self.damaged.is_set() else jpeg

    def __enter__(self) -> MjpegCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
