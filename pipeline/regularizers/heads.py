"""The small networks that compute the weights of positions or channels."""

import torch
from torch import Tensor, nn

from pipeline.regularizers.precision import upcast_float32


class PositionHead(nn.Module):
    """Shares of the positions, computed from one value per position.

    a = softmax(W_2 relu(W_1 m) + b_2) over the H W positions, with H hidden units.

    Args:
        height: H.
        width: W.

    Shape:
        Input m and output a (N, H, W); the sum of a is 1 for each image.

    Source:
        SPA-GCA Table 2, FC_SPA; AFA, the head of AST. Departure: the table does not mention biases; as in AFA's code
        the first layer has none.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(height * width, height, bias=False)
        self.excite = nn.Linear(height, height * width)

    def forward(self, means: Tensor) -> Tensor:
        """Return the shares."""
        logits = self.excite(torch.relu(self.squeeze(means.flatten(1))))  # (N, H W)
        return torch.softmax(upcast_float32(logits), dim=1).view_as(means)


class ChannelHead(nn.Module):
    """Shares of one layer's channels, each computed from the channel's own map.

    a = softmax over c of (w_2 . relu(W_1 x_c) + b_c), with H hidden units; all channels share W_1 and w_2, each has
    its own b_c, which starts at zero.

    Args:
        channels: C.
        height: H.
        width: W.

    Shape:
        Input (N, C, H, W), output (N, C); its sum is 1 for each image.

    Source:
        AFA, the head of ACT; SPA-GCA Eq. 4 names it FC_ACT. Departure: none from AFA's code.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(height * width, height, bias=False)
        # Both layers are shared by all channels; the bias per channel is a parameter of its own.
        self.excite = nn.Linear(height, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the shares."""
        logits = self.excite(torch.relu(self.squeeze(x.flatten(2)))).squeeze(2) + self.bias  # (N, C)
        return torch.softmax(upcast_float32(logits), dim=1)
