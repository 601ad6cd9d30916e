"""The page of a live run: the newest overlay of every camera, how fresh it is, and what is wrong where something is.

    sink thread ─▶ CameraFeed ─┬─▶ JpegStream ─▶ viewers (WebSocket, newest picture wins)
                   (newest)    ├─▶ OverlayStream ─▶ readers (MPEG-TS over HTTP)
                               └─▶ stills
    LiveStatus ─▶ StatusBoard ─▶ viewers, /status, /metrics, /healthz

Everything but the sink's `write`, which swaps a reference, happens in the server's own threads. Nothing is encoded
while nobody looks.
"""

from pipeline.web.address import parse_web_address
from pipeline.web.server import WebServer

__all__ = ["WebServer", "parse_web_address"]
