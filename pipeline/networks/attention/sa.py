"""Spatial attention in every residual unit."""

from typing import ClassVar

from pipeline.networks.attention.spatial import SpatialAttention


class UnitSpatialAttention(SpatialAttention):
    """Spatial attention under CSCA's name and at its position; equation and options are the same.

    Source:
        CSCA, row SA of its table. The paper defines no module: the mean, the maximum and the 7x7 convolution are
        ours, after CBAM.
    """

    name: ClassVar[str] = "sa"
