"""ACT: keep feature maps near the reference network's, channels weighted by attention to the reference maps."""

from typing import ClassVar, cast

from torch import Tensor, nn

from pipeline.regularizers.alignment import ChannelAlignment
from pipeline.regularizers.buffers import key
from pipeline.regularizers.contract import FeatureMaps, Shapes
from pipeline.regularizers.heads import ChannelHead
from pipeline.regularizers.precision import upcast_float32


class ACT(ChannelAlignment):
    """Loss term alpha/2 sum_i sum_c a^i_c ||d^i_c||^2, batch mean, plus the head penalty.

    a^i = `ChannelHead` of S_i, trained with the network. The term is linear in a, so that its minimum over a has all
    weight on the channel that differs least: `diagnostics.spread` measures how far the weights have collapsed.

    Args:
        shapes: (C, H, W) by layer.
        head: name of the classifier.
        alpha: weight of the feature term.
        beta: weight of the head penalty.
        normalize: scale of a: `mean_one` (C a), `raw` (a) or `delta` (C a / (HW)).

    Raises:
        InputError: see `Alignment`.

    Source:
        SPA-GCA Eq. 4-5; AFA. Departures: the scale and the batch mean, both as in AFA's code.
    """

    name: ClassVar[str] = "act"
    scales: ClassVar[tuple[str, ...]] = ("mean_one", "raw", "delta")

    def __init__(
        self, shapes: Shapes, *, head: str, alpha: float = 0.15, beta: float = 0.01, normalize: str = "mean_one"
    ) -> None:
        super().__init__(shapes, head=head, alpha=alpha, beta=beta, normalize=normalize)
        self.heads = nn.ModuleDict({key(layer): ChannelHead(*size) for layer, size in self.shapes.items()})

    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:  # noqa: ARG002
        """Return, by layer, (N, C)."""
        return {
            layer: cast(Tensor, self.heads[key(layer)](upcast_float32(reference[layer].detach())))
            for layer in self.shapes
        }
