"""The exported graph computes what the network does, at any size, with few kinds of operators."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
onnx = pytest.importorskip("onnx", reason="the export needs onnx: pip install clearway[train]")

from engines.artifact import load_artifact  # noqa: E402
from engines.errors import ConfigError  # noqa: E402
from engines.sidecar import save_sidecar  # noqa: E402
from training.export import ExportError, _sidecar, check_parity, export_onnx  # noqa: E402
from training.networks import SegmentationNetwork, build_network  # noqa: E402

SIZES = ((90, 160), (97, 131), (64, 64))
COMPUTING = {"Conv", "Clip", "Add", "Resize", "GlobalAveragePool"}
SHAPES = {"Constant", "Identity", "Shape", "Gather", "Slice", "Unsqueeze", "Concat", "Cast"}


@pytest.fixture(scope="module")
def network() -> SegmentationNetwork:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return build_network("lite", 11).eval()


@pytest.fixture(scope="module")
def dynamic(network: SegmentationNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "clearway-test.onnx"
    export_onnx(network, path)
    return path


def test_one_file_serves_all_sizes(network: SegmentationNetwork, dynamic: Path) -> None:
    assert check_parity(network, dynamic, SIZES) < 1e-4


def test_a_constant_shape_is_constant(network: SegmentationNetwork, tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    export_onnx(network, path, size_hw=(96, 160))
    assert check_parity(network, path) < 1e-4
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [1, 3, 96, 160]


def test_only_operators_that_every_engine_has(dynamic: Path) -> None:
    kinds = {node.op_type for node in onnx.load(dynamic).graph.node}
    assert kinds <= COMPUTING | SHAPES
    assert kinds >= COMPUTING


def test_another_network_is_noticed(dynamic: Path) -> None:
    torch.manual_seed(1)
    with pytest.raises(ExportError, match="do not ship"):
        check_parity(build_network("lite", 11).eval(), dynamic, ((64, 64),))


def test_engines_accept_the_model_and_its_sidecar(dynamic: Path) -> None:
    save_sidecar(dynamic, _sidecar("clearway-test", (360, 640)))
    artifact = load_artifact(dynamic)
    assert artifact.input_dims == (None, 3, None, None)
    assert artifact.default_size_hw == (360, 640)
    assert [entry.train_id for entry in artifact.classes] == [0, 1, 2, 4, 5, 7, 8, 10, 11, 12, 13]
    assert artifact.notes == ()


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are fcn, lite, unet, and your own"):
        build_network("heavy", 11)
