"""The interface of the methods that keep the target network near the pre-trained reference network."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

# Outputs of one forward pass by module name: (N, C, H, W).
FeatureMaps = Mapping[str, Tensor]
# Their sizes for one image by module name: (C, H, W).
Shapes = Mapping[str, tuple[int, ...]]


class Regularizer(nn.Module, ABC):
    """Named scalars to add to the cross entropy, each the mean over the batch, its weight (alpha, beta) included.

    Parameters of the method are trained together with the network. State that must survive is a buffer. A method
    changes no value of the target or the reference network.

    Attributes:
        name: the method's row in the table, also the name of its scalar and part of its error messages.
    """

    name: ClassVar[str]

    @abstractmethod
    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:
        """Return the scalars by name.

        Args:
            target: feature maps of the target network, the one that trains.
            reference: feature maps of the frozen reference network for the same images; they get no gradient.
            network: the target network, for terms on its parameters.
        """

    def weights(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the weights of each layer's differences, for logs; by default none.

        Returns:
            By layer, (N, C) over channels or (N, H, W) over positions, the scale of `normalize` included, part of the
            autograd graph; empty for a method without weights.
        """
        return {}
