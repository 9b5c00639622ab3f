"""AST: feature maps stay near the source's, positions weighed by what the source shows there."""

from typing import ClassVar, cast

from torch import Tensor, nn

from pipeline.regularizers.alignment import PositionAlignment
from pipeline.regularizers.buffers import key
from pipeline.regularizers.contract import FeatureMaps, Shapes
from pipeline.regularizers.heads import PositionHead
from pipeline.regularizers.precision import upcast_float32


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
        heads = {key(layer): PositionHead(height, width) for layer, (_, height, width) in self.shapes.items()}
        self.heads = nn.ModuleDict(heads)

    def seen(self, target: Tensor, reference: Tensor) -> Tensor:  # noqa: ARG002
        """What the head of a tap is given, (N, H, W), of its maps (N, C, H, W)."""
        return upcast_float32(reference.detach()).mean(dim=1)

    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:
        """By tap, (N, H, W)."""
        return {
            layer: cast(Tensor, self.heads[key(layer)](self.seen(target[layer], reference[layer])))
            for layer in self.shapes
        }
