"""More cameras, larger pictures, longer recordings: python -m benchmarks.scale CLIP cameras|sizes|length

    cameras   1, 2, 4 and 8 live cameras that together send the same number of frames a second, more than the engine can
              see: how many scenes a second come of them, and how much memory each further camera takes.
    sizes     the clip at 480 to 2160 rows: replay next to decoder and engine alone, and what a frame costs beside both.
    length    a recording of ten hours, played from beginning to end: memory all along.

Every measurement has a process of its own; what is compared takes turns within one run. Clips that are made for it go
to `--folder` and stay there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.clips import lengthened, retimed, scaled
from benchmarks.peers.comparison import median_interval
from engines.artifact import find_model, load_artifact
from engines.base import Engine
from engines.factory import choose_input_size, open_engine, open_engines
from evaluation.profile.cameras import run_cameras
from evaluation.profile.clip import Looped
from evaluation.profile.floors import Floor, measure_decoder, measure_engine, shared_floor_ms
from evaluation.profile.recorder import ObservedPerception, Recorder
from pipeline.capture import Capture
from pipeline.perception import Perception
from pipeline.runner import Runner
from pipeline.sources import open_source
from pipeline.timings import StageTimings

HEIGHTS = (480, 720, 1080, 1440, 2160)
CAMERAS = (1, 2, 4, 8)
FRAMES = 80
HOURS, RATE_HZ = 10, 10.0
_MB = 1e6


# One measurement, in a process of its own.


def see_cameras(args: argparse.Namespace) -> dict[str, float]:
    """So many cameras for some seconds."""
    recorder = Recorder()

    def perceive(size_hw: tuple[int, int], batch: int) -> ObservedPerception:
        return ObservedPerception(_engine(args, size_hw, batch), recorder, smooth=True)

    with _MemoryWatch() as memory:
        dropped = run_cameras(str(args.clip), args.cameras, recorder, perceive, args.seconds)
    looks = recorder.looks[len(recorder.looks) // 10 :]
    began_s, ended_s = looks[0].ended_s, looks[-1].ended_s
    if began_s == ended_s:
        raise SystemExit(f"only {len(recorder.looks)} scenes came of {args.cameras} cameras: give it more --seconds")
    return {
        "fps": sum(look.ended_s > began_s for look in looks) / (ended_s - began_s),
        "decodes_per_scene": 1 + (sum(dropped.values()) - dropped["starting"]) / len(recorder.looks),
        "age_p50_ms": statistics.median(look.age_ms for look in looks),
        "memory_mb": memory.largest_mb,
        "threads": memory.most_threads,
    }


def see_size(args: argparse.Namespace) -> dict[str, float]:
    """A replay of one size beside its floors."""
    recorder = Recorder()
    decode, engine = Floor("decode"), Floor("engine")

    def perceive() -> ObservedPerception:
        engine, *beside = _engines(args, clip.info.size_hw)
        return ObservedPerception(engine, recorder, beside=beside, smooth=True)

    clip = Looped(str(args.clip), args.frames)
    decoder = Looped(str(args.clip), sys.maxsize).frames()
    with ExitStack() as stack:
        alone = [stack.enter_context(each) for each in _engines(args, clip.info.size_hw)]
        memory = stack.enter_context(_MemoryWatch())
        frame_ms, cpu_ms = [], []
        for _ in range(args.rounds):
            engine.slices.append(measure_engine(alone, 1.0))
            decode.slices.append(measure_decoder(decoder, 1.0))
            first = len(recorder.looks)
            Runner(Capture(clip, recorder), perceive, [], recorder).run()
            cpu_ms.append((time.process_time() - recorder.ready_cpu_s) * 1e3 / args.frames)
            looks = recorder.looks[first + 6 : -6]
            frame_ms.append((looks[-1].ended_s - looks[0].ended_s) * 1e3 / (len(looks) - 1))
    decoder.close()
    stages = recorder.cpu_ms()
    shared_ms = shared_floor_ms(engine, decode, args.cores)
    return {
        "decode_cpu_ms": decode.cpu_ms,
        "engine_cpu_ms": engine.cpu_ms,
        "pipeline_cpu_ms": statistics.median(cpu_ms),
        "around_cpu_ms": sum(stages.get(stage, 0.0) for stage in ("preprocess", "smoothing", "postprocess")),
        "fps": 1e3 / statistics.median(frame_ms),
        "of_floor": shared_ms / statistics.median(frame_ms),
        "cpu_of_floor": (engine.cpu_ms + decode.cpu_ms) / statistics.median(cpu_ms),
        "memory_mb": memory.largest_mb,
    }


def see_length(args: argparse.Namespace) -> dict[str, float]:
    """A whole recording, with a network so small that it does not take as long as it lasts."""
    timings, source = StageTimings(), open_source(str(args.clip))
    capture = Capture(source, timings)
    began_s = time.perf_counter()
    with _MemoryWatch(period_s=1.0, capture=capture) as memory:
        report = Runner(capture, lambda: Perception(_engine(args, (0, 0)), timings, smooth=True), [], timings).run()
    early, middle, late = (memory.around(share * report.frames) for share in (0.05, 0.5, 1.0))
    return {
        "frames": report.frames,
        "hours": report.frames / (source.info.frame_rate_hz or 1.0) / 3600,
        "took_s": time.perf_counter() - began_s,
        "memory_early_mb": early,
        "memory_middle_mb": middle,
        "memory_late_mb": late,
    }


def _engine(args: argparse.Namespace, size_hw: tuple[int, int], batch: int = 1) -> Engine:
    artifact = load_artifact(find_model("clearway-lite"))
    size_hw = args.network or choose_input_size(artifact, size_hw)
    return open_engine(artifact, size_hw=size_hw, batch=batch, threads=args.threads or None)


def _engines(args: argparse.Namespace, size_hw: tuple[int, int]) -> list[Engine]:
    """What a replay opens."""
    artifact = load_artifact(find_model("clearway-lite"))
    size_hw = args.network or choose_input_size(artifact, size_hw)
    return open_engines(artifact, size_hw=size_hw, threads=args.threads or None)


class _MemoryWatch:
    """Looks at this process's memory while something runs."""

    def __init__(self, period_s: float = 0.1, capture: Capture | None = None) -> None:
        self.largest_mb, self.most_threads = 0.0, 0
        self._samples: list[tuple[int, float]] = []
        self._period_s, self._capture = period_s, capture
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def around(self, frame: float) -> float:
        """Memory when that frame was read: the median of some samples, in MB."""
        nearest = sorted(self._samples, key=lambda sample: abs(sample[0] - frame))[:9]
        return statistics.median(memory_mb for _, memory_mb in nearest)

    def __enter__(self) -> _MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._stop.wait(self._period_s):
            memory_mb = process.memory_info().rss / _MB
            self.largest_mb = max(self.largest_mb, memory_mb)
            self.most_threads = max(self.most_threads, process.num_threads())
            self._samples.append((self._capture.frame_count if self._capture else 0, memory_mb))


