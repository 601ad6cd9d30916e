"""How a build tells its progress, is broken off, and says what TensorRT could not do."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from engines.artifact import load_artifact
from engines.errors import EngineError
from engines.tensorrt.build import BuildProgress, build_plan
from engines.tensorrt.library import Library
from engines.tensorrt.network import graph_bytes

SHAPE = (2, 3, 64, 96)


@pytest.fixture
def build(machine):
    """Build the tiny network's plan on the simulated GPU."""

    def builder(precision="fp32", **options):
        with machine.gpu.active():
            return build_plan(machine.trt.library(), load_artifact(machine.model), SHAPE, precision, **options)

    return builder


class TestProgress:
    def test_is_told(self, build):
        told: list[BuildProgress] = []
        build(on_progress=told.append)
        assert told[0] == BuildProgress("Timing", 0, 3)
        assert told[-1] == BuildProgress("Timing", 3, 3)

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the terminal is gone")])
    def test_what_it_raises_breaks_the_build_off(self, build, error):
        def interrupt(progress: BuildProgress) -> None:
            if progress.step == 2:
                raise error

        with pytest.raises(type(error)):
            build(on_progress=interrupt)

    def test_tensorrt_8_tells_nothing(self, build, upgrade):
        upgrade("8.6.1")
        told: list[BuildProgress] = []
        assert build(on_progress=told.append).plan
        assert told == []


class TestRefusals:
    def test_an_operator_that_is_not_known_is_named_with_its_node(self, machine, build):
        machine.trt.operators_unknown = {"Conv"}
        with pytest.raises(EngineError) as caught:
            build()
        assert str(caught.value) == (
            "TensorRT 10.3.0 cannot read tiny: node 'conv', operator Conv: no importer registered"
        )

    def test_by_tensorrt_8_too_which_gives_its_number_only(self, machine, build, upgrade):
        upgrade("8.6.1")
        machine.trt.operators_unknown = {"Conv"}
        with pytest.raises(EngineError, match="node 'conv', operator Conv: no importer registered"):
            build()

    def test_nothing_built_says_why(self, machine, build):
        machine.trt.build_nothing = True
        with pytest.raises(EngineError) as caught:
            build("fp16")
        assert str(caught.value) == (
            "TensorRT 10.3.0 cannot build tiny at (2, 3, 64, 96) in fp16: "
            "[builder.cpp::build::1] Error Code 2: OutOfMemory"
        )

    def test_int8_without_a_calibrated_graph(self, build):
        with pytest.raises(EngineError) as caught:
            build("int8")
        assert str(caught.value) == (
            "int8 needs the calibrated graph tiny.int8-tensorrt.onnx beside the model, which is not there; "
            "`calibrate int8` makes it"
        )

    def test_a_builder_that_cannot_be_made(self, machine, build, monkeypatch):
        def nothing(logger):
            logger.log(machine.trt.ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
            message = "factory function returned nullptr"
            raise TypeError(message)

        monkeypatch.setattr(machine.trt, "Builder", nothing)
        with pytest.raises(EngineError, match=r"TensorRT 10.3.0 cannot build here: CUDA initialization failure"):
            build()


class TestTensorRt8:
    def test_takes_precision_from_flags_and_the_graph_as_it_is(self, machine, build, upgrade):
        upgrade("8.6.1")
        build("fp32")
        build("fp16")
        first, second = machine.trt.builds
        assert (first.config.flags, second.config.flags) == (set(), {"TF32", "FP16"})
        assert first.network.model == second.network.model


@pytest.fixture
def as_model(tmp_path):
    """Write nodes from ``image`` to ``logits`` as a model, its inner sizes open."""

    def writer(nodes, weights=(), opset=17, classes=3):
        image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["N", 3, "H", "W"])
        logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", classes, "h", "w"])
        graph = onnx.helper.make_graph(nodes, "graph", [image], [logits], list(weights))
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
        path = tmp_path / "wide.onnx"
        onnx.save(model, path)
        return load_artifact(path)

    return writer


def node(*args, **kwargs):
    return onnx.helper.make_node(*args, **kwargs)


