"""What the training loop asks of a network."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

__all__ = ["SegmentationNetwork"]


class SegmentationNetwork(nn.Module):
    """A network from pictures (N, 3, H, W) to logits (N, classes, h, w), which cover the picture at a lower resolution.

    Parameters whose name begins with ``backbone.`` are pretrained and learn at a lower rate.
    """

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) → logits (N, classes, h, w): all that the exported graph computes."""

    def forward_all(self, image: Tensor) -> tuple[Tensor, ...]:
        """The logits, and after them those of auxiliary heads that only training has, each at its own resolution."""
        return (self.forward(image),)

    def set_training(self) -> None:
        """Training mode; a network that keeps parts of itself fixed in training says so here."""
        self.train()
