"""Settings that exclude each other."""

from pipeline.config.layers import Layers
from pipeline.config.schema import Axes
from pipeline.core import paths
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.naming import AUTO
from pipeline.core.recipe import Recipe
from pipeline.core.sections import PHASES, SOLVED
from pipeline.datasets.collect.sets import SETS
from pipeline.networks.backbones import table
from pipeline.networks.heads.table import HEADS
from pipeline.networks.strategies import BITFIT, HEAD, LORA, PROBE, SCRATCH, WHOLE, part_of
from pipeline.regularizers.table import METHODS


def check_choices(axes: Axes, layers: Layers) -> None:
    """Refuse a regularizer that leaves no room for the freezing, the phases, the budget or the weights.

    Raises:
        InputError: naming both, and the way out.
    """
    method, freeze = layers.get("regularizer.method"), str(layers.get("network.freeze"))
    if method == NONE:
        return
    row = METHODS[method]
    if row.trains_head_alone and axes.freeze not in (AUTO, HEAD):
        raise _refused(
            f"freeze: {axes.freeze!r} and regularizer {method!r}, which trains the head alone, exclude each other; "
            "leave freeze at auto"
        )
    if freeze == PROBE:
        raise _refused(
            f"freeze: {PROBE!r} trains nothing that regularizer {method!r} could hold; "
            f"choose another strategy, or regularizer {NONE}"
        )
    if row.sequences and freeze == PHASES:
        raise _refused(
            f"regularizer: {method!r} and {layers.origin('train.phases')} both say how the training goes on; "
            "add -S freeze=2 (or another strategy), or choose another method"
        )
    amount = axes.budget if isinstance(axes.budget, int) else layers.get("train.budget.amount")
    if row.sequences and amount < len(next(iter(row.sequences.values()))):
        key = "budget" if isinstance(axes.budget, int) else layers.origin("train.budget.amount")
        raise _refused(f"{key}: {amount} cannot be halved, as regularizer {method!r} needs; give 2 or more")
    if row.needs_pretrained and freeze == SCRATCH:
        raise _refused(
            f"freeze: {SCRATCH!r} has nothing pre-trained that regularizer {method!r} could stay near; "
            f"choose another strategy, or regularizer {NONE}"
        )


def check_phases(axes: Axes, layers: Layers) -> None:
    """Refuse phases that do not add up to the budget or begin at another rate, unless an axis scales them.

    Raises:
        InputError: naming the key, its value and the way out.
    """
    if str(layers.get("network.freeze")) != PHASES:
        return
    phases, key = layers.get("train.phases"), layers.origin("train.phases")
    if not phases:
        raise _refused(f"freeze: {PHASES!r} needs phases, and {key} is empty; choose a strategy")
    amounts = [phase["amount"] for phase in phases]
    if axes.budget == AUTO and sum(amounts) != (amount := layers.get("train.budget.amount")):
        raise _refused(
            f"{layers.origin('train.budget.amount')}: {amount} is not the sum of its phases' {amounts}; "
            f"scale all with -S budget={amount}, or set all"
        )
    if axes.lr == AUTO and (lr := layers.get("train.lr")) != phases[0]["lr"]:
        raise _refused(
            f"{layers.origin('train.lr')}: {lr} is not the first phase's {phases[0]['lr']}; "
            f"scale all with -S lr={lr:g}, or set both"
        )


def check_head(layers: Layers) -> None:
    """Refuse to solve a head that is more than one linear layer on the pre-trained network's features.

    Raises:
        InputError: naming both, and the way out.
    """
    head = layers.get("network.head")
    if HEADS[head].new_layers > 1 and any(phase["head"] == SOLVED for phase in layers.get("train.phases")):
        asks = layers.get("network.freeze")
        key = layers.origin("train.phases" if asks == PHASES else "network.freeze")
        asked = "head: solved" if asks == PHASES else repr(asks)
        raise _refused(
            f"{key}: {asked} solves one linear layer, and head {head!r} has {HEADS[head].new_layers} new ones; "
            "add -S head=linear, or choose another strategy"
        )


def check_probe(layers: Layers) -> None:
    """Refuse a head solved on features that the same epoch goes on to change, though nothing trains.

    Raises:
        InputError: naming both, and the way out.
    """
    attention = layers.get("network.attention")
    options = layers.get("options.attention").get(attention, {})
    if layers.get("network.freeze") == PROBE and options.get("temporal_memory"):
        raise _refused(
            f"freeze: {PROBE!r} trains nothing, and {layers.origin(f'options.attention.{attention}.temporal_memory')} "
            "moves the features with every batch; set that to false, or choose another strategy"
        )


def check_early_stop(layers: Layers) -> None:
    """Refuse to stop by the loss of a validation part that no set and no setting gives.

    A folder may have such a part of its own, which is seen when it is read.

    Raises:
        InputError: naming the setting, and the way out.
    """
    patience, split = layers.get("train.early_stop"), layers.get("data.split")
    counted = split["per_class"] if isinstance(split["per_class"], dict) else {"val": 0}
    may_have_its_own = SETS[layers.get("data.set")].given_by == "folder"
    if patience and not split["val"] and not counted["val"] and not may_have_its_own:
        raise _refused(
            f"{layers.origin('train.early_stop')}: {patience} needs a validation part, but "
            f"{layers.origin('data.split.val')} is 0; set that to 0.2, say, or this to 0"
        )


def check_parts(layers: Layers) -> None:
    """Refuse LoRA and BitFit without attention to train in, and a regularizer of weights that they leave alone.

    Raises:
        InputError: naming the strategy, the backbone or the method, and the way out.
    """
    backbone = layers.get("network.backbone")
    for phase in layers.get("train.phases"):
        freeze, method = phase["freeze"], phase["regularizer"]
        if part_of(freeze) == WHOLE:
            continue
        key = layers.origin("train.phases" if layers.get("network.freeze") == PHASES else "network.freeze")
        if not table.known(backbone).attends:
            raise _refused(
                f"{key}: {freeze!r} is for transformers, and {backbone} has no attention layers in its blocks; add "
                "-S freeze=3b (or another strategy), or choose a backbone such as timm/vit_tiny_patch16_224"
            )
        if method == "l2_sp" and (freeze == LORA or layers.get("options.regularizer.l2_sp.covers") == "kernels"):
            way = " options.regularizer.l2_sp.covers=all," if freeze == BITFIT else ""
            raise _refused(
                f"{key}: {freeze!r} leaves the pre-trained weights as they are that regularizer {method!r} holds;"
                f"{way} add -S regularizer={NONE}, or choose another strategy"
            )


def check_weights(layers: Layers) -> None:
    """Refuse weights that nobody has published for the backbone.

    Raises:
        InputError: naming both, those that there are, and the backbones that have some.
    """
    name, weights = layers.get("network.backbone"), layers.get("network.weights")
    table.check_weights(name, weights, key=f"{paths.PARAMS}: {layers.origin('network.weights')}")


def check_crop(recipe: Recipe, layers: Layers) -> None:
    """Refuse a crop that is larger than the image.

    Raises:
        InputError: naming the sizes, and the way out.
    """
    data = recipe.data
    if data.crop_size > data.image_size + 2 * data.crop_padding:
        raise _refused(
            f"{layers.origin('data.crop_size')}: crop_size {data.crop_size} is more than image_size {data.image_size} "
            f"with crop_padding {data.crop_padding} on each side; make it smaller, or auto"
        )


def _refused(message: str) -> InputError:
    return InputError(f"{paths.PARAMS}: {message}")