SCALES = onnx.numpy_helper.from_array(np.array([1, 1, 1.5, 1.5], np.float32), "scales")
SMALL = onnx.numpy_helper.from_array(np.full((3, 3, 1, 1), 0.25, np.float32), "small")
GRAPHS = {
    "resize by fixed factors": ([node("Resize", ["image", "", "scales"], ["logits"], mode="linear")], [SCALES]),
    "resize by a constant node": (
        [node("Constant", [], ["s"], value=SCALES), node("Resize", ["image", "", "s"], ["logits"], mode="linear")],
        [],
    ),
    "cast to float": ([node("Cast", ["image"], ["x"], to=1), node("Conv", ["x", "small"], ["logits"])], [SMALL]),
    "shape in float": (
        [
            node("Shape", ["image"], ["sizes"]),
            node("Cast", ["sizes"], ["floats"], to=1),
            node("ReduceMax", ["floats"], ["largest"], keepdims=0),
            node("Div", ["image", "largest"], ["logits"]),
        ],
        [],
    ),
    "clip by min and max": (
        [
            node("Constant", [], ["one"], value_float=1.0),
            node("Min", ["image", "one"], ["low"]),
            node("Max", ["low", "image"], ["logits"]),
        ],
        [],
    ),
    "top k inside": (
        [
            node("Constant", [], ["k"], value_ints=[3]),
            node("TopK", ["image", "k"], ["values", "places"], axis=1),
            node("Conv", ["values", "small"], ["logits"]),
        ],
        [SMALL],
    ),
    "nodes without names": (
        [node("Conv", ["image", "small"], ["a"]), node("Sigmoid", ["a"], ["b"]), node("Mul", ["a", "b"], ["logits"])],
        [SMALL],
    ),
}


class TestHalfPrecision:
    @pytest.mark.parametrize("name", GRAPHS)
    def test_the_converted_graph_is_valid_and_computes_the_same(self, as_model, random_images, name):
        artifact = as_model(*GRAPHS[name])
        content = graph_bytes(artifact, "fp16", strongly_typed=True)
        onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
        images = random_images((1, 3, 16, 24))
        logits, reference = (
            onnxruntime.InferenceSession(graph).run(None, {"image": images})[0]
            for graph in (content, artifact.path.read_bytes())
        )
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, reference, atol=4e-3 * np.abs(reference).max())

    def test_weights_are_half_as_large(self, machine):
        artifact = load_artifact(machine.model)
        graph = onnx.load_from_string(graph_bytes(artifact, "fp16", strongly_typed=True)).graph
        types = {tensor.name: tensor.data_type for tensor in graph.initializer}
        assert types["kernel"] == types["bias"] == onnx.TensorProto.FLOAT16

    def test_a_graph_that_cannot_be_converted_is_one_line(self, machine, monkeypatch):
        from onnxruntime.transformers import float16

        def fail(*args, **kwargs):
            message = "no such\nthing"
            raise ValueError(message)

        monkeypatch.setattr(float16, "convert_float_to_float16", fail)
        with pytest.raises(EngineError, match="model tiny: cannot be converted to fp16: no such thing"):
            graph_bytes(load_artifact(machine.model), "fp16", strongly_typed=True)


class TestLibrary:
    @pytest.mark.parametrize(
        ("flavour", "version", "strong"),
        [
            ("tensorrt", "8.6.1", False),
            ("tensorrt", "10.0.1", True),
            ("tensorrt", "11.4.0.106", True),
            ("tensorrt_rtx", "1.7.1.116", True),
        ],
    )
    def test_who_is_strongly_typed(self, flavour, version, strong):
        assert Library(flavour, version, None).strongly_typed is strong

    def test_a_complaint_is_short_said_once_and_then_forgotten(self, machine):
        library = machine.trt.library()
        logger = library.logger()
        severity = machine.trt.ILogger.Severity
        for _ in range(9):
            logger.log(severity.WARNING, "never mind")
            logger.log(severity.ERROR, "it  broke\n" + "x" * 500)
        complaint = library.complaint()
        assert complaint.startswith("it broke xxx")
        assert len(complaint) <= 240
        assert library.complaint() == "it does not say why"
