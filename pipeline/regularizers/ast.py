"""AST: keep feature maps near the reference network's, positions weighted by attention to the reference maps."""

from typing import ClassVar, cast

from torch import Tensor, nn

from pipeline.regularizers.alignment import PositionAlignment
from pipeline.regularizers.buffers import key
from pipeline.regularizers.contract import FeatureMaps, Shapes
from pipeline.regularizers.heads import PositionHead
from pipeline.regularizers.precision import upcast_float32


class AST(PositionAlignment):
    """Loss term alpha/2 sum_i ||a^i . d^i||^2, batch mean, plus the head penalty.

    a^i = `PositionHead` of the channel mean of S_i, trained with the network.

    Args:
        shapes: (C, H, W) by layer.
        head: name of the classifier.
        alpha: weight of the feature term.
        beta: weight of the head penalty.
        normalize: scale of a: `mean_one` (HW a) or `raw` (a).

    Raises:
        InputError: see `Alignment`.

    Source:
        SPA-GCA Eq. 2-3; AFA. Departures: the scale and the batch mean, both as in AFA's code.
    """

    name: ClassVar[str] = "ast"

    def __init__(
        self, shapes: Shapes, *, head: str, alpha: float = 0.1, beta: float = 0.01, normalize: str = "mean_one"
    ) -> None:
        super().__init__(shapes, head=head, alpha=alpha, beta=beta, normalize=normalize)
        # One head per layer, since its number of weights depends on the layer's H and W.
        heads = {key(layer): PositionHead(height, width) for layer, (_, height, width) in self.shapes.items()}
        self.heads = nn.ModuleDict(heads)

    def head_input(self, target: Tensor, reference: Tensor) -> Tensor:  # noqa: ARG002
        """Return the input (N, H, W) of a layer's head from the maps (N, C, H, W) of both networks."""
        return upcast_float32(reference.detach()).mean(dim=1)

    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:
        """Return, by layer, (N, H, W)."""
        return {
            layer: cast(Tensor, self.heads[key(layer)](self.head_input(target[layer], reference[layer])))
            for layer in self.shapes
        }
