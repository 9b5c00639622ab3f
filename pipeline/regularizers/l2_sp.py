"""L2-SP: values stay near those that training started from."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from pipeline.core.errors import InputError
from pipeline.regularizers.buffers import BufferDict
from pipeline.regularizers.contract import FeatureMaps, Regularizer
from pipeline.regularizers.feature_hooks import named
from pipeline.regularizers.options import one_of, strength
from pipeline.regularizers.penalties import head_penalty
from pipeline.regularizers.precision import upcast_float32

COVERS = ("kernels", "all")


class L2SP(Regularizer):
    """alpha/2 ||w - w0||^2 over pre-trained values, and the head's penalty beta/2 ||w||^2.

    w0 are the values at construction, cloned into buffers; gradients reach w alone.

    Args:
        network: holds w0; `forward` is given the same, or one of the same names.
        head: the name of its classifier.
        added: names of modules in it that have no pre-trained values, as attention has none.
        covers: `kernels`: convolutions' weights; `all`: batch norms' weights and all biases too.
        alpha: the strength of the first term.
        beta: that of the second.

    Raises:
        InputError: for a name that the network has not, an unknown `covers`, one that covers nothing, and a strength
            that is none.

    Source:
        L2-SP; SPA-GCA Table 4. `kernels` is the authors' code, `all` that of its later ports. Departure: none.
    """

    name: ClassVar[str] = "l2_sp"
    start: BufferDict

    def __init__(
        self,
        network: nn.Module,
        *,
        head: str,
        added: Sequence[str] = (),
        covers: str = "kernels",
        alpha: float = 0.1,
        beta: float = 0.01,
    ) -> None:
        super().__init__()
        self.head = head
        self.alpha = strength(self.name, "alpha", alpha)
        self.beta = strength(self.name, "beta", beta)
        one_of(self.name, "covers", covers, COVERS)
        covered = dict(_covered(network, [head, *added], kernels=covers == "kernels"))
        if not covered:
            raise InputError(f"regularizer {self.name!r}: covers {covers!r} finds nothing outside {head!r}; use all")
        self.start = BufferDict(covered)

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """`l2_sp` and `head_penalty`; taps are not looked at."""
        squares = [
            (upcast_float32(network.get_parameter(name)) - self.start[name]).square().sum() for name in self.start
        ]
        return {self.name: self.alpha / 2 * torch.stack(squares).sum()} | head_penalty(network, self.head, self.beta)


def _covered(network: nn.Module, outside: Sequence[str], *, kernels: bool) -> Iterator[tuple[str, Tensor]]:
    left_out = {id(parameter) for name in outside for parameter in named(network, name).parameters()}
    convolutions = [module for module in network.modules() if isinstance(module, _ConvNd)]
    weights = {id(module.weight) for module in convolutions}
    for name, parameter in network.named_parameters():
        if id(parameter) not in left_out and (not kernels or id(parameter) in weights):
            yield name, parameter
