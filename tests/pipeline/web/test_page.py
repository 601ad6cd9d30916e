"""The page in a real browser: it shows the present, and says so when it cannot."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from pipeline.scene import Alert
from pipeline.web import WebServer
from tests.pipeline.web.feeder import Run, until

PROJECT = Path(__file__).resolve().parents[3]
FRONT = ".camera[data-camera=front]"


def pixels(page: Page, camera: str = "front") -> list[int]:
    """One row of the canvas, its red channel."""
    return page.evaluate(  # type: ignore[no-any-return]
        "name => { const c = document.querySelector(`.camera[data-camera=${name}] canvas`);"
        "return Array.from(c.getContext('2d').getImageData(0, c.height / 2, c.width, 1).data)"
        ".filter((_, i) => i % 4 === 0); }",
        camera,
    )


def chip(page: Page, camera: str = "front") -> object:
    return expect(page.locator(f".camera[data-camera={camera}] .chip"))


def test_the_picture_moves(page: Page, server: WebServer) -> None:
    page.goto(server.url)
    chip(page).to_have_text("live")
    expect(page.locator(FRONT)).not_to_have_class("unseen")
    for camera in ("front", "rear"):
        seen = {tuple(pixels(page, camera))}
        assert until(lambda seen=seen, camera=camera: len(seen) > 5 or bool(seen.add(tuple(pixels(page, camera)))))
    assert max(pixels(page)) > 200, "the bright bar is in the picture"


def test_a_camera_dies_and_returns(page: Page, server: WebServer, run: Run) -> None:
    page.goto(server.url)
    chip(page).to_have_text("live")
    run.cameras["front"].die("connection refused")
    chip(page).to_have_text("reconnecting")
    veil = page.locator(f"{FRONT} .veil")
    expect(veil).to_contain_text("No signal")
    expect(veil).to_contain_text("connection refused")
    expect(page.locator(FRONT)).to_have_class("camera unseen slate")
    chip(page, "rear").to_have_text("live")
    run.cameras["front"].come_back()
    chip(page).to_have_text("live")
    expect(veil).to_be_hidden()
    expect(page.locator(f"{FRONT} .facts")).to_contain_text("reconnects 1")


def test_a_frozen_picture_does_not_look_live(
    page: Page, server: WebServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The camera is said to be live, and no picture comes through: something between hangs."""
    monkeypatch.setattr("pipeline.web.board.SILENCE_LIMIT_S", 1.5)
    page.goto(server.url)
    expect(page.locator(f"{FRONT} .veil")).to_be_hidden()
    run.is_paused = True
    expect(page.locator(f"{FRONT} .veil")).to_contain_text("No new picture")
    expect(page.locator("#banner")).to_contain_text("the run hangs")
    run.is_paused = False
    expect(page.locator(f"{FRONT} .veil")).to_be_hidden()
    expect(page.locator("#banner")).to_be_hidden()


def test_the_page_loses_the_run_and_finds_it_again(page: Page, run: Run) -> None:
    first = WebServer(("127.0.0.1", 0), status=run.status)
    first.start()
    run.feed(first.sink)
    page.goto(first.url)
    chip(page).to_have_text("live")
    first.close()
    expect(page.locator("#connection")).to_have_text("lost")
    expect(page.locator("#banner")).to_contain_text("what you see is old")
    expect(page.locator(FRONT)).to_have_class("camera unseen")
    chip(page).to_have_text("unknown")

    port = int(first.url.rstrip("/").rpartition(":")[2])
    second = WebServer(("127.0.0.1", port), status=run.status)
    second.start()
    other = Run("front", "rear")
    other.feed(second.sink)
    try:
        expect(page.locator("#connection")).to_have_text("connected")
        chip(page).to_have_text("live")
        expect(page.locator(f"{FRONT} .veil")).to_be_hidden()
    finally:
        other.close()
        second.close()


def test_figures_alerts_outputs_and_the_engine_are_told(page: Page, server: WebServer, run: Run) -> None:
    page.goto(server.url)
    expect(page.locator(f"{FRONT} .fps")).to_have_text("25")
    expect(page.locator(f"{FRONT} .age-now")).to_have_text("24")
    expect(page.locator(f"{FRONT} .facts")).to_contain_text("21 / 33 / 47 ms")
    expect(page.locator(f"{FRONT} .facts")).to_contain_text("superseded 3")
    expect(page.locator("#stages")).to_contain_text("engine")
    expect(page.locator("#outputs")).to_contain_text("the disk is full")
    expect(page.locator("#alerts")).to_contain_text("None")
    run.cameras["rear"].alerts = (Alert("person_ahead", "A person stands ahead"),)
    expect(page.locator("#alerts")).to_contain_text("A person stands ahead")
    assert until(lambda: page.locator(f"{FRONT} .sparkline .curve").get_attribute("d") not in {None, ""})
    run.engine_state, run.engine_failure = "degraded", "out of memory"
    expect(page.locator("#engine")).to_have_text("degraded")
    expect(page.locator("#banner")).to_contain_text("out of memory")


