"""L2: weight decay only."""

from typing import ClassVar

from torch import Tensor, nn

from pipeline.regularizers.contract import FeatureMaps, Regularizer


class L2(Regularizer):
    """No loss term: the optimizer applies the weight decay.

    Source:
        SPA-GCA Table 4, L2. Departure: none.
    """

    name: ClassVar[str] = "l2"

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """Return no scalar."""
        return {}