# What is compared.


def compare_cameras(args: argparse.Namespace) -> dict[str, object]:
    """The same frames a second from one camera and from many."""
    rounds: dict[int, list[dict[str, float]]] = {count: [] for count in CAMERAS}
    for _ in range(args.rounds):
        for count in CAMERAS:
            clip = retimed(args.clip, args.folder, args.offered / count)
            rounds[count].append(_alone(args, "cameras", clip, "--cameras", str(count)))
    figures: dict[str, object] = {}
    print("| cameras | scenes/s | of one camera's | decodes a scene | age p50, ms | memory, MB | threads |")
    print("|---|---|---|---|---|---|---|")
    for count, passes in rounds.items():
        share = median_interval([own["fps"] / one["fps"] for own, one in zip(passes, rounds[1], strict=True)])
        middle = _medians(passes)
        figures[str(count)] = middle | {"of_one": share}
        print(
            f"| {count} | {middle['fps']:.1f} | {share[0]:.3f} ({share[1]:.3f} to {share[2]:.3f}) "
            f"| {middle['decodes_per_scene']:.2f} | {middle['age_p50_ms']:.0f} "
            f"| {middle['memory_mb']:.0f} | {middle['threads']:.0f} |"
        )
    most = CAMERAS[-1]
    added = [
        (many["memory_mb"] - one["memory_mb"]) / (most - 1) for many, one in zip(rounds[most], rounds[1], strict=True)
    ]
    figures["mb_per_added_camera"] = median_interval(added)
    print("memory of each further camera: {:.1f} MB ({:.1f} to {:.1f})".format(*median_interval(added)))
    return figures


def compare_sizes(args: argparse.Namespace) -> dict[str, object]:
    """One clip at many sizes."""
    figures: dict[str, object] = {}
    print("| rows | FPS | of the floors | CPU: decode, ms | engine | all | of the floors | around the network | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for height in HEIGHTS:
        row = _alone(args, "sizes", scaled(args.clip, args.folder, height, FRAMES), "--frames", str(args.frames))
        figures[str(height)] = row
        print(
            f"| {height} | {row['fps']:.1f} | {row['of_floor']:.2f} | {row['decode_cpu_ms']:.1f} "
            f"| {row['engine_cpu_ms']:.1f} | {row['pipeline_cpu_ms']:.1f} | {row['cpu_of_floor']:.2f} "
            f"| {row['around_cpu_ms']:.2f} | {row['memory_mb']:.0f} |",
            flush=True,
        )
    return figures


def compare_length(args: argparse.Namespace) -> dict[str, object]:
    """Ten hours."""
    small = scaled(args.clip, args.folder, 96, FRAMES)
    clip = lengthened(small, args.folder, RATE_HZ, args.hours * 3600)
    row = _alone(args, "length", clip)
    print(
        f"{row['hours']:.1f} h, {row['frames']:.0f} frames at {RATE_HZ:g} Hz, played in {row['took_s']:.0f} s: memory "
        f"{row['memory_early_mb']:.1f} MB after a twentieth, {row['memory_middle_mb']:.1f} half way, "
        f"{row['memory_late_mb']:.1f} at the end"
    )
    return dict(row)


def _alone(args: argparse.Namespace, part: str, clip: Path, *more: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", str(clip), part, "--measure", "--rounds", str(args.rounds)]
    command += ["--seconds", str(args.seconds), "--threads", str(args.threads), "--cores", str(args.cores), *more]
    if args.network:
        command += ["--network", "x".join(map(str, args.network))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _medians(passes: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in passes) for name in passes[0]}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("part", choices=("cameras", "sizes", "length"))
    parser.add_argument("--folder", type=Path, default=Path("out/clips"), help="where clips are made and kept")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--offered", type=float, default=60.0, help="frames a second of all cameras together")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long cameras are seen at a time")
    parser.add_argument("--frames", type=int, default=120, help="frames of a replay")
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--network", type=lambda text: tuple(map(int, text.split("x"))), help="HxW of its input")
    parser.add_argument("--threads", type=int, default=0, help="of the engine")
    parser.add_argument("--cores", type=int, default=psutil.cpu_count() or 1, help="that decoder and engine share")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cameras", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps({"cameras": see_cameras, "sizes": see_size, "length": see_length}[args.part](args)))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    compare = {"cameras": compare_cameras, "sizes": compare_sizes, "length": compare_length}[args.part]
    figures = compare(args)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
