"""SPA: keep feature maps near the reference network's, positions weighted by attention to both networks' maps."""

from typing import ClassVar

from torch import Tensor

from pipeline.regularizers.ast import AST
from pipeline.regularizers.contract import Shapes
from pipeline.regularizers.precision import upcast_float32


class SPA(AST):
    """Loss term alpha/2 sum_i ||a^i . d^i||^2, batch mean, plus the head penalty.

    a^i = `PositionHead` of the channel mean of concat(S_i, T_i), trained with the network.

    Args:
        shapes: (C, H, W) by layer.
        head: name of the classifier.
        alpha: weight of the feature term.
        beta: weight of the head penalty.
        normalize: scale of a: `mean_one` (HW a) or `raw` (a).
        detach_attention_input: whether a^i takes T_i without gradient. By default it does not: as in the equations, the
            target network may lower the term by changing the weights too.

    Raises:
        InputError: see `Alignment`.

    Source:
        SPA-GCA Eq. 7-8. Departures: the scale and the batch mean, see `Alignment`. Alpha's default here is the upper
        end of the paper's 0.005 to 0.1; params.yaml has its own.
    """

    name: ClassVar[str] = "spa"

    def __init__(
        self,
        shapes: Shapes,
        *,
        head: str,
        alpha: float = 0.1,
        beta: float = 0.01,
        normalize: str = "mean_one",
        detach_attention_input: bool = False,
    ) -> None:
        super().__init__(shapes, head=head, alpha=alpha, beta=beta, normalize=normalize)
        self.detach_attention_input = detach_attention_input

    def head_input(self, target: Tensor, reference: Tensor) -> Tensor:
        """Return the channel mean of both networks' maps concatenated, (N, H, W)."""
        target = target.detach() if self.detach_attention_input else target
        # Both maps have C channels, so that the mean over the 2 C is the mean of the two means.
        return (super().head_input(target, reference) + upcast_float32(target).mean(dim=1)) / 2
