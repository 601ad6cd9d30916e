"""The segmentation networks, by name."""

from __future__ import annotations

from collections.abc import Callable

from training.networks.base import SegmentationNetwork
from training.networks.fcn import FcnNetwork
from training.networks.lite import LiteNetwork
from training.networks.unet import UnetNetwork

__all__ = ["NETWORKS", "FcnNetwork", "LiteNetwork", "SegmentationNetwork", "UnetNetwork", "build_network"]

NETWORKS: dict[str, Callable[..., SegmentationNetwork]] = {
    "fcn": FcnNetwork,
    "lite": LiteNetwork,
    "unet": UnetNetwork,
}
"""Each takes ``class_count`` and ``pretrained`` and gives a module from (N, 3, H, W) to logits."""


def build_network(name: str, class_count: int, *, pretrained: bool = False) -> SegmentationNetwork:
    """A network of `NETWORKS`, with ImageNet weights in its backbone where ``pretrained``.

    Raises:
        ValueError: No network has that name.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there are: {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name](class_count, pretrained=pretrained)
