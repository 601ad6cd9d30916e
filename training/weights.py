"""Weights to begin a run with: those of a checkpoint, or of a model that was exported from the same network.

An exported graph holds no normalisation any more: it is folded into the convolutions. The network gets the folded
weights, with normalisations that do nothing; `measure_normalisation` then gives these the statistics of what really
flows through them, without changing what the network computes. So it learns on as if it had never been exported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.artifact import find_model
from engines.errors import ClearwayError
from training.checkpoint import load_checkpoint
from training.tensors import images_to_tensor

__all__ = ["WeightsError", "load_weights", "measure_normalisation"]

_CONVOLUTIONS = {"Conv", "ConvTranspose"}


class WeightsError(ClearwayError):
    """Weights that are not those of the network that is trained."""


def load_weights(network: nn.Module, source: str | Path) -> None:
    """Give a network the weights of a checkpoint's average, or of a model.

    Heads that only training has are not in a model. They begin at zero, so that they disturb nothing before they have
    learnt something.

    Args:
        network: Of the kind that the weights were trained for.
        source: A checkpoint (``.pt``), or a model as every command takes it: a name, or the path of an ONNX file.

    Raises:
        ClearwayError: There is no such file, it is damaged, or it is of another network.
    """
    if Path(source).suffix == ".pt":
        try:
            network.load_state_dict(load_checkpoint(Path(source))["average"])
        except RuntimeError as error:
            raise WeightsError(f"weights {source}: of another network; name theirs with --network") from error
    else:
        _load_graph(network, find_model(source))


@torch.no_grad()
def _load_graph(network: nn.Module, path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except Exception as error:  # onnx raises whatever its reader stumbles over
        raise WeightsError(f"weights {path}: not a readable ONNX file ({type(error).__name__})") from error
    stored = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    waiting = {name: module for name, module in network.named_modules() if isinstance(module, _LAYERS)}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:  # equal weights are stored once
            stored[node.output[0]] = stored[node.input[0]]
    for node in graph.node:
        if node.op_type not in _CONVOLUTIONS:
            continue
        if any(name not in stored for name in node.input[1:]):
            raise WeightsError(f"weights {path}: {node.name} is quantised; give the float model that it came from")
        name = _module_name(node.name)
        layer = waiting.pop(name, None)
        weight, *bias = (torch.from_numpy(stored[name].copy()) for name in node.input[1:])
        if layer is None or layer.weight.shape != weight.shape:
            raise WeightsError(
                f"weights {path}: of another network than the one to be trained, "
                f"which has no layer {name!r} of {tuple(weight.shape)}; choose theirs with --network"
            )
        _fill(layer, _norm_after(network, name), weight, bias[0] if bias else weight.new_zeros(_width(layer)))
    for name, layer in waiting.items():
        if not _only_for_training(network, name):
            raise WeightsError(f"weights {path}: of another network than the one to be trained: {name} is not there")
        for parameter in layer.parameters():
            parameter.zero_()


_LAYERS = (nn.Conv2d, nn.ConvTranspose2d)


def _width(layer: nn.Conv2d | nn.ConvTranspose2d) -> int:
    return layer.out_channels


def _module_name(node_name: str) -> str:
    """``/stages.0/stages.0.1/conv/Conv`` → ``stages.0.1.conv``: each scope repeats the list that it lies in."""
    scopes = node_name.strip("/").split("/")[:-1]
    followed = zip(scopes, [*scopes[1:], ""], strict=True)
    return ".".join(scope for scope, following in followed if not following.startswith(f"{scope}."))


def _norm_after(network: nn.Module, name: str) -> nn.BatchNorm2d | None:
    """The normalisation that stands right after a layer, which export folds into it."""
    parent, _, own = name.rpartition(".")
    siblings = list(network.get_submodule(parent).named_children())
    place = [child for child, _ in siblings].index(own)
    following = siblings[place + 1][1] if place + 1 < len(siblings) else None
    return following if isinstance(following, nn.BatchNorm2d) else None


def _fill(layer: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d | None, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    if norm is None:
        if layer.bias is not None:
            layer.bias.copy_(bias)
        return
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.weight.fill_(1)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def _only_for_training(network: nn.Module, name: str) -> bool:
    """Whether the exported graph has no use for a layer: its weights do not change the logits."""
    layer = network.get_submodule(name)
    seen: list[bool] = []
    handle = layer.register_forward_hook(lambda *_: seen.append(True))
    device = next(network.parameters()).device
    was_training = network.training
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, 64, 64, device=device))
    network.train(was_training)
    handle.remove()
    return not seen


@torch.no_grad()
def measure_normalisation(network: nn.Module, batches: list[NDArray[np.uint8]]) -> None:
    """Give every batch normalisation the statistics of its input, and weights with which it computes what it did.

    In training mode a normalisation divides by what it sees in the batch. One whose statistics are not those of its
    input would compute something else there than in evaluation mode.

    Args:
        network: On any device; left in the mode it was in.
        batches: Samples as training draws them, each (N, H, W, 3) uint8 BGR.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    sums: dict[nn.Module, list[Tensor]] = {}

    def take_in(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0].double()
        moments = [x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]
        sums[norm] = [old + new for old, new in zip(sums[norm], moments, strict=True)] if norm in sums else moments

    handles = [norm.register_forward_pre_hook(take_in) for norm in norms]
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    for images in batches:
        network(images_to_tensor(images, device))
    network.train(was_training)
    for handle in handles:
        handle.remove()
    for norm in norms:
        if norm in sums:
            mean, square = (total / len(batches) for total in sums[norm])
            _set_statistics(norm, mean, (square - mean.square()).clamp_min(0))


def _set_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    norm.bias.copy_(norm.bias.double() + scale * (mean - norm.running_mean))
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
