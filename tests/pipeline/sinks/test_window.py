"""The window, on a screen of its own where Xvfb is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import SinkError
from pipeline.sinks import open_sink
from pipeline.sinks.window import display_available

PROJECT = Path(__file__).resolve().parents[3]

SHOW = """
import sys, time
from pipeline.sinks import SinkClosed, open_sink
from tests.pipeline.scenes import make_scene

scene = make_scene(size_hw=(240, 320))
sink = open_sink("display://")
try:
    for count in range(int(sys.argv[1])):
        sink.write(scene, scene.frame.image)
        print("shown", flush=True)
        exec(sys.argv[2])
        time.sleep(0.02)
    print("finished", flush=True)
except SinkClosed:
    print("closed by the user", flush=True)
sink.close()
sink.close()
"""


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """DISPLAY of a virtual screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


@contextmanager
def show(screen: str, pictures: int, then: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that shows pictures on that screen, and runs some code after the first."""
    environment = {**os.environ, "DISPLAY": screen}
    command = [sys.executable, "-c", SHOW, str(pictures), then]
    with subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_pictures_are_shown_and_the_window_is_closed_again(screen: str) -> None:
    with show(screen, 5) as process:
        output, _ = process.communicate(timeout=60)
    assert output.split("\n") == [*["shown"] * 5, "finished", ""]


@pytest.mark.parametrize("key", ["q", "Escape"])
def test_a_key_ends_the_run(screen: str, key: str) -> None:
    if shutil.which("xdotool") is None:
        pytest.skip("xdotool, which presses keys, is not installed")
    environment = {**os.environ, "DISPLAY": screen}
    with show(screen, 1000) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        press = ["xdotool", "search", "--sync", "--name", "Clearway", "windowfocus", "--sync", "key", key]
        subprocess.run(press, env=environment, check=True, timeout=30)
        output, _ = process.communicate(timeout=60)
    assert output.endswith("closed by the user\n")


def test_a_window_that_is_gone_ends_the_run(screen: str) -> None:
    with show(screen, 1000, "import cv2; cv2.destroyWindow('Clearway')") as process:
        output, _ = process.communicate(timeout=60)
    assert output == "shown\nclosed by the user\n"


def test_without_a_display_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not display_available()
    with pytest.raises(SinkError, match=r"no display; name an output file instead"):
        open_sink("display://")


def test_a_display_that_is_gone_is_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4242")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not display_available()
    with pytest.raises(SinkError, match=r"the display :4242 is gone; name an output file instead"):
        open_sink("display://")


def test_a_display_that_refuses_us_does_not_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "localhost:4242")
    with pytest.raises(SinkError, match=r"OpenCV cannot show a window on localhost:4242"):
        open_sink("display://")
