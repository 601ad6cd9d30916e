"""An RTSP server that others push to: GStreamer's, recording what it is sent as MPEG-TS on standard output.

Run by the system's Python (Debian: python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-*) with the port and
the file to record into. Says ``ready PORT`` once it listens; ends when its standard input does.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main(port: str, file: str) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Dies with the process that started it.
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_latency(0)
    factory.set_launch(
        "( rtph264depay name=depay0 ! h264parse config-interval=-1 ! mpegtsmux "
        f'! filesink location="{file}" buffer-mode=2 )'
    )
    server.get_mount_points().add_factory("/overlay", factory)
    if not server.attach(None):
        raise SystemExit(f"cannot listen on {port}")
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    sys.stdout.write(f"ready {server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
