"""`calibrate int8`: one calibration, two graphs, each as its processor wants it; and who takes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="calibrating needs onnx: pip install clearway[int8]")

from calibration.pictures import choose_pictures, find_pictures  # noqa: E402
from engines.artifact import MODELS_FOLDER, int8_path, load_artifact  # noqa: E402
from engines.errors import EngineError  # noqa: E402
from engines.factory import open_engine  # noqa: E402
from engines.sidecar import sidecar_path  # noqa: E402
from pipeline.cli import main  # noqa: E402
from pipeline.synthetic import SyntheticDrive  # noqa: E402

SIZE_HW = (96, 160)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of a rendered drive."""
    folder = tmp_path_factory.mktemp("street")
    drive = SyntheticDrive(seed=12, frame_count=240, size_hw=SIZE_HW)
    for index in range(0, 240, 12):
        cv2.imwrite(str(folder / f"{index}.jpg"), drive.render(index).image)
    return folder


@pytest.fixture(scope="module")
def calibrated(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model with graphs that were calibrated on that street."""
    out = tmp_path_factory.mktemp("models")
    options = ["--images", str(street), "--out", str(out), "--count", "12", "--json", str(out / "figures.json")]
    assert main(["calibrate", "int8", *options]) == 0
    return out / "clearway-lite.onnx"


def _constants(path: Path) -> tuple[list, dict[str, np.ndarray]]:
    graph = onnx.load(path).graph
    return list(graph.node), {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}


def test_both_graphs_agree_with_the_model_on_pictures_held_out(calibrated: Path) -> None:
    figures = json.loads((calibrated.parent / "figures.json").read_text())
    assert not set(figures["pictures"]) & set(figures["held_out"])
    assert len(figures["pictures"]) == 12
    for target in ("cpu", "tensorrt"):
        assert figures["agreement"]["minmax"][target]["cells"] > 0.96
        assert figures["agreement"]["minmax"][target]["bytes"] < 0.35 * calibrated.stat().st_size


def test_the_graph_for_processors_cannot_overflow_without_vnni(calibrated: Path) -> None:
    """Two products of uint8 and int8 are added in 16 bits there: 2 · 255 · 64 fits, 2 · 255 · 127 does not."""
    nodes, constants = _constants(int8_path(calibrated, "cpu"))
    weights = [value for value in constants.values() if value.dtype == np.int8 and value.ndim == 4]
    assert len(weights) == 61 - 2, "all but the first and the last convolution"
    assert max(np.abs(weight.astype(int)).max() for weight in weights) <= 64
    kinds = {constants[node.input[2]].dtype for node in nodes if node.op_type == "QuantizeLinear"}
    assert kinds == {np.dtype(np.uint8)}


def test_the_graph_for_tensorrt_is_symmetric(calibrated: Path) -> None:
    nodes, constants = _constants(int8_path(calibrated, "tensorrt"))
    pairs = [node for node in nodes if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert pairs
    for node in pairs:
        zero = constants[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
    # a bias of int32 is refused there
    assert not [value for value in constants.values() if value.dtype == np.int32]


@pytest.mark.parametrize("kind", ["openvino", "onnxruntime"])
def test_engines_take_it_by_themselves_where_it_is_faster(
    kind: str, calibrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = load_artifact(calibrated)
    for gains, computed_in in ((True, "int8"), (False, "fp32")):
        monkeypatch.setattr("engines.factory.gains_from_int8", lambda gains=gains: gains)
        with open_engine(artifact, kind, size_hw=SIZE_HW, threads=1) as engine:
            assert ("int8" in engine.description) == (computed_in == "int8")
    with open_engine(artifact, kind, size_hw=SIZE_HW, precision="int8", threads=1) as engine:
        assert engine.infer(np.zeros((1, 3, *SIZE_HW), np.float32)).shape == (1, 11, 24, 40)


def test_graphs_of_other_weights_are_not_taken(calibrated: Path, tmp_path: Path) -> None:
    """The model was exported anew: its sidecar names no graphs, those that lie there are the old one's."""
    for file in calibrated.parent.glob("clearway-lite*"):
        shutil.copy(file, tmp_path)
    model = tmp_path / calibrated.name
    content = json.loads(sidecar_path(model).read_text())
    content.pop("int8")
    sidecar_path(model).write_text(json.dumps(content))
    artifact = load_artifact(model)
    with open_engine(artifact, "onnxruntime", size_hw=SIZE_HW, threads=1) as engine:
        assert "fp32" in engine.description
    with pytest.raises(EngineError, match=r"not the graph that clearway-lite\.json names"):
        open_engine(artifact, "onnxruntime", size_hw=SIZE_HW, precision="int8")


def test_a_graph_that_loses_too_much_is_only_taken_when_asked_for(calibrated: Path, tmp_path: Path) -> None:
    for file in calibrated.parent.glob("clearway-lite*"):
        shutil.copy(file, tmp_path)
    model = tmp_path / calibrated.name
    content = json.loads(sidecar_path(model).read_text())
    content["int8"]["cpu"]["agreement"] = 0.5
    sidecar_path(model).write_text(json.dumps(content))
    artifact = load_artifact(model)
    assert not artifact.int8_keeps_accuracy
    assert artifact.int8_graph("cpu").is_file()


def test_pictures_are_chosen_as_unlike_as_they_can_be(tmp_path: Path) -> None:
    """Of a long recording and two short ones, each is seen, and always by the same pictures."""
    rng = np.random.default_rng(0)
    for name, level, count in (("noon", 200, 40), ("dusk", 60, 2), ("rain", 130, 3)):
        (tmp_path / name).mkdir()
        for index in range(count):
            picture = np.clip(rng.normal(level, 8, (72, 128, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), picture)
    paths = find_pictures(tmp_path)
    chosen = choose_pictures(paths, 8)
    assert {path.parent.name for path in chosen.calibration} == {"noon", "dusk", "rain"}
    assert chosen == choose_pictures(paths, 8)
    assert not set(chosen.calibration) & set(chosen.held_out)


def test_mistakes_are_one_line(
    street: Path, calibrated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, empty, damaged = tmp_path / "few", tmp_path / "empty", tmp_path / "damaged"
    for folder in (few, empty, damaged):
        folder.mkdir()
    for picture in sorted(street.iterdir())[:3]:
        shutil.copy(picture, few)
    for index in range(9):
        (damaged / f"{index}.jpg").write_bytes(b"no picture")
    for images, more, said in (
        (tmp_path / "none", [], "no such folder"),
        (empty, [], "no images there"),
        (few, [], "3 images are too few; 8 are the least"),
        (damaged, [], "not an image that OpenCV can read"),
        (street, ["--count", "2"], "--count 2: 8 pictures are the least"),
        (street, ["--model", str(int8_path(calibrated, "cpu"))], "is in INT8 already; give the float model"),
        (street, ["--model", "clearway-heavy"], "no model is called 'clearway-heavy'"),
    ):
        assert main(["calibrate", "int8", "--images", str(images), "--out", str(tmp_path / "out"), *more]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not list(tmp_path.glob("out/*.onnx"))


def test_a_model_without_a_sidecar_gets_one(street: Path, tmp_path: Path) -> None:
    model = tmp_path / "plain.onnx"
    shutil.copy(MODELS_FOLDER / "clearway-lite.onnx", model)
    assert main(["calibrate", "int8", "--images", str(street), "--model", str(model), "--count", "8"]) == 0
    artifact = load_artifact(model)
    assert artifact.notes == ()
    assert artifact.int8_graph("cpu").is_file()
