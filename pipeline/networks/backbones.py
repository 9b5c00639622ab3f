"""The pre-trained networks: one row each, in torchvision's own structure and names.

A backbone is run as an ordered list of steps, each of a stage. Every parameter belongs to exactly one step; strategies
freeze by stage, phases may freeze up to any step, and the loop may run the frozen steps apart from those that train.

The stages follow the resolution as ResNet's do: all down to a quarter of the input's side is `stem`, and the last
feature map is at the end of `block4`. VGG-16's five groups of convolutions are the stem and the four blocks.
GoogLeNet's blocks are its inception groups 3, 4a-4c, 4d-4e and 5, and its stem all before them. ViT-B/16, which keeps
one resolution, has three encoder layers a block.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.core.vision import models

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """The least that is frozen, run or kept apart.

    Attributes:
        name: the module's name in the model, or what it is called where it is more than one module.
        stage: `stem`, `block1` ... `block4`, `pool`, `attention` or `head`.
        owns: the modules and parameters whose values are this step's; by default the module of its name.
        apply: runs the step on what the one before it gave; by default the module of its name.
    """

    name: str
    stage: str
    owns: tuple[str, ...] = ()
    apply: Callable[[nn.Module, Tensor], Tensor] | None = None

    def run(self, model: nn.Module, x: Tensor) -> Tensor:
        """Run this step alone."""
        return self.apply(model, x) if self.apply else model.get_submodule(self.name)(x)

    def holds(self, name: str) -> bool:
        """Whether the parameter or module of this name is this step's."""
        return any(name == own or name.startswith(f"{own}.") for own in self.owns or (self.name,))


def _keep(values: Values, _image_size: int) -> Values:
    return values


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        build: makes the network with random values for images of a given side.
        imagenet: torchvision's ImageNet weights for it: URL, file name with hash.
        steps: in the order in which they run; the last is the classifier's.
        classifier: the name of the classifier, which every pre-trained file may carry and we replace.
        taps: at four depths, a convolution whose output is taken before its batch norm (SPA-GCA Table 3; GoogLeNet's
            and ViT's: a whole block's output), for regularizers and pictures.
        places365: the address of its Places365 weights, where its authors give some.
        only_stock: modules that run in front of the stock classifier alone.
        hidden: beginnings of the names of the classifier's layers in front of its last.
        unused: beginnings of names in pre-trained files that this network has no part for.
        fit: changes pre-trained values to suit images of a given side.
        multiple_of: the image's side has to be a multiple of this.
    """

    build: Callable[[int], nn.Module]
    imagenet: models.WeightsEnum
    steps: tuple[Step, ...]
    classifier: str
    taps: tuple[str, ...]
    places365: str = ""
    only_stock: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    fit: Callable[[Values, int], Values] = field(default=_keep)
    multiple_of: int = 1


def _pool(model: nn.Module, x: Tensor) -> Tensor:
    return torch.flatten(model.get_submodule("avgpool")(x), 1)


def _global_average(_model: nn.Module, x: Tensor) -> Tensor:
    return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)


def _steps(**stages: Sequence[str]) -> tuple[Step, ...]:
    return tuple(Step(name, stage) for stage, names in stages.items() for name in names)


def _any_size(build: Callable[..., nn.Module], **options: object) -> Callable[[int], nn.Module]:
    """A builder for a network that takes images of any size."""
    return lambda _image_size: build(weights=None, **options)


def _resnet(
    build: Callable[..., nn.Module],
    imagenet: models.WeightsEnum,
    *,
    blocks: Sequence[int],
    last_convolution: str,
    places365: str = "",
) -> Backbone:
    layers = {
        f"block{number}": [f"layer{number}.{block}" for block in range(count)]
        for number, count in enumerate(blocks, start=1)
    }
    return Backbone(
        build=_any_size(build),
        imagenet=imagenet,
        steps=(
            *_steps(stem=["conv1", "bn1", "relu", "maxpool"], **layers),
            Step("avgpool", "pool", apply=_pool),
            Step("fc", "head"),
        ),
        classifier="fc",
        taps=tuple(f"{names[-1]}.{last_convolution}" for names in layers.values()),
        places365=places365,
    )


def _features(**numbers: Sequence[int]) -> tuple[Step, ...]:
    return _steps(**{stage: [f"features.{number}" for number in span] for stage, span in numbers.items()})


def _googlenet_input(model: nn.Module, x: Tensor) -> Tensor:
    """From ImageNet's normalisation to the one that its published weights were trained with."""
    transformed: Tensor = cast(models.GoogLeNet, model)._transform_input(x)
    return transformed


def _vit_tokens(model: nn.Module, x: Tensor) -> Tensor:
    """Patches as tokens behind the class token, with their places: (N, 3, S, S) -> (N, 1 + S²/256, 768)."""
    vit = cast(models.VisionTransformer, model)
    tokens = torch.cat([vit.class_token.expand(len(x), -1, -1), vit._process_input(x)], dim=1)
    embedded: Tensor = vit.encoder.dropout(tokens + vit.encoder.pos_embedding)
    return embedded


def _first_token(_model: nn.Module, x: Tensor) -> Tensor:
    return x[:, 0]


def _vit_steps() -> tuple[Step, ...]:
    layers = [Step(f"encoder.layers.encoder_layer_{number}", f"block{1 + number // 3}") for number in range(12)]
    tokens = ("conv_proj", "class_token", "encoder.pos_embedding", "encoder.dropout")
    return (
        Step("conv_proj", "stem", owns=tokens, apply=_vit_tokens),
        *layers,
        Step("encoder.ln", "block4"),
        Step("first_token", "pool", apply=_first_token),
        Step("heads", "head"),
    )


