"""The pre-trained networks: one row each, in torchvision's own structure and names.

A backbone is run as an ordered list of stages. Every parameter belongs to exactly one stage; strategies freeze by
stage, and the loop may run the frozen stages apart from those that train.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torchvision
from torch import Tensor, nn

from pipeline.errors import InputError


@dataclass(frozen=True)
class Stage:
    """One step of a network.

    Attributes:
        name: `stem`, `block1` ... `block4`, `pool` or `head`.
        children: the model's children that this step runs, in order; their parameters are this stage's.
        flatten: whether (N, C, 1, 1) becomes (N, C) at the end.
    """

    name: str
    children: tuple[str, ...]
    flatten: bool = False

    def run(self, model: nn.Module, x: Tensor) -> Tensor:
        """Run this stage alone on what the stage before it gave."""
        for child in self.children:
            x = model.get_submodule(child)(x)
        return torch.flatten(x, 1) if self.flatten else x


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        build: torchvision's builder; called with `weights=None` it draws random weights.
        imagenet: torchvision's ImageNet weights for it: URL, file name with hash.
        stages: in the order in which they run; the last is the classifier's.
        classifier: the name of the classifier, which every pre-trained file may carry and we replace.
    """

    build: Callable[..., nn.Module]
    imagenet: torchvision.models.WeightsEnum
    stages: tuple[Stage, ...]
    classifier: str


RESNET_STAGES = (
    Stage("stem", ("conv1", "bn1", "relu", "maxpool")),
    Stage("block1", ("layer1",)),
    Stage("block2", ("layer2",)),
    Stage("block3", ("layer3",)),
    Stage("block4", ("layer4",)),
    Stage("pool", ("avgpool",), flatten=True),
    Stage("head", ("fc",)),
)

# IMAGENET1K_V1 are the classic recipe's weights, those that the papers' authors could have had.
_resnet = partial(Backbone, stages=RESNET_STAGES, classifier="fc")

BACKBONES = {
    "resnet18": _resnet(torchvision.models.resnet18, torchvision.models.ResNet18_Weights.IMAGENET1K_V1),
    "resnet34": _resnet(torchvision.models.resnet34, torchvision.models.ResNet34_Weights.IMAGENET1K_V1),
    "resnet50": _resnet(torchvision.models.resnet50, torchvision.models.ResNet50_Weights.IMAGENET1K_V1),
    "resnet101": _resnet(torchvision.models.resnet101, torchvision.models.ResNet101_Weights.IMAGENET1K_V1),
}


def backbone(name: str) -> Backbone:
    """The row of this name.

    Raises:
        InputError: listing the known names.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        raise InputError(f"backbone: {name!r} is not known; known: {', '.join(BACKBONES)}") from None
