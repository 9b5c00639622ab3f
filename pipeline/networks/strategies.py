"""The freezing strategies, which decide what layers train, one row each; imports no torch.

Source:
    ECSM section 3.1.2 and Table 2.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from pipeline.core.choices import NONE, Choice


class Rule(NamedTuple):
    """A pattern of stage names, and whether those stages train; the first rule that matches decides."""

    pattern: str
    trains: bool


# What of the stages that train does so; the head trains whole.
WHOLE, BIASES, LOW_RANK = "whole", "biases", "low_rank"


@dataclass(frozen=True, kw_only=True)
class Strategy(Choice):
    """One freezing strategy.

    Attributes:
        rules: rules in order of precedence; every stage matches one, and every rule decides a stage.
        part: what of these stages trains: `WHOLE`, `BIASES` or `LOW_RANK`; all but the first is for transformers.
    """

    rules: tuple[Rule, ...]
    part: str = WHOLE

    @property
    def freezes(self) -> bool:
        """Whether the strategy freezes a part of the network."""
        return self.part != WHOLE or not all(rule.trains for rule in self.rules)

    def trains(self, stage: str) -> bool:
        """Return whether a stage trains.

        >>> STRATEGIES["3b"].trains("block2"), STRATEGIES["3b"].trains("block3")
        (False, True)
        """
        return next(rule.trains for rule in self.rules if fnmatchcase(stage, rule.pattern))


# Names of the strategies that train the head alone and everything; other settings refer to them.
HEAD, EVERYTHING = "1", "2"
# Those that train a small part of every layer.
LORA, BITFIT = "lora", "bitfit"
# Not a strategy: resolved to EVERYTHING without pre-trained weights.
SCRATCH = "scratch"

STRATEGIES: dict[str, Strategy] = {
    "1": Strategy(
        title="only the head trains",
        description="only the head trains; the backbone is frozen",
        rules=(Rule("head", True), Rule("*", False)),
    ),
    "2": Strategy(
        title="everything trains, from pre-trained values",
        description="all layers train",
        rules=(Rule("*", True),),
    ),
    "3a": Strategy(
        title="blocks 2 to 4 and the head train",
        description="stem and block 1 frozen",
        rules=(Rule("stem", False), Rule("block1", False), Rule("*", True)),
    ),
    "3b": Strategy(
        title="blocks 3 and 4 and the head train",
        description="stem and blocks 1 and 2 frozen",
        rules=(Rule("stem", False), Rule("block[12]", False), Rule("*", True)),
    ),
    "3c": Strategy(
        title="block 4 and the head train",
        description="stem and blocks 1 to 3 frozen",
        rules=(Rule("stem", False), Rule("block[123]", False), Rule("*", True)),
    ),
    LORA: Strategy(
        title="low-rank updates of attention and the head train",
        description="for transformers: trains low-rank updates of attention's query and value layers and merges them "
        "at the end (Hu et al. 2022)",
        options="pipeline.networks.options:LoraOptions",
        rules=(Rule("*", True),),
        part=LOW_RANK,
    ),
    BITFIT: Strategy(
        title="all biases and the head train",
        description="for transformers: trains the biases of all layers, and the head (Ben Zaken et al. 2022)",
        rules=(Rule("*", True),),
        part=BIASES,
    ),
}


def part_of(freeze: str) -> str:
    """Return what trains of the stages that a strategy, or the first layer that trains, does not freeze.

    >>> part_of("lora"), part_of("blocks.3")
    ('low_rank', 'whole')
    """
    return STRATEGIES[freeze].part if freeze in STRATEGIES else WHOLE


def is_scratch(*, freeze: str, weights: str) -> bool:
    """Return whether everything trains and nothing is pre-trained."""
    return freeze == EVERYTHING and weights == NONE


# Linear probing, then fine-tuning: resolved to EVERYTHING with a solved head.
LP_FT = "lp_ft"

# Linear probing alone: resolved to HEAD with a solved head and one epoch at the rate 0.
PROBE = "probe"

# Other values of `freeze`, which are not strategies themselves.
OTHER_STRATEGIES: dict[str, Choice] = {
    "scratch": Choice(
        title="everything trains, from random values",
        description="strategy 2 from random weights: shows what pre-training is worth",
    ),
    LP_FT: Choice(
        title="the head is solved on the frozen network's features, then everything trains",
        description="the head by logistic regression on frozen features, then strategy 2 (Kumar et al. 2022)",
    ),
    PROBE: Choice(
        title="the head is solved on the frozen network's features, and nothing trains",
        description="only logistic regression on frozen features: the baseline, in seconds",
    ),
    "phases": Choice(
        title="in phases, see Training",
        description="phases, each with its own strategy or first layer that trains, budget and learning rate",
    ),
}
