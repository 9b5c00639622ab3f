"""L2-SP: keep weights near their pre-trained starting point."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from pipeline.core.errors import InputError
from pipeline.regularizers.buffers import BufferDict
from pipeline.regularizers.checks import one_of, strength
from pipeline.regularizers.contract import FeatureMaps, Regularizer
from pipeline.regularizers.feature_hooks import submodule
from pipeline.regularizers.penalties import head_penalty
from pipeline.regularizers.precision import upcast_float32

COVERS = ("kernels", "all")


class L2SP(Regularizer):
    """Loss term alpha/2 ||w - w0||^2 over pre-trained weights, plus the head penalty beta/2 ||w||^2.

    w0 are the values at construction, cloned into buffers; only w gets a gradient.

    Args:
        network: holds w0; `forward` takes the same network, or one with the same parameter names.
        head: name of its classifier.
        inserted: names of its modules without pre-trained values, such as attention.
        covers: `kernels`: the weights of convolutions, linear layers and attention's projections; `all`: also the
            weights of norms, all biases, and what else the network learned, such as position embeddings.
        alpha: weight of the first term.
        beta: weight of the second term.

    Raises:
        InputError: for a name that the network lacks, an unknown `covers`, a `covers` without any parameter, and an
            alpha or beta out of range.

    Source:
        L2-SP; SPA-GCA Table 4. `kernels` is what its authors' code covers by default (all tensors that it calls
        weights), with the alpha and beta of its script. `all` is what the code of DELTA and of AFA covers, every
        parameter but the head's: the recipe `spa_gca` takes it, since Table 4's row was likelier made with that code,
        yet with the alpha of L2-SP's script; the default of DELTA's code is 0.01.
        Departure: the head's penalty has its biases, as in the code of DELTA and of AFA; L2-SP's own leaves them out.
    """

    name: ClassVar[str] = "l2_sp"
    start: BufferDict

    def __init__(
        self,
        network: nn.Module,
        *,
        head: str,
        inserted: Sequence[str] = (),
        covers: str = "kernels",
        alpha: float = 0.1,
        beta: float = 0.01,
    ) -> None:
        super().__init__()
        self.head = head
        self.alpha = strength(self.name, "alpha", alpha)
        self.beta = strength(self.name, "beta", beta)
        one_of(self.name, "covers", covers, COVERS)
        covered = dict(_covered(network, [head, *inserted], kernels=covers == "kernels"))
        if not covered:
            raise InputError(
                f"regularizer {self.name!r}: covers {covers!r} matches no parameter outside {head!r}; use all"
            )
        self.start = BufferDict(covered)
        # Of the network that `forward` took last: looked up by name, they would take milliseconds in each step.
        self._looked_up: tuple[nn.Module, list[nn.Parameter]] | None = None

    def forward(self, target: FeatureMaps, reference: FeatureMaps, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """Return `l2_sp` and `head_penalty`; feature maps are not used."""
        squares = [
            (upcast_float32(parameter) - self.start[name]).square().sum()
            for name, parameter in zip(self.start, self._parameters_of(network), strict=True)
        ]
        return {self.name: self.alpha / 2 * torch.stack(squares).sum()} | head_penalty(network, self.head, self.beta)

    def _parameters_of(self, network: nn.Module) -> list[nn.Parameter]:
        if self._looked_up is None or self._looked_up[0] is not network:
            self._looked_up = network, [network.get_parameter(name) for name in self.start]
        return self._looked_up[1]


def _covered(network: nn.Module, excluded: Sequence[str], *, kernels: bool) -> Iterator[tuple[str, Tensor]]:
    # By identity, since a parameter's name does not tell the type of its module.
    excluded_ids = {id(parameter) for name in excluded for parameter in submodule(network, name).parameters()}
    kernel_ids = {id(kernel) for module in network.modules() for kernel in _kernels(module)}
    for name, parameter in network.named_parameters():
        if id(parameter) not in excluded_ids and (not kernels or id(parameter) in kernel_ids):
            yield name, parameter


def _kernels(module: nn.Module) -> Iterator[Tensor]:
    if isinstance(module, _ConvNd | nn.Linear):
        yield module.weight
    # Queries, keys and values of torch's own attention are one matrix.
    if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
        yield module.in_proj_weight
