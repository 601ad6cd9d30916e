"""What every engine must do: the same cases on each kind."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engines.artifact import MODELS_FOLDER, load_artifact
from engines.base import Engine
from engines.errors import EngineError, ModelError
from engines.factory import ENGINE_KINDS, open_engine

SHIPPED = sorted(path for path in MODELS_FOLDER.glob("*.onnx") if ".int8-" not in path.name)
SIZES_HW = [(272, 480), (360, 640), (544, 960), (37, 53)]


@pytest.fixture(params=ENGINE_KINDS)
def kind(request, make_runnable) -> str:
    make_runnable(request.param)
    return request.param


@pytest.fixture
def open_tiny(tiny, kind) -> Callable[..., Engine]:
    """Open the tiny network in the kind of engine under test; keyword arguments as of `open_engine`."""

    def opener(input_dims=("N", 3, "H", "W"), size_hw=(64, 96), precision="fp32", **options) -> Engine:
        model = load_artifact(tiny.write(input_dims=input_dims))
        return open_engine(model, kind, size_hw=size_hw, precision=precision, threads=1, **options)

    return opener


class TestLogits:
    @pytest.mark.parametrize("size_hw", SIZES_HW)
    def test_equal_the_reference(self, open_tiny, tiny, random_images, size_hw):
        images = random_images((1, 3, *size_hw))
        with open_tiny(size_hw=size_hw) as engine:
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)

    @pytest.mark.parametrize(
        "input_dims",
        [
            (1, 3, 64, 96),
            (1, 3, "H", "W"),
            (None, 3, None, None),
            ("N", "C", 64, "W"),
            ("N", 3, "side", "side"),  # the exporter was given a square picture and took both for one size
        ],
    )
    def test_whatever_the_graph_fixes(self, open_tiny, tiny, random_images, input_dims):
        images = random_images((1, 3, 64, 96))
        with open_tiny(input_dims) as engine:
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)

    def test_of_a_batch(self, open_tiny, tiny, random_images):
        images = random_images((2, 3, 64, 96))
        with open_tiny(batch=2) as engine:
            assert engine.spec.output_shape == (2, 5, 16, 24)
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)

    def test_of_fewer_pictures_than_the_batch_holds(self, open_tiny, tiny, random_images):
        images = random_images((3, 3, 64, 96))
        with open_tiny(batch=3) as engine:
            for count in (1, 3, 2):
                np.testing.assert_allclose(engine.infer(images[:count]), tiny.expected(images[:count]), atol=1e-4)
            with pytest.raises(EngineError, match="takes a C-contiguous"):
                engine.infer(random_images((4, 3, 64, 96)))

    def test_of_a_graph_that_fixes_its_batch(self, open_tiny, tiny, random_images):
        images = random_images((2, 3, 64, 96))
        with open_tiny((2, 3, 64, 96), batch=2) as engine:
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)
            with pytest.raises(EngineError, match="takes a C-contiguous"):
                engine.infer(images[:1])

    def test_follow_the_input_from_call_to_call(self, open_tiny, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        with open_tiny() as engine:
            for factor in (1, -1, 0, 2):
                np.testing.assert_allclose(engine.infer(images * factor), tiny.expected(images * factor), atol=1e-4)

    def test_of_one_buffer_that_is_filled_anew(self, open_tiny, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        buffer = np.zeros_like(images)
        with open_tiny() as engine:
            engine.infer(buffer)
            buffer[:] = images
            np.testing.assert_allclose(engine.infer(buffer), tiny.expected(images), atol=1e-4)

    def test_of_memory_that_may_not_be_written(self, open_tiny, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        images.flags.writeable = False
        with open_tiny() as engine:
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)

    def test_leave_the_input_alone(self, open_tiny, random_images):
        images = random_images((1, 3, 64, 96))
        with open_tiny() as engine:
            engine.infer(images)
        np.testing.assert_array_equal(images, random_images((1, 3, 64, 96)))


class TestView:
    def test_is_the_same_memory_every_time(self, open_tiny, random_images):
        images = random_images((1, 3, 64, 96))
        with open_tiny() as engine:
            first = engine.infer(images)
            second = engine.infer(-images)
            assert np.shares_memory(first, second)
            assert first.dtype == np.float32
            assert first.flags.c_contiguous

    def test_can_still_be_read_after_close(self, open_tiny, tiny, random_images):
        # Nobody should, but a late reader must meet old figures, not freed memory.
        images = random_images((1, 3, 64, 96))
        with open_tiny() as engine:
            logits = engine.infer(images)
        np.testing.assert_allclose(logits, tiny.expected(images), atol=1e-4)


class TestSpec:
    def test_describes_the_model_as_opened(self, open_tiny, tiny, kind):
        with open_tiny(size_hw=(37, 53)) as engine:
            assert engine.kind == kind
            assert engine.spec.name == "tiny"
            assert engine.spec.path == tiny.folder / "tiny.onnx"
            assert engine.spec.input_shape == (1, 3, 37, 53)
            assert engine.spec.input_size_hw == (37, 53)
            assert engine.spec.output_shape == (1, 5, 10, 14)
            assert len(engine.spec.classes) == 5

    def test_description_is_one_line_with_version_precision_and_threads(self, open_tiny, kind):
        with open_tiny() as engine:
            assert "\n" not in engine.description
            assert "fp32" in engine.description
            if kind in {"openvino", "onnxruntime"}:
                assert ", CPU (" in engine.description
                assert engine.description.endswith("fp32, 1 thread")


def test_nothing_is_printed(open_tiny, tiny, random_images, capfd):
    with open_tiny() as engine:
        engine.infer(random_images((1, 3, 64, 96)))
    tiny.write("damaged.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError):
        load_artifact(tiny.folder / "damaged.onnx")
    assert capfd.readouterr() == ("", "")


class TestRefusals:
    @pytest.mark.parametrize(
        "tensor",
        [
            np.zeros((1, 3, 64, 97), np.float32),
            np.zeros((3, 64, 96), np.float32),
            np.zeros((2, 3, 64, 96), np.float32),
            np.zeros((1, 3, 64, 96), np.float64),
            np.zeros((1, 3, 64, 96), np.uint8),
            np.zeros((1, 3, 64, 96), ">f4"),
            np.zeros((1, 64, 96, 3), np.float32).transpose(0, 3, 1, 2),
            [[[[0.0]]]],
        ],
        ids=["width", "rank", "batch", "float64", "uint8", "byte-order", "strided", "list"],
    )
    def test_a_wrong_tensor_is_refused_and_does_no_harm(self, open_tiny, tiny, random_images, tensor):
        images = random_images((1, 3, 64, 96))
        with open_tiny() as engine:
            with pytest.raises(EngineError, match=r"takes a C-contiguous float32 array of \(1, 3, 64, 96\)"):
                engine.infer(tensor)
            np.testing.assert_allclose(engine.infer(images), tiny.expected(images), atol=1e-4)

    def test_a_size_that_the_graph_does_not_have(self, open_tiny):
        with pytest.raises(ModelError, match="is fixed to"):
            open_tiny((1, 3, 64, 96), size_hw=(64, 104))

    def test_an_output_that_does_not_fit_the_classes(self, tiny, kind):
        path = tiny.write(classes=7)
        tiny.write_sidecar(path)
        honest = load_artifact(tiny.write("honest.onnx"))
        with pytest.raises(ModelError, match=r"output of \(1, 7, 16, 24\), not \(1, 5, h, w\)"):
            open_engine(replace(honest, path=path), kind, size_hw=(64, 96))

    def test_a_file_that_was_damaged_after_it_was_looked_at(self, tiny, kind):
        model = load_artifact(tiny.write())
        model.path.write_bytes(model.path.read_bytes()[:200])
        with pytest.raises(EngineError) as caught:
            open_engine(model, kind, size_hw=(64, 96))
        assert "\n" not in str(caught.value)
        assert "tiny" in str(caught.value)


class TestClosing:
    def test_twice(self, open_tiny):
        engine = open_tiny()
        engine.close()
        engine.close()

    def test_then_infer(self, open_tiny, random_images):
        engine = open_tiny()
        engine.close()
        with pytest.raises(EngineError, match="is closed"):
            engine.infer(random_images((1, 3, 64, 96)))

    def test_by_an_exception_in_the_block(self, open_tiny, random_images):
        with pytest.raises(ZeroDivisionError), open_tiny() as engine:
            raise ZeroDivisionError
        with pytest.raises(EngineError, match="is closed"):
            engine.infer(random_images((1, 3, 64, 96)))


class TestSideBySide:
    def test_two_engines_do_not_disturb_each_other(self, open_tiny, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        other_images = random_images((1, 3, 32, 48))
        with open_tiny() as engine, open_tiny(size_hw=(32, 48)) as other:
            logits = engine.infer(images)
            other_logits = other.infer(other_images)
            np.testing.assert_allclose(logits, tiny.expected(images), atol=1e-4)
            np.testing.assert_allclose(other_logits, tiny.expected(other_images), atol=1e-4)

    def test_in_a_thread_of_its_own(self, open_tiny, tiny, random_images):
        images = random_images((1, 3, 64, 96))
        results = []
        with open_tiny() as engine:
            thread = threading.Thread(target=lambda: results.append(engine.infer(images).copy()))
            thread.start()
            thread.join(timeout=30)
        np.testing.assert_allclose(results[0], tiny.expected(images), atol=1e-4)


class TestPrecision:
    def test_auto_agrees_with_fp32_on_the_labels(self, open_tiny, tiny, random_images):
        # bfloat16 keeps 8 bits: only pixels whose two best classes nearly tie may change hands.
        images = random_images((1, 3, 360, 640))
        with open_tiny(size_hw=(360, 640), precision="auto") as engine:
            labels = engine.infer(images).argmax(axis=1)
        assert np.mean(labels == tiny.expected(images).argmax(axis=1)) > 0.98

    def test_bf16_is_used_or_refused_never_replaced(self, open_tiny):
        try:
            engine = open_tiny(precision="bf16")
        except EngineError as error:
            assert "bf16" in str(error)  # noqa: PT017 (either way is right, which one is the processor's)
            return
        with engine:
            assert "bf16" in engine.description


@pytest.mark.parametrize(("one", "another"), list(itertools.combinations(ENGINE_KINDS, 2)))
class TestParity:
    @pytest.fixture(autouse=True)
    def both_runnable(self, one, another, make_runnable):
        make_runnable(one)
        make_runnable(another)

    def test_of_the_tiny_network(self, tiny, random_images, one, another):
        model = load_artifact(tiny.write())
        images = random_images((1, 3, 272, 480))
        options = {"size_hw": (272, 480), "precision": "fp32", "threads": 1}
        with open_engine(model, one, **options) as first, open_engine(model, another, **options) as second:
            np.testing.assert_allclose(first.infer(images), second.infer(images), atol=1e-4)

    @pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
    def test_of_the_shipped_models(self, random_images, one, another, path):
        model = load_artifact(path)
        height, width = model.default_size_hw
        images = random_images((1, 3, height, width))
        with (
            open_engine(model, one, precision="fp32") as first,
            open_engine(model, another, precision="fp32") as second,
        ):
            logits, others = first.infer(images), second.infer(images)
            assert logits.shape == first.spec.output_shape == second.spec.output_shape
            scale = np.abs(others).max()
            np.testing.assert_allclose(logits / scale, others / scale, atol=1e-4)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
@pytest.mark.parametrize("size_hw", [(272, 480), (360, 640), (544, 960)])
def test_the_shipped_models_run_at_every_size(kind, random_images, path, size_hw):
    model = load_artifact(path)
    with open_engine(model, kind, size_hw=size_hw) as engine:
        logits = engine.infer(random_images((1, 3, *size_hw)))
    assert logits.shape[:2] == (1, len(model.classes))
    assert np.isfinite(logits).all()
