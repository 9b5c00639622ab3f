"""L2: weight decay alone."""

from typing import ClassVar

from torch import Tensor, nn

from pipeline.regularizers.contract import FeatureMaps, Regularizer


class L2(Regularizer):
    """Nothing of its own: weight decay is the optimizer's.

    Source:
        SPA-GCA Table 4, L2. Departure: none.
    """

    name: ClassVar[str] = "l2"

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """No scalar."""
        return {}
