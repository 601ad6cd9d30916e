"""The command `live`: cameras in; the newest scene, or an honest "no signal", out."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec
import rich.live

from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.base import Precision
from engines.factory import EngineKind, choose_input_size, open_engine
from pipeline.cameras.address import (
    ADDRESSES,
    CameraConfig,
    CameraDecode,
    calibrate_cameras,
    is_camera,
    name_cameras,
)
from pipeline.cameras.camera import Camera, CameraLimits
from pipeline.cameras.mailbox import Mailbox
from pipeline.config import load_calibration, load_config, load_view, open_instances, parse_size
from pipeline.console import Console, compile_kernels
from pipeline.errors import ConfigError, SinkError
from pipeline.figures import refuse_unwritable, write_figures
from pipeline.geometry import RoadView
from pipeline.live.config import LiveConfig
from pipeline.live.report import live_figures, live_line, live_table
from pipeline.live.runner import LiveOutput, LiveRunner
from pipeline.live.status import LiveStatus
from pipeline.perception import Perception, smooths
from pipeline.sinks.factory import open_sink
from pipeline.sinks.mosaic import MosaicSink
from pipeline.sinks.window import display_available
from pipeline.situation import Situation, SituationSettings
from pipeline.sources.hardware import nvdec
from pipeline.timings import StageTimings

if TYPE_CHECKING:
    from pipeline.instances import InstanceDatabase
    from pipeline.recording import Recorder

__all__ = ["add_arguments", "run"]

_EPILOG = f"""\
URI: {ADDRESSES}.
NAME=URI names a camera, as in front=rtsp://10.0.0.2/main rear=/dev/video2.
OUTPUT: x.mp4 (overlay), x.jsonl (one scene a line), masks/ (class ids as PNG), display:// (window). With several
cameras an overlay video and masks are written for each: x.front.mp4, masks/front/.
Without an output and without --web a window opens where there is a display.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `live` understands."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("arguments", metavar="URI|OUTPUT", nargs="*", help="cameras, then outputs")
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of the run")
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; flags override them")
    parser.add_argument("--quiet", action="store_true", help="no live line, no table")
    cameras = parser.add_argument_group("cameras")
    cameras.add_argument("--camera-size", type=parse_size, metavar="HxW", help="size to ask the cameras for")
    cameras.add_argument("--camera-rate", type=float, metavar="HZ", help="frames a second to ask the cameras for")
    cameras.add_argument(
        "--flip",
        choices=["none", "rotate-180", "horizontal", "vertical", "clockwise", "counterclockwise"],
        help="how to turn their pictures",
    )
    cameras.add_argument("--codec", metavar="NAME", help="what a V4L2 camera is to send: mjpeg, yuyv422, h264")
    cameras.add_argument("--transport", choices=["tcp", "udp"], help="how RTSP comes (default: tcp)")
    cameras.add_argument("--decode", choices=get_args(CameraDecode), help="what decodes network streams (default: cpu)")
    metres = parser.add_argument_group("metres and road users")
    metres.add_argument(
        "--camera", metavar="[NAME=]FILE.toml", action="append", help="calibrated camera; with --ground, in metres"
    )
    metres.add_argument("--ground", metavar="[NAME=]FILE.toml", action="append", help="how it hangs over the road")
    metres.add_argument("--bonnet", type=float, metavar="M", help="metres ahead hidden by the own bonnet (0)")
    metres.add_argument("--corridor-width", type=float, metavar="M", help="metres of road that the vehicle needs (2.2)")
    metres.add_argument("--tracking", choices=["auto", "on", "off"], help="follow road users over time (auto: on)")
    metres.add_argument("--instances", metavar="FILE", help="recognise road users by this database, and enter new ones")
    metres.add_argument(
        "--birdseye", action=argparse.BooleanOptionalAction, default=None, help="show the road from above (yes)"
    )
    fresh = parser.add_argument_group("freshness and loss")
    fresh.add_argument("--max-age-ms", type=float, metavar="MS", help="drop older frames (default: 1000)")
    fresh.add_argument("--grab-timeout", type=float, metavar="S", help="reconnect without a picture for so long (2)")
    fresh.add_argument("--open-timeout", type=float, metavar="S", help="how long connecting may take (5)")
    fresh.add_argument("--give-up-after", type=float, metavar="S", help="for a camera that was never reached")
    fresh.add_argument("--exit-on-loss", action="store_true", default=None, help="end with 3 when a camera is lost")
    engine = parser.add_argument_group("engine")
    engine.add_argument("--model", metavar="NAME|PATH.onnx", help="shipped model or ONNX file (clearway-lite)")
    engine.add_argument("--engine", choices=get_args(EngineKind), help="inference library")
    engine.add_argument("--precision", choices=get_args(Precision), help="arithmetic of the engine")
    engine.add_argument("--size", type=parse_size, metavar="HxW", help="network input (default: fits the pictures)")
    engine.add_argument(
        "--smoothing", choices=["auto", "on", "off"], help="steady classes over time (auto: on, unless recording)"
    )
    engine.add_argument("--threads", type=int, metavar="N", help="engine threads (default: one for each core)")
    web = parser.add_argument_group("the page")
    web.add_argument("--web", metavar="[HOST:]PORT", nargs="?", const="", help="serve it (127.0.0.1:8080)")
    web.add_argument("--web-token", metavar="TOKEN", help="what a browser must know; needed beyond 127.0.0.1")
    web.add_argument("--restream", metavar="rtsp://…", action="append", help="push the overlay to an RTSP server")
    record = parser.add_argument_group("recording")
    record.add_argument("--record", metavar="DIR", help="record the cameras' own frames, and scenes beside them")
    record.add_argument(
        "--record-minutes", type=float, metavar="N", help="keep so much (default: what the quota allows)"
    )
    record.add_argument("--record-quota-gb", type=float, metavar="G", help="fill no more of the disk (10)")
    record.add_argument("--record-save-s", type=float, metavar="S", help="save so much before an alert (30)")


