"""The command `calibrate`: measures a camera, how it hangs over the road, and a network's ranges; writes files."""

from __future__ import annotations

import argparse
import contextlib
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.console
from rich.progress import track
from rich.table import Table

from calibration.confidence_command import add_confidence_arguments, calibrate_confidence
from calibration.files import check_outputs, to_json, to_toml, today, write_whole
from calibration.ground_command import add_ground_arguments, calibrate_ground
from calibration.int8_command import add_int8_arguments, calibrate_int8
from pipeline.cameras.address import ADDRESSES
from pipeline.config import parse_size
from pipeline.errors import ConfigError
from pipeline.geometry.calibration_files import CameraFile

if TYPE_CHECKING:
    from calibration.boards import BoardFinder
    from calibration.camera import CameraCalibration
    from calibration.coverage import Coverage
    from calibration.views import PhotoSet

__all__ = ["add_arguments", "run"]

_EPILOG = f"""\
URI: {ADDRESSES}.
From a camera or a video, views are taken by themselves while you move the board about: hold it still for a moment, in
all parts of the picture, tilted all ways, near and far. Ctrl-C ends the taking; what was taken is measured.
"""

_GOOD_NUMBER_OF_PHOTOS = 10
_LOOSE_FOCAL_LENGTH = 0.03


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `calibrate` understands."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    _add_camera(kinds.add_parser("camera", help="focal length and lens from photos of a board"))
    add_ground_arguments(kinds.add_parser("ground", help="height, pitch and roll over the road from a drive or marks"))
    add_int8_arguments(kinds.add_parser("int8", help="a model's INT8 graphs from pictures"))
    add_confidence_arguments(kinds.add_parser("confidence", help="how sure a model really is, from labelled data"))


