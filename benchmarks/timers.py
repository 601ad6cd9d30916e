"""What the always-on stage timers cost: python benchmarks/timers.py CLIP [--frames 200] [--rounds 7]

Perception with timers and with ones that do nothing take turns, frame by frame within one run, on the same pictures. A
difference far below the noise of a frame cannot be seen that way, so that the cost of one lap is measured too, many
times in a row, and set against a frame. CPU time of the calling thread, which other programs hardly disturb.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import islice

from engines.artifact import find_model, load_artifact
from engines.factory import choose_input_size, open_engine
from evaluation.profile.timers import measure_timer_us
from pipeline.perception import Perception
from pipeline.sources import open_source
from pipeline.timings import FrameKey, StageTimings

_LAPS_A_FRAME = 6
"""Decode, preprocess, engine, smoothing, postprocess, situation."""


class NoTimings(StageTimings):
    """Counts nothing."""

    def add(self, stage: str, duration_ms: float, frame: FrameKey | None = None) -> None:
        """Do nothing."""


def main() -> None:
    """Measure in turns, print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()

    artifact = load_artifact(find_model("clearway-lite"))
    source = open_source(args.clip)
    # One thread: the engine's work is then in the calling thread's CPU time.
    engine = open_engine(artifact, size_hw=choose_input_size(artifact, source.info.size_hw), threads=1)
    timed = Perception(engine, StageTimings())
    perceptions = {"timers": timed, "none": Perception(engine, NoTimings())}
    for perception in perceptions.values():
        perception.warm_up(source.info.size_hw)
    spent_ms: dict[str, list[float]] = {name: [] for name in perceptions}
    frames = list(islice(source.frames(), min(args.frames, 60)))  # held in memory: decoding is not the question
    for number in range(args.frames * args.rounds // 2):
        # Who goes first alternates: the second finds the frame in the caches.
        for name in sorted(perceptions, reverse=bool(number % 2)):
            began_s = time.thread_time()
            perceptions[name].see(frames[number % len(frames)])
            spent_ms[name].append((time.thread_time() - began_s) * 1e3)
    ratios = [one / other for one, other in zip(spent_ms["timers"], spent_ms["none"], strict=True)]
    frame_ms = statistics.median(spent_ms["none"])
    low, high = statistics.quantiles(ratios, n=20)[0], statistics.quantiles(ratios, n=20)[-1]
    print(
        f"with / without timers: {statistics.median(ratios):.4f} (5 to 95 %: {low:.3f} to {high:.3f}), n={len(ratios)}"
    )
    lap_us = measure_timer_us()
    share = _LAPS_A_FRAME * lap_us / (frame_ms * 1e3)
    print(f"one lap: {lap_us:.2f} us; {_LAPS_A_FRAME} laps: {share:.4%} of a frame of {frame_ms:.2f} ms CPU")
    timed.close()


if __name__ == "__main__":
    main()
