"""A camera that speaks RTSP: GStreamer's RTSP server, as a program of its own.

Run by the system's Python (Debian: python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-*). It draws the
machine's clock into every picture just before encoding it, over a clip or over grey, at a live pace.

It says ``ready PORT`` once it listens and then obeys one command a line, each answered with ``ok``:

    freeze | thaw           stop giving pictures with the session alive; go on
    resize WIDTHxHEIGHT     another picture size in the middle of the stream, as cameras with day and night modes do
    move WIDTHxHEIGHT CODEC drop all clients and serve something else at the same address
    drop                    drop all clients
    clients                 answers with their number instead of ok

It ends when its standard input does, and dies with the process that started it.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import signal
import sys
import threading
import time

import clock
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtspServer  # noqa: E402, F401

_PR_SET_PDEATHSIG = 1

_CODERS = {
    "h264": (
        "x264enc tune=zerolatency speed-preset=ultrafast threads=1 bitrate={kbps} key-int-max={gop} "
        "! rtph264pay config-interval=-1 aggregate-mode=zero-latency"
    ),
    "h265": (
        "x265enc tune=zerolatency speed-preset=ultrafast bitrate={kbps} key-int-max={gop} log-level=none "
        "option-string=pools=1:frame-threads=1 ! rtph265pay config-interval=-1 aggregate-mode=zero-latency"
    ),
    "mjpeg": "jpegenc quality=80 ! rtpjpegpay",
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the camera shows and how it is coded."""

    width: int
    height: int
    rate_hz: int
    codec: str
    kbps: int
    gop: int
    clip: str | None
    clocked: bool

    def resized(self, size: str, codec: str | None = None) -> Settings:
        width, height = map(int, size.split("x"))
        return dataclasses.replace(self, width=width, height=height, codec=codec or self.codec)

    @property
    def caps(self) -> str:
        size = f"width={self.width},height={self.height}"
        return f"video/x-raw,format=I420,{size},framerate={self.rate_hz}/1,pixel-aspect-ratio=1/1"

    @property
    def launch(self) -> str:
        coder = _CODERS[self.codec].format(kbps=self.kbps, gop=self.gop)
        source = "appsrc name=pictures is-live=true format=time do-timestamp=true max-buffers=2 leaky-type=downstream"
        return f'( {source} caps="{self.caps}" ! {coder} name=pay0 pt={26 if self.codec == "mjpeg" else 96} )'


