"""The command `profile`: how fast the pipeline is, and how much of that its engine alone would be."""

from __future__ import annotations

import argparse
import glob
from pathlib import Path
from typing import get_args

import msgspec
import rich.progress

from engines.artifact import find_model, load_artifact
from engines.base import Precision
from engines.factory import ENGINE_KINDS
from evaluation.profile.clip import drive_clip
from evaluation.profile.comparison import compare_profiles
from evaluation.profile.figures import ProfileFigures, collect_figures, read_figures
from evaluation.profile.measurement import Measurement, Plan, measure
from evaluation.profile.tables import comparison_table, figures_table
from evaluation.profile.throttling import open_nvml
from evaluation.profile.timers import measure_timer_us
from evaluation.profile.watch import MachineWatch, gpu_names
from pipeline.config import EngineConfig, load_config, load_view, parse_size
from pipeline.console import Console, compile_kernels
from pipeline.errors import ConfigError
from pipeline.figures import refuse_unwritable, write_whole

__all__ = ["add_arguments", "run"]

_EPILOG = """\
INPUT is any recording that `replay` takes; without one, a rendered drive is encoded once to H.264 and kept.
--compare measures nothing: it says whether B is slower than A, and ends with 1 if it is, else with 0.
"""
_DURATION_S = 16.0
_SHORTEST_S, _LONGEST_S = 0.5, 3600.0
_MOST_CAMERAS = 64
_MOST_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `profile` understands."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("input", metavar="INPUT", nargs="?", help="the recording (default: a rendered drive)")
    parser.add_argument("--model", metavar="NAME|PATH.onnx", help="shipped model or ONNX file (default: clearway-lite)")
    parser.add_argument("--engine", choices=["auto", *ENGINE_KINDS], help="inference library")
    parser.add_argument("--precision", choices=get_args(Precision), help="arithmetic of the engine")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="network input (default: fits the recording)")
    parser.add_argument("--threads", type=int, metavar="N", help="engine threads (default: one for each physical core)")
    parser.add_argument("--smoothing", choices=["auto", "on", "off"], help="steady classes over time (default: auto)")
    parser.add_argument("--tracking", choices=["auto", "on", "off"], help="follow road users over time (default: auto)")
    parser.add_argument("--camera", metavar="FILE.toml", default="", help="calibrated camera: metres are measured too")
    parser.add_argument("--ground", metavar="FILE.toml", default="", help="how it hangs over the road")
    parser.add_argument("--batch", type=int, metavar="N", help="pictures in one call (default: 1, or one a camera)")
    parser.add_argument("--cameras", type=int, default=0, metavar="N", help="play INPUT as N live cameras")
    parser.add_argument(
        "--duration", type=float, default=_DURATION_S, metavar="S", help=f"seconds measured (default: {_DURATION_S:g})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a page with plots")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write a trace that ui.perfetto.dev opens")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A.json", "B.json"), help="is B slower than A?")
    parser.add_argument("--quiet", action="store_true", help="no progress, no table")


def run(args: argparse.Namespace) -> int:
    """Profile, or compare two profiles.

    Returns:
        0; from a comparison 1 where B is slower than A.

    Raises:
        ClearwayError: The recording, an option or an output is at fault.
    """
    console = Console(quiet=args.quiet)
    if args.compare is not None:
        return _compare(args, console)
    flags = {name: getattr(args, name, None) for name in EngineConfig.__struct_fields__}
    config = load_config(EngineConfig, None, flags)
    _check(args)
    _refuse_unwritable_outputs(args)
    plan = Plan(
        uri=(args.input or str(drive_clip(console.note))).removeprefix("file://"),
        artifact=load_artifact(find_model(config.model)),
        config=config,
        batch=args.batch or max(1, args.cameras),
        cameras=args.cameras,
        duration_s=args.duration,
        view=load_view(args.camera, args.ground),
    )
    for note in plan.artifact.notes:
        console.note(note)
    compile_kernels(console, ["perception", "situation"])
    with open_nvml() as nvml, MachineWatch(nvml) as watch:
        measured = _measure(plan, watch, console)
        figures = collect_figures(measured, gpu_names(nvml), measure_timer_us())
    _write(args, measured, figures, console)
    figures_table(console, figures)
    return 0


def _measure(plan: Plan, watch: MachineWatch, console: Console) -> Measurement:
    columns = (rich.progress.BarColumn(), rich.progress.TextColumn("{task.description}"))
    with rich.progress.Progress(*columns, console=console.out, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        return measure(plan, watch, lambda now, share: bar.update(task, description=now, completed=share), console.note)


def _check(args: argparse.Namespace) -> None:
    if not _SHORTEST_S <= args.duration <= _LONGEST_S:
        raise ConfigError(f"--duration {args.duration:g}: give seconds from {_SHORTEST_S:g} to {_LONGEST_S:g}")
    if not 0 <= args.cameras <= _MOST_CAMERAS:
        raise ConfigError(f"--cameras {args.cameras}: give a number from 1 to {_MOST_CAMERAS}, or 0 for a replay")
    if args.batch is not None and not 1 <= args.batch <= _MOST_BATCH:
        raise ConfigError(f"--batch {args.batch}: give a number from 1 to {_MOST_BATCH}")
    if args.batch is not None and args.cameras and args.batch > args.cameras:
        raise ConfigError(f"--batch {args.batch}: {args.cameras} cameras never give so many frames at once")


def _refuse_unwritable_outputs(args: argparse.Namespace) -> None:
    """Before the long part."""
    recording = (args.input or "").removeprefix("file://")
    pictures = glob.glob(recording)  # noqa: PTH207 - the pattern may be absolute
    kept = [given for given in (recording, *pictures, args.model, args.camera, args.ground) if given]
    if args.report is not None:
        from evaluation.html_page import PAGE_NAME, refuse_unwritable_page

        refuse_unwritable(args.report / PAGE_NAME, kept)
        refuse_unwritable_page(args.report)
        kept.append(args.report / PAGE_NAME)
    for file in (args.json, args.trace):
        if file is not None:
            refuse_unwritable(file, kept)
            kept.append(file)


def _write(args: argparse.Namespace, measured: Measurement, figures: ProfileFigures, console: Console) -> None:
    if args.json is not None:
        write_whole(args.json, msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    if args.trace is not None:
        from evaluation.profile.trace import trace_events

        write_whole(args.trace, msgspec.json.encode(trace_events(measured)))
        console.note(f"trace: {args.trace}, to be opened at ui.perfetto.dev")
    if args.report is not None:
        from evaluation.profile.page import write_page

        console.note(f"report: {write_page(args.report, measured, figures)}")


def _compare(args: argparse.Namespace, console: Console) -> int:
    for name in ("input", "trace", "report"):
        if getattr(args, name) is not None:
            raise ConfigError(f"--compare measures nothing: leave out {'INPUT' if name == 'input' else f'--{name}'}")
    before, after = map(read_figures, args.compare)
    if args.json is not None:
        refuse_unwritable(args.json, args.compare)
    comparison = compare_profiles(before, after)
    comparison_table(console, comparison)
    if args.json is not None:
        write_whole(args.json, msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n")
    return 1 if comparison.slower else 0
