"""The heads, which map a backbone's features to class scores, one row each; imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.choices import Choice, load

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Head(Choice):
    """One head.

    Attributes:
        module: "module:name" of its builder, called with the number of input features and, by keyword, `classes` and
            the head's options; a head that keeps the classifier is built from that instead of a number.
        takes_maps: whether its input is feature maps (N, C, H, W) instead of their averages (N, C).
        keeps_classifier: whether it consists of the backbone's own pooling and classifier.
        new_layers: number of layers that start at random values.
    """

    module: str
    takes_maps: bool = False
    keeps_classifier: bool = False
    new_layers: int = 1

    @property
    def make(self) -> "Callable[..., nn.Module]":
        """The builder; reading this imports torch."""
        builder: Callable[..., nn.Module] = load(self.module)
        return builder


HEADS: dict[str, Head] = {
    "mlp1024": Head(
        title="MLP of 1,024 units",
        description="average pooling, dropout, 1,024 hidden units, dropout, one linear layer",
        options="pipeline.networks.heads.options:Dropout",
        module="pipeline.networks.heads.modules:mlp1024",
        new_layers=2,
    ),
    "linear": Head(
        title="linear layer",
        description="average pooling, dropout if its rate is above 0, one linear layer",
        options="pipeline.networks.heads.options:Dropout",
        module="pipeline.networks.heads.modules:linear",
    ),
    "conv1x1": Head(
        title="1 x 1 convolution",
        description="one feature map per class, then average pooling",
        module="pipeline.networks.heads.modules:ClassMaps",
        takes_maps=True,
    ),
    "torchvision": Head(
        title="torchvision's own",
        description="the backbone's own classifier with a new last layer",
        module="pipeline.networks.heads.modules:with_new_last_layer",
        keeps_classifier=True,
    ),
}
