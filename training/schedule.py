"""How far a run is, and what that means for its learning rate and its averaged weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["AveragedWeights", "Budget", "one_cycle"]


@dataclass(frozen=True, slots=True)
class Budget:
    """When a run ends: after so many steps, or so many minutes, whichever comes first.

    Progress is the larger of the two shares, so the learning rate comes down in time on a machine that turns out slow
    or busy. The time of a resumed run counts from where it was stopped.

    Attributes:
        steps: Optimisation steps.
        minutes: Wall-clock time spent in training, None for no limit.
    """

    steps: int
    minutes: float | None = None

    def progress(self, step: int, elapsed_s: float) -> float:
        """The share of the run that is done before ``step``, from 0 to 1 (done)."""
        by_time = elapsed_s / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(step / self.steps, by_time))


def one_cycle(progress: float, *, warm_up: float = 0.06, first: float = 0.1, last: float = 0.005) -> float:
    """The learning rate as a share of its peak: a straight rise, then half a cosine down.

    The one-cycle policy of Smith ("Super-Convergence", 2018).

    Args:
        progress: From 0 to 1.
        warm_up: Share of the run in which the rate rises.
        first: Where it begins.
        last: Where it ends.
    """
    if progress < warm_up:
        return first + (1 - first) * progress / warm_up
    down = (progress - warm_up) / (1 - warm_up)
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * down))


class AveragedWeights:
    """An exponential moving average of a network's weights, in `network`; what is evaluated and exported.

    Args:
        source: The network that is trained.
        average: A second network of the same kind; it takes over the source's weights.
        decay: Of the average, once the run is old enough for it.
    """

    def __init__(self, source: nn.Module, average: nn.Module, decay: float) -> None:
        self.network = average.eval().requires_grad_(False)
        self.network.load_state_dict(source.state_dict())
        self._source = source
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the source's weights after step ``step`` (from 0); early on the average follows more closely."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for average, source in zip(self.network.state_dict().values(), self._source.state_dict().values(), strict=True):
            if average.dtype.is_floating_point:
                average.lerp_(source, share)
            else:
                average.copy_(source)
