"""Clearway beside what people use instead: python -m benchmarks.peers --clip CLIP [--json FILE] [--rounds 7]

Every peer runs in an environment and a process of its own, on the same clip and the same cores, and ends with the same
thing: the class of every pixel at the picture's size, nothing drawn. In a round each has its turn, twice: as fast as it
takes frames (FPS, CPU time, memory), then with frames at a camera's pace (latency: from the moment at which a frame is
due to its class map, decoding included). Ratios are formed within a round, so that a machine that drifts hits both
sides; their interval is that of the median. Free disk needed for all environments: some 12 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.comparison import Pass, figures_of, table
from benchmarks.peers.environments import environment
from engines.artifact import find_model, load_artifact
from engines.factory import choose_input_size
from engines.processor import available_cores, processor_name
from pipeline.sources import open_source

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_OURS = "Clearway"


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that finds classes in a clip.

    Attributes:
        title: For the table.
        script: In this folder.
        environment: Which interpreter runs it; "" is ours.
        model: "ours", or a path from the data's folder, or "" where it makes its own.
        variant: Told to the script.
    """

    title: str
    script: str
    environment: str
    model: str = "ours"
    variant: str = ""


PEERS = {
    "clearway": Peer(_OURS, "clearway_replay.py", ""),
    "clearway-smoothing": Peer("Clearway, smoothing on as for videos", "clearway_replay.py", "", variant="smoothing"),
    "plain": Peer("OpenCV and ONNX Runtime in a loop, our network", "plain_loop.py", "plain"),
    "plain-coarse": Peer("the same, class map enlarged from the grid", "plain_loop.py", "plain", variant="coarse"),
    "inference": Peer("Roboflow InferencePipeline, our network", "inference_pipeline.py", "inference"),
    "ultralytics": Peer("Ultralytics predict, yolo26n-sem in OpenVINO", "ultralytics_predict.py", "ultralytics", ""),
    "intel": Peer(
        "Intel road-segmentation-adas-0001 in OpenVINO, in a loop",
        "openvino_loop.py",
        "openvino",
        "peers/road-segmentation-adas-0001.xml",
    ),
}


def main() -> None:
    """Measure in turns; print and keep the table."""
    args = _arguments()
    names = ["clearway", *(name for name in args.only or PEERS if name != "clearway")]
    commands = {name: _command(PEERS[name], args) for name in names}
    free: dict[str, list[Pass]] = {name: [] for name in names}
    paced: dict[str, list[Pass]] = {name: [] for name in names}
    for round_number in range(args.rounds):
        # Who comes first takes turns, too.
        for name in names[round_number % len(names) :] + names[: round_number % len(names)]:
            load = os.getloadavg()[0]
            free[name].append(_pass(commands[name]))
            if args.rate > 0 and round_number < args.paced_rounds:
                paced[name].append(_pass([*commands[name], "--rate", str(args.rate)]))
            print(f"round {round_number + 1}  load {load:.1f}  {name:20} {free[name][-1].fps:.1f} FPS", flush=True)
    figures = {PEERS[name].title: figures_of(free[name], paced[name], free["clearway"]) for name in names}
    print(
        f"\n{processor_name()}, {available_cores()} cores; {args.clip.name}; {args.rounds} rounds\n\n{table(figures)}"
    )
    for title, row in figures.items():
        print(f"{title}: {row.engine}")
    if args.json:
        kept = {
            "processor": processor_name(),
            "cores": available_cores(),
            "clip": args.clip.name,
            "rate_hz": args.rate,
            "peers": {name: asdict(figures[PEERS[name].title]) for name in names},
            "fps_by_round": {name: [one.fps for one in free[name]] for name in names},
        }
        args.json.write_text(json.dumps(kept, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=_ROOT.parent / "shared" / "data", help="folder that holds peers/")
    parser.add_argument("--rounds", type=int, default=7, help="six or more give an interval of 95 %% (default: 7)")
    parser.add_argument("--rate", type=float, default=8.0, help="a camera's frames a second; 0: no latencies")
    parser.add_argument("--paced-rounds", type=int, default=2, help="rounds that also measure latencies (default: 2)")
    parser.add_argument("--only", nargs="+", choices=PEERS, help="these peers (and Clearway)")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _command(peer: Peer, args: argparse.Namespace) -> list[str]:
    """How a peer is started; its environment is there afterwards."""
    artifact = load_artifact(find_model("clearway-lite"))
    source = open_source(str(args.clip))
    height, width = choose_input_size(artifact, source.info.size_hw)
    source.close()
    python = environment(peer.environment, lambda line: print(line, flush=True))
    model = {"ours": artifact.path, "": python.parents[1] / "models"}.get(peer.model, args.data / peer.model)
    command = [python, _HERE / peer.script, "--clip", args.clip.resolve(), "--model", model]
    return [*map(str, command), "--size", f"{height}x{width}", "--variant", peer.variant]


def _pass(command: list[str]) -> Pass:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return Pass(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
