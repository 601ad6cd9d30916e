"""Real builds: every shipped model in every precision through TensorRT-RTX, which needs no GPU to build.

What it proves: the graphs parse and build in a library of TensorRT's family, strongly typed, by the code that builds
on a vehicle. What it does not prove: that a plan runs; loading one needs a GPU.
"""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from calibration.int8 import RangeMeasurement, quantize
from engines.artifact import MODELS_FOLDER, ModelArtifact, int8_path, load_artifact
from engines.errors import EngineError
from engines.tensorrt.build import BuildProgress, build_plan
from engines.tensorrt.execution import Execution, PlanRefusedError
from engines.tensorrt.library import Library, _load
from engines.tensorrt.network import graph_bytes
from pipeline.synthetic import SyntheticDrive
from tests.engines.tensorrt.simulated_gpu import SimulatedGpu

pytestmark = [
    pytest.mark.rtx,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX has no package for this platform"
    ),
]

SHIPPED = sorted(path for path in MODELS_FOLDER.glob("*.onnx") if ".int8" not in path.name)


@pytest.fixture(scope="module")
def rtx() -> Library:
    return _load("tensorrt_rtx")


def street(artifact: ModelArtifact, frame_count: int) -> list[NDArray[np.float32]]:
    """Rendered streets as the network sees them, (1, 3, 360, 640) each."""
    drive = SyntheticDrive(seed=5, frame_count=frame_count)
    try:
        pictures = [drive.render(index).image for index in range(frame_count)]
    finally:
        drive.close()
    ordered = [picture[:, :, ::-1] if artifact.color_order == "rgb" else picture for picture in pictures]
    mean, std = np.asarray(artifact.mean, np.float32), np.asarray(artifact.std, np.float32)
    return [np.ascontiguousarray(((picture - mean) / std).transpose(2, 0, 1)[None]) for picture in ordered]


@pytest.fixture(scope="module", params=SHIPPED, ids=[path.stem for path in SHIPPED])
def shipped(request, tmp_path_factory) -> ModelArtifact:
    """A shipped model with an INT8 graph beside it: the shipped one where there is one, else one made here."""
    source: Path = request.param
    path = tmp_path_factory.mktemp("model") / source.name
    for file in (source, source.with_suffix(".json"), int8_path(source, "tensorrt")):
        if file.is_file():
            shutil.copy(file, path.parent)
    artifact = load_artifact(path)
    if not int8_path(path, "tensorrt").is_file():
        measured = RangeMeasurement(artifact, iter(street(artifact, 2)), "minmax")
        int8_path(path, "tensorrt").write_bytes(quantize(measured, "tensorrt"))
        artifact = replace(artifact, int8=None)  # its sidecar names no such graph
    return artifact


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_shipped_model_builds(rtx, shipped, precision, batch):
    told: list[BuildProgress] = []
    built = build_plan(rtx, shipped, (batch, 3, 360, 640), precision, on_progress=told.append)
    assert len(built.plan) > 1_000_000
    assert built.timings == b"", "TensorRT-RTX measures when it runs"
    assert told[-1].step == told[-1].steps > 0


def test_half_the_bits_make_about_half_the_plan(rtx, shipped):
    sizes = {
        precision: len(build_plan(rtx, shipped, (1, 3, 360, 640), precision).plan) for precision in ("fp32", "fp16")
    }
    assert 0.4 < sizes["fp16"] / sizes["fp32"] < 0.7


def test_a_build_is_broken_off(rtx, shipped):
    def interrupt(progress: BuildProgress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(rtx, shipped, (1, 3, 360, 640), "fp16", on_progress=interrupt)
    assert build_plan(rtx, shipped, (1, 3, 360, 640), "fp16").plan


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_graph_that_is_built_agrees_with_the_model(shipped, precision):
    """By ONNX Runtime on the CPU: what the conversion to half floats changes, apart from any GPU."""
    image = street(shipped, 3)[-1]
    content = graph_bytes(shipped, precision, strongly_typed=True)
    onnx.checker.check_model(onnx.load_from_string(content))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Its fused int8 kernels saturate on processors without VNNI; node by node the Q/DQ graph is computed as written.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    labels, expected = (
        onnxruntime.InferenceSession(graph, options).run(None, {shipped.input_name: image})[0].argmax(axis=1)
        for graph in (content, shipped.path.read_bytes())
    )
    assert np.mean(labels == expected) > (0.995 if precision == "fp16" else 0.97)


def test_what_tensorrt_8_gets_is_the_same_with_weights_in_floats(shipped):
    """Its parser quantises weights itself; it was not at hand."""
    image = street(shipped, 1)[0]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = graph_bytes(shipped, "int8", strongly_typed=False)
    kinds = {entry.name: entry.data_type for entry in onnx.load_from_string(content).graph.initializer}
    inputs = {node.input[0] for node in onnx.load_from_string(content).graph.node if node.op_type == "DequantizeLinear"}
    assert not inputs & kinds.keys()
    found, expected = (
        onnxruntime.InferenceSession(graph, options).run(None, {shipped.input_name: image})[0]
        for graph in (content, shipped.int8_graph("tensorrt").read_bytes())
    )
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_an_operator_that_it_does_not_know_is_named(rtx, tiny):
    model = onnx.load(tiny.write())
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.name = "Det", "the_determinant"
    onnx.save(model, tiny.folder / "strange.onnx")
    artifact = load_artifact(tiny.write())
    object.__setattr__(artifact, "path", tiny.folder / "strange.onnx")
    with pytest.raises(EngineError) as caught:
        build_plan(rtx, artifact, (1, 3, 64, 96), "fp32")
    assert "node 'the_determinant', operator Det" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("input_dims", [(1, 3, 64, 96), ("N", 3, 64, 96), (2, 3, "H", "W")])
def test_whatever_the_graph_fixes(rtx, tiny, input_dims):
    batch = 2 if input_dims[0] == 2 else 1
    assert build_plan(rtx, load_artifact(tiny.write(input_dims=input_dims)), (batch, 3, 64, 96), "fp16").plan


def test_an_impossible_shape_is_one_line(rtx, tiny):
    artifact = load_artifact(tiny.write(input_dims=(1, 3, 64, 96)))
    with pytest.raises(EngineError) as caught:
        build_plan(rtx, artifact, (1, 3, 32, 32), "fp32")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here, on which the plan may load")
def test_a_plan_that_cannot_be_loaded_says_why(rtx, tiny):
    """The real library's None, on a machine without a driver."""
    built = build_plan(rtx, load_artifact(tiny.write()), (1, 3, 64, 96), "fp32")
    with pytest.raises(PlanRefusedError, match=r"TensorRT-RTX .* cannot load its engine: .*driver") as caught:
        Execution(SimulatedGpu(), rtx, built.plan, (1, 3, 64, 96), ("image", "logits"))
    assert "\n" not in str(caught.value)
