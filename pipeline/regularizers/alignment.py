"""What the methods share that compare feature maps of the target and the source."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.contract import FeatureMaps, Regularizer, Shapes
from pipeline.regularizers.options import maps, one_of, strength
from pipeline.regularizers.penalties import head_penalty
from pipeline.regularizers.precision import upcast_float32


class Alignment(Regularizer):
    """Weighed squared differences of feature maps, and the head's penalty.

    With d_i = T_i - stopgrad(S_i) at tap i: alpha times the mean over the batch of the sum over taps of half the
    squares, weighed as the subclasses say. Weights are shares p (their sum is one) times a scale:
    `mean_one`: the number of values that the shares are spread over, so that weights of a pre-trained network start
    near one and alpha means the same for maps of all sizes.
    `raw`: one, as the papers' equations are printed.
    `delta`: C/(HW) of the tap's map, as DELTA's published code has it; for shares over one tap's channels alone.

    Args:
        shapes: (C, H, W) by tap, of what `forward` will be given.
        head: the name of the classifier in the network that trains.
        alpha: the strength of the differences.
        beta: that of the head's penalty.
        normalize: the scale.

    Raises:
        InputError: for taps that give no maps, a strength that is none and a scale that the method has not.

    Source:
        The scale and the mean over the batch are ours: the papers print neither, and published codes differ.
    """

    scales: ClassVar[tuple[str, ...]] = ("mean_one", "raw")

    def __init__(self, shapes: Shapes, *, head: str, alpha: float, beta: float, normalize: str) -> None:
        super().__init__()
        self.shapes = maps(self.name, shapes)
        self.head = head
        self.alpha = strength(self.name, "alpha", alpha)
        self.beta = strength(self.name, "beta", beta)
        if normalize == "delta" and normalize not in self.scales:
            raise InputError(
                f"regularizer {self.name!r}: normalize 'delta' is for weights over one tap's channels; "
                f"give {' or '.join(self.scales)}"
            )
        self.normalize = one_of(self.name, "normalize", normalize, self.scales)

    @abstractmethod
    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:
        """By tap, (N, C) or (N, H, W); all are positive and each image's sum is one."""

    @abstractmethod
    def spread_over(self, layer: str) -> int:
        """How many values the shares that a tap takes part in are spread over."""

    @abstractmethod
    def squares(self, weights: Tensor, difference: Tensor) -> Tensor:
        """The sum of weighed squares, a scalar, of a tap's weights and differences (N, C, H, W)."""

    def weights(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:
        """The shares times the scale."""
        self._check(target)
        self._check(reference)
        return {layer: self._scale(layer) * shares for layer, shares in self.shares(target, reference).items()}

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:
        """The differences' scalar under the method's name, and `head_penalty`."""
        squares = [
            self.squares(weights, upcast_float32(target[layer]) - upcast_float32(reference[layer].detach()))
            / (2 * len(target[layer]))
            for layer, weights in self.weights(target, reference).items()
        ]
        return {self.name: self.alpha * torch.stack(squares).sum()} | head_penalty(network, self.head, self.beta)

    def _scale(self, layer: str) -> float:
        if self.normalize == "delta":
            channels, height, width = self.shapes[layer]
            return channels / (height * width)
        return self.spread_over(layer) if self.normalize == "mean_one" else 1

    def _check(self, hooked_layers: FeatureMaps) -> None:
        for layer, shape in self.shapes.items():
            given = tuple(hooked_layers[layer].shape[1:]) if layer in hooked_layers else "nothing"
            if given != shape:
                raise ValueError(f"regularizer {self.name!r}: made for {shape} at {layer}, and was given {given}")


class PositionAlignment(Alignment):
    """sum_{c,p} (a_p d_{c,p})^2: the weight is inside the square."""

    def spread_over(self, layer: str) -> int:
        """H W of the tap's map."""
        _, height, width = self.shapes[layer]
        return height * width

    def squares(self, weights: Tensor, difference: Tensor) -> Tensor:
        """As above; a position's weight is the same for all channels, whose squares are added up first."""
        return (weights.square() * difference.square().sum(dim=1)).sum()


class ChannelAlignment(Alignment):
    """sum_c a_c ||d_c||^2: the weight is outside the square."""

    def spread_over(self, layer: str) -> int:
        """C of the tap's map."""
        return self.shapes[layer][0]

    def squares(self, weights: Tensor, difference: Tensor) -> Tensor:
        """As above."""
        return (weights * difference.square().sum(dim=(2, 3))).sum()
