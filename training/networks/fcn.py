"""`FcnNetwork`: the fully convolutional network that segmentation began with, on the backbone of ours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.base import SegmentationNetwork
from training.networks.efficientnet_lite import EfficientNetLite0, imagenet_weights

__all__ = ["FcnNetwork"]


class FcnNetwork(SegmentationNetwork):
    """FCN-8s (Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015).

    The class scores of strides 32, 16 and 8, each by a 1x1 convolution, are added coarse to fine. Between them stand
    transposed convolutions that begin as bilinear interpolation and learn, as in the paper. Of the paper's last,
    eightfold enlargement a doubling is learnt here; the rest is the bilinear one that follows every network of ours.

    Takes (N, 3, H, W), any H and W, normalised as the backbone wants; gives logits (N, classes, ceil(H/4), ceil(W/4)).
    """

    def __init__(self, class_count: int, *, pretrained: bool = False) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        if pretrained:
            self.backbone.load_state_dict(imagenet_weights())
        _, c8, c16, c32 = self.backbone.tap_channels
        self.score32 = nn.Conv2d(c32, class_count, 1)
        self.score16 = nn.Conv2d(c16, class_count, 1)
        self.score8 = nn.Conv2d(c8, class_count, 1)
        self.enlarge32 = _doubling(class_count)
        self.enlarge16 = _doubling(class_count)
        self.enlarge8 = _doubling(class_count)
        for skip in (self.score16, self.score8):
            nn.init.zeros_(skip.weight)  # The finer scores begin silent, as in the paper.
            assert skip.bias is not None
            nn.init.zeros_(skip.bias)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) → logits (N, classes, ceil(H/4), ceil(W/4))."""
        x4, x8, x16, x32 = self.backbone(image)
        scores = _cropped(self.enlarge32(self.score32(x32)), x16) + self.score16(x16)
        scores = _cropped(self.enlarge16(scores), x8) + self.score8(x8)
        return _cropped(self.enlarge8(scores), x4)

    def set_training(self) -> None:
        """Training mode, but the backbone's normalisation keeps ImageNet's statistics: better than those of 8 crops."""
        self.train()
        self.backbone.eval()


def _doubling(channels: int) -> nn.ConvTranspose2d:
    """A 4x4 transposed convolution of stride 2 that begins as bilinear interpolation of each channel."""
    layer = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False)
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(channels):
            layer.weight[channel, channel] = torch.outer(line, line)
    return layer


def _cropped(x: Tensor, like: Tensor) -> Tensor:
    """The upper left of x in the size of `like`: doubling a size that was rounded up gives one row too many."""
    return x[:, :, : like.shape[2], : like.shape[3]]
