"""SPA: feature maps stay near the source's, positions weighed by what both networks show there."""

from typing import ClassVar

from torch import Tensor

from pipeline.regularizers.ast import AST
from pipeline.regularizers.contract import Shapes
from pipeline.regularizers.precision import upcast_float32


class SPA(AST):
    """alpha/2 sum_i ||a^i . d^i||^2, the mean over the batch; and the head's penalty.

    a^i = `PositionHead` of the mean over the channels of concat(S_i, T_i), learnt with the network.

    Args:
        shapes: (C, H, W) by tap.
        head: the name of the classifier.
        alpha: the strength of the differences.
        beta: that of the head's penalty.
        normalize: `mean_one` (HW a) or `raw` (a).
        detach_attention_input: whether T_i is read without gradient. The equations let the network lower its loss by
            moving the weights too, and so does the default.

    Raises:
        InputError: see `Alignment`.

    Source:
        SPA-GCA Eq. 7-8. Departures: the scale and the mean over the batch, see `Alignment`. alpha is the upper end of
        the paper's 0.005 to 0.1.
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

    def seen(self, target: Tensor, reference: Tensor) -> Tensor:
        """Both maps have as many channels, so that the mean over all is that of both means."""
        target = target.detach() if self.detach_attention_input else target
        return (super().seen(target, reference) + upcast_float32(target).mean(dim=1)) / 2
