"""Layer-wise fine-tuning: freeze the stages of a network that a strategy names.

Ours: a layer's name in place of a strategy trains that layer and all later ones; frozen stages run as in testing,
without dropout or stochastic depth, and keep the statistics of their batch norms, of which no paper says anything.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from pipeline.core.errors import InputError
from pipeline.networks import low_rank
from pipeline.networks.backbones.structure import Step
from pipeline.networks.network import Network
from pipeline.networks.strategies import BIASES, LOW_RANK, STRATEGIES, WHOLE, Rule, part_of

# Endings of the names of batch-norm statistics, which no optimizer updates.
STATISTICS = ("running_mean", "running_var")
# Whether a parameter trains, by its name, in the stages that do; the head's all do. The updates of LoRA are there
# throughout a training with a phase of it, and rest in its other phases.
PARTS: Mapping[str, Callable[[str], bool]] = {
    WHOLE: lambda name: not low_rank.is_added(name),
    # Those that are no linear layer's included: q_bias, in_proj_bias.
    BIASES: lambda name: name.endswith("bias"),
    LOW_RANK: low_rank.is_added,
}


def plan(stages: Sequence[str], rules: Sequence[Rule]) -> dict[str, bool]:
    """Return, for every stage, whether it trains; the first rule that matches decides.

    Raises:
        ValueError: for a stage that no rule matches, and for a rule that decides no stage.

    >>> plan(["stem", "block1", "head"], STRATEGIES["1"].rules)
    {'stem': False, 'block1': False, 'head': True}
    """
    trains: dict[str, bool] = {}
    idle = set(rules)
    for stage in stages:
        rule = next((rule for rule in rules if fnmatchcase(stage, rule.pattern)), None)
        if rule is None:
            raise ValueError(f"no rule decides whether stage {stage!r} trains")
        idle.discard(rule)
        trains[stage] = rule.trains
    if idle:
        raise ValueError(f"rules that decide nothing: {', '.join(rule.pattern for rule in rules if rule in idle)}")
    return trains


def frozen_steps(steps: Sequence[Step], strategy: str) -> list[Step]:
    """Return the steps that a strategy, or a layer's name, freezes.

    Raises:
        InputError: for a name that is neither, listing both kinds.
    """
    if strategy in STRATEGIES:
        trains = plan(list(dict.fromkeys(step.stage for step in steps)), STRATEGIES[strategy].rules)
        return [step for step in steps if not trains[step.stage]]
    first = next((n for n, step in enumerate(steps) if f"{step.name}.".startswith(f"{strategy}.")), None)
    if first is None:
        # The first layer of each stage: a list of all layers would be too long for a message.
        firsts = {step.stage: step.name for step in reversed(steps)}
        layers = ", ".join(reversed(firsts.values()))
        raise InputError(
            f"freeze: {strategy!r} is neither a strategy ({', '.join(STRATEGIES)}) nor a layer of this network, "
            f"such as {layers}"
        )
    return list(steps[:first])


def freeze(network: Network, strategy: str, *, freeze_bn_stats: bool = False) -> None:
    """Apply a strategy: parameters of frozen steps take no gradient, and their batch norms stay in eval mode.

    Inserted attention modules train under every strategy. Where a part of each layer trains, steps without any are
    frozen, and all batch norms keep their statistics.

    Args:
        network: changed in place, left in train mode.
        strategy: a row of `STRATEGIES`, or the name of the first layer that trains.
        freeze_bn_stats: keep the batch norms of trained steps in eval mode too; their weights still train.

    Raises:
        InputError: for a name that is neither, listing both kinds.
    """
    steps, part = frozen_steps(network.steps, strategy), part_of(strategy)
    head = [step for step in network.steps if step.stage == "head"]
    for name, parameter in network.model.named_parameters():
        trains = PARTS[part](name) or any(step.holds(name) for step in head)
        parameter.requires_grad_(trains and not any(step.holds(name) for step in steps))
    if part != WHOLE:
        steps = [step for step in network.steps if not any(p.requires_grad for _, p in network.parameters_of(step))]
    network.frozen_steps = frozenset(step.name for step in steps)
    network.freeze_bn_stats = freeze_bn_stats or part != WHOLE
    for module in network.inserted_modules():
        module.requires_grad_(True)
    # Puts each module into the mode that follows from the attributes set above.
    network.train()


def count(network: Network) -> Mapping[str, int]:
    """Count the values of a network that train and those that do not.

    Returns:
        `trainable`: values that the optimizer updates. `frozen`: all others, the running mean and variance of every
        batch norm included, also of those that train, as ECSM Table 5 counts (except its row 2, which omits them).
    """
    parameters = list(network.model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    fixed = sum(p.numel() for p in parameters if not p.requires_grad)
    statistics = sum(b.numel() for name, b in network.model.named_buffers() if name.endswith(STATISTICS))
    return {"trainable": trainable, "frozen": fixed + statistics}


def count_added(network: Network) -> int:
    """Count the values of low-rank updates, which are no part of the network that is kept."""
    return sum(p.numel() for name, p in network.model.named_parameters() if low_rank.is_added(name))


def count_by_stage(network: Network) -> dict[str, dict[str, int]]:
    """Count the same by stage, in forward order, attention as one stage; stages without values are omitted."""
    counts: dict[str, dict[str, int]] = {}
    inserted = tuple(f"{name}." for name in network.inserted)
    stages = list(dict.fromkeys(step.stage for step in network.steps))
    for stage in [*stages, "attention"]:
        counts[stage] = {"trainable": 0, "frozen": 0}
    for name, values in network.model.state_dict(keep_vars=True).items():
        stage = "attention" if name.startswith(inserted) else _stage_of(network, name)
        if isinstance(values, nn.Parameter):
            counts[stage]["trainable" if values.requires_grad else "frozen"] += values.numel()
        elif name.endswith(STATISTICS):
            counts[stage]["frozen"] += values.numel()
    return {stage: values for stage, values in counts.items() if any(values.values())}


def _stage_of(network: Network, name: str) -> str:
    return next(step.stage for step in network.steps if step.holds(name))
