"""ResNet (He et al. 2016): four groups of residual blocks."""

from collections.abc import Callable, Sequence

from torch import nn

from pipeline.core.vision import models
from pipeline.networks.backbones.structure import Backbone, Step, any_size, average_pool, steps


def resnet(
    build: Callable[..., nn.Module], imagenet: models.WeightsEnum, *, blocks: Sequence[int], last_convolution: str
) -> Backbone:
    """Define a backbone with ResNet's structure and names.

    Args:
        build: torchvision's builder.
        imagenet: its ImageNet weights.
        blocks: number of blocks in each of the four groups.
        last_convolution: name of the last convolution in a block.
    """
    layers = {
        f"block{number}": [f"layer{number}.{block}" for block in range(count)]
        for number, count in enumerate(blocks, start=1)
    }
    return Backbone(
        build=any_size(build),
        imagenet=imagenet,
        steps=(
            *steps(stem=["conv1", "bn1", "relu", "maxpool"], **layers),
            Step("avgpool", "pool", apply=average_pool),
            Step("fc", "head"),
        ),
        classifier="fc",
        hooked_layers=tuple(f"{names[-1]}.{last_convolution}" for names in layers.values()),
    )


RESNET18 = resnet(models.resnet18, models.ResNet18_Weights.IMAGENET1K_V1, blocks=(2, 2, 2, 2), last_convolution="conv2")
RESNET34 = resnet(models.resnet34, models.ResNet34_Weights.IMAGENET1K_V1, blocks=(3, 4, 6, 3), last_convolution="conv2")
RESNET50 = resnet(models.resnet50, models.ResNet50_Weights.IMAGENET1K_V1, blocks=(3, 4, 6, 3), last_convolution="conv3")
RESNET101 = resnet(
    models.resnet101, models.ResNet101_Weights.IMAGENET1K_V1, blocks=(3, 4, 23, 3), last_convolution="conv3"
)
