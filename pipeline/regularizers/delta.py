"""DELTA: keep feature maps near the reference network's, channels weighted by the importance of their filters."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.core.errors import InputError
from pipeline.regularizers.alignment import ChannelAlignment
from pipeline.regularizers.buffers import BufferDict
from pipeline.regularizers.contract import FeatureMaps, Shapes

# DELTA's: it makes the softmax of the z-scores flatter.
TEMPERATURE = 5.0


def channel_weights(importance: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return softmax(z/5) over each layer's channels, z the z-scores of the filters' importance.

    Args:
        importance: by layer, (C,), the loss increase without each filter, see `filter_importance.filter_importance`.

    Returns:
        By layer, (C,), of sum 1; all equal where all filters are equally important.

    Raises:
        InputError: for a loss increase that is not finite.

    Source:
        DELTA's published code. Departure: none in this step; the standard deviation is the population's (divided by
        C). On which images and network importance is measured differs, see `assembly.channel_weights`.

    >>> channel_weights({"conv": torch.tensor([2.0, 2.0])})
    {'conv': tensor([0.5000, 0.5000])}
    """
    return {layer: torch.softmax(_z_scores(layer, values) / TEMPERATURE, dim=0) for layer, values in importance.items()}


def _z_scores(layer: str, importance: Tensor) -> Tensor:
    if not importance.isfinite().all():
        raise InputError(f"regularizer 'delta': the loss without a filter of {layer} is not finite; lower lr")
    deviation = importance.std(correction=0)
    # Where all filters are equally important, the deviation is rounding error, and no number to divide by.
    smallest = torch.finfo(importance.dtype).eps * importance.abs().max()
    scores = (importance - importance.mean()) / deviation
    return torch.where(deviation > smallest, scores, torch.zeros_like(importance))


class Delta(ChannelAlignment):
    """Loss term alpha/2 sum_i sum_c w^i_c ||d^i_c||^2, batch mean, w equal for all images, plus the head penalty.

    Args:
        shapes: (C, H, W) by layer.
        head: name of the classifier.
        channel_weights: by layer, (C,), not negative; scaled here to sum 1 in each layer, so that shares and weights of
            mean 1 have the same effect. Stored as buffers.
        alpha: weight of the feature term.
        beta: weight of the head penalty.
        normalize: scale of w: `mean_one` (C w), `raw` (w) or `delta` (C w / (HW)).

    Raises:
        InputError: see `Alignment`; and for weights that are missing, of another size, negative, all zero or not
            finite.

    Source:
        SPA-GCA section 1; DELTA. Departures: the batch mean, where DELTA's code has the batch sum, so that its alpha
        for batches of 64 is 1/64 of ours at `delta`; the factor 1/2 is from that code, also in `raw`. The weights are
        measured on still images, see `assembly.channel_weights`. DELTA's script, which its alphas are from, trains
        6,000 iterations with a rate that falls exponentially, to a tenth over 67 % of them; `spa_gca` trains 9,000 with
        one step.
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
        """Return the weights, expanded to (N, C): all images share them."""
        return {layer: self.channels[layer].expand(len(target[layer]), -1) for layer in self.channels}


def _shares(layer: str, weights: Tensor | None, channels: int) -> Tensor:
    label = f"regularizer 'delta': channel_weights of {layer}"
    if weights is None:
        raise InputError(f"{label} are missing; compute them with channel_weights(filter_importance(...))")
    if weights.shape != (channels,):
        raise InputError(f"{label} have shape {tuple(weights.shape)} for {channels} channels; give one per channel")
    if not (weights.isfinite().all() and (weights >= 0).all() and weights.sum() > 0):
        raise InputError(f"{label} are negative, all zero or not finite; give weights of 0 or more")
    return weights / weights.sum()
