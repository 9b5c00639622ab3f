"""The settings of network and training in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core.choices import NONE, Choice
from pipeline.core.recipe import TrainingSettings
from pipeline.core.records import Counted, PhaseRecord
from pipeline.core.sections import PHASES, Data, Network, Sizes, Train
from pipeline.datasets.transforms.table import AUGMENTATIONS
from pipeline.networks.attention.table import POSITIONS
from pipeline.networks.strategies import HEAD, OTHER_STRATEGIES, SCRATCH, STRATEGIES, is_scratch
from pipeline.regularizers.table import METHODS
from pipeline.training.table import CLASS_WEIGHTS, SAMPLERS

# Of all that `freeze` may be.
FREEZING = {name: row.title for name, row in {**STRATEGIES, **OTHER_STRATEGIES}.items()}
GATES = {"paper": "gates as the paper has them", "identity": "gates that start at one"}
# Options of regularizers, as the page calls them.
REGULARIZER_OPTIONS = {
    "alpha": "alpha {}",
    "beta": "beta {}",
    "reduction": "r {}",
    "covers": "covers {}",
    "batches": "channels weighed on {} training batches",
}
SCALES = {"mean_one": "weights of mean one", "raw": "weights of sum one", "delta": "weights as DELTA scales them"}
# What is worth a word; the other choice of each is what a plain training does.
BATCH_NORMS = {True: "in eval mode throughout: their statistics stay as they were at the start"}


def strategy(network: Network) -> str:
    """Return what trains; attention does under every strategy, which is said where not everything does.

    >>> network = Network(backbone="resnet18", weights="imagenet", freeze="1", attention="none", head="linear")
    >>> strategy(network)
    '1: only the head trains'
    >>> strategy(network.model_copy(update={"attention": "se"}))
    '1: only the head trains, and so does the attention'
    >>> strategy(network.model_copy(update={"freeze": "2", "weights": "none"}))
    'scratch: everything trains, from random values'
    """
    freeze = SCRATCH if is_scratch(freeze=network.freeze, weights=network.weights) else network.freeze
    if freeze == PHASES or freeze not in FREEZING:
        return FREEZING.get(freeze, freeze)
    also = ", and so does the attention" if _partly(freeze) and network.attention != NONE else ""
    return f"{freeze}: {FREEZING[freeze]}{also}"


def _partly(freeze: str) -> bool:
    """Return whether a strategy, or the name of a first layer that trains, leaves a part of the network frozen."""
    return STRATEGIES[freeze].freezes if freeze in STRATEGIES else freeze not in OTHER_STRATEGIES


def attention(name: str, options: Mapping[str, Any]) -> str:
    """Return the mechanism with its position and options; one without options goes where its row of the table says.

    >>> attention("self", {"position": "last_stage", "reduction": 8})
    'self behind the last stage, r 8'
    """
    others = dict(options)
    position = [POSITIONS[others.pop("position")].title] if "position" in others else []
    return ", ".join([" ".join([name, *position]), *_options(others)])


def _options(options: dict[str, Any]) -> Iterator[str]:
    gates = options.pop("gate_init", None)
    momentum = options.pop("memory_momentum", None)
    if options.pop("temporal_memory", False):
        yield f"temporal memory of momentum {momentum:g}"
    for name, value in options.items():
        yield _option(name, value)
    if gates:
        yield GATES[gates]


def _option(name: str, value: Any) -> str:
    forms = {"reduction": f"r {value}", "kernel_size": f"a kernel of {value} × {value}", "mode": str(value)}
    return forms.get(name, f"{name} {value}")


def regularizer(method: str, options: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the method, or its halves in their order, with the options that count.

    >>> regularizer("spa", {"spa": {"weight_decay": 0.0, "alpha": 0.1, "beta": 0.01}})
    'spa (alpha 0.1, beta 0.01)'
    >>> regularizer("none", {})
    'none'
    """
    halves = [name for name in options if name != method] if METHODS[method].sequences else []
    description = ", then ".join(f"{name}{_in_brackets(options.get(name, {}))}" for name in halves or [method])
    return f"{method}: {description}, each for half of the budget" if halves else description


def _in_brackets(options: Mapping[str, Any]) -> str:
    parts = [form.format(options[name]) for name, form in REGULARIZER_OPTIONS.items() if name in options]
    parts += [SCALES[options["normalize"]]] if "normalize" in options else []
    return f" ({', '.join(parts)})" if parts else ""


def amount(number: int, unit: str) -> str:
    """Return a part of the budget in words.

    >>> amount(9000, "iterations"), amount(1, "epochs")
    ('9,000 iterations', '1 epoch')
    """
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"


