"""Every engine and precision against FP32 on the CPU: python -m benchmarks.nvidia.parity [--json FILE]

The reference is ONNX Runtime on the CPU. Compared are the logits on the network's grid, and the classes at image size
that come of them; an engine that cannot run here is a row that says why.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.nvidia.figures import ParityRow
from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.base import Engine, Precision
from engines.errors import ClearwayError
from engines.factory import choose_input_size, open_engine
from pipeline.postprocess import segment
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame
from pipeline.sources import open_source

__all__ = ["TARGETS", "compare", "frames_of", "reference_of"]

TARGETS: dict[Precision, float] = {"fp32": 0.999, "fp16": 0.995, "int8": 0.985, "bf16": 0.985}
"""Share of pixels that must have the class of the FP32 reference."""

_STEP = 10

CANDIDATES: tuple[tuple[str, Precision], ...] = (
    ("tensorrt", "fp32"),
    ("tensorrt", "fp16"),
    ("tensorrt", "int8"),
    ("onnxruntime-cuda", "fp32"),
)


class Reference(msgspec.Struct):
    """What the CPU made of some frames: tensors, logits and classes at image size."""

    spec_shape: tuple[int, int, int, int]
    sizes_hw: list[tuple[int, int]]
    tensors: list[np.ndarray]
    logits: list[np.ndarray]
    class_ids: list[np.ndarray]


def reference_of(artifact: ModelArtifact, frames: Sequence[Frame], size_hw: tuple[int, int]) -> Reference:
    """Run the frames through ONNX Runtime on the CPU in FP32."""
    reference = Reference((1, 3, *size_hw), [], [], [], [])
    with open_engine(artifact, "onnxruntime", size_hw=size_hw, precision="fp32") as engine:
        preprocessor = Preprocessor(engine.spec)
        for frame in frames:
            tensor = preprocessor.prepare([frame]).copy()
            logits = engine.infer(tensor).copy()
            reference.sizes_hw.append(frame.size_hw)
            reference.tensors.append(tensor)
            reference.logits.append(logits)
            reference.class_ids.append(_classes(engine, preprocessor, logits, frame.size_hw))
    return reference


def compare(artifact: ModelArtifact, kind: str, precision: Precision, reference: Reference) -> ParityRow:
    """One engine in one precision against the reference."""
    name, target = f"{kind} {precision}", TARGETS[precision]
    try:
        with open_engine(artifact, kind, size_hw=reference.spec_shape[2:], precision=precision) as engine:
            preprocessor = Preprocessor(engine.spec)
            largest, means, same = 0.0, [], []
            for tensor, logits, class_ids in zip(reference.tensors, reference.logits, reference.class_ids, strict=True):
                ours = engine.infer(tensor)
                errors = np.abs(ours - logits)
                largest = max(largest, float(errors.max()))
                means.append(float(errors.mean()))
                same.append(float((_classes(engine, preprocessor, ours, class_ids.shape) == class_ids).mean()))
            return ParityRow(
                engine=name,
                description=engine.description,
                ran=True,
                target=target,
                max_error=largest,
                mean_error=float(np.mean(means)),
                agreement=float(np.mean(same)),
                pictures=len(same),
            )
    except ClearwayError as error:
        return ParityRow(engine=name, description=str(error), ran=False, target=target)


def frames_of(uris: Sequence[str], count: int) -> list[Frame]:
    """Up to `count` frames of each recording, every tenth from its beginning on."""
    frames = []
    for uri in uris:
        source = open_source(uri)
        frames += list(islice(source.frames(), 0, _STEP * count, _STEP))
        source.close()
    return frames


def _classes(engine: Engine, preprocessor: Preprocessor, logits: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    content = preprocessor.content_of(logits[0], size_hw)
    return segment(content, engine.spec.classes, size_hw).class_ids


def main() -> None:
    """Compare all candidates; print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clearway-lite")
    parser.add_argument("--frames", type=int, default=12, help="of each recording")
    parser.add_argument("--recording", action="append", help="by default the rendered drive; may be repeated")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    artifact = load_artifact(find_model(args.model))
    frames = frames_of(args.recording or ["synthetic://drive?frames=120&seed=1"], args.frames)
    reference = reference_of(artifact, frames, choose_input_size(artifact, frames[0].size_hw))
    rows = [compare(artifact, kind, precision, reference) for kind, precision in CANDIDATES]
    for row in rows:
        figures = f"{row.agreement:.4%} same, error ≤ {row.max_error:.3g}" if row.ran else row.description
        print(f"{row.engine:24} {row.verdict:12} {figures}")
    if args.json:
        args.json.write_bytes(msgspec.json.encode(rows))


if __name__ == "__main__":
    main()
