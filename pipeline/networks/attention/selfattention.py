"""Self-attention over positions."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.networks.attention.checks import reduced
from pipeline.networks.attention.contract import Attention


class SelfAttention(Attention):
    """Sum of the features and, at each position, a mean over all positions, weighted by similarity.

    b_ij = softmax_j(q_i . k_j),  y_i = x_i + g sum_j b_ij v_j  with q, k, v = 1x1 convolutions of x with biases,
    q and k to C/r channels, v to C; i and j run over the H W positions; the scalar g is trained and starts at 0

    While g is 0, the output equals the input, and only g itself has a nonzero gradient.

    Args:
        channels: C.
        reduction: r; C/r is rounded down.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1; memory grows with (H W)^2.

    Raises:
        InputError: for a reduction that leaves no channel.

    Source:
        ECSM section 3.2.4 in the form of Zhang et al. 2019, SAGAN, Eq. 1-2, and Eq. 3 for g, with r = 8 and no
        scaling of the products.
        Departure: v has C channels and no further convolution after it, which fits ECSM Table 6.
    """

    name: ClassVar[str] = "self"

    def __init__(self, channels: int, *, reduction: int = 8) -> None:
        super().__init__(channels)
        width = reduced(self.name, channels, reduction)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        # A scalar without axes: a tensor of shape (1,) would promote half-precision features to its own type.
        self.gamma = nn.Parameter(torch.zeros(()))

    def weights(self, x: Tensor) -> Tensor:
        """Return b (N, H W queries, H W keys); each query's sum is 1."""
        query, key = self.query(x).flatten(2), self.key(x).flatten(2)  # (N, C/r, HW)
        weights: Tensor = torch.softmax(query.transpose(1, 2) @ key, dim=2)
        return weights

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return `position`: the weight of each position as a key, mean over the queries (N, H, W); its sum is 1."""
        return {"position": self.weights(x).mean(1).reshape(len(x), *x.shape[2:])}

    def forward(self, x: Tensor) -> Tensor:
        """Return the features plus g times the weighted mean of the values."""
        value: Tensor = self.value(x)
        mean = value.flatten(2) @ self.weights(x).transpose(1, 2)  # (N, C, HW)
        return x + self.gamma * mean.reshape(x.shape)
