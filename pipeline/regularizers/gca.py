"""GCA: keep feature maps near the reference network's, with one softmax over the channels of all layers."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.regularizers.alignment import ChannelAlignment
from pipeline.regularizers.checks import reduced
from pipeline.regularizers.contract import FeatureMaps, Shapes
from pipeline.regularizers.precision import upcast_float32


class GCA(ChannelAlignment):
    """Loss term alpha/2 sum_i sum_c a^i_c ||d^i_c||^2, batch mean, plus the head penalty.

    a = softmax(W_2 relu(W_1 g + b_1) + b_2) over the channels of all layers together, g the position means of the
    reference maps; a^i is layer i's part of a. The term is linear in a, so that its minimum over a has all weight on
    the channel that differs least: `diagnostics.spread` measures how far the weights have collapsed.

    Args:
        shapes: (C, H, W) by layer.
        head: name of the classifier.
        alpha: weight of the feature term.
        beta: weight of the head penalty.
        reduction: r; the number of hidden units is that of all layers' channels divided by r, rounded down.
        normalize: scale of a: `mean_one` (a times the number of all layers' channels) or `raw` (a).

    Raises:
        InputError: see `Alignment`; and for a reduction that leaves no hidden unit.

    Source:
        SPA-GCA Eq. 9-10, Table 2. Departures: the scale and the batch mean, see `Alignment`. Alpha's default
        here is the upper end of the paper's 0.005 to 0.1, params.yaml has its own; the biases of both linear layers
        are ours.
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

    def share_count(self, layer: str) -> int:  # noqa: ARG002
        """Return the number of channels of all layers together."""
        return sum(self.sizes)

    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:  # noqa: ARG002
        """Return, by layer, (N, C); the sum over all layers is 1 for each image."""
        # (N, C) of each layer -> (N, sum of all C)
        pooled = torch.cat([upcast_float32(reference[layer].detach()).mean(dim=(2, 3)) for layer in self.shapes], dim=1)
        logits = self.excite(torch.relu(self.squeeze(pooled)))
        shares = torch.softmax(upcast_float32(logits), dim=1)
        return dict(zip(self.shapes, shares.split(self.sizes, dim=1), strict=True))
