"""GCA: feature maps stay near the source's, the channels of all taps weighed against each other."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.regularizers.alignment import ChannelAlignment
from pipeline.regularizers.contract import FeatureMaps, Shapes
from pipeline.regularizers.options import reduced
from pipeline.regularizers.precision import upcast_float32


class GCA(ChannelAlignment):
    """alpha/2 sum_i sum_c a^i_c ||d^i_c||^2, the mean over the batch; and the head's penalty.

    a = softmax(W_2 relu(W_1 g + b_1) + b_2) over the channels of all taps together, g their means over positions in
    the source; a^i is tap i's part of it. The term is linear in a and least where all of it lies on the channel that
    differs least: `diagnostics.spread` shows whether that happens.

    Args:
        shapes: (C, H, W) by tap.
        head: the name of the classifier.
        alpha: the strength of the differences.
        beta: that of the head's penalty.
        reduction: r; the hidden units are the channels of all taps by r, rounded down.
        normalize: `mean_one` (a times the channels of all taps) or `raw` (a).

    Raises:
        InputError: see `Alignment`; and for a reduction that leaves nothing.

    Source:
        SPA-GCA Eq. 9-10, Table 2. Departures: the scale and the mean over the batch, see `Alignment`. alpha is the
        upper end of the paper's 0.005 to 0.1; that both layers have biases is ours.
    """

    name: ClassVar[str] = "gca"

    def __init__(
        self,
        shapes: Shapes,
        *,
        head: str,
        alpha: float = 0.1,
        beta: float = 0.01,
        reduction: int = 4,
        normalize: str = "mean_one",
    ) -> None:
        super().__init__(shapes, head=head, alpha=alpha, beta=beta, normalize=normalize)
        self.sizes = [channels for channels, _, _ in self.shapes.values()]
        hidden = reduced(self.name, sum(self.sizes), reduction)
        self.squeeze = nn.Linear(sum(self.sizes), hidden)
        self.excite = nn.Linear(hidden, sum(self.sizes))

    def spread_over(self, layer: str) -> int:  # noqa: ARG002
        """The channels of all taps."""
        return sum(self.sizes)

    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:  # noqa: ARG002
        """By tap, (N, C); an image's sum over all taps is one."""
        pooled = torch.cat([upcast_float32(reference[layer].detach()).mean(dim=(2, 3)) for layer in self.shapes], dim=1)
        logits = self.excite(torch.relu(self.squeeze(pooled)))
        shares = torch.softmax(upcast_float32(logits), dim=1)
        return dict(zip(self.shapes, shares.split(self.sizes, dim=1), strict=True))
