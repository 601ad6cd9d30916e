"""What drawing and encoding cost next to the encoder alone: python -m benchmarks.overlay CLIP [--rounds 9]

Per round, in turns, on the same scenes: encoding the recording's own planes, which is what the encoder costs without
us; encoding what was drawn before, which tells what drawn pictures are harder to encode; drawing upon planes and
encoding those, as `replay` does for videos; and drawing in BGR, conversions before and after included, as it does
where a window shows the picture too. CPU time of the whole process a frame; trust the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.peers.comparison import median_interval
from engines.artifact import find_model, load_artifact
from engines.factory import choose_input_size, open_engine
from pipeline.overlay import Hud, OverlayPainter
from pipeline.perception import Perception
from pipeline.scene import Picture, Scene, YuvImage
from pipeline.sinks.h264 import H264Writer
from pipeline.sources import open_source
from pipeline.timings import StageTimings

_HUD = Hud(fps=60.0, latency_ms=12.0, engine="engine")


def scenes_of(clip: Path, count: int, step: int) -> list[Scene]:
    """Every so manieth scene of a recording."""
    artifact = load_artifact(find_model("clearway-lite"))
    source = open_source(str(clip))
    engine = open_engine(artifact, size_hw=choose_input_size(artifact, source.info.size_hw))
    scenes: list[Scene] = []
    with Perception(engine, StageTimings()) as perception:
        for index, frame in enumerate(source.frames()):
            if index % step == 0:
                scenes.append(perception.see(frame))
            if len(scenes) == count:
                break
    source.close()
    return scenes


def encode(pictures: Iterable[Picture]) -> None:
    """Encode as `VideoSink` does, into nothing; each picture as it comes."""
    writer: H264Writer | None = None
    for number, picture in enumerate(pictures):
        if writer is None:
            container = av.open(os.devnull, "w", format="mp4", options={"movflags": "frag_every_frame"})
            writer = H264Writer(container, picture.shape[:2], Fraction(30), like=picture)
        writer.encode(picture, number / 30)
    if writer is not None:
        writer.finish()


def recorded(scene: Scene) -> YuvImage:
    """The scene's frame as the decoder gave it, in one piece."""
    planes = scene.frame.planes
    assert planes is not None
    pixels = np.concatenate([planes.y.ravel(), planes.u.ravel(), planes.v.ravel()])
    return YuvImage(pixels.reshape(-1, planes.y.shape[1]), planes.matrix, planes.full_range)


def cpu_ms(work: Callable[[], object], frames: int) -> float:
    """CPU milliseconds a frame."""
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) * 1e3 / frames


def main() -> None:
    """Measure in turns, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--step", type=int, default=5, help="take every so manieth frame")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()

    scenes = scenes_of(args.clip, args.scenes, args.step)
    originals = [recorded(scene) for scene in scenes]
    painter = OverlayPainter()

    def draw() -> None:
        for scene in scenes:
            painter.draw_planes(scene, _HUD)

    def through_bgr() -> None:
        encode(painter.draw(replace(scene, frame=replace(scene.frame)), _HUD) for scene in scenes)

    drawn = [painter.draw_planes(scene, _HUD) for scene in scenes]
    ways: dict[str, Callable[[], object]] = {
        "encoder alone": lambda: encode(originals),
        "encoder alone, of what is drawn": lambda: encode(drawn),
        "draw upon planes": draw,
        "draw upon planes, encode": lambda: encode(painter.draw_planes(scene, _HUD) for scene in scenes),
        "draw in BGR, encode": through_bgr,
    }
    for work in ways.values():
        work()
    rows = [{name: cpu_ms(work, len(scenes)) for name, work in ways.items()} for _ in range(args.rounds)]
    for name in ways:
        column = [row[name] for row in rows]
        share = median_interval([row[name] / row["encoder alone"] for row in rows])
        print(
            f"{name:32} {statistics.median(column):7.3f} ms   "
            f"{share[0]:.3f} of the encoder ({share[1]:.3f} to {share[2]:.3f})"
        )


if __name__ == "__main__":
    main()
