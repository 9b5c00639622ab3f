"""The pre-trained networks, one row each; imports no torch.

Their ImageNet weights are torchvision's IMAGENET1K_V1, of the classic training: the papers' authors could
have used these.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.choices import Choice, load, row
from pipeline.core.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from pipeline.networks.backbones.structure import Backbone

# Name, in messages, of the setting that determines a network's image size.
SIDE = "data.input_size (or what it follows, where it is auto)"


@dataclass(frozen=True, kw_only=True)
class BackboneRow(Choice):
    """One backbone.

    Attributes:
        definition: "module:NAME" of its `Backbone`.
        places365: URL of its Places365 weights; empty where their authors publish none.
        multiple_of: number of which the side of images must be a multiple.
    """

    definition: str
    places365: str = ""
    multiple_of: int = 1


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
        description="50 layers in residual blocks of three convolutions, a bottleneck each",
        definition="pipeline.networks.backbones.resnet:RESNET50",
        places365="http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar",
    ),
    "resnet101": BackboneRow(
        title="ResNet-101",
        description="101 layers in residual blocks of three convolutions, a bottleneck each",
        definition="pipeline.networks.backbones.resnet:RESNET101",
    ),
    "vgg16": BackboneRow(
        title="VGG-16",
        description="16 layers without shortcuts, most weights in the classifier",
        definition="pipeline.networks.backbones.vgg:VGG16",
    ),
    "googlenet": BackboneRow(
        title="GoogLeNet",
        description="inception modules, which convolve at several sizes side by side; no auxiliary heads",
        definition="pipeline.networks.backbones.googlenet:GOOGLENET",
    ),
    "efficientnet_b0": BackboneRow(
        title="EfficientNet-B0",
        description="inverted residual blocks with squeeze and excitation of their own",
        definition="pipeline.networks.backbones.efficientnet:EFFICIENTNET_B0",
    ),
    "vit_b_16": BackboneRow(
        title="ViT-B/16",
        description="a transformer over patches of 16 x 16; no feature maps, so no attention and no head conv1x1",
        definition="pipeline.networks.backbones.vit:VIT_B_16",
        multiple_of=16,
    ),
    "mobilenet_v2": BackboneRow(
        title="MobileNetV2",
        description="inverted residual blocks of depthwise convolutions, for small devices",
        definition="pipeline.networks.backbones.mobilenet:MOBILENET_V2",
    ),
}


def backbone(name: str) -> "Backbone":
    """Return the definition of this name; imports torch.

    Raises:
        InputError: listing the known names.
    """
    definition: Backbone = load(row(BACKBONES, name, key="backbone").definition)
    return definition


def places365(name: str) -> str:
    """Return the URL of this backbone's Places365 weights.

    Raises:
        InputError: for a backbone without such weights, listing those with some.
    """
    url = row(BACKBONES, name, key="backbone").places365
    if not url:
        available = ", ".join(known for known, other in BACKBONES.items() if other.places365)
        raise InputError(f"weights: there are no 'places365' weights for {name}; they exist for {available}")
    return url


def check_size(name: str, image_size: int, *, key: str = SIDE) -> None:
    """Raise for an image size that this backbone does not take; `key` names the setting in the message.

    Raises:
        InputError: for an unknown backbone, and for a size it does not take, with the nearest one that it does.
    """
    step = row(BACKBONES, name, key="backbone").multiple_of
    if image_size % step:
        nearest = step * max(1, round(image_size / step))
        raise InputError(f"{key}: {image_size} is not a multiple of {step}, as {name} needs; {nearest} is")


def make(name: str, image_size: int, *, key: str = SIDE) -> "nn.Module":
    """Build this backbone for an image size, with random values; `key` names the setting in messages.

    Raises:
        InputError: see `check_size`.
    """
    check_size(name, image_size, key=key)
    return backbone(name).build(image_size)