def _add_camera(camera: argparse.ArgumentParser) -> None:
    camera.formatter_class = argparse.RawDescriptionHelpFormatter
    camera.epilog = _EPILOG
    camera.add_argument(
        "source", metavar="DIR|URI", help="folder or glob with photos of a board; a live camera, or a video of one"
    )
    camera.add_argument("--board", required=True, metavar="9x6", help="inner corners along and across the board")
    camera.add_argument("--square-m", type=float, metavar="S", help="side of a square in metres (for the report only)")
    camera.add_argument("--charuco", metavar="DICT", help="a ChArUco board with that dictionary, e.g. DICT_5X5_100")
    camera.add_argument(
        "--marker-ratio", type=float, default=0.75, metavar="R", help="ChArUco: marker over square side"
    )
    camera.add_argument("--model", choices=["pinhole", "fisheye"], default="pinhole", help="lens (default: pinhole)")
    camera.add_argument(
        "--flat-board", action="store_true", help="take the board to be flat, even where a bent one predicts better"
    )
    watched = camera.add_argument_group("live cameras and videos")
    watched.add_argument("--views", type=int, default=20, metavar="N", help="take so many views (20)")
    watched.add_argument("--within-s", type=float, default=300.0, metavar="S", help="of a camera: end after S s (300)")
    watched.add_argument("--camera-size", type=parse_size, metavar="HxW", help="size to ask the camera for")
    watched.add_argument("--keep", type=Path, metavar="DIR", help="keep the pictures that were taken")
    camera.add_argument("--out", type=Path, metavar="FILE.toml", help="write the camera file")
    camera.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    camera.add_argument(
        "--coverage", type=Path, metavar="FILE.png", help="draw where in the picture the board was seen"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and show.

    Raises:
        ClearwayError: The input, an option or an output is at fault; nothing was written then.
    """
    kinds = {
        "camera": _calibrate_camera,
        "ground": calibrate_ground,
        "int8": calibrate_int8,
        "confidence": calibrate_confidence,
    }
    return kinds[args.kind](args)


def _calibrate_camera(args: argparse.Namespace) -> int:
    from calibration.boards import open_finder
    from calibration.camera import calibrate_camera
    from calibration.coverage import measure_coverage

    columns, rows = _board(args.board)
    if args.square_m is not None and not args.square_m > 0.0:
        raise ConfigError(f"--square-m {args.square_m:g}: the side of a square in metres is above 0")
    finder = open_finder(columns, rows, args.charuco, args.marker_ratio)
    console = rich.console.Console(stderr=True, highlight=False)
    seen, passed_over = _watched(args, finder, console) if _is_watched(args) else (_read(args, finder, console), {})
    may_bend = not args.flat_board and args.charuco is None and not finder.turnable
    result = calibrate_camera(seen, columns, rows, fisheye=args.model == "fisheye", may_bend=may_bend)
    coverage = measure_coverage(result.views, result.camera.size_hw)
    figures = _figures(result, coverage)
    if passed_over:
        figures["passed_over"] = passed_over
    _write(args, result, coverage, figures)
    _show(console, result, figures, args.square_m)
    return 0


def _read(args: argparse.Namespace, finder: BoardFinder, console: rich.console.Console) -> PhotoSet:
    """Views from photos."""
    from calibration.views import find_photos, read_views

    photos = find_photos(args.source)
    check_outputs([args.out, args.json, args.coverage])

    def progress(names: Iterable[str]) -> Iterable[str]:
        return track(names, description="looking for the board", total=len(photos), console=console, transient=True)

    return read_views(photos, finder, progress)


def _is_watched(args: argparse.Namespace) -> bool:
    from calibration.live_views import is_watched

    if is_watched(args.source):
        return True
    if args.keep is not None or args.camera_size is not None:
        raise ConfigError("--keep and --camera-size are for live cameras and videos, not for photos")
    return False


def _watched(
    args: argparse.Namespace, finder: BoardFinder, console: rich.console.Console
) -> tuple[PhotoSet, dict[str, int]]:
    """Views from a camera or a video, and how many looks gave none for which reason."""
    from calibration.camera import MINIMUM_VIEWS
    from calibration.live_views import prepare_keeping, take_views, watch

    if args.views < MINIMUM_VIEWS:
        raise ConfigError(f"--views {args.views}: at least {MINIMUM_VIEWS} are needed, 10 or more are good")
    if not 0.0 < args.within_s < math.inf:
        raise ConfigError(f"--within-s {args.within_s:g}: a number of seconds above 0")
    check_outputs([args.out, args.json, args.coverage])
    if args.keep is not None:
        prepare_keeping(args.keep)
    frames = watch(args.source, args.within_s, tuple(args.camera_size) if args.camera_size else None)
    with console.status("looking for the board") as line, contextlib.closing(frames):
        taking = take_views(frames, finder, args.views, line.update, args.keep)
    return taking.photos(args.source), dict(taking.passed_over)


def _board(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,3})[x×*,](\d{1,3})", text.strip().lower())
    if match is None:
        raise ConfigError(f"--board {text}: give inner corners along and across the board, for instance 9x6")
    return int(match[1]), int(match[2])


def _figures(result: CameraCalibration, coverage: Coverage) -> dict[str, Any]:
    camera = result.camera
    return {
        "rms_px": round(result.rms_px, 4),
        "held_out_rms_px": round(result.held_out_rms_px, 4),
        "used": [view.name for view in result.views],
        "rejected": result.rejected,
        "model": "fisheye" if camera.fisheye else "pinhole",
        "size_hw": list(camera.size_hw),
        "matrix": camera.opencv_matrix.tolist(),
        "distortion": list(camera.distortion),
        "uncertainty": result.uncertainty,
        "view_rms_px": {name: round(value, 4) for name, value in result.view_rms_px.items()},
        "board_bend_squares": round(result.bend_squares, 4),
        "coverage": {"share": round(coverage.share, 3), "holes": list(coverage.holes)},
        "notes": _notes(result, coverage),
    }


def _notes(result: CameraCalibration, coverage: Coverage) -> list[str]:
    """What would make the result better."""
    notes = []
    if len(result.views) < _GOOD_NUMBER_OF_PHOTOS:
        notes.append(f"only {len(result.views)} photos were used; {_GOOD_NUMBER_OF_PHOTOS} or more make it surer")
    if coverage.holes:
        notes.append(f"the board was never seen in these parts of the picture: {', '.join(coverage.holes)}")
    loose = max(result.uncertainty["fx"] / result.camera.fx, result.uncertainty["fy"] / result.camera.fy)
    if loose > _LOOSE_FOCAL_LENGTH:
        notes.append(f"the focal length is only known to {loose:.0%}: tilt the board more, take it near and far")
    return notes


def _write(args: argparse.Namespace, result: CameraCalibration, coverage: Coverage, figures: dict[str, Any]) -> None:
    camera = result.camera
    if args.coverage is not None:
        import cv2

        from calibration.coverage import draw_coverage

        holes = f"not seen: {', '.join(coverage.holes)}" if coverage.holes else "no part left out"
        caption = f"{len(result.views)} photos, RMS {result.rms_px:.2f} px, {coverage.share:.0%} covered, {holes}"
        picture = draw_coverage(coverage, result.views, camera.size_hw, caption)
        write_whole(args.coverage, cv2.imencode(".png", picture)[1].tobytes())
    if args.json is not None:
        write_whole(args.json, to_json(figures))
    if args.out is not None:
        cx, cy = camera.opencv_matrix[:2, 2].tolist()
        content = CameraFile(
            model="fisheye" if camera.fisheye else "pinhole",
            size_hw=camera.size_hw,
            matrix=((camera.fx, 0.0, cx), (0.0, camera.fy, cy), (0.0, 0.0, 1.0)),
            distortion=camera.distortion,
            rms_px=result.rms_px,
            photos=len(result.views),
            date=today(),
            uncertainty=result.uncertainty,
        )
        write_whole(args.out, to_toml(content, "A camera, measured by `clearway calibrate camera`."))


def _show(
    console: rich.console.Console, result: CameraCalibration, figures: dict[str, Any], square_m: float | None
) -> None:
    table = Table(show_edge=False)
    table.add_column("photo")
    table.add_column("RMS px", justify="right")
    table.add_column("left out because")
    for name, value in result.view_rms_px.items():
        table.add_row(name, f"{value:.2f}", "")
    for name, reason in result.rejected.items():
        table.add_row(name, "–", reason, style="yellow")
    console.print(table)
    camera, sure = result.camera, result.uncertainty
    console.print(
        f"reprojection RMS [bold]{result.rms_px:.3f} px[/], "
        f"{result.held_out_rms_px:.3f} px on photos that the fit had not seen"
    )
    console.print(
        f"fx {camera.fx:.1f} ± {sure['fx']:.1f}, fy {camera.fy:.1f} ± {sure['fy']:.1f}, "
        f"cx {camera.cx - 0.5:.1f} ± {sure['cx']:.1f}, cy {camera.cy - 0.5:.1f} ± {sure['cy']:.1f} px; "
        + ", ".join(f"{key} {value:.4f}" for key, value in zip(list(sure)[4:], camera.distortion, strict=True))
    )
    if result.bend_squares:
        size = (
            f"{1000 * result.bend_squares * square_m:.1f} mm" if square_m else f"{result.bend_squares:.1%} of a square"
        )
        console.print(f"the board is not flat: by up to {size}; the camera was fitted together with its shape")
    for note in figures["notes"]:
        console.print(f"note: {note}", style="yellow")
