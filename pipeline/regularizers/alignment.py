"""The base of the methods that compare feature maps of the target and the reference network."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.checks import maps, one_of, strength
from pipeline.regularizers.contract import FeatureMaps, Regularizer, Shapes
from pipeline.regularizers.penalties import head_penalty
from pipeline.regularizers.precision import upcast_float32


class Alignment(Regularizer):
    """Weighted squared differences of feature maps, plus the head penalty.

    With d_i = T_i - stopgrad(S_i) at layer i, T the target network's and S the reference network's maps: alpha times
    the batch mean of half the weighted sum of squares over all layers. Weights are shares p (of sum 1) times a scale:
    `mean_one`: the number of shares that sum to 1, so that the mean weight is 1. The term is still a sum over channels
    and positions: at twice the image's side it is about four times as large for the same alpha.
    `raw`: 1, as in the papers' equations.
    `delta`: C/(HW) of the layer's map, as in DELTA's published code; for shares over the channels of one layer only.

    Args:
        shapes: (C, H, W) by layer, of the maps that `forward` takes.
        head: name of the classifier in the target network.
        alpha: weight of the feature term.
        beta: weight of the head penalty.
        normalize: scale of the weights.

    Raises:
        InputError: for layers whose output is no map, an alpha or beta out of range, a scale that the method lacks.

    Source:
        The scale and the batch mean are ours: the papers print neither, and published codes differ.
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
                f"regularizer {self.name!r}: normalize 'delta' is for methods with a weight for each channel; "
                f"give {' or '.join(self.scales)}"
            )
        self.normalize = one_of(self.name, "normalize", normalize, self.scales)

    @abstractmethod
    def shares(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:
        """Return, by layer, (N, C) or (N, H, W): positive, of sum 1 for each image."""

    @abstractmethod
    def share_count(self, layer: str) -> int:
        """Return how many shares, those of this layer among them, sum to 1."""

    @abstractmethod
    def squares(self, weights: Tensor, difference: Tensor) -> Tensor:
        """Return the weighted sum of squares, a scalar, of one layer's differences (N, C, H, W)."""

    def weights(self, target: FeatureMaps, reference: FeatureMaps) -> dict[str, Tensor]:
        """Return the shares times the scale."""
        self._check(target)
        self._check(reference)
        return {layer: self._scale(layer) * shares for layer, shares in self.shares(target, reference).items()}

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:
        """Return the feature term under the method's name, and `head_penalty`."""
        # stopgrad(S) is `detach`: the reference network gets no gradient, also where its parameters could take one.
        squares = [
            self.squares(weights, upcast_float32(target[layer]) - upcast_float32(reference[layer].detach()))
            / (2 * len(target[layer]))
            for layer, weights in self.weights(target, reference).items()
        ]
        return {self.name: self.alpha * torch.stack(squares).sum()} | head_penalty(network, self.head, self.beta)

    def _scale(self, layer: str) -> float:
        if self.normalize == "delta":
            # Weights of sum C, and a mean over positions in place of the sum.
            channels, height, width = self.shapes[layer]
            return channels / (height * width)
        return self.share_count(layer) if self.normalize == "mean_one" else 1

    def _check(self, maps: FeatureMaps) -> None:
        for layer, shape in self.shapes.items():
            actual = tuple(maps[layer].shape[1:]) if layer in maps else "nothing"
            if actual != shape:
                raise ValueError(f"regularizer {self.name!r}: expected {shape} at {layer}, got {actual}")


class PositionAlignment(Alignment):
    """Position weights inside the square: sum_{c,p} (a_p d_{c,p})^2."""

    def share_count(self, layer: str) -> int:
        """Return H W of the layer's map."""
        _, height, width = self.shapes[layer]
        return height * width

    def squares(self, weights: Tensor, difference: Tensor) -> Tensor:
        """Return sum_{n,c,p} (a_{n,p} d_{n,c,p})^2 for weights (N, H, W)."""
        # All channels of a position have one weight, so that their squares are summed before it is applied.
        return (weights.square() * difference.square().sum(dim=1)).sum()


class ChannelAlignment(Alignment):
    """Channel weights outside the square: sum_c a_c ||d_c||^2."""

    def share_count(self, layer: str) -> int:
        """Return C of the layer's map."""
        return self.shapes[layer][0]

    def squares(self, weights: Tensor, difference: Tensor) -> Tensor:
        """Return sum_{n,c} a_{n,c} ||d_{n,c}||^2 for weights (N, C)."""
        return (weights * difference.square().sum(dim=(2, 3))).sum()
