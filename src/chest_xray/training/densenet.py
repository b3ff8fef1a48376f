"""The convolutional part of DenseNet121 (Huang et al., CVPR 2017), with torchvision's names, for one grey channel.

121 layers: a stem of one, blocks of 6, 12, 24 and 16 dense layers with two convolutions each, three transitions of one
between them, and the classifier, which `model` adds. Growth rate 32, bottleneck 4 x 32, 64 channels after the stem.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

GROWTH = 32
BOTTLENECK = 4 * GROWTH
STEM = 64
BLOCKS = (6, 12, 24, 16)


class DenseLayer(nn.Module):
    """(B, C, h, w) to (B, C + 32, h, w): what came in, and 32 channels made of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, BOTTLENECK, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK)
        self.conv2 = nn.Conv2d(BOTTLENECK, GROWTH, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the new channels after the old ones."""
        new = self.conv1(torch.relu(self.norm1(x)))
        new = self.conv2(torch.relu(self.norm2(new)))
        return torch.cat([x, new], dim=1)


def densenet121_features() -> nn.Sequential:
    """(B, 1, S, S) to (B, 1024, S/32, S/32), before the last ReLU; with He's initialisation (He et al., ICCV 2015)."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv0=nn.Conv2d(1, STEM, kernel_size=7, stride=2, padding=3, bias=False),
        norm0=nn.BatchNorm2d(STEM),
        relu0=nn.ReLU(),
        pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )
    channels = STEM
    for number, layers in enumerate(BLOCKS, start=1):
        parts[f"denseblock{number}"] = _block(channels, layers)
        channels += layers * GROWTH
        if number < len(BLOCKS):
            parts[f"transition{number}"] = _transition(channels)
            channels //= 2
    parts["norm5"] = nn.BatchNorm2d(channels)
    features = nn.Sequential(parts)
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return features


def _block(channels: int, layers: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict((f"denselayer{i + 1}", DenseLayer(channels + i * GROWTH)) for i in range(layers)))


def _transition(channels: int) -> nn.Sequential:
    """Halves channels and sides. A mean and a 1 x 1 convolution commute: pooled first, it costs a quarter."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            pool=nn.AvgPool2d(kernel_size=2, stride=2),
            conv=nn.Conv2d(channels, channels // 2, kernel_size=1, bias=False),
        )
    )