def pictures_of(settings: Settings, at_most: int = 60) -> list[bytes]:
    """I420 pictures to show in turn: a clip's first ones, or one of grey."""
    grey = bytes([114]) * (settings.width * settings.height) + bytes([128]) * (settings.width * settings.height // 2)
    if settings.clip is None:
        return [grey]
    pipeline = Gst.parse_launch(
        f'filesrc location="{settings.clip}" ! decodebin ! videoconvert ! videoscale ! videorate '
        f"! {settings.caps} ! appsink name=out sync=false max-buffers=4"
    )
    pipeline.set_state(Gst.State.PLAYING)
    out, pictures = pipeline.get_by_name("out"), []
    while len(pictures) < at_most:
        sample = out.emit("pull-sample")
        if sample is None:
            break
        buffer = sample.get_buffer()
        pictures.append(buffer.extract_dup(0, buffer.get_size()))
    pipeline.set_state(Gst.State.NULL)
    return pictures or [grey]


class Shutter:
    """Gives one RTSP media its pictures, at a live pace, until it is taken down."""

    def __init__(self, camera: Camera, media: GstRtspServer.RTSPMedia) -> None:
        self._camera = camera
        self._settings = camera.settings
        self._source = media.get_element().get_by_name("pictures")
        self._due_s = time.monotonic()
        self._count = 0
        self._open = True
        media.connect("unprepared", lambda _: self.close())
        GLib.timeout_add(1, self._shoot)

    def close(self) -> None:
        self._open = False

    def _shoot(self) -> bool:
        """Show one picture and come back when the next is due. Called by the main loop."""
        if not self._open:
            return False
        # Before it plays, a source has a clock but no start, and would stamp pictures for a day far away.
        playing = self._source.get_state(0).state == Gst.State.PLAYING
        if playing and not self._camera.frozen:
            if self._camera.settings.codec == self._settings.codec and self._camera.settings != self._settings:
                self._settings = self._camera.settings
                self._source.set_property("caps", Gst.Caps.from_string(self._settings.caps))
            self._source.emit("push-buffer", Gst.Buffer.new_wrapped(self._picture()))
        # A sensor that was held up does not take two pictures at once to make up for it.
        period_s, now_s = 1 / self._settings.rate_hz, time.monotonic()
        self._due_s = max(self._due_s + period_s, now_s + period_s / 2)
        GLib.timeout_add(max(1, round((self._due_s - now_s) * 1e3)), self._shoot)
        return False

    def _picture(self) -> bytes:
        pictures = self._camera.pictures
        picture = bytearray(pictures[self._count % len(pictures)])
        self._count += 1
        if self._settings.clocked:
            clock.draw(picture, self._settings.width, clock.now_ms())
        return bytes(picture)


class Camera:
    """The server, and what it shows at the moment. All but `__init__` runs in the main loop."""

    def __init__(self, settings: Settings, address: str, port: int, user: str | None) -> None:
        self.settings = settings
        self.pictures = pictures_of(settings)
        self.frozen = False
        self._protected = user is not None
        self._shutters: list[Shutter] = []
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address(address)
        self._server.set_service(str(port))
        if user is not None:
            self._ask_for(user)
        self._mount()
        if not self._server.attach(None):
            raise SystemExit(f"cannot listen on {address}:{port}")
        self.port = self._server.get_bound_port()

    def _ask_for(self, user: str) -> None:
        name, password = user.split(":")
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
        self._server.set_auth(auth)

    def _mount(self) -> None:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(self.settings.launch)
        factory.set_shared(True)
        factory.set_latency(0)
        factory.connect("media-configure", self._on_media)
        if self._protected:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("viewer", "media.factory.access", True)
            permissions.add_permission_for_role("viewer", "media.factory.construct", True)
            factory.set_permissions(permissions)
        self._server.get_mount_points().add_factory("/camera", factory)

    def _on_media(self, _: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        self._shutters.append(Shutter(self, media))

    def obey(self, line: str) -> bool:
        """One command; False, because GLib calls again whatever says True."""
        command, *arguments = line.split()
        answer = "ok"
        if command in {"freeze", "thaw"}:
            self.frozen = command == "freeze"
        elif command == "resize":
            self._show(self.settings.resized(arguments[0]))
        elif command == "move":
            self._show(self.settings.resized(arguments[0], arguments[1]))
            self._drop()
        elif command == "drop":
            self._drop()
        elif command == "clients":
            answer = str(len(self._server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REF)))
        else:
            answer = f"unknown command {command}"
        say(answer)
        return False

    def _show(self, settings: Settings) -> None:
        # The pictures first: a shutter takes them as soon as it sees the settings.
        pictures = pictures_of(settings)
        self.pictures, self.settings = pictures, settings
        self._mount()

    def _drop(self) -> None:
        for shutter in self._shutters:
            shutter.close()
        self._shutters.clear()
        self._server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)


def say(answer: str) -> None:
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--codec", choices=list(_CODERS), default="h264")
    parser.add_argument("--kbps", type=int, default=1500)
    parser.add_argument("--gop", type=int, default=25)
    parser.add_argument("--clip")
    parser.add_argument("--no-clock", action="store_true")
    parser.add_argument("--user", help="NAME:PASSWORD to be asked for")
    given = parser.parse_args()

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    Gst.init(None)
    width, height = map(int, given.size.split("x"))
    settings = Settings(width, height, given.rate, given.codec, given.kbps, given.gop, given.clip, not given.no_clock)
    camera = Camera(settings, given.address, given.port, given.user)
    loop = GLib.MainLoop()

    def listen() -> None:
        for line in sys.stdin:
            GLib.idle_add(camera.obey, line)
        loop.quit()

    threading.Thread(target=listen, daemon=True).start()
    say(f"ready {camera.port}")
    loop.run()


if __name__ == "__main__":
    main()
