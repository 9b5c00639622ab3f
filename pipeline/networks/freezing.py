"""Layer-by-layer fine-tuning: what of a network trains under each strategy.

Source:
    ECSM section 3.1.2 and Table 2. `scratch` is ours, the comparison that the table lacks: nothing pre-trained.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import nn

from pipeline.errors import InputError
from pipeline.networks.network import Network


class Row(NamedTuple):
    """Stages whose name matches `pattern` train or not; the first row that matches decides."""

    pattern: str
    trains: bool


EVERYTHING = (Row("*", True),)
STRATEGIES: dict[str, tuple[Row, ...]] = {
    "1": (Row("head", True), Row("*", False)),
    "2": EVERYTHING,
    "3a": (Row("stem", False), Row("block1", False), Row("*", True)),
    "3b": (Row("stem", False), Row("block[12]", False), Row("*", True)),
    "3c": (Row("stem", False), Row("block[123]", False), Row("*", True)),
    "scratch": EVERYTHING,
}


def plan(stages: Sequence[str], rows: Sequence[Row]) -> dict[str, bool]:
    """Decide for every stage whether it trains.

    Raises:
        ValueError: for a stage that no row decides, and for a row that decides nothing.

    >>> plan(["stem", "block1", "head"], STRATEGIES["1"])
    {'stem': False, 'block1': False, 'head': True}
    """
    decided: dict[str, bool] = {}
    idle = set(rows)
    for stage in stages:
        row = next((row for row in rows if fnmatchcase(stage, row.pattern)), None)
        if row is None:
            raise ValueError(f"no row decides whether stage {stage!r} trains")
        idle.discard(row)
        decided[stage] = row.trains
    if idle:
        raise ValueError(f"rows that decide nothing: {', '.join(row.pattern for row in rows if row in idle)}")
    return decided


def freeze(network: Network, strategy: str) -> None:
    """Apply a strategy: parameters of frozen stages lose their gradient, and their batch norms stay in eval mode.

    Raises:
        InputError: for an unknown strategy, listing the known ones.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"freeze: {strategy!r} is not known; known: {', '.join(STRATEGIES)}")
    decided = plan([stage.name for stage in network.stages], STRATEGIES[strategy])
    network.frozen_stages = frozenset(name for name, trains in decided.items() if not trains)
    for stage in network.stages:
        for _, parameter in network.parameters_of(stage):
            parameter.requires_grad_(decided[stage.name])
    network.train()


def count(network: Network) -> Mapping[str, int]:
    """How many numbers train and how many do not.

    Returns:
        `trainable`: what the optimizer moves. `frozen`: all else, with the running mean and variance of every batch
        norm, also of those that train, as ECSM Table 5 counts (but for its row 2, which leaves them out).
    """
    parameters = list(network.model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    return {"trainable": trainable, "frozen": frozen + _running_statistics(network.model)}


def _running_statistics(model: nn.Module) -> int:
    buffers = model.named_buffers()
    return sum(b.numel() for name, b in buffers if name.endswith(("running_mean", "running_var")))
