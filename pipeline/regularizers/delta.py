"""DELTA: feature maps stay near the source's, channels weighed by how much the loss needs them."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.core.errors import InputError
from pipeline.regularizers.alignment import ChannelAlignment
from pipeline.regularizers.buffers import BufferDict
from pipeline.regularizers.contract import FeatureMaps, Shapes

# DELTA's: it evens out what the softmax makes of the z-scores.
TEMPERATURE = 5.0


def channel_weights(filter_importance: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """softmax(z/5) over each tap's channels, z the rises less their mean by their deviation.

    Args:
        filter_importance: by tap, (C,), how much the loss rises without each filter, as `filter_importance.filter_importance` finds it.

    Returns:
        By tap, (C,), of sum one; even where no filter differs from another.

    Raises:
        InputError: for a rise that is not finite.

    Source:
        DELTA's published code. Departure: none; the deviation is that of all channels (divided by C).

    >>> channel_weights({"conv": torch.tensor([2.0, 2.0])})
    {'conv': tensor([0.5000, 0.5000])}
    """
    return {
        layer: torch.softmax(_z_scores(layer, values) / TEMPERATURE, dim=0)
        for layer, values in filter_importance.items()
    }


def _z_scores(layer: str, filter_importance: Tensor) -> Tensor:
    if not filter_importance.isfinite().all():
        raise InputError(f"regularizer 'delta': a rise of the loss at {layer} is not finite; lower the head's rate")
    deviation = filter_importance.std(correction=0)
    # Without any difference rounding alone would be left to divide by.
    smallest = torch.finfo(filter_importance.dtype).eps * filter_importance.abs().max()
    return torch.where(
        deviation > smallest,
        (filter_importance - filter_importance.mean()) / deviation,
        torch.zeros_like(filter_importance),
    )


class Delta(ChannelAlignment):
    """alpha/2 sum_i sum_c w^i_c ||d^i_c||^2, the mean over the batch, w the same for every image; and the head's.

    Args:
        shapes: (C, H, W) by tap.
        head: the name of the classifier.
        channel_weights: by tap, (C,), not negative; only how they compare within a tap counts, so that shares and
            mean-one weights are both welcome. Kept as buffers.
        alpha: the strength of the differences.
        beta: that of the head's penalty.
        normalize: `mean_one` (C w), `raw` (w) or `delta` (C w / (HW)).

    Raises:
        InputError: see `Alignment`; and for weights that are missing, of another size, negative or all zero.

    Source:
        SPA-GCA section 1; DELTA. Departures: the mean over the batch, where DELTA's code has the sum, so that its
        alpha for batches of 64 is 1/64 of ours at `delta`; the factor 1/2 is that code's, also in `raw`.
    """

    name: ClassVar[str] = "delta"
    scales: ClassVar[tuple[str, ...]] = ("mean_one", "raw", "delta")
    channels: BufferDict

    def __init__(
        self,
        shapes: Shapes,
        *,
        head: str,
        channel_weights: Mapping[str, Tensor],
        alpha: float = 0.01,
        beta: float = 0.01,
        normalize: str = "mean_one",
    ) -> None:
        super().__init__(shapes, head=head, alpha=alpha, beta=beta, normalize=normalize)
        self.channels = BufferDict(
            {layer: _shares(layer, channel_weights.get(layer), size[0]) for layer, size in self.shapes.items()}
        )

    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:  # noqa: ARG002
        """The given weights for every image, (N, C)."""
        return {layer: self.channels[layer].expand(len(target[layer]), -1) for layer in self.channels}


def _shares(layer: str, weights: Tensor | None, channels: int) -> Tensor:
    what = f"regularizer 'delta': channel_weights of {layer}"
    if weights is None:
        raise InputError(f"{what} are missing; make them with channel_weights(rises(...))")
    if weights.shape != (channels,):
        raise InputError(f"{what} are {tuple(weights.shape)} for {channels} channels; give one a channel")
    if not (weights.isfinite().all() and (weights >= 0).all() and weights.sum() > 0):
        raise InputError(f"{what} are negative, all zero or not finite; give shares")
    return weights / weights.sum()
