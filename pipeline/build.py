"""The command `build`: an ONNX model becomes TensorRT engines for the GPU of this machine, and they are kept.

`replay` and the others build what they need on their own. This is for doing it beforehand: when a vehicle's software
is installed, not when it starts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import get_args

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.cuda.device import Device
from engines.tensorrt.build import BuildProgress
from engines.tensorrt.cache import EngineCache
from engines.tensorrt.engine import build_and_keep, engine_key, gpu_and_library
from engines.tensorrt.execution import Execution
from engines.tensorrt.library import Library
from engines.tensorrt.network import GpuPrecision
from pipeline.config import parse_size
from pipeline.console import Console

__all__ = ["add_arguments", "run"]

_EPILOG = """\
One engine is built for each size. An engine that is there already and fits is left as it is, unless --force says
otherwise. `clearway engines` lists what is kept.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `build` understands."""
    parser.epilog = _EPILOG
    parser.add_argument("model", metavar="MODEL", help="shipped model or ONNX file")
    parser.add_argument(
        "--precision", choices=get_args(GpuPrecision), default="fp16", help="arithmetic (default: fp16)"
    )
    parser.add_argument("--batch", type=_count, default=1, metavar="N", help="most pictures in one call (default: 1)")
    parser.add_argument(
        "--size", type=parse_size, nargs="+", metavar="HxW", help="network inputs (default: the model's own)"
    )
    parser.add_argument("--force", action="store_true", help="build again what is there already")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Build engines.

    Raises:
        ClearwayError: The model or an option is at fault, or this machine has no GPU, no TensorRT, no room.
    """
    artifact = load_artifact(find_model(args.model))
    device, library = gpu_and_library()
    console = Console(quiet=args.quiet)
    for note in artifact.notes:
        console.note(note)
    sizes = [(size[0], size[1]) for size in args.size or [artifact.default_size_hw]]
    for size_hw in sizes:
        shape = artifact.input_shape(size_hw, args.batch)
        build(artifact, shape, args.precision, device, library, EngineCache(), console, force=args.force)
    return 0


def build(
    artifact: ModelArtifact,
    shape: tuple[int, int, int, int],
    precision: GpuPrecision,
    device: Device,
    library: Library,
    cache: EngineCache,
    console: Console,
    *,
    force: bool = False,
) -> None:
    """Build and keep one engine, and load it once to see that it can be.

    Raises:
        EngineError: It cannot be built, kept or loaded.
    """
    key = engine_key(artifact, shape, precision, device, library)
    plan, problem = cache.find(key)
    if plan is not None and not force:
        console.note(f"{artifact.name} {precision} at {shape} is there already; --force builds it again")
        return
    if problem:
        console.note(f"the engine that was kept is not used: {problem}")
    with _progress_line(console) as on_progress:
        plan = build_and_keep(artifact, key, device, library, cache, console.note, on_progress=on_progress)
    Execution(device, library, plan, shape, (artifact.input_name, artifact.output_name)).close()


@contextmanager
def _progress_line(console: Console) -> Iterator[Callable[[BuildProgress], None]]:
    """A bar for the innermost of TensorRT's phases; gives the function that moves it."""
    columns = (TextColumn("  {task.description:<40.40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console.out, transient=True) as bar:
        task = bar.add_task("building", total=None)

        def move(progress: BuildProgress) -> None:
            bar.update(task, description=progress.phase, completed=progress.step, total=progress.steps or None)

        yield move


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of pictures from 1 to 64")
    return int(text)