def run(args: argparse.Namespace) -> int:
    """Run until the user, the duration or a loss ends it.

    Raises:
        ClearwayError: A camera, an option or an output is at fault; what was done is in the outputs.
        KeyboardInterrupt: The user interrupted; likewise.
    """
    config, outputs = _settings(args)
    cameras = calibrate_cameras(name_cameras(config.cameras), args.camera or (), args.ground or ())
    views = {camera.name: load_view(camera.camera, camera.ground) for camera in cameras}
    artifact = load_artifact(find_model(config.model))
    console = Console(quiet=args.quiet)
    if args.json is not None:
        refuse_unwritable(args.json, [*outputs, *(_file_of(camera) for camera in config.cameras)])
    compile_kernels(console, _parts_of(cameras))
    with ExitStack() as stack:
        database = open_instances(config.instances, stack)
        settings = {camera.name: _situation_settings(config, camera, views, database) for camera in cameras}
        runner, recorder = _assemble(config, cameras, outputs, artifact, settings, console, stack)
        stack.enter_context(_ended_by_sigterm(runner))
        try:
            with _live_line(console, args.quiet) as show:
                runner.on_turn = show
                runner.run()
        finally:
            status = runner.status()
            if recorder is not None:
                recorder.close()  # Now, so that the figures count all that was recorded.
            if args.json is not None:
                recording = recorder.status if recorder is not None else None
                write_figures(args.json, live_figures(status, runner.age_ms(), recording))
            live_table(console, status)
    return 0


def _parts_of(cameras: Sequence[CameraConfig]) -> list[str]:
    """What of `pipeline.rehearsal.PARTS` the run goes through: the page may want pictures of either kind."""
    rendered = any(camera.uri.startswith("synthetic:") for camera in cameras)
    parts = ["perception", "situation", "overlay on pictures", "overlay on video"]
    return [*parts, "the synthetic drive"] if rendered else parts


