"""The modules of the heads."""

from copy import deepcopy

from torch import Tensor, nn

from pipeline.networks.resizing import average_by_products


class ClassMaps(nn.Module):
    """A 1 x 1 convolution to one map per class, whose average is the class's score.

    s_k = mean over positions of (W x + b)_k, equal to global average pooling and a linear layer with the same weights.
    The maps are class activation maps.

    Shape:
        Input (N, C, H, W), output (N, K).

    Source:
        CSCA section 2.2, FCN-ResNet50. Departure: section 2.1 embeds FCN and CAM in the residual unit without saying
        how; this is one convolution at the end of the network.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, classes, kernel_size=1)

    def maps(self, x: Tensor) -> Tensor:
        """Return the class activation maps (N, K, H, W)."""
        maps: Tensor = self.convolution(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores (N, K)."""
        return self.maps(x).mean(dim=(2, 3))


class AverageTo(nn.Module):
    """nn.AdaptiveAvgPool2d(side) as two matrix products, which are deterministic on GPUs, gradients included.

    Shape:
        Input (N, C, H, W), output (N, C, side, side).
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Average over `side` x `side` regions that cover the map."""
        return average_by_products(x, self.side)


def mlp1024(features: int, *, classes: int, dropout: float) -> nn.Module:
    """Build the head whose parameters ECSM Table 5 counts: dropout, 1,024 hidden units, ReLU, dropout, linear layer.

    Source:
        ECSM sections 3.3.2 and 4.1, Tables 3 and 5. Departure: Table 3 prints 1,049,600 and 5,125 parameters, as of a
        layer that takes 1,024 features and of five classes; ResNet-50 has 2,048 features, and Table 5's numbers are of
        these.
    """
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(features, 1024),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(1024, classes),
    )


def linear(features: int, *, classes: int, dropout: float) -> nn.Module:
    """Build one linear layer, after dropout where the rate is not 0."""
    # Without dropout its parameters have the names of torchvision's own classifier.
    layer = nn.Linear(features, classes)
    return nn.Sequential(nn.Dropout(dropout), layer) if dropout else layer


def with_new_last_layer(classifier: nn.Module, *, classes: int) -> nn.Module:
    """Copy torchvision's classifier with a new last layer; pre-trained weights of the other layers are loaded later.

    Args:
        classifier: torchvision's; not changed.
        classes: K, the number of classes.
    """
    name, last = [(n, m) for n, m in classifier.named_modules() if isinstance(m, nn.Linear)][-1]
    new = nn.Linear(last.in_features, classes)
    # The classifier itself may be the only layer (ResNet); a module cannot replace itself.
    if not name:
        return new
    head = deepcopy(classifier)
    head.set_submodule(name, new)
    return head
