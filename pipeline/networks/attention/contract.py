"""The interface of attention mechanisms, and how their weights are applied to features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, cast

from torch import Tensor, nn


class Attention(nn.Module, ABC):
    """Base of all mechanisms: takes features of C channels and keeps their shape.

    Attributes:
        name: the mechanism's row in the table, part of its error messages.
        channels: C.

    Shape:
        Input and output (N, C, H, W).
    """

    name: ClassVar[str]

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    @abstractmethod
    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return the weights that the mechanism applies to its input.

        Args:
            x: features (N, C, H, W), as `forward` takes them. No state of the module changes, also not in train mode.

        Returns:
            `channel` (N, C), `position` (N, H, W) or `channel_position` (N, C, H, W); in a series prefixed by the
            part's name, as in `spatial.position`.
        """

    def forward(self, x: Tensor) -> Tensor:
        """Return the features times the maps."""
        return weigh(x, self.maps(x))


class Series(Attention):
    """Mechanisms in sequence; the input of each is the output of the one before.

    Args:
        channels: C.
        parts: mechanisms in order, by the name that prefixes their maps and parameters.
    """

    def __init__(self, channels: int, parts: Mapping[str, Attention]) -> None:
        super().__init__(channels)
        for name, part in parts.items():
            self.add_module(name, part)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maps of each part for that part's own input."""
        maps: dict[str, Tensor] = {}
        for name, part in self._parts():
            maps |= {f"{name}.{kind}": weights for kind, weights in part.maps(x).items()}
            x = part(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last part."""
        for _, part in self._parts():
            x = part(x)
        return x

    def _parts(self) -> Iterator[tuple[str, Attention]]:
        return ((name, cast(Attention, part)) for name, part in self.named_children())


# The shape of each kind of map, extended to broadcast over (N, C, H, W).
BROADCAST: dict[str, Callable[[Tensor], Tensor]] = {
    "channel": lambda weights: weights[:, :, None, None],
    "position": lambda weights: weights[:, None],
    "channel_position": lambda weights: weights,
}


def weigh(x: Tensor, maps: Mapping[str, Tensor]) -> Tensor:
    """Multiply features (N, C, H, W) by each map."""
    for kind, weights in maps.items():
        x = x * BROADCAST[kind](weights)
    return x
