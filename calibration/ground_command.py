"""The command `calibrate ground`: how the camera hangs over the road, from a recording of a drive or from marks."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rich.console
from numpy.typing import NDArray
from rich.progress import track

from calibration.files import check_outputs, to_json, to_toml, today, write_whole
from pipeline.errors import ConfigError
from pipeline.geometry.calibration_files import GroundFile, GroundUncertainty
from pipeline.geometry.camera_model import CameraModel

if TYPE_CHECKING:
    from calibration.driving import DriveGround
    from pipeline.perception import Perception
    from pipeline.scene import Frame
    from pipeline.sources.base import Source

__all__ = ["add_ground_arguments", "calibrate_ground"]

Triple = tuple[float, float, float]

_EPILOG = """\
RECORDING is a video file, an animated GIF, a folder or glob of images, or synthetic://drive?frames=300&seed=1: some
seconds or more of driving straight ahead. Pitch and roll come from it alone; the height must be given, or follows from
the mean speed. Without a recording, --marks measures from points marked on the road.
"""


def add_ground_arguments(ground: argparse.ArgumentParser) -> None:
    """Say what `calibrate ground` understands."""
    ground.formatter_class = argparse.RawDescriptionHelpFormatter
    ground.epilog = _EPILOG
    ground.add_argument("recording", metavar="RECORDING", nargs="?", help="a drive, straight ahead most of the time")
    ground.add_argument("--camera", type=Path, required=True, metavar="FILE.toml", help="what `calibrate camera` wrote")
    ground.add_argument("--height-m", type=float, metavar="H", help="height of the camera over the road in metres")
    ground.add_argument("--speed-mps", type=float, metavar="V", help="mean speed of the recording in metres a second")
    ground.add_argument("--marks", type=Path, metavar="FILE.toml", help="four or more points, in pixels and metres")
    ground.add_argument(
        "--aligned", action="store_true", help="x of the marks is the vehicle's heading: write the yaw too"
    )
    ground.add_argument("--model", metavar="NAME|PATH.onnx", default="clearway-lite", help="tells road from traffic")
    ground.add_argument("--engine", choices=["auto", "openvino", "onnxruntime"], default="auto")
    ground.add_argument("--out", type=Path, metavar="FILE.toml", help="write the ground file")
    ground.add_argument("--json", type=Path, metavar="FILE", help="write all figures")


def calibrate_ground(args: argparse.Namespace) -> int:
    """Measure and show.

    Raises:
        ClearwayError: The recording, the marks, an option or an output is at fault; nothing was written then.
    """
    _refuse_contradictions(args)
    check_outputs([args.out, args.json])
    return _from_recording(args) if args.recording is not None else _from_marks(args)


def _refuse_contradictions(args: argparse.Namespace) -> None:
    if (args.recording is None) == (args.marks is None):
        raise ConfigError("calibrate ground: give either a RECORDING of a drive or --marks FILE.toml")
    if args.height_m is not None and args.speed_mps is not None:
        raise ConfigError("--height-m and --speed-mps: give one of them; the other follows from it")
    if args.marks is not None and (args.height_m is not None or args.speed_mps is not None):
        raise ConfigError("--marks: the marks tell the height; leave --height-m and --speed-mps away")
    if args.recording is not None and args.aligned:
        raise ConfigError("--aligned is about --marks; a recording tells the yaw by itself")
    if args.height_m is not None and not 0.1 <= args.height_m <= 100.0:
        raise ConfigError(f"--height-m {args.height_m:g}: the height of a camera over the road is 0.1 to 100 metres")
    if args.speed_mps is not None and not 0.1 <= args.speed_mps <= 150.0:
        raise ConfigError(f"--speed-mps {args.speed_mps:g}: a speed on the road is 0.1 to 150 metres a second")


def _from_recording(args: argparse.Namespace) -> int:
    from calibration.driving import ground_from_drive
    from pipeline.sources import open_source

    console = rich.console.Console(stderr=True, highlight=False)
    source = open_source(args.recording)
    try:
        camera = CameraModel.load(args.camera, source.info.size_hw)

        def progress(frames: Iterable[Frame]) -> Iterable[Frame]:
            total = source.info.frame_count
            return track(frames, description="following the road", total=total, console=console, transient=True)

        with _open_perception(args, source) as perception:
            ground = ground_from_drive(
                source, camera, perception, height_m=args.height_m, speed_mps=args.speed_mps, track=progress
            )
    finally:
        source.close()
    deviations = ground.deviations.tolist()
    content = GroundFile(
        height_m=ground.height_m,
        pitch_rad=ground.pitch_rad,
        roll_rad=ground.roll_rad,
        yaw_rad=ground.yaw_rad,
        method="drive",
        date=today(),
        uncertainty=_uncertainty(ground.covariance),
    )
    figures = {
        "pitch_rad": ground.pitch_rad,
        "roll_rad": ground.roll_rad,
        "yaw_rad": ground.yaw_rad,
        "height_m": ground.height_m,
        "uncertainty": {
            "height_m": None if ground.height_m is None else deviations[0],
            "pitch_rad": deviations[1],
            "roll_rad": deviations[2],
            "yaw_rad": ground.yaw_std_rad,
        },
        "jitter": dict(zip(("pitch_rad", "roll_rad"), ground.jitter_rad.tolist(), strict=True)),
        "measurements": ground.pairs,
        "left_out": ground.left_out,
        "notes": _notes(ground),
    }
    _write(args, content, figures)
    left_out = "".join(f", {count} {reason}" for reason, count in ground.left_out.items())
    console.print(f"[bold]{ground.pairs} measurements[/] along the drive{left_out}")
    _show(console, figures)
    return 0


def _open_perception(args: argparse.Namespace, source: Source) -> Perception:
    from engines.artifact import find_model, load_artifact
    from engines.factory import choose_input_size, open_engine
    from pipeline.perception import Perception
    from pipeline.timings import StageTimings

    artifact = load_artifact(find_model(args.model))
    size_hw = choose_input_size(artifact, source.info.size_hw)
    return Perception(open_engine(artifact, kind=args.engine, size_hw=size_hw), StageTimings())


def _notes(ground: DriveGround) -> list[str]:
    """What the user should know about the result."""
    notes = []
    if ground.height_m is None:
        notes.append("height unknown: give --height-m or --speed-mps; without it nothing can be told in metres")
    if ground.guessed_roads:
        notes.append(f"in {ground.guessed_roads} pictures the network saw no road; a triangle ahead was taken for it")
    return notes


def _from_marks(args: argparse.Namespace) -> int:
    from calibration.ground import pose_from_marks, read_marks

    marks = read_marks(args.marks)
    camera = CameraModel.load(args.camera, marks.size_hw)
    try:
        fit = pose_from_marks(camera, marks)
    except ConfigError as error:
        raise ConfigError(f"{args.marks}: {error}") from error
    content = GroundFile(
        height_m=fit.pose.height_m,
        pitch_rad=fit.pose.pitch_rad,
        roll_rad=fit.pose.roll_rad,
        yaw_rad=fit.pose.yaw_rad if args.aligned else 0.0,
        method="marks",
        date=today(),
        uncertainty=_uncertainty(fit.covariance),
    )
    figures = {
        "pitch_rad": content.pitch_rad,
        "roll_rad": content.roll_rad,
        "yaw_rad": content.yaw_rad,
        "height_m": content.height_m,
        "uncertainty": dict(zip(("height_m", "pitch_rad", "roll_rad"), fit.deviations.tolist(), strict=True)),
        "rms_px": fit.rms_px,
        "marks": len(marks.marks),
    }
    _write(args, content, figures)
    console = rich.console.Console(stderr=True, highlight=False)
    console.print(f"reprojection RMS of {len(marks.marks)} marks [bold]{fit.rms_px:.2f} px[/]")
    _show(console, figures)
    return 0


def _uncertainty(covariance: NDArray[np.float64]) -> GroundUncertainty:
    """Of (height_m, pitch_rad, roll_rad); what is known exactly, or not at all, goes with nothing."""
    deviations = np.sqrt(np.diag(covariance))
    scale = np.where(deviations > 0.0, deviations, 1.0)
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    rows: list[Triple] = [(row[0], row[1], row[2]) for row in correlation.tolist()]
    height, pitch, roll = deviations.tolist()
    return GroundUncertainty(height_m=height, pitch_rad=pitch, roll_rad=roll, correlation=(rows[0], rows[1], rows[2]))


def _write(args: argparse.Namespace, content: GroundFile, figures: dict[str, Any]) -> None:
    if args.json is not None:
        write_whole(args.json, to_json(figures))
    if args.out is not None:
        write_whole(args.out, to_toml(content, "A camera over the road, measured by `clearway calibrate ground`."))


def _show(console: rich.console.Console, figures: dict[str, Any]) -> None:
    sure = figures["uncertainty"]
    if figures["height_m"] is not None:
        console.print(f"height {figures['height_m']:.3f} ± {sure['height_m']:.3f} m")
    for name in ("pitch", "roll", "yaw"):
        if f"{name}_rad" in sure:
            value, deviation = math.degrees(figures[f"{name}_rad"]), math.degrees(sure[f"{name}_rad"])
            console.print(f"{name} {value:.2f} ± {deviation:.2f}°")
    for note in figures.get("notes", ()):
        console.print(f"note: {note}", style="yellow")
