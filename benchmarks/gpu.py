"""How fast the NVIDIA path is: python benchmarks/gpu.py [--clip CLIP] [--precision fp16] [--json FILE]

All in one run on one GPU, with TensorRT:
- the bare engine, as trtexec would measure it: CUDA events, input and output on the GPU;
- the kernels before and after it, against the engine and against the bytes that they must move;
- end to end without decoding: pictures in host memory to class maps in host memory, alone and two in flight;
- end to end with decoding: a replay of the clip without outputs;
- peers: torch eager, torch.compile, ONNX Runtime CUDA, where they are installed.
Without a GPU: one line, exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.nvidia.figures import Results, Speed, table
from benchmarks.nvidia.inventory import take_inventory
from benchmarks.nvidia.speed import EventTimer, Samples, measure_peers, measure_speed
from benchmarks.replay import Looped, replay
from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.errors import ClearwayError
from engines.factory import choose_input_size
from engines.kernels import Feed, PictureFormat
from engines.tensorrt.engine import TensorRtEngine
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame
from pipeline.sources import open_source

_PICTURES = 8


def main() -> int:
    """Measure, print the table."""
    args = _arguments()
    try:
        artifact = load_artifact(find_model(args.model))
        speeds = [_measure(args, artifact, precision) for precision in args.precision or ["fp16"]]
    except ClearwayError as error:
        print(f"gpu: error: {error}", file=sys.stderr)
        return 2
    print(table(Results(measured_at="now", commit="-", inventory=take_inventory(), tests={}, speed=tuple(speeds))))
    if args.json:
        args.json.write_bytes(msgspec.json.encode(speeds))
    return 0


def _measure(args: argparse.Namespace, artifact: ModelArtifact, precision: str) -> Speed:
    frames = _frames(args.clip)
    size_hw = choose_input_size(artifact, frames[0].size_hw)
    with closing(TensorRtEngine(artifact, size_hw, precision=precision, on_note=print)) as engine:  # type: ignore[arg-type]
        feed, pictures = feed_of(engine, frames)
        with engine.device.active():
            timer = EventTimer()
        title = f"{artifact.name} {size_hw[1]}x{size_hw[0]}, {engine.description}, pictures {_text(frames[0].size_hw)}"
        speed = measure_speed(title, engine.device, engine.network, engine.spec, feed, pictures, timer, args.count)
    peers, notes = measure_peers(artifact, size_hw, args.count)
    looped = argparse.Namespace(model=args.model, engine="tensorrt", precision=precision)
    fps = replay(looped, Looped(args.clip, args.count)).fps
    return msgspec.structs.replace(speed, peers=peers, notes=tuple(notes), with_decode_fps=fps)


def feed_of(engine: TensorRtEngine, frames: list[Frame]) -> tuple[Feed, list[Samples]]:
    """How the recording's frames go up, and their arrays."""
    first, preprocessor = frames[0], Preprocessor(engine.spec)
    grid_hw, content_hw = preprocessor.grid_size_hw(first.size_hw), preprocessor.content_size_hw(first.size_hw)
    if first.planes is None:
        picture = PictureFormat("bgr", first.size_hw)
        return Feed(picture, content_hw, grid_hw), [(frame.image,) for frame in frames]
    picture = PictureFormat("i420", first.size_hw, 0, 0, first.planes.matrix, first.planes.full_range)
    planes = [frame.planes for frame in frames if frame.planes is not None]
    return Feed(picture, content_hw, grid_hw), [(each.y, each.u, each.v) for each in planes]


def _frames(clip: str) -> list[Frame]:
    source = open_source(clip)
    frames = list(islice(source.frames(), _PICTURES))
    source.close()
    return frames


def _text(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", default="synthetic://drive?frames=64&seed=1&size=1280x720")
    parser.add_argument("--model", default="clearway-lite")
    parser.add_argument("--precision", action="append", choices=["fp32", "fp16", "int8"], help="may be repeated")
    parser.add_argument("--count", type=int, default=500, help="of each measurement")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
