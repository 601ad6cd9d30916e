"""`UnetNetwork`: the encoder and decoder with skips that most segmentation networks descend from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.base import SegmentationNetwork

__all__ = ["UnetNetwork"]


class UnetNetwork(SegmentationNetwork):
    """U-Net (Ronneberger, Fischer and Brox, MICCAI 2015): four halvings by pooling, four doublings with skips.

    As in the paper: two 3x3 convolutions a level, twice the channels a level down, 2x2 transposed convolutions up, and
    features of the same level joined by concatenation. Other than there: a quarter of the channels (from 16 to 256),
    since a frame is due 30 times a second; batch normalisation, which came in the same year; and padded convolutions,
    so that nothing is cut off at the edges. No pretrained weights exist for it.

    Takes (N, 3, H, W), any H and W; gives logits (N, classes, H, W).
    """

    def __init__(
        self, class_count: int, *, pretrained: bool = False, widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    ) -> None:
        super().__init__()
        del pretrained
        ins = (3, *widths[:-1])
        self.down = nn.ModuleList(_Level(narrow, wide) for narrow, wide in zip(ins, widths, strict=True))
        # Rounding up, so that a level with an odd size loses nothing on the way down.
        self.halve = nn.MaxPool2d(2, ceil_mode=True)
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, stride=2) for wide, narrow in steps)
        self.up = nn.ModuleList(_Level(2 * narrow, narrow) for _, narrow in steps)
        self.classify = nn.Conv2d(widths[0], class_count, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) → logits (N, classes, H, W)."""
        x = image
        skips: list[Tensor] = []
        for depth, level in enumerate(self.down):
            x = level(self.halve(x) if depth else x)
            skips.append(x)
        skips.pop()
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            skip = skips.pop()
            enlarged = enlarge(x)[:, :, : skip.shape[2], : skip.shape[3]]
            x = level(torch.cat([skip, enlarged], 1))
        logits: Tensor = self.classify(x)
        return logits


class _Level(nn.Sequential):
    """Two 3x3 convolutions, each with normalisation and ReLU. (N, narrow, H, W) → (N, wide, H, W)."""

    def __init__(self, narrow: int, wide: int) -> None:
        layers: list[nn.Module] = []
        for channels in (narrow, wide):
            layers += [nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        super().__init__(*layers)
