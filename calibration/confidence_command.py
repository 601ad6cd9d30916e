"""The command `calibrate confidence`: how sure a model really is, for its sidecar."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import rich.console
from rich.progress import track

from calibration.files import check_outputs, to_json, write_whole
from engines.base import ConfidenceFit
from engines.factory import EngineKind
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from engines.artifact import ModelArtifact
    from evaluation.measurement import Measurement

__all__ = ["add_confidence_arguments", "calibrate_confidence"]

_EPILOG = """\
The labelled data must not be what the model was trained on: there it is right more often than anywhere else. Layouts
are those of `evaluate`.
"""


def add_confidence_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `calibrate confidence` understands."""
    from evaluation.labelled import FORMATS

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--data", required=True, metavar="DIR", help="labelled data that the model has not seen")
    parser.add_argument("--format", choices=FORMATS, default="folder", help="layout of the data (default: folder)")
    parser.add_argument("--split", metavar="NAME", help="only this subfolder of images and labels, for instance val")
    parser.add_argument("--classes", type=Path, metavar="FILE.toml", help="what the label values mean")
    parser.add_argument("--video", action="store_true", help="the images of a folder are consecutive frames")
    parser.add_argument("--model", metavar="NAME|PATH.onnx", default="clearway-lite", help="shipped model or ONNX file")
    parser.add_argument("--engine", choices=get_args(EngineKind), default="auto", help="inference library")
    parser.add_argument("--threads", type=int, metavar="N", help="engine threads (default: one for each physical core)")
    parser.add_argument("--write", action="store_true", help="put the result into the model's sidecar")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")


def calibrate_confidence(args: argparse.Namespace) -> int:
    """Measure, fit, measure again, show; write only if asked to.

    Raises:
        ClearwayError: The data, the model, an option or an output is at fault; nothing was written then.
    """
    from calibration.confidence import fit_confidence
    from engines.artifact import find_model, load_artifact
    from engines.sidecar import sidecar_path

    artifact = load_artifact(find_model(args.model))
    sidecar = sidecar_path(artifact.path)
    if args.write and not sidecar.exists():
        raise ConfigError(f"--write: {artifact.path.name} has no sidecar {sidecar.name} beside it; write one first")
    check_outputs([args.json, sidecar if args.write else None])
    before = _measured(args, replace(artifact, confidence=None), "as the model says")
    fit = fit_confidence(before.reliability)
    after = _measured(args, replace(artifact, confidence=fit), "with the fit")
    figures = {
        "model": artifact.name,
        "data": args.data,
        "frames": len(before.frames),
        "pixels": int(before.reliability.counts.sum()),
        "confidence": asdict(fit),
        "ece_before": round(before.reliability.expected_error, 5),
        "ece_after": round(after.reliability.expected_error, 5),
    }
    if args.write:
        _write(artifact.path, fit)
    if args.json is not None:
        write_whole(args.json, to_json(figures))
    _show(figures, sidecar if args.write else None)
    return 0


def _measured(args: argparse.Namespace, artifact: ModelArtifact, title: str) -> Measurement:
    """Everything that `evaluate` measures, seen as a replay sees it."""
    from engines.factory import choose_input_size, open_engine
    from evaluation.comparison import compare
    from evaluation.labelled import open_labelled
    from evaluation.measurement import Measurement, measure
    from pipeline.perception import Perception
    from pipeline.timings import StageTimings

    labelled = open_labelled(args.data, args.format, split=args.split, scheme_file=args.classes, video=args.video)
    measurement = Measurement(compare(labelled.scheme, artifact.classes), labelled.scheme)
    size_hw = choose_input_size(artifact, labelled.size_hw)
    engine = open_engine(artifact, kind=args.engine, size_hw=size_hw, threads=args.threads or None)
    console = rich.console.Console(stderr=True)
    frames = track(labelled.frames, description=title, total=labelled.frame_count, console=console, transient=True)
    with Perception(engine, StageTimings(), smooth=True) as perception:
        measure(perception, frames, measurement)
    return measurement


def _write(onnx_path: Path, fit: ConfidenceFit) -> None:
    """Put a fit into the sidecar, whole or not at all; everything else in it stays."""
    import msgspec

    from engines.sidecar import SidecarConfidence, load_sidecar, sidecar_path

    sidecar = load_sidecar(onnx_path)
    if sidecar is None:  # It was there when we began.
        raise ConfigError(f"{sidecar_path(onnx_path)}: was removed meanwhile; nothing was written")
    rounded = SidecarConfidence(round(fit.scale, 4), round(fit.shift, 4))
    changed = msgspec.structs.replace(sidecar, confidence=rounded)
    write_whole(sidecar_path(onnx_path), msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n")


def _show(figures: dict[str, Any], sidecar: Path | None) -> None:
    console = rich.console.Console(stderr=True, highlight=False)
    fit = figures["confidence"]
    console.print(
        f"expected calibration error [bold]{figures['ece_before']:.4f}[/] as the model says, "
        f"[bold]{figures['ece_after']:.4f}[/] with scale {fit['scale']:.4f} and shift {fit['shift']:.4f}, "
        f"on the {figures['frames']} pictures that it was fitted to"
    )
    console.print(f"written to {sidecar}" if sidecar else "nothing was changed; --write puts it into the sidecar")
