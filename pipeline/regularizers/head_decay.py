"""The head penalty alone, for a phase in which all hooked layers are frozen, so that no map can change."""

from typing import ClassVar

from torch import Tensor, nn

from pipeline.regularizers.checks import strength
from pipeline.regularizers.contract import FeatureMaps, Regularizer
from pipeline.regularizers.penalties import head_penalty


class HeadDecay(Regularizer):
    """Head penalty beta/2 ||w||^2, which remains of a method whose feature differences are all zero.

    Args:
        head: name of the classifier.
        beta: weight of the penalty.

    Source:
        SPA-GCA Eq. 6, 11, 12 with differences of zero. Departure: none.
    """

    name: ClassVar[str] = "head_decay"

    def __init__(self, *, head: str, beta: float = 0.01) -> None:
        super().__init__()
        self.head = head
        self.beta = strength(self.name, "beta", beta)

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """Return `head_penalty` alone."""
        return head_penalty(network, self.head, self.beta)
