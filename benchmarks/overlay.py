"""What drawing and encoding cost next to the encoder alone: python benchmarks/overlay.py CLIP [--rounds 9]

Per round, in turns, on the same scenes: drawing the overlay, encoding what was drawn, and encoding the recording's own
pictures, which is what the encoder costs without us. CPU time of the whole process a frame; trust the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from engines.artifact import find_model, load_artifact
from engines.factory import choose_input_size, open_engine
from pipeline.overlay import Hud, OverlayPainter
from pipeline.perception import Perception
from pipeline.scene import BgrImage, Scene
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


def encode(pictures: list[BgrImage]) -> None:
    """Encode as `VideoSink` does, into nothing."""
    height, width = pictures[0].shape[:2]
    writer = H264Writer(
        av.open(os.devnull, "w", format="mp4", options={"movflags": "frag_every_frame"}), (height, width), Fraction(30)
    )
    for number, picture in enumerate(pictures):
        writer.encode(picture, number / 30)
    writer.finish()


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
    pictures = [scene.frame.image for scene in scenes]
    painter = OverlayPainter()
    drawn = [painter.draw(scene, _HUD) for scene in scenes]
    encode(drawn)
    rows = []
    for _ in range(args.rounds):
        draw = cpu_ms(lambda: [painter.draw(scene, _HUD) for scene in scenes], len(scenes))
        ours = cpu_ms(lambda: encode(drawn), len(scenes))
        alone = cpu_ms(lambda: encode(pictures), len(scenes))
        rows.append((draw, ours, alone, (draw + ours) / alone))
    for title, column in zip(
        ("draw", "encode the drawn", "encode the recording", "(draw + encode) / encoder"),
        zip(*rows, strict=True),
        strict=True,
    ):
        print(f"{title:26} {statistics.median(column):7.3f}   ({min(column):.3f} to {max(column):.3f})")


if __name__ == "__main__":
    main()
