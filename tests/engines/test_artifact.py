"""What is read of a model's files, and every way in which they can be wrong."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from engines import artifact as artifact_module
from engines.artifact import ModelArtifact, find_model, load_artifact
from engines.classes import CITYSCAPES, VOID_ID, SegmentationClass
from engines.errors import ModelError
from engines.sidecar import Sidecar, SidecarClass, SidecarInput, load_sidecar, save_sidecar

ORT_VERSION = tuple(int(part) for part in version("onnxruntime").split(".")[:2])


def refusal(path: Path) -> str:
    """The message with which `load_artifact` refuses a file: always one line that names the file."""
    with pytest.raises(ModelError) as caught:
        load_artifact(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    assert path.stem in message
    return message


class TestWithSidecar:
    def test_everything_comes_from_the_two_files(self, tiny):
        path = tiny.write()
        tiny.write_sidecar(path)

        assert load_artifact(path) == ModelArtifact(
            path=path,
            name="tiny",
            mean=(1.0, 2.0, 3.0),
            std=(4.0, 5.0, 6.5),
            color_order="bgr",
            default_size_hw=(64, 96),
            classes=tuple(SegmentationClass(f"thing {i}", (i, 0, 255 - i), i) for i in range(5)),
            input_name="image",
            input_dims=(None, 3, None, None),
            input_dim_names=("N", "", "H", "W"),
            output_name="logits",
            notes=(),
            int8={},
        )

    def test_a_saved_sidecar_is_sealed_to_its_file_and_read_back(self, tiny):
        path = tiny.write()
        classes = tuple(SidecarClass(f"thing {i}", (i, i, i)) for i in range(5))
        picture = SidecarInput(mean=(1, 2, 3), std=(1, 2, 3), color_order="rgb", size_hw=(64, 96))
        save_sidecar(path, Sidecar(name="saved", input=picture, classes=classes))

        model = load_artifact(path)
        assert (model.name, model.classes[4].train_id) == ("saved", VOID_ID)
        sealed = load_sidecar(path)
        assert sealed is not None
        assert sealed.onnx_sha256 is not None

        path.write_bytes(path.read_bytes() + b"\0\0")
        assert "another file" in refusal(path) or "damaged" in refusal(path)

    def test_of_another_file(self, tiny):
        path = tiny.write()
        tiny.write_sidecar(path, onnx_sha256="0" * 64)
        assert "belongs to another file" in refusal(path)

    @pytest.mark.parametrize(
        ("replaced", "said"),
        [
            ({"colour_order": "rgb"}, "unknown field `colour_order`"),
            ({"format": "clearway-model/2"}, "'clearway-model/2'"),
            ({"format": 1}, "$.format"),
            ({"name": ""}, "$.name"),
            ({"input": {"mean": [0, 0, 0]}}, "missing required field `std`"),
            ({"input": {"mean": [0, 0], "std": [1, 1, 1], "color_order": "rgb", "size_hw": [8, 8]}}, "$.input.mean"),
            ({"input": {"mean": [0] * 3, "std": [1, 0, 1], "color_order": "rgb", "size_hw": [8, 8]}}, "$.input.std"),
            ({"input": {"mean": [0] * 3, "std": [1] * 3, "color_order": "gbr", "size_hw": [8, 8]}}, "color_order"),
            ({"input": {"mean": [0] * 3, "std": [1] * 3, "color_order": "rgb", "size_hw": [0, 8]}}, "size_hw"),
            ({"classes": []}, "$.classes"),
            ({"classes": [{"name": "a", "color_rgb": [0, 0, 256]}] * 5}, "color_rgb"),
            ({"classes": [{"name": "a", "color_rgb": [0, 0, 0]}] * 5}, "listed twice"),
            ({"onnx_sha256": "beef"}, "onnx_sha256"),
        ],
    )
    def test_wrong_content(self, tiny, replaced, said):
        path = tiny.write()
        tiny.write_sidecar(path, **replaced)
        assert said in refusal(path)

    @pytest.mark.parametrize("content", [b"", b"{", b"hello", b"[]", b"\xff\xfe", b'{"format": "\xff"}', b"null"])
    def test_not_json(self, tiny, content):
        path = tiny.write()
        path.with_suffix(".json").write_bytes(content)
        assert "sidecar" in refusal(path)

    def test_that_is_a_folder(self, tiny):
        path = tiny.write()
        path.with_suffix(".json").mkdir()
        assert "cannot read the sidecar" in refusal(path)

    def test_that_disagrees_on_the_classes(self, tiny):
        path = tiny.write(classes=7)
        tiny.write_sidecar(path)
        assert "names 5 classes, the graph has 7" in refusal(path)

    def test_that_disagrees_on_the_size(self, tiny):
        path = tiny.write(input_dims=(1, 3, 32, 96))
        tiny.write_sidecar(path)
        assert "size_hw is (64, 96), the graph is fixed to (32, 96)" in refusal(path)


class TestWithoutSidecar:
    def test_defaults_are_assumed_and_said(self, tiny):
        model = load_artifact(tiny.write("unknown.onnx"))

        assert model.name == "unknown"
        assert model.color_order == "rgb"
        np.testing.assert_allclose(model.mean, np.array([0.485, 0.456, 0.406]) * 255)
        np.testing.assert_allclose(model.std, np.array([0.229, 0.224, 0.225]) * 255)
        assert model.default_size_hw == (360, 640)
        assert [entry.name for entry in model.classes] == [f"class {i}" for i in range(5)]
        assert {entry.train_id for entry in model.classes} == {VOID_ID}
        assert len({entry.color_rgb for entry in model.classes}) == 5
        assert len(model.notes) == 3
        assert "ImageNet" in model.notes[0]
        assert "class 0 to class 4" in model.notes[1]
        assert "640x360" in model.notes[2]

    def test_nineteen_classes_are_those_of_cityscapes(self, tiny):
        model = load_artifact(tiny.write(classes=19))
        assert model.classes == CITYSCAPES
        assert any("Cityscapes" in note for note in model.notes)

    def test_many_classes_have_many_colours(self, tiny):
        model = load_artifact(tiny.write(classes=VOID_ID))
        assert len({entry.color_rgb for entry in model.classes}) == VOID_ID

    def test_a_fixed_size_is_taken_from_the_graph(self, tiny):
        model = load_artifact(tiny.write(input_dims=(1, 3, 48, 80)))
        assert (model.default_size_hw, model.input_dims) == ((48, 80), (1, 3, 48, 80))
        assert not any("size" in note for note in model.notes)

    def test_open_sizes_without_names(self, tiny):
        model = load_artifact(tiny.write(input_dims=(None, 3, None, None)))
        assert (model.input_dims, model.input_dim_names) == ((None, 3, None, None), ("", "", "", ""))


class TestDamagedFiles:
    def test_missing(self, tmp_path):
        assert "no such file" in refusal(tmp_path / "nowhere.onnx")

    def test_a_folder(self, tmp_path):
        (tmp_path / "folder.onnx").mkdir()
        assert "is not a file" in refusal(tmp_path / "folder.onnx")

    def test_empty(self, tmp_path):
        (tmp_path / "empty.onnx").touch()
        assert "empty" in refusal(tmp_path / "empty.onnx")

    def test_text(self, tmp_path):
        (tmp_path / "text.onnx").write_text("This is not a network.\n" * 20)
        assert "damaged, or not an ONNX file" in refusal(tmp_path / "text.onnx")

    def test_a_checkpoint_is_refused_before_it_is_opened(self, tmp_path):
        (tmp_path / "weights.pt").write_bytes(b"\x80\x04.")
        assert "export the network to ONNX" in refusal(tmp_path / "weights.pt")

    @pytest.mark.parametrize("part", [0.02, 0.25, 0.5, 0.9, 0.99])
    def test_cut_off(self, tiny, part):
        path = tiny.write()
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * part)])
        assert "damaged" in refusal(path)

    def test_weights_in_a_file_that_is_missing(self, tiny):
        path = tiny.write()
        onnx.save(onnx.load(path), path, save_as_external_data=True, size_threshold=0, location="weights.bin")
        assert load_artifact(path).input_name == "image"
        (path.parent / "weights.bin").unlink()
        assert "weights.bin" in refusal(path)

    @pytest.mark.skipif(ORT_VERSION < (1, 24), reason="ONNX Runtime confines external weights from version 1.24 on")
    def test_weights_outside_the_models_folder_are_not_read(self, tiny, tmp_path):
        path = tiny.write()
        onnx.save(onnx.load(path), path, save_as_external_data=True, size_threshold=0, location="weights.bin")
        inner = tmp_path / "inner"
        inner.mkdir()
        path.rename(inner / "tiny.onnx")
        stolen = onnx.load(inner / "tiny.onnx", load_external_data=False)
        for tensor in stolen.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = "../weights.bin"
        (inner / "tiny.onnx").write_bytes(stolen.SerializeToString())
        refusal(inner / "tiny.onnx")


class TestDamagedBytes:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_give_a_model_or_one_line(self, tiny, data):
        path = tiny.write()
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            load_artifact(path)
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017 (most changed bytes are in weights and change nothing else)


class TestGraphsOfAnotherKind:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"tail": "ArgMax"}, "without argmax"),
            ({"tail": "Flatten"}, "(N, K, h, w) is needed"),
            ({"more_inputs": ["scale"]}, "one input is needed, the graph has 2: image, scale"),
            ({"more_outputs": ["sums"]}, "one output is needed, the graph has 2: logits, sums"),
            ({"input_type": TensorProto.FLOAT16}, "tensor(float16), not float32"),
            ({"input_type": TensorProto.UINT8}, "tensor(uint8), not float32"),
            ({"input_dims": ("N", 1, "H", "W")}, "(N, 1, H, W), (N, 3, H, W) is needed"),
            ({"input_dims": (1, 360, 640, 3)}, "(N, 3, H, W) is needed"),
            ({"input_dims": (3, 360, 640)}, "(3, 360, 640), (N, 3, H, W) is needed"),
            ({"classes": 1}, "1 channels, not 2 to 255 classes"),
            ({"classes": 256}, "256 channels, not 2 to 255 classes"),
        ],
    )
    def test_refused(self, tiny, wrong, said):
        assert said in refusal(tiny.write(**wrong))


class TestInputShape:
    def test_an_open_graph_takes_any(self, tiny):
        model = load_artifact(tiny.write())
        assert model.input_shape((64, 96), batch=2) == (2, 3, 64, 96)

    @pytest.mark.parametrize(("size_hw", "batch"), [((64, 100), 1), ((64, 96), 2)])
    def test_a_fixed_graph_takes_its_own_alone(self, tiny, size_hw, batch):
        model = load_artifact(tiny.write(input_dims=(1, 3, 64, 96)))
        assert model.input_shape((64, 96)) == (1, 3, 64, 96)
        with pytest.raises(ModelError, match=r"fixed to an input of \(1, 3, 64, 96\)"):
            model.input_shape(size_hw, batch)

    def test_nothing_is_no_size(self, tiny):
        with pytest.raises(ModelError, match="no input"):
            load_artifact(tiny.write()).input_shape((0, 96))


class TestFindModel:
    @pytest.fixture
    def models(self, tiny, monkeypatch):
        monkeypatch.setattr(artifact_module, "MODELS_FOLDER", tiny.folder)
        return [tiny.write("first.onnx"), tiny.write("second.onnx")]

    def test_by_name(self, models):
        assert find_model("second") == models[1]

    @pytest.mark.parametrize("convert", [str, Path])
    def test_by_path(self, models, convert):
        assert find_model(convert(models[0])) == models[0]

    def test_unknown_name_lists_the_known(self, models):
        with pytest.raises(ModelError, match="no model is called 'third'; there are: first, second"):
            find_model("third")

    @pytest.mark.parametrize("missing", ["third.onnx", "folder/third", "../third"])
    def test_missing_path(self, models, missing):
        with pytest.raises(ModelError, match="no such file"):
            find_model(missing)

    def test_the_sidecars_of_the_shipped_models_are_sealed(self):
        for path in (path for path in artifact_module.MODELS_FOLDER.glob("*.onnx") if ".int8-" not in path.name):
            sealed = load_sidecar(path)
            assert sealed is not None, f"{path.name} is shipped without a sidecar"
            assert json.loads(path.with_suffix(".json").read_text())["onnx_sha256"] == sealed.onnx_sha256
            assert load_artifact(path).notes == ()
