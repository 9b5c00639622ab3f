"""ACT: feature maps stay near the source's, channels weighed by what the source shows in them."""

from typing import ClassVar, cast

from torch import Tensor, nn

from pipeline.regularizers.alignment import ChannelAlignment
from pipeline.regularizers.buffers import key
from pipeline.regularizers.contract import FeatureMaps, Shapes
from pipeline.regularizers.heads import ChannelHead
from pipeline.regularizers.precision import upcast_float32


class ACT(ChannelAlignment):
    """alpha/2 sum_i sum_c a^i_c ||d^i_c||^2, the mean over the batch; and the head's penalty.

    a^i = `ChannelHead` of S_i, learnt with the network. The term is linear in a and least where all of it lies on the
    channel that differs least: `diagnostics.spread` shows whether that happens.

    Args:
        shapes: (C, H, W) by tap.
        head: the name of the classifier.
        alpha: the strength of the differences.
        beta: that of the head's penalty.
        normalize: `mean_one` (C a), `raw` (a) or `delta` (C a / (HW)).

    Raises:
        InputError: see `Alignment`.

    Source:
        SPA-GCA Eq. 4-5; AFA. Departures: the scale and the mean over the batch, as AFA's code has both.
    """

    name: ClassVar[str] = "act"
    scales: ClassVar[tuple[str, ...]] = ("mean_one", "raw", "delta")

    def __init__(
        self, shapes: Shapes, *, head: str, alpha: float = 0.15, beta: float = 0.01, normalize: str = "mean_one"
    ) -> None:
        super().__init__(shapes, head=head, alpha=alpha, beta=beta, normalize=normalize)
        self.heads = nn.ModuleDict({key(layer): ChannelHead(*size) for layer, size in self.shapes.items()})

    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:  # noqa: ARG002
        """By tap, (N, C)."""
        return {
            layer: cast(Tensor, self.heads[key(layer)](upcast_float32(reference[layer].detach())))
            for layer in self.shapes
        }
