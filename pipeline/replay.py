"""The command `replay`: a recording in, scenes out, nothing dropped."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.base import Precision
from engines.factory import EngineKind, choose_input_size, open_engines
from pipeline.capture import Capture
from pipeline.config import ReplayConfig, load_config, load_view, open_instances, parse_size
from pipeline.console import Console, compile_kernels, progress_line, timings_table
from pipeline.errors import SinkError
from pipeline.figures import refuse_unwritable, write_figures
from pipeline.perception import Perception, smooths
from pipeline.runner import Runner, RunReport
from pipeline.sinks.base import PlanarSink, Sink
from pipeline.sinks.factory import open_sink
from pipeline.sinks.window import display_available
from pipeline.situation import Situation, SituationSettings
from pipeline.sources import Source, open_source
from pipeline.sources.base import Decode
from pipeline.timings import StageTimings

__all__ = ["add_arguments", "run"]

_EPILOG = """\
INPUT is a video file, an animated GIF, a folder or glob of images, or synthetic://drive?frames=300&seed=1.
OUTPUT, none or several: x.mp4 (overlay), x.jsonl (one scene a line), masks/ (class ids as PNG), display:// (window).
Without an output a window opens where there is a display; else only the figures are shown.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `replay` understands."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("input", metavar="INPUT", help="the recording")
    parser.add_argument("outputs", metavar="OUTPUT", nargs="*", help="where scenes go")
    parser.add_argument("--model", metavar="NAME|PATH.onnx", help="shipped model or ONNX file (default: clearway-lite)")
    parser.add_argument("--engine", choices=get_args(EngineKind), help="inference library")
    parser.add_argument("--precision", choices=get_args(Precision), help="arithmetic of the engine")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="network input (default: fits the recording)")
    parser.add_argument("--threads", type=int, metavar="N", help="engine threads (default: one for each physical core)")
    parser.add_argument("--decode", choices=get_args(Decode), help="what decodes a video (default: cpu)")
    parser.add_argument(
        "--smoothing", choices=["auto", "on", "off"], help="steady classes over time (default: auto, for video only)"
    )
    parser.add_argument(
        "--tracking", choices=["auto", "on", "off"], help="follow road users over time (default: auto, for video only)"
    )
    parser.add_argument("--camera", metavar="FILE.toml", help="calibrated camera; with --ground scenes are in metres")
    parser.add_argument("--ground", metavar="FILE.toml", help="how it hangs over the road")
    parser.add_argument("--bonnet", type=float, metavar="M", help="metres ahead hidden by the own bonnet (0)")
    parser.add_argument("--corridor-width", type=float, metavar="M", help="metres of road that the vehicle needs (2.2)")
    parser.add_argument(
        "--birdseye",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show the road from above (yes)",
    )
    parser.add_argument("--instances", metavar="FILE", help="recognise road users by this database, and enter new ones")
    parser.add_argument("--start", type=float, metavar="S", help="seconds into the recording to start at")
    parser.add_argument("--end", type=float, metavar="S", help="seconds into the recording to end at")
    parser.add_argument("--pace", action="store_true", default=None, help="play at the recording's own speed")
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; flags override them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of the run")
    parser.add_argument("--quiet", action="store_true", help="no progress, no table")


def run(args: argparse.Namespace) -> int:
    """Replay a recording.

    Raises:
        ClearwayError: The input, an option or an output is at fault; what was done is in the outputs.
        KeyboardInterrupt: The user interrupted; likewise.
    """
    flags = {name: getattr(args, name) for name in ReplayConfig.__struct_fields__}
    config = load_config(ReplayConfig, args.config, flags)
    artifact = load_artifact(find_model(config.model))
    console = Console(quiet=args.quiet)
    timings = StageTimings()
    with ExitStack() as stack:
        source = open_source(args.input, start_s=config.start, decode=config.decode)
        stack.callback(source.close)
        settings = _situation_settings(config, source, stack)
        sinks = _open_sinks(args.outputs, source, stack) if args.outputs else _window_if_any(console, stack)
        if args.json is not None:
            refuse_unwritable(args.json, [args.input.removeprefix("file://"), *args.outputs])
        console.heading(source.info, artifact, sinks)
        _note_metres(console, config, source)
        compile_kernels(console, _parts_of(source, sinks))
        runner = Runner(
            Capture(source, timings, start_s=config.start, end_s=config.end, pace=config.pace),
            partial(_open_perception, artifact, config, source, timings, console, settings),
            sinks,
            timings,
            birdseye=config.birdseye,
            on_ready=console.note,
            on_progress=stack.enter_context(progress_line(console, _expected(source, config))),
        )
        try:
            runner.run()
        finally:
            report = runner.report()
            if args.json is not None:
                write_figures(args.json, _figures(report, artifact))
    timings_table(console, report)
    return 0


