"""How close replay comes to its floors: python benchmarks/replay.py CLIP [--frames 600] [--json FILE]

Everything is measured in one run, in turns, so that a machine whose speed drifts does not favour one side:
- decode: the source alone, frames thrown away;
- engine: the engines alone, the same tensor again and again;
- pipeline: replay without outputs.
The ratio pipeline / (decode + engine) is what matters; 1.0 would be stages that run one after the other at no cost
in between, and stages that overlap can go below. `--soak N` then replays N frames and watches the memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from engines.artifact import find_model, load_artifact
from engines.base import Engine
from engines.factory import choose_input_size, open_engines
from evaluation.profile.clip import Looped
from evaluation.profile.floors import measure_engine
from pipeline.capture import Capture
from pipeline.perception import Perception
from pipeline.runner import Runner, RunReport
from pipeline.timings import StageTimings


def decode_ms(clip: Looped) -> float:
    """Milliseconds a frame to decode and do nothing."""
    started_s = time.perf_counter()
    count = sum(1 for _ in clip.frames())
    return (time.perf_counter() - started_s) * 1e3 / count


def engine_ms(args: argparse.Namespace, clip: Looped) -> float:
    """Milliseconds a picture in the engines alone, the same tensor again and again."""
    with ExitStack() as stack:
        engines = [stack.enter_context(engine) for engine in engines_of(args, clip)]
        measure_engine(engines, 0.2)
        return measure_engine(engines, args.frames * 0.02).mean_ms


def replay(args: argparse.Namespace, clip: Looped) -> RunReport:
    """Replay without outputs."""
    timings = StageTimings()

    def open_perception() -> Perception:
        engine, *beside = engines_of(args, clip)
        return Perception(engine, timings, beside=beside)

    return Runner(Capture(clip, timings), open_perception, [], timings).run()


def engines_of(args: argparse.Namespace, clip: Looped) -> list[Engine]:
    """What the command `replay` opens."""
    artifact = load_artifact(find_model(args.model))
    size_hw = choose_input_size(artifact, clip.info.size_hw)
    return open_engines(artifact, args.engine, size_hw=size_hw, precision=args.precision)


def resident_mb() -> float:
    """Memory of this process that is in RAM, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def soak(args: argparse.Namespace) -> dict[str, float]:
    """Memory after a fifth of the frames and at the end."""
    samples: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            samples.append(resident_mb())

    threading.Thread(target=watch, daemon=True).start()
    replay(args, Looped(args.clip, args.soak))
    stop.set()
    early, late = samples[len(samples) // 5], samples[-1]
    figures = {"early_mb": early, "late_mb": late, "grown_mb": late - early}
    return {"frames": args.soak} | {name: round(value, 1) for name, value in figures.items()}


def main() -> None:
    """Measure in turns, print medians and spreads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--frames", type=int, default=400, help="frames a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="then watch the memory over N frames")
    parser.add_argument("--model", default="clearway-lite")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    rows: list[dict[str, float]] = []
    for _ in range(args.rounds):
        clip = Looped(args.clip, args.frames)
        report = replay(args, clip)
        decode, engine = decode_ms(clip), engine_ms(args, clip)
        pipeline = 1e3 / report.fps
        stages = report.timings_ms
        around = stages["preprocess"]["p50"] + stages["postprocess"]["p50"]
        rows.append(
            {
                "decode_ms": decode,
                "engine_ms": engine,
                "pipeline_ms": pipeline,
                "pipeline_over_floors": pipeline / (decode + engine),
                "pre_and_post_ms": around,
                "pre_and_post_over_engine": around / engine,
            }
        )
    figures = {name: round(statistics.median(row[name] for row in rows), 4) for name in rows[0]}
    print(report.engine)
    for name, value in figures.items():
        spread = [row[name] for row in rows]
        print(f"{name:28} {value:8.3f}   ({min(spread):.3f} to {max(spread):.3f})")
    if args.soak:
        memory = soak(args)
        print(f"memory over {memory['frames']:.0f} frames: {memory['early_mb']} MB → {memory['late_mb']} MB")
        figures |= {f"soak_{name}": value for name, value in memory.items()}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
