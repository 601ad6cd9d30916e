"""The segmentation networks, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engines.errors import ConfigError
from training.networks.base import SegmentationNetwork
from training.networks.fcn import FcnNetwork
from training.networks.lite import LiteNetwork
from training.networks.own import build_own_network, find_own_network, is_own_network
from training.networks.unet import UnetNetwork

__all__ = [
    "NETWORKS",
    "FcnNetwork",
    "LiteNetwork",
    "SegmentationNetwork",
    "UnetNetwork",
    "build_network",
    "describe_network",
    "is_own_network",
    "label_network",
]

NETWORKS: dict[str, Callable[..., SegmentationNetwork]] = {
    "fcn": FcnNetwork,
    "lite": LiteNetwork,
    "unet": UnetNetwork,
}
"""Each takes ``class_count`` and ``pretrained`` and gives a module from (N, 3, H, W) to logits."""


def build_network(name: str, class_count: int, *, pretrained: bool = False) -> SegmentationNetwork:
    """A network of `NETWORKS`, or one of one's own (``FILE.py:CLASS``), with pretrained weights where it has some.

    Raises:
        ConfigError: No network has that name, or one of one's own cannot be built.
    """
    if is_own_network(name):
        return build_own_network(name, class_count, pretrained=pretrained)
    if name not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise ConfigError(f"--network {name}: there are {known}, and your own as FILE.py:CLASS")
    return NETWORKS[name](class_count, pretrained=pretrained)


def label_network(name: str) -> str:
    """What checkpoints and tables call a network: its name; of one's own the file's name and the class."""
    if not is_own_network(name):
        return name
    file, _, class_name = name.rpartition(":")
    return f"{Path(file).name}:{class_name}"


def describe_network(name: str) -> str:
    """The first line of what a network says of itself.

    Raises:
        ConfigError: One of one's own cannot be found.
    """
    kind = find_own_network(name) if is_own_network(name) else NETWORKS[name]
    return (kind.__doc__ or "").strip().partition("\n")[0]
