"""What a recipe says of network and training, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core.choices import Choice
from pipeline.core.recipe import NONE, PHASES
from pipeline.datasets.transforms.table import AUGMENTATIONS, CROP
from pipeline.networks.attention.table import POSITIONS
from pipeline.networks.strategies import EVERYTHING, OTHER_STRATEGIES, SCRATCH, STRATEGIES
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
# Groups of parameters with rates of their own.
GROUPS = ("backbone", "attention", "head")
# What is worth a word; the other choice of each is what a plain training does.
BATCH_NORMS = {True: "in eval mode throughout: their statistics stay as they were at the start"}
NO_ATTENTION = "none"
NO_REGULARIZER = "none"


def strategy(network: Mapping[str, Any]) -> str:
    """What trains; attention does under every strategy, which is said where not everything does.

    >>> strategy({"freeze": "1", "attention": "none", "weights": "imagenet"})
    '1: only the head trains'
    >>> strategy({"freeze": "1", "attention": "se", "weights": "imagenet"})
    '1: only the head trains, and so does the attention'
    >>> strategy({"freeze": "2", "attention": "none", "weights": "none"})
    'scratch: everything trains, from random values'
    """
    freeze = SCRATCH if is_scratch(network) else network["freeze"]
    if freeze == PHASES or freeze not in FREEZING:
        return FREEZING.get(freeze, str(freeze))
    also = ", and so does the attention" if _partly(freeze) and network["attention"] != NO_ATTENTION else ""
    return f"{freeze}: {FREEZING[freeze]}{also}"


def is_scratch(network: Mapping[str, Any]) -> bool:
    """Return whether everything trains and nothing is pre-trained."""
    return bool(network["freeze"] == EVERYTHING and network["weights"] == NONE)


def _partly(freeze: str) -> bool:
    """Return whether a strategy, or the name of a first layer that trains, leaves a part of the network frozen."""
    return STRATEGIES[freeze].freezes if freeze in STRATEGIES else freeze not in OTHER_STRATEGIES


def attention(recipe: Mapping[str, Any]) -> str:
    """The mechanism with its position and options; one without options goes where its row of the table says.

    >>> options = {"attention": {"self": {"position": "last_stage", "reduction": 8}}}
    >>> attention({"network": {"attention": "self"}, "options": options})
    'self behind the last stage, r 8'
    """
    name = recipe["network"]["attention"]
    options = dict(recipe["options"]["attention"].get(name, {}))
    position = [POSITIONS[options.pop("position")].title] if "position" in options else []
    return ", ".join([" ".join([name, *position]), *_options(options)])


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


def regularizer(recipe: Mapping[str, Any]) -> str:
    """The method, or its halves in their order, with the options that count.

    >>> options = {"spa": {"weight_decay": 0.0, "alpha": 0.1, "beta": 0.01}}
    >>> regularizer({"regularizer": {"method": "spa"}, "options": {"regularizer": options}})
    'spa (alpha 0.1, beta 0.01)'
    >>> regularizer({"regularizer": {"method": "none"}, "options": {"regularizer": {}}})
    'none'
    """
    method, options = recipe["regularizer"]["method"], recipe["options"]["regularizer"]
    halves = [name for name in options if name != method] if METHODS[method].sequences else []
    told = ", then ".join(f"{name}{_in_brackets(options.get(name, {}))}" for name in halves or [method])
    return f"{method}: {told}, each for half of the budget" if halves else told


def _in_brackets(options: Mapping[str, Any]) -> str:
    told = [form.format(options[name]) for name, form in REGULARIZER_OPTIONS.items() if name in options]
    told += [SCALES[options["normalize"]]] if "normalize" in options else []
    return f" ({', '.join(told)})" if told else ""


def amount(number: int, unit: str) -> str:
    """A part of the budget.

    >>> amount(9000, "iterations"), amount(1, "epochs")
    ('9,000 iterations', '1 epoch')
    """
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"


def phase(found: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """How long a phase of the record is, what trains in it, at which rate and how many numbers that is."""
    length = amount(found["amount"], recipe["train"]["budget"]["unit"])
    freeze = found["freeze"]
    what = f"strategy {freeze}" if freeze in FREEZING else f"from {freeze} on"
    also = " and the attention" if _partly(freeze) and recipe["network"]["attention"] != NO_ATTENTION else ""
    at = rates(found["lr"], freeze, recipe)
    return f"{length}: {what}{also} at {at} ({found['trainable']:,} numbers train)"


def rates(lr: float, freeze: str, recipe: Mapping[str, Any]) -> str:
    """The first rate, or each group's where they differ."""
    absent = {"attention"} if recipe["network"]["attention"] == NO_ATTENTION else set()
    absent |= {"backbone"} if freeze == "1" else set()
    factors = recipe["train"]["lr_factors"]
    found = {group: f"{lr * factors[group]:g}" for group in GROUPS if group not in absent}
    if len(set(found.values())) == 1:
        return found["head"]
    return ", ".join(f"{rate} ({label})" for label, rate in found.items())