def _file_of(camera: CameraConfig) -> str:
    """The recording that a camera plays, without what is asked of it; no file where it is a real one."""
    return camera.uri.removeprefix("file://").partition("?")[0]


def _settings(args: argparse.Namespace) -> tuple[LiveConfig, list[str]]:
    """The settings, with the cameras and the outputs that the command line names."""
    arguments: list[str] = args.arguments
    uris = [argument for place, argument in enumerate(arguments) if is_camera(argument) or place == 0]
    if args.config is not None and arguments and not is_camera(arguments[0]):
        uris = uris[1:]  # the cameras are in the file; what stands first is an output
    outputs = [argument for argument in arguments if argument not in uris]
    flags = {name: getattr(args, name, None) for name in LiveConfig.__struct_fields__ if name != "cameras"}
    config = load_config(LiveConfig, args.config, flags)
    cameras = [CameraConfig(uri) for uri in uris] or config.cameras
    if not cameras:
        raise ConfigError(f"no camera is named; give {ADDRESSES}")
    asked = {"size": args.camera_size, "rate": args.camera_rate, "flip": args.flip, "codec": args.codec,
             "transport": args.transport, "bonnet": args.bonnet}  # fmt: skip
    given = {key: value for key, value in asked.items() if value is not None}
    return msgspec.structs.replace(
        config, cameras=[msgspec.structs.replace(camera, **given) for camera in cameras]
    ), outputs


def _assemble(
    config: LiveConfig,
    cameras: Sequence[CameraConfig],
    outputs: Sequence[str],
    artifact: ModelArtifact,
    settings: Mapping[str, SituationSettings],
    console: Console,
    stack: ExitStack,
) -> tuple[LiveRunner, Recorder | None]:
    """Open everything that can fail before the first frame, and put the run together."""
    if config.decode == "nvdec":
        nvdec()  # Says now that there is none, rather than with every try to connect.
    names = [camera.name for camera in cameras]
    timings, mailbox, started_s = StageTimings(), Mailbox(names), time.monotonic()
    sinks = _open_outputs(outputs, names, stack)
    if not outputs and config.web is None and not config.restream and display_available():
        sinks += _open_outputs(["display://"], names, stack)
    recorder = _open_recorder(config, cameras, stack)
    if recorder is not None:
        sinks.append(LiveOutput(recorder.sink()))
    for address in config.restream:
        from pipeline.sinks.restream import RestreamSink

        sinks.append(LiveOutput(stack.enter_context(contextlib.closing(RestreamSink(address, names)))))
    runner: LiveRunner
    if config.web is not None:
        from pipeline.web import WebServer, parse_web_address

        server = WebServer(
            parse_web_address(config.web),
            status=lambda: runner.status(),  # noqa: PLW0108 - there is no runner yet
            token=config.web_token,
            save_recording=None if recorder is None else partial(recorder.save, "button"),
        )
        stack.callback(server.close)
        sinks.append(LiveOutput(server.sink))
        console.note(f"page: {server.login_url}")
    limits = CameraLimits(config.open_timeout, config.grab_timeout, config.give_up_after)
    runner = LiveRunner(
        [
            Camera(
                camera,
                mailbox,
                timings,
                started_s,
                limits,
                recorder.for_camera(camera.name) if recorder is not None else None,
                config.decode,
            )
            for camera in cameras
        ],
        mailbox,
        partial(_open_perception, artifact, config, settings, timings, console),
        sinks,
        timings,
        started_s=started_s,
        model=artifact.name,
        max_age_s=config.max_age_ms / 1e3,
        duration_s=config.duration,
        exit_on_loss=config.exit_on_loss,
        stop_limit_s=max(config.grab_timeout, config.open_timeout) + 1.0,
        birdseye=config.birdseye,
    )
    if config.web is not None:
        server.start()
    return runner, recorder


