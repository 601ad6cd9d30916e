"""Who may look: the token, and what browsers must be kept from doing on behalf of other sites.

- A page of another site that was resolved to this machine (DNS rebinding) is known by its Host header: without a token
  only names of this machine itself are answered. With one, the cookie belongs to the name that it was given under.
- Other sites' requests are known by ``Sec-Fetch-Site`` and, for WebSockets and actions, by ``Origin``.
- The cookie holds no token, only what is derived from it, is out of reach of scripts and is never sent by other sites.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from http.cookies import CookieError, SimpleCookie
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.web.address import is_loopback

__all__ = ["OPEN_PATHS", "Access", "AccessGuard"]

OPEN_PATHS = frozenset({"/healthz", "/page.css", "/icon.svg"})
"""What needs no token: nothing there tells anything of the run but whether it is well."""

_LONGEST_LOGIN = 1024

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # With "no-referrer" a form would say that it comes from nowhere.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Access:
    """Judges requests by their headers alone.

    Args:
        token: What viewers must know; "" lets this machine alone look.
        port: Part of the cookie's name: browsers do not keep the ports of a machine apart.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token.encode()
        self._cookie_name = f"clearway_{port}"
        self._cookie_value = hmac.new(self._token, b"clearway page", hashlib.sha256).hexdigest()

    def host_is_known(self, headers: Headers) -> bool:
        """Whether the browser believes to talk to this machine; any name will do where a token protects."""
        name = _hostname(headers.get("host", ""))
        return bool(name) and (bool(self._token) or is_loopback(name) or name.endswith(".localhost"))

    @staticmethod
    def comes_from_other_site(headers: Headers, *, must_be_same_origin: bool) -> bool:
        """Whether a browser says that a page of another site made this request; programs say nothing of the kind."""
        origin = headers.get("origin")
        if (
            must_be_same_origin
            and origin is not None
            and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        ):
            return True
        site = headers.get("sec-fetch-site", "none")
        # A link on another site may lead here; nothing else may.
        follows_link = headers.get("sec-fetch-mode") == "navigate" and not must_be_same_origin
        return site not in {"none", "same-origin"} and not follows_link

    def knows_token(self, headers: Headers) -> bool:
        """Whether a cookie or an ``Authorization: Bearer`` header proves it."""
        if not self._token:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._cookie_value.encode())

    def is_token(self, given: str) -> bool:
        """Whether that is the token; takes as long whatever is wrong with it."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        return hmac.compare_digest(digest, hashlib.sha256(self._token).digest())

    def remember(self, response: Response) -> Response:
        """Let the browser prove it from now on."""
        response.set_cookie(self._cookie_name, self._cookie_value, httponly=True, samesite="strict", path="/")
        return response


class AccessGuard:
    """Stands before the application and lets through who may look."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or let it."""
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            await (_reject_socket(receive, send) if refusal else self._app(scope, receive, send))
            return
        if scope["type"] == "http":
            answer = refusal if isinstance(refusal, Response) else None
            if refusal == "token":
                answer = await self._log_in(scope, receive)
            await (answer or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | Literal["token"] | None:
        """Why the request is not answered as it stands, or None."""
        acts = scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD"}
        if not self._access.host_is_known(headers):
            return PlainTextResponse("This page is for the machine that it runs on: open it as localhost.\n", 403)
        if self._access.comes_from_other_site(headers, must_be_same_origin=acts):
            return PlainTextResponse("Another site has no business here.\n", 403)
        if scope["path"] in OPEN_PATHS:
            return None
        if not self._access.knows_token(headers):
            return "token"
        # Whoever is known already needs no token in the address bar.
        needless = scope["path"] == "/login" or (scope["path"] == "/" and _token_in(scope))
        return RedirectResponse("/", 303) if needless else None

    async def _log_in(self, scope: Scope, receive: Receive) -> Response | None:
        """Take the token from the query or the form; None lets the application answer."""
        if scope["path"] == "/login" and scope["method"] == "POST":
            given = parse_qs((await _body(receive)).decode("ascii", "replace")).get("token", [""])[0]
            if self._access.is_token(given):
                return self._access.remember(RedirectResponse("/", 303))
            return _login_page("That is not the token.")
        given = _token_in(scope)
        if given and self._access.is_token(given):
            if scope["path"] != "/":
                return None
            # Not a redirect: a browser that came here by a link of another site would not send the cookie along.
            return self._access.remember(HTMLResponse('<meta http-equiv="refresh" content="0;url=/">'))
        if scope["path"] in {"/", "/login"}:
            return _login_page("That is not the token." if given else "")
        return PlainTextResponse(
            "A token is needed: Authorization: Bearer TOKEN, or ?token=TOKEN.\n",
            401,
            {"WWW-Authenticate": 'Bearer realm="clearway"'},
        )


def _hostname(host: str) -> str:
    """``"Car.local:8080"`` → ``"car.local"``, ``"[::1]:8080"`` → ``"::1"``, nonsense → ``""``."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", host)
    return match[1].strip("[]").lower() if match else ""


def _token_in(scope: Scope) -> str:
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("ascii", "replace")).get("token", [""])[0]


async def _body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= _LONGEST_LOGIN:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


async def _reject_socket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})  # Before it is accepted: the browser is answered 403.


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def _login_page(complaint: str) -> Response:
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark">
<title>Clearway</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/page.css">
</head>
<body class="login">
<main>
<img src="/icon.svg" alt="" width="48" height="48">
<h1>Clearway</h1>
<form method="post" action="/login">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" autofocus required>
<button type="submit">Look</button>
<p role="alert">{complaint}</p>
<p class="hint">It was given to the run with <code>--web-token</code>.</p>
</form>
</main>
</body>
</html>
""",
        401,
    )
