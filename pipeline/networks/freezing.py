"""Layer-by-layer fine-tuning: freeze a network by a strategy.

A layer's name in place of a strategy's, which is ours, trains that layer and all behind it.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from pipeline.core.errors import InputError
from pipeline.networks.backbones.structure import Step
from pipeline.networks.network import Network
from pipeline.networks.strategies import STRATEGIES, Rule

# Numbers that no optimizer moves, as their names in the model end.
STATISTICS = ("running_mean", "running_var")


def plan(stages: Sequence[str], rules: Sequence[Rule]) -> dict[str, bool]:
    """Decide for every stage whether it trains.

    Raises:
        ValueError: for a stage that no rule decides, and for a rule that decides nothing.

    >>> plan(["stem", "block1", "head"], STRATEGIES["1"].rules)
    {'stem': False, 'block1': False, 'head': True}
    """
    decided: dict[str, bool] = {}
    idle = set(rules)
    for stage in stages:
        rule = next((rule for rule in rules if fnmatchcase(stage, rule.pattern)), None)
        if rule is None:
            raise ValueError(f"no rule decides whether stage {stage!r} trains")
        idle.discard(rule)
        decided[stage] = rule.trains
    if idle:
        raise ValueError(f"rules that decide nothing: {', '.join(rule.pattern for rule in rules if rule in idle)}")
    return decided


def frozen(steps: Sequence[Step], strategy: str) -> list[Step]:
    """The steps that a strategy, or a layer's name, freezes.

    Raises:
        InputError: for a name that is neither, listing both kinds.
    """
    if strategy in STRATEGIES:
        decided = plan(list(dict.fromkeys(step.stage for step in steps)), STRATEGIES[strategy].rules)
        return [step for step in steps if not decided[step.stage]]
    first = next((n for n, step in enumerate(steps) if f"{step.name}.".startswith(f"{strategy}.")), None)
    if first is None:
        firsts = {step.stage: step.name for step in reversed(steps)}
        layers = ", ".join(reversed(firsts.values()))
        raise InputError(
            f"freeze: {strategy!r} is neither a strategy ({', '.join(STRATEGIES)}) nor a layer of this network, "
            f"such as {layers}"
        )
    return list(steps[:first])


def freeze(network: Network, strategy: str, *, freeze_bn_stats: bool = False) -> None:
    """Apply a strategy: parameters of frozen steps lose their gradient, and their batch norms stay in eval mode.

    Attention modules that were put in train under every strategy.

    Args:
        network: changed in place, left in train mode.
        strategy: a row of `STRATEGIES`, or the name of the first layer that trains.
        freeze_bn_stats: also leave the batch norms of what trains in eval mode; their weights train all the same.

    Raises:
        InputError: for a name that is neither, listing both kinds.
    """
    steps = frozen(network.steps, strategy)
    network.frozen_steps = frozenset(step.name for step in steps)
    network.freeze_bn_stats = freeze_bn_stats
    for name, parameter in network.model.named_parameters():
        parameter.requires_grad_(not any(step.holds(name) for step in steps))
    for module in network.added_modules():
        module.requires_grad_(True)
    network.train()


def count(network: Network) -> Mapping[str, int]:
    """How many numbers train and how many do not.

    Returns:
        `trainable`: what the optimizer moves. `frozen`: all else, with the running mean and variance of every batch
        norm, also of those that train, as ECSM Table 5 counts (but for its row 2, which leaves them out).
    """
    parameters = list(network.model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    still = sum(p.numel() for p in parameters if not p.requires_grad)
    return {"trainable": trainable, "frozen": still + _running_statistics(network.model)}


def count_by_stage(network: Network) -> dict[str, dict[str, int]]:
    """The same by stage, in the order in which they run, attention as one; what holds no number is left out."""
    found: dict[str, dict[str, int]] = {}
    added = tuple(f"{name}." for name in network.added)
    stages = list(dict.fromkeys(step.stage for step in network.steps))
    for stage in [*stages, "attention"]:
        found[stage] = {"trainable": 0, "frozen": 0}
    for name, values in network.model.state_dict(keep_vars=True).items():
        stage = "attention" if name.startswith(added) else _stage_of(network, name)
        if isinstance(values, nn.Parameter):
            found[stage]["trainable" if values.requires_grad else "frozen"] += values.numel()
        elif name.endswith(STATISTICS):
            found[stage]["frozen"] += values.numel()
    return {stage: counted for stage, counted in found.items() if any(counted.values())}


def _stage_of(network: Network, name: str) -> str:
    return next(step.stage for step in network.steps if step.holds(name))


def _running_statistics(model: nn.Module) -> int:
    buffers = model.named_buffers()
    return sum(b.numel() for name, b in buffers if name.endswith(STATISTICS))
