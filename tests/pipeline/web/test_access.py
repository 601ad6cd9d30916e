"""Who may look, and what other sites may not make a browser do."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pipeline.errors import ConfigError, SinkError
from pipeline.web import WebServer, parse_web_address
from tests.pipeline.web.feeder import Run, until

TOKEN = "correct-horse-battery"


class Client:
    """Says to a server exactly what it is told to."""

    def __init__(self, server: WebServer) -> None:
        self.host = server.url.removeprefix("http://").rstrip("/")

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, given)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return response.status, names, response.read().decode(errors="replace")
        finally:
            connection.close()

    def status_of(self, path: str, method: str = "GET", **headers: str) -> int:
        return self.ask(path, method, **headers)[0]

    def socket_answers(self, **headers: str) -> bool:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with connect(f"ws://{self.host}/live", additional_headers=given) as socket:
                return "status" in json.loads(socket.recv(timeout=5))
        except InvalidStatus as error:
            return error.response.status_code != 403


@contextlib.contextmanager
def served(token: str = "") -> Iterator[tuple[Client, Run]]:
    run = Run("front", "rear")
    server = WebServer(("127.0.0.1", 0), status=run.status, token=token, save_recording=lambda: "saved out/rec/1")
    server.start()
    try:
        yield Client(server), run
    finally:
        server.close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Client]:
    """A page that asks for a token."""
    with served(TOKEN) as (client, _):
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A page for this machine alone."""
    with served() as (client, _):
        yield client


@pytest.mark.parametrize(
    "path",
    ["/status", "/metrics", "/still/front.jpg", "/overlay/front.ts", "/page.js", "/nothing", "/status?token=wrong"],
)
def test_nothing_is_told_without_the_token(guarded: Client, path: str) -> None:
    status, headers, _ = guarded.ask(path)
    assert status == 401
    assert headers["www-authenticate"].startswith("Bearer")


def test_the_token_is_taken_as_bearer_as_query_and_once_for_a_cookie(guarded: Client) -> None:
    assert guarded.status_of("/status", Authorization=f"Bearer {TOKEN}") == 200
    assert guarded.status_of("/status", Authorization=f"Bearer {TOKEN}x") == 401
    assert guarded.status_of("/status", Authorization=f"Basic {TOKEN}") == 401
    assert guarded.status_of(f"/status?token={TOKEN}") == 200
    status, headers, _ = guarded.ask(f"/?token={TOKEN}")
    assert status == 200
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie, "what a browser keeps opens this page and nothing else"
    assert guarded.status_of("/status", Cookie=cookie.partition(";")[0]) == 200
    assert guarded.status_of("/status", Cookie=cookie.partition(";")[0][:-1]) == 401
    assert guarded.status_of("/", Cookie='clearway_1="\x01') == 401


def test_the_login_form(guarded: Client) -> None:
    assert guarded.ask("/")[0] == 401
    wrong = guarded.ask("/login", "POST", "token=wrong")
    assert (wrong[0], "set-cookie" in wrong[1]) == (401, False)
    right = guarded.ask("/login", "POST", f"token={TOKEN}")
    assert (right[0], right[1]["location"]) == (303, "/")
    assert guarded.status_of("/status", Cookie=right[1]["set-cookie"].partition(";")[0]) == 200
    assert guarded.ask("/login", "POST", "x" * 100_000)[0] == 401


def test_a_socket_needs_the_token_too(guarded: Client) -> None:
    assert not guarded.socket_answers()
    assert not guarded.socket_answers(Authorization="Bearer wrong")
    assert guarded.socket_answers(Authorization=f"Bearer {TOKEN}")


def test_health_is_told_to_everybody_and_reasons_only_to_those_who_may_look() -> None:
    with served(TOKEN) as (client, run):
        assert client.status_of("/healthz") == 200
        for camera in run.cameras.values():
            camera.die("rtsp://camera/front: refused")
        assert until(lambda: client.status_of("/healthz") == 503)
        assert "front" not in client.ask("/healthz")[2]
        assert "front" in client.ask("/healthz", Authorization=f"Bearer {TOKEN}")[2]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[", "localhost.evil"]
)
def test_a_name_that_was_pointed_at_this_machine_is_not_answered(client: Client, host: str) -> None:
    """DNS rebinding: the browser believes that it talks to the other site, and would let its scripts read."""
    assert client.status_of("/status", Host=host) in {400, 403}


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8080", "car.localhost"])
def test_names_of_this_machine_are_answered(client: Client, host: str) -> None:
    assert client.status_of("/status", Host=host) == 200


def test_other_sites_cannot_look_or_act(client: Client) -> None:
    assert client.socket_answers(Origin=f"http://{client.host}")
    for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
        assert not client.socket_answers(Origin=origin)
        assert client.status_of("/save", "POST", Origin=origin) == 403
    assert client.status_of("/still/front.jpg", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors") == 403
    assert client.status_of("/save", "POST", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 403
    assert client.status_of("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200, "a link may lead here"


def test_actions_are_post_only(client: Client) -> None:
    assert client.status_of("/save") == 405
    status, _, body = client.ask("/save", "POST", Origin=f"http://{client.host}")
    assert (status, json.loads(body)) == (200, {"saved": "saved out/rec/1"})


def test_scripts_come_from_here_alone(client: Client) -> None:
    for path in ("/", "/page.js", "/status", "/nothing"):
        policy = client.ask(path)[1]["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
    assert "<script>" not in client.ask("/")[2]


@pytest.mark.parametrize(
    "path", ["/../server.py", "/%2e%2e/server.py", "/static/../server.py", "/still/../../etc/passwd"]
)
def test_files_outside_are_out_of_reach(client: Client, path: str) -> None:
    assert client.status_of(path) == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "car.local"])
def test_an_address_that_others_can_reach_needs_a_token(run: Run, host: str) -> None:
    with pytest.raises(ConfigError, match="--web-token"):
        WebServer((host, 0), status=run.status)


@pytest.mark.parametrize("token", ["short", "with a space", "ümläut-token"])
def test_a_token_that_cannot_be_used_is_refused(run: Run, token: str) -> None:
    with pytest.raises(ConfigError, match="8 or more"):
        WebServer(("127.0.0.1", 0), status=run.status, token=token)


def test_a_port_that_is_taken_is_said_before_the_run(run: Run, server: WebServer) -> None:
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(SinkError, match=rf"127\.0\.0\.1:{port}: Address already in use; write for instance --web"):
        WebServer(("127.0.0.1", port), status=run.status)


def test_an_address_of_another_machine_is_said_before_the_run(run: Run) -> None:
    with pytest.raises(SinkError, match=r"cannot serve the page on 192\.0\.2\.1:8080"):
        WebServer(("192.0.2.1", 8080), status=run.status, token=TOKEN)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ("127.0.0.1", 8080)),
        ("9000", ("127.0.0.1", 9000)),
        (":9000", ("0.0.0.0", 9000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("car.local", ("car.local", 8080)),
        ("[::]:9000", ("::", 9000)),
        ("[::1]", ("::1", 8080)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_web_address(text) == address


@pytest.mark.parametrize("text", ["http://x", "a b", "x:y", "x:99999", "1.2.3.4:80:80", "::1"])
def test_nonsense_for_an_address(text: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_web_address(text)


def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from pipeline.errors import ConfigError\n"
        "from pipeline.web import WebServer\n"
        "try: WebServer(('127.0.0.1', 0), status=None)\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'clearway[web]'" in done.stdout
