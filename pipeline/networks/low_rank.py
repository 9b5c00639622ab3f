"""LoRA: low-rank updates of attention's layers, which train while the layers rest, and are merged into them at the end.

Source:
    Hu et al. 2022, LoRA: Low-Rank Adaptation of Large Language Models, sections 4.1 and 4.2. Departures: where a
    network has one layer for query, key and value, or for key and value, its update is of the whole layer, so that the
    key has one too; A starts as in the authors' code (loralib), since the paper names no deviation of its Gaussian.
"""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pipeline.core.errors import InputError
from pipeline.networks.network import Network

# Linear layers of query and value by the last part of their names in timm, those that give the key as well included.
LAYERS = ("qkv", "q", "kv", "q_proj", "v_proj")


class Site(NamedTuple):
    """A matrix of an attention: the name of its module, and its own name there."""

    module: str
    tensor: str


class LowRank(nn.Module):
    """The sum of a matrix W and its update (alpha / r) B A, which is zero at first.

    Args:
        matrix: W (O, I).
        rank: r.
        alpha: scale of the update.

    Shape:
        Input and output (O, I).
    """

    def __init__(self, matrix: Tensor, *, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = matrix.shape
        self.scale = alpha / rank
        self.a = nn.Parameter(matrix.new_empty(rank, columns))
        self.b = nn.Parameter(matrix.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, matrix: Tensor) -> Tensor:
        """Return W + (alpha / r) B A."""
        # In full precision: what is merged is then, bit by bit, what was trained and validated. Meta has no autocast.
        with nullcontext() if matrix.is_meta else torch.autocast(matrix.device.type, enabled=False):
            return matrix + self.scale * (self.b @ self.a)


def sites(network: Network) -> list[Site]:
    """Return the matrices of attention in the network's blocks; none where it is no transformer."""
    blocks = [step for step in network.steps if step.stage.startswith("block")]
    return [
        Site(name, tensor)
        for name, module in network.model.named_modules()
        if (tensor := _matrix(name, module)) and any(step.holds(name) for step in blocks)
    ]


def _matrix(name: str, module: nn.Module) -> str:
    if isinstance(module, nn.MultiheadAttention):
        return "in_proj_weight"
    return "weight" if isinstance(module, nn.Linear) and name.rpartition(".")[2] in LAYERS else ""


def insert(network: Network, *, rank: int, alpha: float) -> None:
    """Give each matrix of attention an update; the network computes what it did, to the bit.

    Raises:
        InputError: for a network without attention in its blocks, and a rank beyond the sides of a matrix.
    """
    matrices = sites(network)
    if not matrices:
        raise InputError(
            "freeze: 'lora' updates attention's linear layers, and this network's blocks have none; use 3b"
        )
    for site in matrices:
        module = network.model.get_submodule(site.module)
        matrix = module.get_parameter(site.tensor)
        if rank > (side := min(matrix.shape)):
            raise InputError(
                f"options.freeze.lora.rank: {rank} is more than the side of {site.module}, {side}; give at most that"
            )
        update = LowRank(matrix, rank=rank, alpha=alpha)
        parametrize.register_parametrization(module, site.tensor, update)


def is_added(name: str) -> bool:
    """Return whether a parameter is of an update, by its name.

    >>> is_added("blocks.0.attn.qkv.parametrizations.weight.0.b"), is_added("blocks.0.attn.qkv.weight")
    (True, False)
    >>> is_added("blocks.0.attn.qkv.parametrizations.weight.original")
    False
    """
    return ".parametrizations." in name and not name.endswith(".original")


def merge(network: Network) -> None:
    """Put the updated matrices in the place of the pre-trained ones, and take the updates away.

    The network computes what it did, to the bit, and its values have the names of before. Copies that were made of it
    cannot be used afterwards.
    """
    for module, tensor in list(_updated(network)):
        # torch takes the property off the class, which copies share.
        parametrize.remove_parametrizations(module, tensor, leave_parametrized=True)


def undo(network: Network) -> None:
    """Take the updates away and leave the pre-trained matrices; copies stay as they are."""
    for module, tensor in _updated(network):
        cast(Any, module.parametrizations)[tensor][0] = nn.Identity()


def _updated(network: Network) -> Iterator[tuple[nn.Module, str]]:
    for module in network.model.modules():
        if parametrize.is_parametrized(module):
            for tensor in list(cast(Any, module.parametrizations)):
                yield module, tensor
