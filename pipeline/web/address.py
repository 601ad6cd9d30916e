"""Where the page is served, and whether others than this machine can reach it."""

from __future__ import annotations

import ipaddress
import re
import socket

from pipeline.errors import ConfigError, SinkError

__all__ = ["DEFAULT_ADDRESS", "bind", "is_loopback", "parse_web_address", "require_token", "url_of"]

DEFAULT_ADDRESS = ("127.0.0.1", 8080)

_UNREAD_LIMIT_MS = 15_000
"""How long a connection may refuse to take what is sent before the system itself ends it."""

_SHORTEST_TOKEN = 8

_EXAMPLE = "write for instance --web 127.0.0.1:8080"


def parse_web_address(text: str) -> tuple[str, int]:
    """``""``, ``"8080"``, ``"HOST"``, ``"HOST:PORT"``, ``":PORT"`` (all addresses) or ``"[IPv6]:PORT"``.

    Returns:
        (host, port); what is not given is 127.0.0.1 and 8080. Port 0 takes any free one.

    Raises:
        ConfigError: It is none of these.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]+", text):
        text = f"{DEFAULT_ADDRESS[0]}:{text}"
    match = re.fullmatch(r"(?P<host>\[[0-9a-fA-F:.%\w]+\]|[A-Za-z0-9._-]*)(:(?P<port>[0-9]{1,5}))?", text)
    if match is None or (port := int(match["port"] or DEFAULT_ADDRESS[1])) > 65535:
        raise ConfigError(f"--web {text}: that is no HOST:PORT; {_EXAMPLE}")
    host = match["host"].strip("[]")
    if not host:
        host = "0.0.0.0" if text.startswith(":") else DEFAULT_ADDRESS[0]  # noqa: S104 - asked for, and needs a token
    return host, port


def require_token(host: str, token: str) -> None:
    """Make sure that nobody but this machine can look without a token.

    Raises:
        ConfigError: The address can be reached by others and there is no token, or it cannot be used.
    """
    if not token and not is_loopback(host):
        raise ConfigError(
            f"--web {host}: others can reach that address, so a token is needed; "
            'add --web-token "$(openssl rand -hex 16)", or serve this machine alone with --web 127.0.0.1:8080'
        )
    if token and (len(token) < _SHORTEST_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", token)):
        raise ConfigError(
            f"--web-token: {_SHORTEST_TOKEN} or more letters, digits and signs without spaces are needed; "
            'for instance --web-token "$(openssl rand -hex 16)"'
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address; a name counts as what it is bound to, so only "localhost"."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def url_of(host: str, port: int) -> str:
    """What to type into a browser; an address that stands for all is shown as this machine's name."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def bind(host: str, port: int) -> socket.socket:
    """Listen there.

    Raises:
        SinkError: The port is taken, or this machine has no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SinkError(f"cannot serve the page on {host}:{port}: {error.strerror}; {_EXAMPLE}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_LIMIT_MS)
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise SinkError(f"cannot serve the page on {host}:{port}: {error.strerror}; {_EXAMPLE}") from error
    return listener
