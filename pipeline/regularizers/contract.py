"""What every method of keeping the target network near the source keeps to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

# By the module's name, what it gave in one forward pass: (N, C, H, W).
FeatureMaps = Mapping[str, Tensor]
# By the module's name, the size of that for one image: (C, H, W).
Shapes = Mapping[str, tuple[int, ...]]


class Regularizer(nn.Module, ABC):
    """Named scalars to add to the cross entropy, each the mean over the batch, its weight (alpha, beta) included.

    What a method learns itself are its parameters, trained together with the network. What has to survive is a
    buffer. Nothing here changes the source's or the target's values.

    Attributes:
        name: the method's row in the table, which its scalar and its errors carry.
    """

    name: ClassVar[str]

    @abstractmethod
    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:
        """The scalars.

        Args:
            target: taps of the network that trains.
            reference: those of the frozen one for the same images; no gradient goes into them.
            network: the one that trains, for what is said of its parameters.
        """

    def weights(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:  # noqa: ARG002
        """What each tap's differences are multiplied with, for logs; none here.

        Returns:
            By tap, (N, C) over channels or (N, H, W) over positions, the scale of `normalize` included, still in the
            graph; nothing where a method weighs nothing.
        """
        return {}
