"""What takes a backbone's features to class scores: one row each."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import InputError


class ClassMaps(nn.Module):
    """A 1 x 1 convolution to one map a class, then each map's average as the class's score.

    s_k = mean over positions of (W x + b)_k, which is what global average pooling and a linear layer with the same
    weights give. The maps are class activation maps.

    Shape:
        Input (N, C, H, W), output (N, K).

    Source:
        CSCA, FCN-ResNet50. Departure: none.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, classes, kernel_size=1)

    def maps(self, x: Tensor) -> Tensor:
        """Class activation maps (N, K, H, W)."""
        maps: Tensor = self.convolution(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (N, K)."""
        return self.maps(x).mean(dim=(2, 3))


class AverageTo(nn.Module):
    """What nn.AdaptiveAvgPool2d(side) gives, as two matrix products, which a GPU adds up the same way each time.

    Shape:
        Input (N, C, H, W), output (N, C, side, side).
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Average over `side` x `side` regions that cover the map."""
        height, width = (self._regions(length, x) for length in x.shape[2:])
        return height @ x @ width.mT

    def _regions(self, length: int, x: Tensor) -> Tensor:
        """Which part each of `length` rows has in each region (side, length)."""
        return F.adaptive_avg_pool1d(torch.eye(length, device=x.device, dtype=x.dtype), self.side).mT


def _mlp1024(features: int, *, classes: int, dropout: float) -> nn.Module:
    """Dropout, 1,024 hidden units, ReLU, dropout, class scores: the head that gives ECSM Table 5's counts."""
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(features, 1024),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(1024, classes),
    )


def _linear(features: int, *, classes: int, dropout: float) -> nn.Module:
    """One linear layer; behind dropout only where a rate is given, so that its keys stay torchvision's."""
    linear = nn.Linear(features, classes)
    return nn.Sequential(nn.Dropout(dropout), linear) if dropout else linear


def _fcn(channels: int, *, classes: int) -> nn.Module:
    return ClassMaps(channels, classes)


@dataclass(frozen=True)
class Head:
    """One row of the table.

    Attributes:
        make: from the number of features (after pooling) or channels (before it) and `classes` to the module.
        takes_maps: whether it is given the feature maps (N, C, H, W) in place of their averages (N, C).
    """

    make: Callable[..., nn.Module]
    takes_maps: bool = False


HEADS = {"mlp1024": Head(_mlp1024), "linear": Head(_linear), "fcn": Head(_fcn, takes_maps=True)}
STOCK = "stock"


def head(name: str) -> Head:
    """The row of this name; `stock` is none, since it is the backbone's own (see `stock`).

    Raises:
        InputError: for an unknown name.
    """
    if name not in HEADS:
        raise InputError(f"head: {name!r} is not known; known: {', '.join([*HEADS, STOCK])}")
    return HEADS[name]


def stock(classifier: nn.Module, *, classes: int) -> nn.Module:
    """Torchvision's own classifier with its last layer made anew; pre-trained layers before it are loaded later.

    Args:
        classifier: what torchvision built; read, not changed.
        classes: K, how many scores to give.
    """
    name, last = [(n, m) for n, m in classifier.named_modules() if isinstance(m, nn.Linear)][-1]
    fresh = nn.Linear(last.in_features, classes)
    if not name:
        return fresh
    head = deepcopy(classifier)
    head.set_submodule(name, fresh)
    return head
