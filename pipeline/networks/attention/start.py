"""Gates that change a pre-trained network before its first step of training: where that is in doubt; no torch."""

from pipeline.core.choices import NONE
from pipeline.core.naming import Own
from pipeline.core.recipe import TrainingSettings
from pipeline.networks.strategies import STRATEGIES

# Values of `gate_init`.
PAPER, IDENTITY = "paper", "identity"
# The first block that has a gate in front of it, or inside it, by position; behind the last stage none has.
FIRST_GATED = {"every_stage": 2, "residual_block": 1}
# ResNet's names of the first layer behind a gate between stages. Of other networks a name does not tell.
BEHIND_THE_FIRST = ("layer2", "layer2.0")
BLOCKS = 4


def doubt(recipe: TrainingSettings, own: Own | None) -> str:
    """Return why gates around one half may cost a pre-trained network its start; "" where nothing speaks for it.

    A recipe's own attention, or another that its paper trains, with the recipe's own budget is what the paper vouches
    for, unless frozen layers follow.

    Args:
        recipe: the experiment.
        own: what its recipe says by itself; None where that is not known.
    """
    network, budget = recipe.network, recipe.train.budget
    options = recipe.options_of("attention", network.attention)
    if network.weights == NONE or options.get("gate_init") != PAPER:
        return ""
    spent = f"{budget.amount:,} {budget.unit}"
    reasons = []
    if freezes_behind(recipe.train.phases[-1].freeze, options["position"]):
        reasons.append("frozen layers behind them cannot follow")
    if own and own.attention != network.attention:
        reasons.append(f"the recipe has no such attention, so its budget of {spent} is not meant for it")
    elif own and budget.amount < own.amount:
        reasons.append(f"{spent} are fewer than the recipe's {own.amount:,}")
    if not reasons:
        return ""
    return (
        f"attention {network.attention!r} starts with gates around one half (gate_init is {PAPER!r}), which changes "
        f"what the pre-trained network computes: {', and '.join(reasons)}"
    )


def freezes_behind(freeze: str, position: str) -> bool:
    """Return whether frozen layers take what gates have scaled.

    Args:
        freeze: a strategy, or the first layer that trains, before which there is a block.
        position: a row of `POSITIONS`.

    >>> freezes_behind("3a", "every_stage"), freezes_behind("3a", "residual_block"), freezes_behind("1", "last_stage")
    (False, True, False)
    >>> freezes_behind("layer2", "every_stage"), freezes_behind("layer3", "every_stage")
    (False, True)
    """
    if freeze not in STRATEGIES:
        return position in FIRST_GATED and not (position == "every_stage" and freeze in BEHIND_THE_FIRST)
    gated = range(FIRST_GATED[position], BLOCKS + 1) if position in FIRST_GATED else ()
    return not all(STRATEGIES[freeze].trains(f"block{number}") for number in gated)
