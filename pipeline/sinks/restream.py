"""The overlay pushed to an RTSP server (ANNOUNCE and RECORD, RFC 2326, over TCP), which many can then watch.

Every camera has a thread that encodes its newest picture and a process that talks to the server (`rtsp_push`). A server
that is slow, gone or silent costs pictures, never time: what comes while one is being sent replaces what waits.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote, urlsplit

import av
from av.error import FFmpegError

from pipeline.errors import ConfigError
from pipeline.scene import BgrImage, Scene
from pipeline.sinks import rtsp_push
from pipeline.sinks.h264 import H264Writer, fitted

__all__ = ["RestreamSink"]

_EXAMPLE = "rtsp://127.0.0.1:8554/overlay"
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_TURN_S = 0.2
_CLOSE_LIMIT_S = 2.0


class RestreamSink:
    """Pushes the overlay of every camera. `write` swaps a reference; failures are tried again, with growing pauses.

    Attributes:
        state: Camera → "" while its overlay is being pushed, else why it is not.
    """

    needs_overlay = True
    on_main_thread = False

    def __init__(self, url: str, cameras: Sequence[str]) -> None:
        """Take note of where to push to; the server is asked when the first picture comes.

        Args:
            url: ``rtsp://[user:password@]host[:port]/path``; ``{camera}`` in it stands for the camera's name.
            cameras: Every camera's name.

        Raises:
            ConfigError: That is no such address, or several cameras would go to the same one.
        """
        parts = urlsplit(url)
        if parts.scheme != "rtsp" or not parts.hostname or not parts.path.strip("/"):
            raise ConfigError(f"--restream {url}: that is no address of an RTSP server; write for instance {_EXAMPLE}")
        if len(cameras) > 1 and "{camera}" not in url:
            raise ConfigError(
                f"--restream {url}: {len(cameras)} cameras cannot share a path; "
                "write for instance rtsp://127.0.0.1:8554/{camera}"
            )
        self.name = _PASSWORD.sub(r"\1:***@", url)
        self.state = dict.fromkeys(cameras, "no picture has come yet")
        self._pushers = {
            camera: _Pusher(url.replace("{camera}", quote(camera)), camera, self.state) for camera in cameras
        }

    @property
    def trouble(self) -> str:
        """Why an overlay is not being pushed, camera by camera; "" while all are."""
        return "; ".join(f"{camera}: {reason}" for camera, reason in self.state.items() if reason)

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        """Hand one picture over; it replaces one that still waits."""
        camera = scene.camera.name if scene.camera is not None else scene.frame.camera
        pusher = self._pushers.get(camera)
        if pusher is not None and picture is not None:
            pusher.put(picture, scene.frame.source_time_s)

    def close(self) -> None:
        """End every push, within two seconds. May be called more than once."""
        for pusher in self._pushers.values():
            pusher.stop()
        for pusher in self._pushers.values():
            pusher.join(_CLOSE_LIMIT_S)


class _PushError(Exception):
    """The push has ended; says why."""


class _Pusher:
    """One camera's thread."""

    def __init__(self, url: str, camera: str, state: dict[str, str]) -> None:
        self._url, self._camera, self._state = url, camera, state
        self._newest: tuple[BgrImage, float] | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name=f"clearway-restream-{camera}", daemon=True)

    def put(self, picture: BgrImage, source_time_s: float) -> None:
        with self._changed:
            self._newest = (picture, source_time_s)
            self._changed.notify()
        if self._thread.ident is None and not self._stop.is_set():
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify()
        process = self._process
        if process is not None:
            process.kill()  # It may wait for the server, and this thread for it.

    def join(self, limit_s: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(limit_s)

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stop.is_set():
            began_s = time.monotonic()
            try:
                self._push()
            except _PushError as error:
                self._state[self._camera] = str(error)
            except OSError as error:  # No process could be started, or it ended at once.
                self._state[self._camera] = f"the push could not be started: {error}"
            # A push that went well for a while begins with a short pause again.
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began_s > _LONGEST_PAUSE_S else pause_s
            self._stop.wait(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _push(self) -> None:
        """Push until the server has enough of it, or the run ends."""
        first = self._next()
        if first is None:
            return
        with _server(self._url) as process:
            self._process = process
            writer = _open_writer(process, first[0])
            try:
                writer.encode(*first)
                self._wait_until_ready(process)
                self._state[self._camera] = ""
                while (following := self._next()) is not None:
                    picture, time_s = following
                    writer.encode(fitted(picture, writer.size_hw), time_s)
            except (OSError, FFmpegError) as error:
                raise _PushError(_reason(process) or f"the encoder failed: {error}") from error
            finally:
                self._process = None
                process.kill()  # First: the writer's last words must not wait for it.
                with contextlib.suppress(OSError, FFmpegError):
                    writer.finish()

    def _next(self) -> tuple[BgrImage, float] | None:
        """The newest picture and its time, once there is one that was not taken; None when the run ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._stop.is_set())
            newest, self._newest = self._newest, None
            return None if self._stop.is_set() else newest

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return once the server records: what is encoded before would reach it late."""
        assert process.stdout is not None
        until_s = time.monotonic() + 2 * rtsp_push.ANSWER_LIMIT_S
        while time.monotonic() < until_s and not self._stop.is_set():
            if select.select([process.stdout], [], [], _TURN_S)[0]:
                if os.read(process.stdout.fileno(), 16):
                    return
                raise _PushError(_reason(process) or "the server refused")
        raise _PushError("the server does not answer")


@contextlib.contextmanager
def _server(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process that talks to the server; gone when the context is left."""
    process = subprocess.Popen(
        [sys.executable, str(Path(rtsp_push.__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is this process's affair.
    )
    try:
        assert process.stdin is not None
        process.stdin.write(f"{url}\n".encode())  # Not on the command line, where everybody could read the password.
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _open_writer(process: subprocess.Popen[bytes], picture: BgrImage) -> H264Writer:
    container = av.open(process.stdin, "w", format="nut", container_options={"flush_packets": "1"})
    return H264Writer(container, (picture.shape[0], picture.shape[1]), Fraction(30), threads=1)


def _reason(process: subprocess.Popen[bytes]) -> str:
    """What the process said before it ended; "" where it said nothing."""
    assert process.stderr is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_TURN_S)
    if process.poll() is None:
        return ""
    lines = process.stderr.read().decode(errors="replace").strip().splitlines()
    return f"the server cannot be reached: {lines[-1]}" if lines else ""
