"""Fine-tuning begins with the weights of a model, as if the network had never been exported."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
onnx = pytest.importorskip("onnx", reason="models are read with onnx: pip install clearway[train]")

from engines.artifact import find_model  # noqa: E402
from engines.errors import ModelError  # noqa: E402
from training.export import check_parity, export_onnx  # noqa: E402
from training.networks import SegmentationNetwork, build_network  # noqa: E402
from training.tensors import images_to_tensor  # noqa: E402
from training.weights import WeightsError, load_weights, measure_normalisation  # noqa: E402

SIZES = ((90, 160), (97, 131))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def batches() -> list[np.ndarray]:
    """Pictures of a drive."""
    from pipeline.synthetic import SyntheticDrive

    drive = SyntheticDrive(seed=990, frame_count=40, size_hw=(96, 160))
    return [np.stack([np.array(drive.render(first + k).image) for k in (0, 5, 10, 15)]) for first in (0, 20)]


def _agreement(network: SegmentationNetwork, other: SegmentationNetwork, images: np.ndarray) -> float:
    """The share of grid cells to which both give the same class."""
    with torch.no_grad():
        one, two = (net(images_to_tensor(images, torch.device("cpu"))).argmax(1) for net in (network, other))
    return float((one == two).float().mean())


def test_the_shipped_model_goes_back_into_the_network(batches: list[np.ndarray]) -> None:
    shipped = find_model("clearway-lite")
    network = build_network("lite", 11).eval()
    load_weights(network, "clearway-lite")
    assert check_parity(network, shipped, SIZES) < 1e-5
    measure_normalisation(network, batches)
    assert check_parity(network, shipped, SIZES) < 1e-5


def test_it_computes_in_training_what_it_computes_in_evaluation(batches: list[np.ndarray]) -> None:
    """Because normalisations know what flows through them; with statistics that do nothing it would be lost."""
    network = build_network("lite", 11).eval()
    load_weights(network, "clearway-lite")
    unmeasured = copy.deepcopy(network)
    measure_normalisation(network, batches)
    training, unmeasured_training = copy.deepcopy(network), unmeasured
    training.set_training()
    unmeasured_training.set_training()
    assert _agreement(network, training, batches[0]) > 0.97
    assert _agreement(network, unmeasured_training, batches[0]) < 0.9


@pytest.mark.parametrize("name", ["fcn", "lite", "unet"])
def test_every_network_comes_back_from_its_own_graph(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    exported, path = build_network(name, 11).eval(), tmp_path / "model.onnx"
    for module in exported.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    export_onnx(exported, path)
    torch.manual_seed(4)
    network = build_network(name, 11).eval()
    load_weights(network, path)
    assert check_parity(network, path, SIZES) < 1e-4


def test_a_head_that_only_training_has_begins_silent() -> None:
    network = build_network("lite", 11).eval()
    load_weights(network, "clearway-lite")
    _, coarse = network.forward_all(torch.zeros(1, 3, 64, 64))
    assert not coarse.any()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(build_network("unet", 11).eval(), path)
    with pytest.raises(WeightsError, match="of another network"):
        load_weights(build_network("lite", 11), path)
    with pytest.raises(ModelError, match="no model is called"):
        load_weights(build_network("lite", 11), "clearway-heavy")
    path.write_bytes(b"no graph")
    with pytest.raises(WeightsError, match="not a readable ONNX file"):
        load_weights(build_network("lite", 11), path)
