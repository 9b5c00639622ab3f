"""Channel attention in every residual unit."""

from typing import ClassVar

from pipeline.networks.attention.se import SqueezeExcitation


class ChannelAttention(SqueezeExcitation):
    """Squeeze and excitation under CSCA's name and at its place; the maths and the options are the same.

    Source:
        CSCA, the row CA of its table. The paper defines no module: squeeze and excitation's form on the mean, r = 16
        and no biases are ours.
    """

    name: ClassVar[str] = "ca"
