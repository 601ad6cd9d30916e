"""A program of its own that pushes a video to an RTSP server; its input begins with the address on a line.

FFmpeg connects, announces and waits for answers inside one call, and PyAV holds the interpreter's lock meanwhile: in
the process of a run, a server that does not answer would stop every thread for seconds. Here it stops nobody, and a
process can be ended whatever it waits for.

After the address, standard input carries NUT, FFmpeg's own container: nothing in it waits for what follows. ``ready``
is written once the server records; a reason goes to standard error when it does not, or not any more.
"""

from __future__ import annotations

import io
import sys

import av
from av.error import FFmpegError

__all__ = ["ANSWER_LIMIT_S", "main"]

ANSWER_LIMIT_S = 5.0
"""How long the server may take to answer, or to take what it is sent."""

_SOURCE_OPTIONS = {"fflags": "nobuffer", "probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}
_TARGET_OPTIONS = {"rtsp_transport": "tcp", "timeout": str(round(ANSWER_LIMIT_S * 1e6))}


def main() -> int:
    """Push until the input ends; the exit code."""
    # Not sys.stdin, which would wait for a full buffer.
    with io.FileIO(0, closefd=False) as pipe:
        try:
            _push(pipe)
        except FFmpegError as error:
            sys.stderr.write(error.strerror or str(error))
            return 1
    return 0


def _push(pipe: io.FileIO) -> None:
    url = pipe.readline().decode().strip()
    with av.open(pipe, "r", format="nut", options=_SOURCE_OPTIONS) as source:
        video = source.streams.video[0]
        target = av.open(url, "w", format="rtsp", container_options=_TARGET_OPTIONS)
        try:
            stream = target.add_stream_from_template(video)
            target.start_encoding()
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            for packet in source.demux(video):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        finally:
            target.close()


if __name__ == "__main__":
    sys.exit(main())
