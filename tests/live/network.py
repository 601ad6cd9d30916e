"""What lies between a camera and the vehicle, when it goes wrong: lossy links, pulled cables, flipped bits."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import threading
from types import TracebackType

import pytest

__all__ = ["CorruptingProxy", "LossyNetwork"]


class LossyNetwork:
    """A camera's own network, two hops away, over a router that loses packets in both directions.

        this machine ── router (namespace; drops) ── camera (namespace)

    Everything of it lives in two network namespaces and goes with them. Needs root and Linux's namespaces; loses
    packets by `tc netem` where the kernel has it, else by iptables' `statistic` match. Skips, saying why, elsewhere.
    """

    def __init__(self) -> None:
        mark = f"{os.getpid() % 10000}"
        self._router, self._camera = f"cw-router-{mark}", f"cw-camera-{mark}"
        self._near, self._far = f"cwn{mark}", f"cwf{mark}"
        self.camera_prefix = ("ip", "netns", "exec", self._camera)
        self.means_of_loss = "none"
        net = random.randrange(1, 250)
        near, far = f"10.{net}.1", f"10.{net}.2"
        self.camera_address = f"{far}.2"
        if os.geteuid() != 0 or shutil.which("ip") is None:
            pytest.skip("no network namespaces: they need root and iproute2")
        try:
            self._build(near, far)
        except subprocess.CalledProcessError as error:
            self.close()
            pytest.skip(f"no network namespaces: {error.stderr.strip()}")

    def _build(self, near: str, far: str) -> None:
        for namespace in (self._router, self._camera):
            _run("ip", "netns", "add", namespace)
        _run("ip", "link", "add", self._near, "type", "veth", "peer", "name", "near", "netns", self._router)
        _run(
            "ip",
            "-n",
            self._router,
            "link",
            "add",
            "far",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            self._camera,
        )
        _run("ip", "addr", "add", f"{near}.1/24", "dev", self._near)
        _run("ip", "-n", self._router, "addr", "add", f"{near}.2/24", "dev", "near")
        _run("ip", "-n", self._router, "addr", "add", f"{far}.1/24", "dev", "far")
        _run("ip", "-n", self._camera, "addr", "add", f"{far}.2/24", "dev", "eth0")
        _run("ip", "link", "set", self._near, "up")
        for namespace, device in ((self._router, "near"), (self._router, "far"), (self._camera, "eth0")):
            _run("ip", "-n", namespace, "link", "set", device, "up")
        _run("ip", "-n", self._camera, "link", "set", "lo", "up")
        _run("ip", "route", "add", f"{far}.0/24", "via", f"{near}.2")
        _run("ip", "-n", self._camera, "route", "add", "default", "via", f"{far}.1")
        _run("ip", "netns", "exec", self._router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def lose(self, share: float) -> None:
        """Lose that share of all packets from now on, in each direction.

        Skips the test where the kernel has neither means of losing packets.
        """
        inside = ("ip", "netns", "exec", self._router)
        try:
            for device in ("near", "far"):
                _run(*inside, "tc", "qdisc", "replace", "dev", device, "root", "netem", "loss", f"{share:.0%}")
            self.means_of_loss = "tc netem"
        except (subprocess.CalledProcessError, FileNotFoundError) as netem:
            try:
                _run(*inside, "iptables", "-F", "FORWARD")
                statistic = ("-m", "statistic", "--mode", "random", "--probability", f"{share}")
                _run(*inside, "iptables", "-A", "FORWARD", *statistic, "-j", "DROP")
                self.means_of_loss = "iptables statistic"
            except (subprocess.CalledProcessError, FileNotFoundError) as statistic_error:
                pytest.skip(f"no means to lose packets: {_reason(netem)}; {_reason(statistic_error)}")

    def pull_cable(self) -> None:
        """Take the link between router and camera down: no packet passes, no connection is told."""
        _run("ip", "-n", self._router, "link", "set", "far", "down")

    def plug_cable(self) -> None:
        _run("ip", "-n", self._router, "link", "set", "far", "up")

    def close(self) -> None:
        """Take everything down. May be called more than once."""
        for namespace in (self._camera, self._router):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self._near], capture_output=True, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)


def _reason(error: subprocess.CalledProcessError | FileNotFoundError) -> str:
    return str(error.stderr).strip() if isinstance(error, subprocess.CalledProcessError) else str(error)


class CorruptingProxy:
    """Stands between a viewer and an RTSP server over TCP, and flips bits in pictures on their way.

    The protocol's own words and all headers pass untouched: what arrives is a well-formed stream of damaged pictures.

    Args:
        port: The server's, on 127.0.0.1.
        seed: The same seed damages in the same way.
    """

    _RTP_HEADER = 12 + 2
    """Bytes at the start of a packet left alone: RTP's own, and those that say which kind of NAL unit follows."""

    def __init__(self, port: int, seed: int = 1) -> None:
        self.share = 0.0
        self.corrupted = 0
        self.swallow = threading.Event()
        self._server_port = port
        self._random = random.Random(seed)
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                viewer, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server_port))
                except OSError:
                    viewer.close()
                    continue
                self._sockets += [viewer, server]
                threading.Thread(target=self._pass_on, args=(viewer, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, viewer, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, pictures: bool) -> None:
        waiting = bytearray()
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                if self.swallow.is_set():
                    continue
                waiting += received
                target.sendall(self._damaged(waiting) if pictures else bytes(waiting))
                if not pictures:
                    waiting.clear()
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _damaged(self, waiting: bytearray) -> bytes:
        """Take every complete message out of `waiting`, RTP ones damaged as often as `share` says (RFC 2326, 10.12)."""
        out = bytearray()
        while waiting:
            length = _length_of_message(waiting)
            if length is None or length > len(waiting):
                break
            message = waiting[:length]
            del waiting[:length]
            is_rtp = message[0] == ord("$") and message[1] % 2 == 0 and length > 4 + self._RTP_HEADER + 8
            if is_rtp and self._random.random() < self.share:
                self.corrupted += 1
                for _ in range(max(1, length // 100)):
                    message[self._random.randrange(4 + self._RTP_HEADER, length)] ^= 1 << self._random.randrange(8)
            out += message
        return bytes(out)

    def close(self) -> None:
        """Close every connection and stop listening."""
        self._listener.close()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def __enter__(self) -> CorruptingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _length_of_message(waiting: bytearray) -> int | None:
    """Bytes of the message that `waiting` starts with, data or a reply; None where more is needed to tell."""
    if waiting[0] == ord("$"):
        return 4 + int.from_bytes(waiting[2:4], "big") if len(waiting) >= 4 else None
    end = waiting.find(b"\r\n\r\n")
    if end < 0:
        return None
    body = 0
    for line in bytes(waiting[:end]).split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            body = int(value)
    return end + 4 + body