def _open_outputs(outputs: Sequence[str], cameras: Sequence[str], stack: ExitStack) -> list[LiveOutput]:
    opened: list[LiveOutput] = []
    for output in outputs:
        if outputs.count(output) > 1:
            raise SinkError(f"{output}: named more than once")
        for name, camera in _one_for_each(output, cameras):
            sink = open_sink(name)
            stack.callback(sink.close)
            joined = len(cameras) > 1 and sink.needs_overlay and camera is None
            opened.append(LiveOutput(MosaicSink(sink, cameras) if joined else sink, camera))
    return opened


def _one_for_each(output: str, cameras: Sequence[str]) -> list[tuple[str, str | None]]:
    """An output's names, and whose scenes each takes: videos and masks hold one camera, the others hold all."""
    path = Path(output)
    if len(cameras) == 1 or path.suffix.lower() == ".jsonl" or "://" in output:
        return [(output, None)]
    if path.suffix and not output.endswith("/"):
        return [(str(path.with_suffix(f".{camera}{path.suffix}")), camera) for camera in cameras]
    return [(f"{output.rstrip('/')}/{camera}/", camera) for camera in cameras]


def _open_recorder(config: LiveConfig, cameras: Sequence[CameraConfig], stack: ExitStack) -> Recorder | None:
    if not config.record:
        return None
    from pipeline.recording import Recorder

    found = {camera.name: load_calibration(camera.camera, camera.ground, camera.bonnet) for camera in cameras}
    recorder = Recorder(
        Path(config.record),
        [camera.name for camera in cameras],
        started_at=datetime.now(timezone.utc),
        minutes=config.record_minutes,
        quota_bytes=round(config.record_quota_gb * 1e9),
        save_s=config.record_save_s,
        name=config.record,
        calibrations={name: calibration for name, calibration in found.items() if calibration is not None},
    )
    stack.callback(recorder.close)
    return recorder


def _situation_settings(
    config: LiveConfig,
    camera: CameraConfig,
    views: Mapping[str, RoadView | None],
    database: InstanceDatabase | None,
) -> SituationSettings:
    return SituationSettings(
        view=views[camera.name],
        corridor_width_m=config.corridor_width,
        bonnet_m=camera.bonnet,
        follows=config.tracking != "off",
        database=database,
    )


def _open_perception(
    artifact: ModelArtifact,
    config: LiveConfig,
    settings: Mapping[str, SituationSettings],
    timings: StageTimings,
    console: Console,
    size_hw: tuple[int, int],
    cameras: int,
) -> Perception:
    engine = open_engine(
        artifact,
        kind=config.engine,
        size_hw=config.size_hw or choose_input_size(artifact, size_hw),
        batch=artifact.input_dims[0] or cameras,
        precision=config.precision,
        threads=config.threads or None,
        on_note=console.note,
    )
    # What is recorded is to be replayed with the same scenes, though the replay sees frames that this run drops.
    smooth = smooths(config.smoothing, engine, by_default=not config.record)
    # Warming up is of no camera, and leaves nothing behind.
    anybody = SituationSettings(corridor_width_m=config.corridor_width)
    return Perception(engine, timings, smooth=smooth, situate=lambda name: Situation(settings.get(name, anybody)))


@contextlib.contextmanager
def _ended_by_sigterm(runner: LiveRunner) -> Iterator[None]:
    """Let a supervisor's SIGTERM end the run well: outputs are finished, the figures written, the exit code is 0."""
    before = signal.signal(signal.SIGTERM, lambda *_: runner.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _live_line(console: Console, quiet: bool) -> Iterator[Callable[[LiveStatus], None]]:
    """A line that always says how the run stands; gives the function that renews it.

    Where nobody watches a terminal, a line is written for every change of state instead.
    """
    if quiet or not sys.stderr.isatty():
        said: dict[str, str] = {}

        def note_changes(status: LiveStatus) -> None:
            states = {camera.name: camera.state for camera in status.cameras} | {"engine": status.engine_state}
            if states != said:
                said.update(states)
                console.out.print(live_line(status))

        yield note_changes
        return
    with rich.live.Live(console=console.out, auto_refresh=False, transient=True) as line:
        yield lambda status: line.update(live_line(status), refresh=True)
