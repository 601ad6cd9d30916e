"""A process that records two cameras at their own speed until it is killed. Prints how far it has come."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from pipeline.recording import Recorder
from tests.pipeline.recording.streams import BEGAN, make_stream
from tests.pipeline.scenes import make_scene


def main() -> None:
    folder = Path(sys.argv[1])
    streams = {"front": make_stream("h264", 100, noise=12), "rear": make_stream("mjpeg", 100, noise=12)}
    recorder = Recorder(folder, tuple(streams), started_at=BEGAN, segment_s=1.0)
    sink = recorder.sink()
    cameras = {name: recorder.for_camera(name) for name in streams}
    for name, stream in streams.items():
        cameras[name].begin(stream.parameters)
    began_s = time.monotonic()
    for index in range(100):
        time.sleep(max(0.0, began_s + index / 25 - time.monotonic()))
        for name, stream in streams.items():
            cameras[name].packet(stream.packets[index])
            scene = make_scene(index, time_s=stream.packets[index].time_s)
            sink.write(replace(scene, frame=replace(scene.frame, camera=name)), None)
        print(stream.packets[index].time_s, flush=True)  # noqa: T201


main()
