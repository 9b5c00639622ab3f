"""What every attention mechanism keeps to, and how its weights reach the features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, cast

from torch import Tensor, nn


class Attention(nn.Module, ABC):
    """Takes C channels and keeps (N, C, H, W).

    Attributes:
        name: the mechanism's row in the table, which errors name.
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
        """What the mechanism weighs its input with.

        Args:
            x: features (N, C, H, W), the same that `forward` takes. Nothing is changed, in train mode neither.

        Returns:
            `channel` (N, C), `position` (N, H, W) or `channel_position` (N, C, H, W); those of a series are prefixed
            by the part, as `spatial.position`.
        """

    def forward(self, x: Tensor) -> Tensor:
        """The features, weighed by the maps."""
        return weigh(x, self.maps(x))


class Series(Attention):
    """Mechanisms one after the other; each sees what the one before it gave.

    Args:
        channels: C.
        parts: by the name that prefixes their maps and parameters, in the order in which they run.
    """

    def __init__(self, channels: int, parts: Mapping[str, Attention]) -> None:
        super().__init__(channels)
        for name, part in parts.items():
            self.add_module(name, part)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Each part's maps of what that part really gets."""
        shown: dict[str, Tensor] = {}
        for name, part in self._parts():
            shown |= {f"{name}.{kind}": weights for kind, weights in part.maps(x).items()}
            x = part(x)
        return shown

    def forward(self, x: Tensor) -> Tensor:
        """What the last part gives."""
        for _, part in self._parts():
            x = part(x)
        return x

    def _parts(self) -> Iterator[tuple[str, Attention]]:
        return ((name, cast(Attention, part)) for name, part in self.named_children())


# How each kind of map is laid over (N, C, H, W).
LAID: dict[str, Callable[[Tensor], Tensor]] = {
    "channel": lambda weights: weights[:, :, None, None],
    "position": lambda weights: weights[:, None],
    "channel_position": lambda weights: weights,
}


def weigh(x: Tensor, maps: Mapping[str, Tensor]) -> Tensor:
    """Multiply features (N, C, H, W) by each map."""
    for kind, weights in maps.items():
        x = x * LAID[kind](weights)
    return x
