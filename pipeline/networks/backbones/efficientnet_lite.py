"""EfficientNet-Lite0 (Liu 2020): EfficientNet-B0 without squeeze and excitation, ReLU6 in place of Swish.

Modules have the names of timm's `tf_efficientnet_lite0`, whose files of weights therefore fit too. The network is built
here, since importing timm takes most of the time of importing torch, in each of the stages that build a network.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core import imagenet
from pipeline.networks.backbones.structure import Backbone, Step, average_pool, steps

# Mean and standard deviation of this network's own training, for every channel.
OWN_MEAN = OWN_STD = 0.5
# Of the batch norms, as in TensorFlow.
EPS = 1e-3
STEM, LAST = 32, 1280


class Group(NamedTuple):
    """A group of blocks: the side of the depthwise kernel, the first block's stride, expansion, channels, blocks."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


# EfficientNet, Table 1.
GROUPS = (
    Group(3, 1, 1, 16, 1),
    Group(3, 2, 6, 24, 2),
    Group(5, 2, 6, 40, 2),
    Group(3, 2, 6, 80, 3),
    Group(5, 1, 6, 112, 3),
    Group(5, 2, 6, 192, 4),
    Group(3, 1, 6, 320, 1),
)


class Renormalize(nn.Module):
    """Convert images that are normalized by ImageNet's mean and deviation to this network's own.

    Shape:
        Input and output (N, 3, H, W).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        scale = [std / OWN_STD for std in imagenet.STD]
        shift = [(mean - OWN_MEAN) / OWN_STD for mean in imagenet.MEAN]
        # Not persistent, so that files of weights have timm's names and no other.
        self.register_buffer("scale", torch.tensor(scale).view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift each channel."""
        return x * self.scale + self.shift


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's 'same' padding: its output is the input divided by the stride, rounded up.

    What is odd of the padding goes to the right and the bottom, so that with stride 2 the padding depends on the size.

    Shape:
        Input (N, C, H, W), output (N, D, ceil(H / stride), ceil(W / stride)).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pad, then convolve."""
        (left, right), (top, bottom) = (self._padding(x.shape[-1]), self._padding(x.shape[-2]))
        return super().forward(F.pad(x, (left, right, top, bottom)))

    def _padding(self, length: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        return total // 2, total - total // 2


class NormReLU6(nn.BatchNorm2d):
    """Batch norm followed by ReLU6, under the batch norm's own parameter names.

    Shape:
        Input and output (N, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize, then clip to 0..6."""
        return F.relu6(super().forward(x), inplace=True)


def depthwise(channels: int, group: Group, stride: int) -> nn.Conv2d:
    """Build a convolution of each channel by itself."""
    if stride == 1:
        # Padding on all sides alike, which the convolution itself does faster.
        return nn.Conv2d(channels, channels, group.kernel, padding=group.kernel // 2, groups=channels, bias=False)
    return SameConv2d(channels, channels, group.kernel, stride, groups=channels, bias=False)


class SeparableBlock(nn.Module):
    """A depthwise convolution and one to other channels, without a shortcut: the first block.

    Shape:
        Input (N, C, H, W), output (N, D, H, W).
    """

    def __init__(self, channels: int, group: Group) -> None:
        super().__init__()
        self.conv_dw = depthwise(channels, group, group.stride)
        self.bn1 = NormReLU6(channels, eps=EPS)
        self.conv_pw = nn.Conv2d(channels, group.channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(group.channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Run the block."""
        x = self.bn1(self.conv_dw(x))
        projected: Tensor = self.bn2(self.conv_pw(x))
        return projected


class InvertedResidual(nn.Module):
    """More channels, a depthwise convolution, fewer channels; a shortcut where input and output have one shape.

    Shape:
        Input (N, C, H, W), output (N, D, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, channels: int, group: Group, stride: int) -> None:
        super().__init__()
        expanded = channels * group.expansion
        self.use_res_connect = stride == 1 and channels == group.channels
        self.conv_pw = nn.Conv2d(channels, expanded, 1, bias=False)
        self.bn1 = NormReLU6(expanded, eps=EPS)
        self.conv_dw = depthwise(expanded, group, stride)
        self.bn2 = NormReLU6(expanded, eps=EPS)
        self.conv_pwl = nn.Conv2d(expanded, group.channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(group.channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Run the block."""
        inside = self.bn1(self.conv_pw(x))
        inside = self.bn2(self.conv_dw(inside))
        projected: Tensor = self.bn3(self.conv_pwl(inside))
        return projected + x if self.use_res_connect else projected


class EfficientNetLite0(nn.Module):
    """The network.

    Shape:
        Input (N, 3, H, W), normalized by ImageNet's mean and standard deviation; output (N, 1000).
    """

    def __init__(self) -> None:
        super().__init__()
        self.renormalize = Renormalize()
        self.conv_stem = SameConv2d(3, STEM, 3, stride=2, bias=False)
        self.bn1 = NormReLU6(STEM, eps=EPS)
        self.blocks = nn.Sequential()
        channels = STEM
        for group in GROUPS:
            self.blocks.append(_blocks(channels, group))
            channels = group.channels
        self.conv_head = nn.Conv2d(channels, LAST, 1, bias=False)
        self.bn2 = NormReLU6(LAST, eps=EPS)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(LAST, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # As EfficientNet's authors do: a deviation by the values that an output is spread from.
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of ImageNet's classes."""
        x = self.bn1(self.conv_stem(self.renormalize(x)))
        x = self.bn2(self.conv_head(self.blocks(x)))
        scores: Tensor = self.classifier(average_pool(self, x))
        return scores


def _blocks(channels: int, group: Group) -> nn.Sequential:
    if group.expansion == 1:
        return nn.Sequential(SeparableBlock(channels, group))
    first = InvertedResidual(channels, group, group.stride)
    others = [InvertedResidual(group.channels, group, 1) for _ in range(group.blocks - 1)]
    return nn.Sequential(first, *others)


def _bundled_names() -> dict[str, str]:
    """Return this network's module for each module of the bundled file, which numbers blocks through."""
    blocks = [f"blocks.{group}.{block}" for group, row in enumerate(GROUPS) for block in range(row.blocks)]
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    others = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    for number, block in enumerate(blocks):
        inside = others if number else first
        names |= {f"_blocks.{number}.{theirs}": f"{block}.{own}" for theirs, own in inside.items()}
    return names


EFFICIENTNET_LITE0 = Backbone(
    build=lambda _image_size: EfficientNetLite0(),
    steps=(
        *steps(
            stem=["renormalize", "conv_stem", "bn1", "blocks.0"],
            block1=["blocks.1"],
            block2=["blocks.2"],
            block3=["blocks.3", "blocks.4"],
            block4=["blocks.5", "blocks.6", "conv_head", "bn2"],
        ),
        Step("avgpool", "pool", apply=average_pool),
        Step("classifier", "head"),
    ),
    classifier="classifier",
    hooked_layers=("blocks.1.1.conv_pwl", "blocks.2.1.conv_pwl", "blocks.4.2.conv_pwl", "blocks.6.0.conv_pwl"),
    bundled_names=_bundled_names(),
)
