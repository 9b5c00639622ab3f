"""The head's penalty alone, for a part of a training in which no map can differ from the source's."""

from typing import ClassVar

from torch import Tensor, nn

from pipeline.regularizers.contract import FeatureMaps, Regularizer
from pipeline.regularizers.options import strength
from pipeline.regularizers.penalties import head_penalty


class HeadDecay(Regularizer):
    """beta/2 ||w||^2 over the head's values: what is left of a method where every tap is frozen.

    Args:
        head: the name of the classifier.
        beta: the strength.

    Source:
        SPA-GCA Eq. 6, 11, 12 with differences of zero. Departure: none.
    """

    name: ClassVar[str] = "head_decay"

    def __init__(self, *, head: str, beta: float = 0.01) -> None:
        super().__init__()
        self.head = head
        self.beta = strength(self.name, "beta", beta)

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """`head_penalty` alone."""
        return head_penalty(network, self.head, self.beta)
