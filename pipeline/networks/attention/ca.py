"""Channel attention in every residual unit."""

from typing import ClassVar

from pipeline.networks.attention.se import SqueezeExcitation


class ChannelAttention(SqueezeExcitation):
    """Squeeze and excitation under CSCA's name and at its position; equation and options are the same.

    Source:
        CSCA, row CA of its table. The paper defines no module: squeeze and excitation on the mean, r = 16 and the
        absence of biases are ours.
    """

    name: ClassVar[str] = "ca"