def phase(record: PhaseRecord, recipe: TrainingSettings) -> str:
    """Return how long a phase is, what trains in it, at which rate and how many numbers that is."""
    length, freeze = amount(record.amount, recipe.train.budget.unit), record.freeze
    what = f"strategy {freeze}" if freeze in FREEZING else f"from {freeze} on"
    also = " and the attention" if _partly(freeze) and recipe.network.attention != NONE else ""
    at = rates(record.lr, freeze, recipe)
    if not record.lr:
        return "the head solved; nothing trains"
    solved = "the head solved, then " if record.head else ""
    return f"{length}: {solved}{what}{also} at {at} ({record.trainable:,} numbers train)"


def rates(lr: float, freeze: str, recipe: TrainingSettings) -> str:
    """Return the first rate, or each group's where they differ."""
    absent = {"attention"} if recipe.network.attention == NONE else set()
    absent |= {"backbone"} if freeze == HEAD else set()
    factors = recipe.train.lr_factors.model_dump()
    shown = {group: f"{lr * factor:g}" for group, factor in factors.items() if group not in absent}
    if len(set(shown.values())) == 1:
        return shown["head"]
    return ", ".join(f"{rate} ({label})" for label, rate in shown.items())


def augmentation(name: str) -> str:
    """Return what varies training images; empty where nothing does."""
    return f"{name}: {AUGMENTATIONS[name].title}" if name in AUGMENTATIONS else ""


def sampling(name: str) -> str:
    """Return how training draws images; empty where it does so plainly.

    >>> sampling("shuffle")
    ''
    """
    return _special(SAMPLERS, name)


def class_weights(name: str) -> str:
    """Return how classes are weighed in the loss; empty where they are not."""
    return _special(CLASS_WEIGHTS, name)


def tested(train: Train) -> str:
    """Return which weights are tested."""
    weights = "The network of the last epoch"
    if train.early_stop:
        weights = "The network of the epoch with the least validation loss"
        weights += ", of the last phase," if len(train.phases) > 1 else ""
    return f"{weights}, the average of its weights over the steps," if train.weight_ema else weights


def ingredients(train: Train) -> dict[str, str]:
    """Return in words what a plain training has not, by its term; empty where it is not there."""
    return {
        "Layer decay": f"each block's rate is {train.layer_decay:g} times that of the block behind it"
        if train.layer_decay < 1
        else "",
        "Mixed images": _mixed(train),
        "Average of weights": f"over the steps, with decay {train.weight_ema:g}; validated and tested in place of the "
        "last step's"
        if train.weight_ema
        else "",
        "Early stop": f"after {amount(train.early_stop, 'epochs')} without a lower validation loss, with the weights "
        "of the best epoch"
        if train.early_stop
        else "",
        "Label smoothing": f"{train.label_smoothing:g} of each target is spread over all classes, in training alone"
        if train.label_smoothing
        else "",
    }


def _mixed(train: Train) -> str:
    both = {"Mixup": train.mixup, "CutMix": train.cutmix}
    named = " or ".join(f"{name} (alpha {alpha:g})" for name, alpha in both.items() if alpha)
    return f"each with another of its batch by {named}; training's curves are of these" if named else ""


def _special(table: Mapping[str, Choice], name: str) -> str:
    """Return a choice in words; empty for the first of its table, which is what a plain training does."""
    return "" if name == next(iter(table)) else f"{name}: {table[name].title}"


def varied(data: Data, strengths: Mapping[str, float]) -> str:
    """Return what makes a training image look different from epoch to epoch, with its strengths."""
    listed = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in strengths.items())
    named = augmentation(data.augmentation) + (f" ({listed})" if listed else "")
    image, crop, _ = data.sizes
    cuts = f"the crop: {sizes(data.sizes, padding=data.crop_padding)}" if image + 2 * data.crop_padding > crop else ""
    return ", and ".join(filter(None, (named, cuts)))


def shown_as_packed(sides: Sizes) -> bool:
    """Return whether the network is given whole test images in the size that they are packed at."""
    return sides.image == sides.crop == sides.input


def sizes(sides: Sizes, *, padding: int) -> str:
    """Return how packed images become what the network is given; empty where they are given as they are.

    >>> sizes(Sizes(image=64, crop=56, input=224), padding=0)
    'packed at 64 px, cut to 56 px (in training at random), resized to 224 px'
    """
    if shown_as_packed(sides) and not padding:
        return ""
    steps = [f"packed at {sides.image:,} px"]
    if sides.crop != sides.image or padding:
        steps.append(f"cut to {sides.crop:,} px{_cut(sides.image, sides.crop, padding)}")
    if sides.input != sides.crop:
        steps.append(f"resized to {sides.input:,} px")
    return ", ".join(steps)


def _cut(image: int, crop: int, padding: int) -> str:
    around = f"after {padding} px of zeros on each side" if padding else ""
    random = "at random" if image + 2 * padding > crop else ""
    return f" (in training {' '.join(filter(None, (random, around)))})" if random or around else ""


def first_layers(freeze: str, stem: Counted) -> str:
    """Return why the first layers' values are as they were, where they are."""
    if stem.trainable or freeze == PHASES:
        return ""
    return f"Strategy {freeze} freezes them, so that after training they are as at the start."
