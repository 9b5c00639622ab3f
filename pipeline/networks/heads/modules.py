"""The modules of the heads."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
    """nn.AdaptiveAvgPool2d(side) as two matrix products, which a GPU adds up the same way each time.

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
        """Weights of `length` rows in each region (side, length)."""
        return F.adaptive_avg_pool1d(torch.eye(length, device=x.device, dtype=x.dtype), self.side).mT


def mlp1024(features: int, *, classes: int, dropout: float) -> nn.Module:
    """Build the head with ECSM Table 5's counts: dropout, 1,024 hidden units, ReLU, dropout, class scores."""
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(features, 1024),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(1024, classes),
    )


def linear(features: int, *, classes: int, dropout: float) -> nn.Module:
    """Build one linear layer; without a dropout rate its keys stay torchvision's."""
    layer = nn.Linear(features, classes)
    return nn.Sequential(nn.Dropout(dropout), layer) if dropout else layer


def with_new_last_layer(classifier: nn.Module, *, classes: int) -> nn.Module:
    """Copy torchvision's own classifier with its last layer made anew; the layers before it are loaded later.

    Args:
        classifier: as torchvision built it; stays as it is.
        classes: K, the number of scores.
    """
    name, last = [(n, m) for n, m in classifier.named_modules() if isinstance(m, nn.Linear)][-1]
    fresh = nn.Linear(last.in_features, classes)
    if not name:
        return fresh
    head = deepcopy(classifier)
    head.set_submodule(name, fresh)
    return head