def augmentation(data: Mapping[str, Any]) -> str:
    """Return what varies training images; empty where nothing does."""
    name = data["augmentation"]
    return f"{name}: {AUGMENTATIONS[name].title}" if name in AUGMENTATIONS else ""


def sampling(train: Mapping[str, Any]) -> str:
    """Return how training draws images; empty where it does so plainly.

    >>> sampling({"sampler": "shuffle"})
    ''
    """
    return _special(SAMPLERS, train["sampler"])


def class_weights(train: Mapping[str, Any]) -> str:
    """Return how classes are weighed in the loss; empty where they are not."""
    return _special(CLASS_WEIGHTS, train["class_weights"])


def _special(table: Mapping[str, Choice], name: str) -> str:
    """A choice in words; empty for the first of its table, which is what a plain training does."""
    return "" if name == next(iter(table)) else f"{name}: {table[name].title}"


def varied(recipe: Mapping[str, Any]) -> str:
    """What makes a training image look different from epoch to epoch, with its strengths.

    >>> data = {"image_size": 256, "crop_size": 224, "crop_padding": 0, "input_size": 224, "augmentation": "none"}
    >>> options = {"augmentation": {"csca": {"hue": 0.05, "rotation": 15.0}}}
    >>> varied({"data": data, "options": {"augmentation": {}}})
    'the crop: packed at 256 px, cut to 224 px (in training at random)'
    >>> varied({"data": data | {"augmentation": "crop256"}, "options": {"augmentation": {}}})
    'crop256: the crop alone, packed at 256 px, cut to 224 px (in training at random)'
    >>> data |= {"crop_size": 256, "input_size": 256, "augmentation": "csca"}
    >>> varied({"data": data, "options": options})
    'csca: color jitter, flip and rotation (hue 0.05, rotation 15)'
    """
    data = recipe["data"]
    strengths = recipe["options"]["augmentation"].get(data["augmentation"], {})
    listed = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in strengths.items())
    named = augmentation(data) + (f" ({listed})" if listed else "")
    crops = data["image_size"] + 2 * data["crop_padding"] > data["crop_size"]
    if data["augmentation"] == CROP:
        return f"{named}, {sizes(data)}"
    return ", and ".join(filter(None, (named, f"the crop: {sizes(data)}" if crops else "")))


def shown_as_packed(data: Mapping[str, Any]) -> bool:
    """Whether the network is given whole test images in the size that they are packed at."""
    return bool(data["image_size"] == data["crop_size"] == data["input_size"])


def sizes(data: Mapping[str, Any]) -> str:
    """How packed images become what the network is given; empty where they are given as they are.

    >>> sizes({"image_size": 64, "crop_size": 56, "crop_padding": 0, "input_size": 224})
    'packed at 64 px, cut to 56 px (in training at random), resized to 224 px'
    """
    image, crop, padding, shown = (data[name] for name in ("image_size", "crop_size", "crop_padding", "input_size"))
    if shown_as_packed(data) and not padding:
        return ""
    steps = [f"packed at {image:,} px"]
    if crop != image or padding:
        steps.append(f"cut to {crop:,} px{_cut(image, crop, padding)}")
    if shown != crop:
        steps.append(f"resized to {shown:,} px")
    return ", ".join(steps)


def _cut(image: int, crop: int, padding: int) -> str:
    around = f"after {padding} px of zeros on each side" if padding else ""
    random = "at random" if image + 2 * padding > crop else ""
    return f" (in training {' '.join(filter(None, (random, around)))})" if random or around else ""


def maps(layers: Mapping[str, str], attention: str, *, own: bool) -> str:
    """What the maps over the images are, and where they are taken; `own` is whether the head has class maps.

    >>> maps({"last": "layer4.1", "finer": "layer3.1"}, "", own=False).split(": ")[1]
    'Grad-CAM behind layer4.1, LayerCAM behind layer3.1.'
    """
    told = (
        "The brighter, the more the place adds to the score of the class: "
        f"Grad-CAM behind {layers['last']}, LayerCAM behind {layers['finer']}"
    )
    told += ", and the map that the head averages to the score" if own else ""
    return f"{told}. Attention is of {attention}, from its least to its largest weight." if attention else f"{told}."


def first_layers(freeze: str, stem: Mapping[str, int]) -> str:
    """Why the first layers' values are as they were, where they are."""
    if stem["trainable"] or freeze == PHASES:
        return ""
    return f"Strategy {freeze} freezes them, so that after training they are as at the start."
