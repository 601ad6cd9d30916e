"""`LiteNetwork`: the segmentation network that Clearway ships."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.networks.base import SegmentationNetwork
from training.networks.efficientnet_lite import ConvNormAct, EfficientNetLite0, imagenet_weights

__all__ = ["LiteNetwork"]


class GlobalContext(nn.Module):
    """What the whole picture says, added to every pixel (the pooling branch of ParseNet and LR-ASPP).

    Takes and gives (N, channels, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.act = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) → the same shape."""
        whole: Tensor = self.act(self.mix(self.pool(x)))
        return x + whole


class Merge(nn.Module):
    """Deep features brought to the resolution of shallower ones and added to them, then refined.

    The deep features are narrowed before they are enlarged, so that the resize moves few channels.

    Takes deep (N, deep_channels, h, w) and skip (N, skip_channels, H, W), gives (N, channels, H, W).
    """

    def __init__(self, deep_channels: int, skip_channels: int, channels: int, refine: nn.Module) -> None:
        super().__init__()
        self.narrow = ConvNormAct(deep_channels, channels, 1, activate=False)
        self.lateral = ConvNormAct(skip_channels, channels, 1, activate=False)
        self.act = nn.ReLU6()
        self.refine = refine

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Deep (N, deep_channels, h, w), skip (N, skip_channels, H, W) → (N, channels, H, W)."""
        height, width = skip.shape[2:]
        # Exactly twice, then cut: stretched to the size of the skip, sizes that are no multiple of 32 would shift what
        # is seen by up to half a cell of the deep grid (on 360 rows that cost 1.5 points of mIoU).
        enlarged = functional.interpolate(self.narrow(deep), scale_factor=2.0, mode="bilinear", align_corners=False)
        enlarged = enlarged[:, :, :height, :width]
        merged: Tensor = self.refine(self.act(enlarged + self.lateral(skip)))
        return merged


class LiteNetwork(SegmentationNetwork):
    """EfficientNet-Lite0 with a small top-down decoder (Lin et al., "Feature Pyramid Networks", CVPR 2017).

    Takes (N, 3, H, W), any H and W, normalised as the backbone wants; gives logits (N, classes, ceil(H/4), ceil(W/4)).
    The decoder works with depthwise convolutions where channels are many and pixels few, and with dense 3x3
    convolutions at strides 8 and 4, where a depthwise one would only move memory. In training `forward_all` also gives
    the logits of an auxiliary head at stride 8 (deep supervision); the exported graph has none of it.

    The backbone up to stride 4 (edges, colours) keeps its ImageNet weights: on a CPU, two thirds of a backward pass
    would go into them.
    """

    def __init__(
        self, class_count: int, *, pretrained: bool = False, widths: tuple[int, int, int] = (128, 96, 64)
    ) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        if pretrained:
            self.backbone.load_state_dict(imagenet_weights())
        c4, c8, c16, c32 = self.backbone.tap_channels
        w16, w8, w4 = widths
        self.top = nn.Sequential(ConvNormAct(c32, w16, 1), GlobalContext(w16))
        separable = nn.Sequential(ConvNormAct(w16, w16, 5, depthwise=True, activate=False), ConvNormAct(w16, w16, 1))
        self.merge16 = Merge(w16, c16, w16, separable)
        self.merge8 = Merge(w16, c8, w8, ConvNormAct(w8, w8, 3))
        self.merge4 = Merge(w8, c4, w4, ConvNormAct(w4, w4, 3))
        self.classify = nn.Conv2d(w4, class_count, 1)
        self.classify8 = nn.Conv2d(w8, class_count, 1)
        for part in (self.backbone.stem, *self.backbone.stages[:2]):
            part.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) → logits (N, classes, ceil(H/4), ceil(W/4))."""
        logits: Tensor = self.classify(self._decode(image)[0])
        return logits

    def set_training(self) -> None:
        """Training mode, but the backbone's normalisation keeps ImageNet's statistics: better than those of 8 crops."""
        self.train()
        self.backbone.eval()

    def forward_all(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → logits at stride 4 and the auxiliary logits at stride 8."""
        fine, coarse = self._decode(image)
        return self.classify(fine), self.classify8(coarse)

    def _decode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        c4, c8, c16, c32 = self.backbone(image)
        x8 = self.merge8(self.merge16(self.top(c32), c16), c8)
        return self.merge4(x8, c4), x8
