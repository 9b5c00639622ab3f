"""AST: feature maps stay near the source's, positions weighed by what the source shows there."""

from typing import ClassVar, cast

from torch import Tensor, nn

from pipeline.regularizers.alignment import PositionAlignment
from pipeline.regularizers.contract import Shapes, Taps
from pipeline.regularizers.heads import PositionHead
from pipeline.regularizers.kept import key
from pipeline.regularizers.precision import wide


class AST(PositionAlignment):
    """alpha/2 sum_i ||a^i . d^i||^2, the mean over the batch; and the head's penalty.

    a^i = `PositionHead` of the mean over the channels of S_i, learnt with the network.

    Args:
        shapes: (C, H, W) by tap.
        head: the name of the classifier.
        alpha: the strength of the differences.
        beta: that of the head's penalty.
        normalize: `mean_one` (HW a) or `raw` (a).

    Raises:
        InputError: see `Alignment`.

    Source:
        SPA-GCA Eq. 2-3; AFA. Departures: the scale and the mean over the batch, as AFA's code has both.
    """

    name: ClassVar[str] = "ast"

    def __init__(
        self, shapes: Shapes, *, head: str, alpha: float = 0.1, beta: float = 0.01, normalize: str = "mean_one"
    ) -> None:
        super().__init__(shapes, head=head, alpha=alpha, beta=beta, normalize=normalize)
        heads = {key(tap): PositionHead(height, width) for tap, (_, height, width) in self.shapes.items()}
        self.heads = nn.ModuleDict(heads)

    def seen(self, target: Tensor, source: Tensor) -> Tensor:  # noqa: ARG002
        """What the head of a tap is given, (N, H, W), of its maps (N, C, H, W)."""
        return wide(source.detach()).mean(dim=1)

    def shares(self, target: Taps, source: Taps) -> dict[str, Tensor]:
        """By tap, (N, H, W)."""
        return {tap: cast(Tensor, self.heads[key(tap)](self.seen(target[tap], source[tap]))) for tap in self.shapes}