def _vit_fit(values: Values, image_size: int) -> Values:
    """Place embeddings of another image size are interpolated, bicubically, by torchvision; other shapes stay."""
    places = values.get("encoder.pos_embedding", torch.empty(0)).shape
    if len(places) != 3 or places[0] != 1 or math.isqrt(places[1] - 1) ** 2 != places[1] - 1:
        return values
    return dict(models.vision_transformer.interpolate_embeddings(image_size, 16, {**values}))


# IMAGENET1K_V1 are the classic recipe's weights, those that the papers' authors could have had.
BACKBONES = {
    "resnet18": _resnet(
        models.resnet18,
        models.ResNet18_Weights.IMAGENET1K_V1,
        blocks=(2, 2, 2, 2),
        last_convolution="conv2",
        places365="http://places2.csail.mit.edu/models_places365/resnet18_places365.pth.tar",
    ),
    "resnet34": _resnet(
        models.resnet34, models.ResNet34_Weights.IMAGENET1K_V1, blocks=(3, 4, 6, 3), last_convolution="conv2"
    ),
    "resnet50": _resnet(
        models.resnet50,
        models.ResNet50_Weights.IMAGENET1K_V1,
        blocks=(3, 4, 6, 3),
        last_convolution="conv3",
        places365="http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar",
    ),
    "resnet101": _resnet(
        models.resnet101, models.ResNet101_Weights.IMAGENET1K_V1, blocks=(3, 4, 23, 3), last_convolution="conv3"
    ),
    "vgg16": Backbone(
        build=_any_size(models.vgg16),
        imagenet=models.VGG16_Weights.IMAGENET1K_V1,
        steps=(
            *_features(
                stem=range(5), block1=range(5, 10), block2=range(10, 17), block3=range(17, 24), block4=range(24, 31)
            ),
            Step("avgpool", "pool", apply=_pool),
            Step("classifier", "head"),
        ),
        classifier="classifier",
        hidden=("classifier.0.", "classifier.3."),
        taps=("features.7", "features.14", "features.21", "features.28"),
    ),
    "googlenet": Backbone(
        build=_any_size(models.googlenet, aux_logits=False, transform_input=True, init_weights=True),
        imagenet=models.GoogLeNet_Weights.IMAGENET1K_V1,
        steps=(
            Step("transform_input", "stem", apply=_googlenet_input),
            *_steps(
                stem=["conv1", "maxpool1", "conv2", "conv3", "maxpool2"],
                block1=["inception3a", "inception3b", "maxpool3"],
                block2=["inception4a", "inception4b", "inception4c"],
                block3=["inception4d", "inception4e", "maxpool4"],
                block4=["inception5a", "inception5b"],
            ),
            Step("avgpool", "pool", apply=_pool),
            *_steps(head=["dropout", "fc"]),
        ),
        classifier="fc",
        taps=("inception3b", "inception4c", "inception4e", "inception5b"),
        only_stock=("dropout",),
        unused=("aux1.", "aux2."),
    ),
    "efficientnet_b0": Backbone(
        build=_any_size(models.efficientnet_b0),
        imagenet=models.EfficientNet_B0_Weights.IMAGENET1K_V1,
        steps=(
            *_features(stem=(0, 1), block1=(2,), block2=(3,), block3=(4, 5), block4=(6, 7, 8)),
            Step("avgpool", "pool", apply=_pool),
            Step("classifier", "head"),
        ),
        classifier="classifier",
        taps=(
            "features.2.1.block.3.0",
            "features.3.1.block.3.0",
            "features.5.2.block.3.0",
            "features.7.0.block.3.0",
        ),
    ),
    "vit_b_16": Backbone(
        build=lambda image_size: models.vit_b_16(weights=None, image_size=image_size),
        imagenet=models.ViT_B_16_Weights.IMAGENET1K_V1,
        steps=_vit_steps(),
        classifier="heads",
        taps=tuple(f"encoder.layers.encoder_layer_{number}" for number in (2, 5, 8, 11)),
        fit=_vit_fit,
        multiple_of=16,
    ),
    "mobilenet_v2": Backbone(
        build=_any_size(models.mobilenet_v2),
        imagenet=models.MobileNet_V2_Weights.IMAGENET1K_V1,
        steps=(
            *_features(stem=(0, 1), block1=(2, 3), block2=(4, 5, 6), block3=range(7, 14), block4=range(14, 19)),
            Step("average", "pool", apply=_global_average),
            Step("classifier", "head"),
        ),
        classifier="classifier",
        taps=("features.5.conv.2", "features.9.conv.2", "features.13.conv.2", "features.17.conv.2"),
    ),
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


def places365(name: str) -> str:
    """The address of this backbone's Places365 weights.

    Raises:
        InputError: where there are none, listing the backbones that have some.
    """
    if not backbone(name).places365:
        having = ", ".join(known for known, row in BACKBONES.items() if row.places365)
        raise InputError(f"weights: there are no 'places365' weights for {name}; they exist for {having}")
    return backbone(name).places365


def make(
    name: str, image_size: int, *, key: str = "data.input_size (or what it follows, where it is auto)"
) -> nn.Module:
    """Build this backbone for images of this side, with random values; `key` is what errors call the side.

    Raises:
        InputError: for an unknown name, and for a side that it cannot take.
    """
    row = backbone(name)
    if image_size % row.multiple_of:
        nearest = row.multiple_of * max(1, round(image_size / row.multiple_of))
        raise InputError(f"{key}: {image_size} is not a multiple of {row.multiple_of}, as {name} needs; {nearest} is")
    return row.build(image_size)
