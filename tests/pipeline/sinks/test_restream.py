"""The overlay arrives at a real RTSP server, and a server that does not play along costs nobody any time."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from av.error import FFmpegError

from pipeline.errors import ConfigError
from pipeline.sinks.restream import RestreamSink
from tests.pipeline.recordings import number_of, numbered_picture
from tests.pipeline.scenes import make_scene

SIZE_HW = (96, 160)
_RECORDER = Path(__file__).with_name("rtsp_recorder.py")
_SYSTEM_PYTHON = "/usr/bin/python3"
_PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts an RTSP server on a port; "0" takes any."""
    if subprocess.run([_SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, check=False).returncode != 0:
        pytest.skip("no GStreamer RTSP server (Debian: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0)")
    running: list[subprocess.Popen[str]] = []

    def start(port: str) -> subprocess.Popen[str]:
        file = tmp_path / f"{len(running)}.ts"
        process = subprocess.Popen(
            [_SYSTEM_PYTHON, str(_RECORDER), port, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def port_of(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline().split()[1]


class Feeding:
    """Writes a numbered picture 25 times a second, and keeps how long each `write` took."""

    def __init__(self, sink: RestreamSink) -> None:
        self.sink = sink
        self.took_s: list[float] = []
        self.gaps_s: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Feeding:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.sink.close()

    def _run(self) -> None:
        last_s = time.monotonic()
        for number in itertools.count():
            if self._stop.wait(0.04):
                return
            began_s = time.monotonic()
            self.gaps_s.append(began_s - last_s)
            last_s = began_s
            self.sink.write(make_scene(number, size_hw=SIZE_HW), numbered_picture(number, SIZE_HW))
            self.took_s.append(time.monotonic() - began_s)

    def wait(self, condition: Callable[[], bool], limit_s: float = 15.0) -> bool:
        end_s = time.monotonic() + limit_s
        while not condition() and time.monotonic() < end_s:
            time.sleep(0.05)
        return condition()


def numbers_in(file: Path) -> list[int]:
    """The numbers that the recorded pictures show."""
    try:
        with av.open(str(file)) as container:
            if container.streams.video[0].codec_context is None:
                return []  # So little is there that the codec is not known: PyAV 17 would crash.
            return [number_of(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    except (FFmpegError, OSError, IndexError):
        return []


def sink_for(port: str) -> RestreamSink:
    return RestreamSink(f"rtsp://127.0.0.1:{port}/overlay", [""])


def test_pictures_arrive_in_order(tmp_path: Path, recorder: Callable[[str], subprocess.Popen[str]]) -> None:
    with Feeding(sink_for(port_of(recorder("0")))) as feeding:
        assert feeding.wait(lambda: feeding.sink.state == {"": ""}), feeding.sink.state
        assert feeding.wait(lambda: len(numbers_in(tmp_path / "0.ts")) > 20), feeding.sink.state
    numbers = numbers_in(tmp_path / "0.ts")
    assert numbers == sorted(set(numbers))


def test_a_server_that_goes_and_comes_back(tmp_path: Path, recorder: Callable[[str], subprocess.Popen[str]]) -> None:
    first = recorder("0")
    port = port_of(first)
    with Feeding(sink_for(port)) as feeding:
        assert feeding.wait(lambda: feeding.sink.state == {"": ""}), feeding.sink.state
        first.kill()
        first.wait()
        assert feeding.wait(lambda: feeding.sink.state != {"": ""})
        assert port_of(recorder(port)) == port
        assert feeding.wait(lambda: feeding.sink.state == {"": ""}), feeding.sink.state
        assert feeding.wait(lambda: len(numbers_in(tmp_path / "1.ts")) > 5)


def test_a_server_that_stops_taking_holds_nobody_up(recorder: Callable[[str], subprocess.Popen[str]]) -> None:
    server = recorder("0")
    with Feeding(sink_for(port_of(server))) as feeding:
        assert feeding.wait(lambda: feeding.sink.state == {"": ""}), feeding.sink.state
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(2.0)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 4.0, "closing waits for no server"
    assert max(feeding.took_s) < 1.0


def test_a_server_that_never_answers_stops_no_thread() -> None:
    """FFmpeg waits for its answer for seconds: with the interpreter's lock in hand, were it in this process."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Feeding(sink_for(str(silent.getsockname()[1]))) as feeding:
            assert feeding.wait(lambda: "server" in feeding.sink.state[""])
        assert max(feeding.gaps_s) < 2.0


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    with Feeding(sink_for(port)) as feeding:
        assert feeding.wait(lambda: "refused" in feeding.sink.state[""]), feeding.sink.state


@pytest.mark.parametrize("url", ["http://127.0.0.1/overlay", "rtsp://", "rtsp://127.0.0.1", "overlay"])
def test_nonsense_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="address of an RTSP server"):
        RestreamSink(url, ["front"])


def test_several_cameras_need_paths_of_their_own() -> None:
    with pytest.raises(ConfigError, match=r"\{camera\}"):
        RestreamSink("rtsp://127.0.0.1/overlay", ["front", "rear"])
    sink = RestreamSink("rtsp://me:secret@127.0.0.1/{camera}", ["front", "rear"])
    assert sink.name == "rtsp://me:***@127.0.0.1/{camera}"
    assert set(sink.state) == {"front", "rear"}
    sink.close()