def test_a_still_is_the_overlay_in_full_size(page: Page, server: WebServer, tmp_path: Path) -> None:
    page.goto(server.url)
    chip(page).to_have_text("live")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Still of front").click()
    assert waiting.value.suggested_filename.startswith("clearway-front-2")
    waiting.value.save_as(tmp_path / "still.jpg")
    picture = cv2.imread(str(tmp_path / "still.jpg"))
    assert picture is not None
    assert picture.shape == (180, 320, 3)
    assert np.max(picture) > 200


def test_the_save_button_saves(page: Page, server: WebServer) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Save recording").click()
    expect(page.locator("#toast")).to_have_text("saved out/rec/1")


def test_one_of_several_cameras_can_be_enlarged(page: Page, server: WebServer) -> None:
    page.goto(server.url)
    chip(page, "rear").to_have_text("live")
    enlarge = page.locator(".camera[data-camera=rear] .enlarge")
    before = enlarge.bounding_box()
    enlarge.click()
    after = enlarge.bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] > 1.5 * before["width"]
    page.keyboard.press("Escape")
    assert enlarge.bounding_box() == before


def test_everything_that_can_be_pressed_has_a_name(page: Page, server: WebServer) -> None:
    page.goto(server.url)
    chip(page, "rear").to_have_text("live")
    for role in ("button", "link"):
        for control in page.get_by_role(role).all():  # type: ignore[arg-type]
            assert control.get_attribute("aria-label") or control.inner_text().strip()


@pytest.mark.parametrize("names", [["front"], ["front", "rear", "left", "a camera with a rather long name"]])
def test_a_telephone_needs_no_sideways_scrolling(phone: Page, names: list[str]) -> None:
    run = Run(*names)
    server = WebServer(("127.0.0.1", 0), status=run.status, save_recording=lambda: "")
    server.start()
    run.feed(server.sink)
    try:
        phone.goto(server.url)
        expect(phone.locator(".camera")).to_have_count(len(names))
        expect(phone.locator(".veil").first).to_be_hidden()
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for control in phone.locator("button:visible, a:visible").all():
            box = control.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44, "large enough for a thumb"
    finally:
        run.close()
        server.close()


def test_a_hidden_page_asks_for_no_pictures(page: Page, server: WebServer) -> None:
    page.goto(server.url)
    chip(page).to_have_text("live")
    assert until(lambda: server.sink.wants_picture)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true }); "
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert until(lambda: not server.sink.wants_picture)


def test_the_token_is_asked_for_and_taken(page: Page, run: Run) -> None:
    server = WebServer(("127.0.0.1", 0), status=run.status, token="correct-horse")
    server.start()
    run.feed(server.sink)
    try:
        page.goto(server.url)
        expect(page.get_by_label("Token")).to_be_visible()
        expect(page.locator(".camera")).to_have_count(0)
        page.get_by_label("Token").fill("wrong-horse")
        page.get_by_role("button", name="Look").click()
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        page.get_by_label("Token").fill("correct-horse")
        page.get_by_role("button", name="Look").click()
        chip(page).to_have_text("live")
        assert page.evaluate("document.cookie") == "", "out of reach of scripts"

        page.context.clear_cookies()
        page.goto(server.login_url)
        chip(page).to_have_text("live")
        assert "token" not in page.url
    finally:
        server.close()


@pytest.fixture
def live_run(tmp_path: Path) -> Iterator[str]:
    """The command itself, with two rendered cameras; gives the page's address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    cameras = [
        f"{name}=synthetic://drive?frames=2000&seed={seed}&size=320x180&fps=10"
        for seed, name in enumerate(("front", "rear"))
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "launch.py", "live", *cameras, "--web", str(port), "--threads", "1", "--duration", "120"],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
        )
        yield f"http://127.0.0.1:{port}/"
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20.0) == 130, (tmp_path / "log").read_text()
        finally:
            process.kill()
            process.wait()


def test_the_command_itself(page: Page, live_run: str) -> None:
    assert until(lambda: answers(live_run), limit_s=60.0)
    page.goto(live_run)
    for camera in ("front", "rear"):
        expect(page.locator(f".camera[data-camera={camera}] .chip")).to_have_text("live", timeout=60_000)
        expect(page.locator(f".camera[data-camera={camera}] .veil")).to_be_hidden(timeout=20_000)
        seen: set[str | None] = set()
        picture = page.locator(f".camera[data-camera={camera}]")
        assert until(
            lambda seen=seen, picture=picture: bool(seen.add(picture.get_attribute("data-sequence"))) or len(seen) > 3
        )
    expect(page.locator("#engine")).to_have_text("running")
    expect(page.locator("#stages")).to_contain_text("postprocess")
    assert urllib.request.urlopen(f"{live_run}healthz", timeout=10).read() == b"well\n"


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200  # type: ignore[no-any-return]
    except OSError:
        return False