def _parts_of(source: Source, sinks: Sequence[Sink]) -> list[str]:
    """What of `pipeline.rehearsal.PARTS` the run goes through."""
    parts = ["perception", "situation"]
    if source.info.has_views:
        parts.append("the synthetic drive")
    painted = [sink for sink in sinks if sink.needs_overlay]
    if painted:
        in_planes = source.info.is_video and not source.info.has_views
        planar = in_planes and all(isinstance(sink, PlanarSink) for sink in painted)
        parts.append("overlay on video" if planar else "overlay on pictures")
    return parts


def _situation_settings(config: ReplayConfig, source: Source, stack: ExitStack) -> SituationSettings:
    return SituationSettings(
        view=load_view(config.camera, config.ground, source.info.size_hw) or source.info.view,
        corridor_width_m=config.corridor_width,
        bonnet_m=config.bonnet or source.info.bonnet_m,
        follows=config.tracking == "on" or (config.tracking == "auto" and source.info.is_video),
        database=open_instances(config.instances, stack),
    )


def _note_metres(console: Console, config: ReplayConfig, source: Source) -> None:
    """Where metres come from, if there are any."""
    if config.camera:
        console.note(f"metres: {config.camera}, {config.ground}")
    elif source.info.view is not None:
        console.note("metres: camera and ground as the live run was given them; --camera and --ground take others")
    elif source.info.has_views:
        console.note("metres: camera and ground exactly as rendered; --camera and --ground take files instead")


def _open_perception(
    artifact: ModelArtifact,
    config: ReplayConfig,
    source: Source,
    timings: StageTimings,
    console: Console,
    settings: SituationSettings,
) -> Perception:
    engine, *beside = open_engines(
        artifact,
        kind=config.engine,
        size_hw=config.size_hw or choose_input_size(artifact, source.info.size_hw),
        precision=config.precision,
        threads=config.threads or None,
        together=1 if config.pace else None,  # At the recording's own pace no frame waits for another.
        on_note=console.note,
    )
    by_default = source.info.is_video and not source.info.has_scenes
    smooth = smooths(config.smoothing, engine, by_default=by_default)
    return Perception(engine, timings, beside=beside, smooth=smooth, situate=lambda _: Situation(settings))


def _open_sinks(outputs: Sequence[str], source: Source, stack: ExitStack) -> list[Sink]:
    sinks: list[Sink] = []
    for output in outputs:
        if outputs.count(output) > 1:
            raise SinkError(f"{output}: named more than once")
        sink = open_sink(output, source=source.info.uri, frame_rate_hz=source.info.frame_rate_hz)
        stack.callback(sink.close)
        sinks.append(sink)
    return sinks


def _window_if_any(console: Console, stack: ExitStack) -> list[Sink]:
    """Without an output: a window where there is a display, else nothing but the figures."""
    if not display_available():
        return []
    try:
        window = open_sink("display://")
    except SinkError as error:
        console.note(str(error))
        return []
    stack.callback(window.close)
    return [window]


def _expected(source: Source, config: ReplayConfig) -> int | None:
    """How many frames the run will have, where that can be told beforehand."""
    count, rate_hz = source.info.frame_count, source.info.frame_rate_hz
    if count is None or (config.start == 0 and config.end is None):
        return count
    if not rate_hz:
        return None
    last = count if config.end is None else min(count, round(config.end * rate_hz))
    return max(0, last - round(config.start * rate_hz))


def _figures(report: RunReport, artifact: ModelArtifact) -> dict[str, Any]:
    return {
        "frames": report.scenes,
        "dropped": report.frames - report.scenes,
        "fps": round(report.fps, 2),
        "engine": report.engine,
        "model": artifact.name,
        "elapsed_s": round(report.elapsed_s, 4),
        "timings_ms": report.timings_ms,
    }
