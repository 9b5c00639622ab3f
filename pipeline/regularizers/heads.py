"""The small networks that say which positions or channels count."""

import torch
from torch import Tensor, nn

from pipeline.regularizers.precision import upcast_float32


class PositionHead(nn.Module):
    """Shares of the positions, from one value at each.

    a = softmax(W_2 relu(W_1 m) + b_2) over the H W positions, with H hidden units.

    Args:
        height: H.
        width: W.

    Shape:
        Input m and output a (N, H, W); a's sum is one for each image.

    Source:
        SPA-GCA Table 2, FC_SPA; AFA, AST's. Departure: the table says nothing of biases; as in AFA's code the first
        layer has none.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(height * width, height, bias=False)
        self.excite = nn.Linear(height, height * width)

    def forward(self, means: Tensor) -> Tensor:
        """The shares."""
        logits = self.excite(torch.relu(self.squeeze(means.flatten(1))))
        return torch.softmax(upcast_float32(logits), dim=1).view_as(means)


class ChannelHead(nn.Module):
    """Shares of one map's channels, from each channel's own map.

    a = softmax over c of (w_2 . relu(W_1 x_c) + b_c), with H hidden units; W_1 and w_2 are the same for all channels,
    b_c is each channel's own and starts at zero (ours).

    Args:
        channels: C.
        height: H.
        width: W.

    Shape:
        Input (N, C, H, W), output (N, C); its sum is one for each image.

    Source:
        AFA, ACT's; SPA-GCA Eq. 4 names it FC_ACT. Departure: none from AFA's code.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(height * width, height, bias=False)
        self.excite = nn.Linear(height, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The shares."""
        logits = self.excite(torch.relu(self.squeeze(x.flatten(2)))).squeeze(2) + self.bias
        return torch.softmax(upcast_float32(logits), dim=1)
