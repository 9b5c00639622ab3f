"""Facts of an experiment in words, for the page and the summary: (term, description)."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.core import imagenet
from pipeline.core.choices import NONE
from pipeline.core.interpolation import BILINEAR
from pipeline.core.naming import AUTO, LONGEST, Naming
from pipeline.core.recipe import TrainingSettings
from pipeline.core.records import Record
from pipeline.core.sections import Data
from pipeline.core.shortening import cut, value_text
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.networks.strategies import is_scratch
from pipeline.reporting import aggregate, curves, tables, wording
from pipeline.reporting.aggregate import Spread
from pipeline.reporting.material import Material
from pipeline.reporting.provenance import distinct

# What takes the place of a training where nothing trains.
SOLVED = (
    "none: the head is a logistic regression on the features of the frozen backbone, its penalty chosen by "
    "cross-validation inside the training part"
)
PARTS = {"train": "Training images", "val": "Validation images", "test": "Test images"}


def title(repeats: Sequence[Repeat]) -> str:
    """Return the experiment in a few words."""
    record = repeats[0].record
    network, method = record.recipe.network, record.recipe.regularizer.method
    attention = "" if network.attention == NONE else f" with {network.attention} attention"
    strategy = "in phases" if record.recipe.in_phases else f"strategy {network.freeze}"
    strategy = "from scratch" if is_scratch(freeze=network.freeze, weights=network.weights) else strategy
    regularizer = "" if method == NONE else f", regularizer {method}"
    return f"{record.recipe_name}: {network.backbone}{attention}, {strategy}{regularizer}"


def experiment(material: Material) -> list[tuple[str, str]]:
    """Return what was tried, as (term, description)."""
    record = material.repeats[0].record
    recipe, network, count = record.recipe, record.recipe.network, sum(material.class_images.values())
    return [
        ("Recipe", f"{record.recipe_name} ({material.cite})"),
        *([("Changes to the recipe", changed)] if (changed := _changes(material.repeats[0].runtime.naming)) else []),
        ("Strategy", wording.strategy(network)),
        ("Backbone", network.backbone),
        *_normalization(recipe.data),
        *_interpolation(recipe.data),
        ("Pre-trained weights", _weights(network.weights, record.weights.origin)),
        ("Attention", wording.attention(network.attention, recipe.options_of("attention", network.attention))),
        ("Head", network.head),
        ("Regularizer", wording.regularizer(recipe.regularizer.method, recipe.options["regularizer"])),
        ("Data", f"{material.dataset['title']}: {count:,} images, {len(material.class_images):,} classes"),
    ]


def _changes(naming: Naming) -> str:
    """Return the changes with their whole keys, as after -S, in a line, cut where there are very many."""
    values = {key: value for key, value in naming.changes.items() if value != AUTO}
    return cut(" ".join(f"{key}={value_text(value)}" for key, value in values.items()), LONGEST)


def _normalization(images: Data) -> list[tuple[str, str]]:
    """Return by what images are normalized, where that is not ImageNet's."""
    if (images.mean, images.std) == (imagenet.MEAN, imagenet.STD):
        return []
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (images.mean, images.std))
    return [("Normalization", f"the backbone's: mean {mean}; deviation {std}")]


def _interpolation(images: Data) -> list[tuple[str, str]]:
    """Return by what photographs are resized, where that is not bilinear."""
    return [] if images.interpolation == BILINEAR else [("Resizing", images.interpolation)]


def _weights(name: str, origin: str) -> str:
    return "none: random values" if origin == "none" else f"{name} ({origin})"


def data(material: Material) -> list[tuple[str, str]]:
    """Return the images and their parts."""
    images, parts = material.repeats[0].record.data, [one.record.parts.model_dump() for one in material.repeats]
    sizes = material.class_images.values()
    return [
        ("Set", f"{material.dataset['title']} ({images.set})"),
        ("Classes", f"{len(images.classes):,}"),
        ("Images", f"{sum(sizes):,}; {_range(list(sizes))} a class"),
        *((label, _range([one[part] for one in parts])) for part, label in PARTS.items()),
        ("Files left out", f"{material.dataset['rejected']:,}"),
        *_published(material.dataset.get("published") or {}),
    ]


def health(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return sizes, modes and evenness of the whole set."""
    ends = [" × ".join(f"{side:,}" for side in report["sizes"][end]) for end in ("smallest", "largest")]
    modes = ", ".join(f"{mode} {count:,}" for mode, count in report["modes"].items())
    return [
        ("Smallest and largest image", " and ".join(dict.fromkeys(ends)) + " pixels"),
        ("Modes", modes),
        ("Largest class to smallest", f"{report['imbalance']:g} to 1"),
        *([("Groups", report["groups"])] if report["groups"] else []),
        ("Copies", report["copies"]),
    ]


def _published(published: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return home, terms and citation of a published set."""
    terms = {"Home": "home", "Terms": "terms", "Citation": "citation", "In the papers": "paper"}
    return [(term, published[key]) for term, key in terms.items() if published.get(key)]


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def training(repeats: Sequence[Repeat]) -> list[tuple[str, str]]:
    """Return budget, phases, what differs from a plain training, parameters, operations, time and device."""
    if aggregate.is_probe(repeats):
        return _solving(repeats)
    record = repeats[0].record
    time, speed = aggregate.speed_spreads(repeats).values()
    cache = max(one.runtime.cache_seconds for one in repeats)
    last = " in the last phase" if record.recipe.in_phases else ""
    return [
        *_plan(record),
        *_peculiarities(record.recipe),
        *_stopped(repeats),
        (f"Parameters that train{last}", f"{record.parameters.trainable:,}"),
        (f"Frozen parameters and running statistics{last}", f"{record.parameters.frozen:,}"),
        *_compared(record),
        _flops(record),
        ("Training time per repeat", _duration_spread(time)),
        *([("Frozen part, computed once", f"up to {tables.duration(cache)} of it")] if cache else []),
        (tables.speed_title(repeats), tables.speed_spread(speed)),
        *_machine(repeats),
    ]


def _solving(repeats: Sequence[Repeat]) -> list[tuple[str, str]]:
    """Return what took the place of a training where nothing trains."""
    record, peculiarities = repeats[0].record, dict(_peculiarities(repeats[0].record.recipe))
    return [
        ("Training", SOLVED),
        *(
            (term, peculiarities[term])
            for term in ("Image sizes", "Sampling", "Class weights")
            if term in peculiarities
        ),
        ("Parameters of the head", f"{record.parameters.trainable:,}"),
        ("Frozen parameters and running statistics", f"{record.parameters.frozen:,}"),
        _flops(record),
        ("Time per repeat", _duration_spread(aggregate.speed_spreads(repeats)["train_seconds"])),
        *_machine(repeats),
    ]


def _flops(record: Record) -> tuple[str, str]:
    return ("FLOPs per image", _operations(record.flops.network))


def _machine(repeats: Sequence[Repeat]) -> list[tuple[str, str]]:
    instructions = [one.runtime.cpu_instructions for one in repeats]
    return [
        ("Device", distinct(aggregate.device(one) for one in repeats)),
        ("CPU threads", distinct(str(one.runtime.threads) for one in repeats)),
        *([("CPU instructions", distinct(instructions))] if any(instructions) else []),
    ]


def _plan(record: Record) -> list[tuple[str, str]]:
    """Return budget, phases where the recipe has some, and optimizer, with the rate where no phase tells it."""
    recipe, train, unit = record.recipe, record.recipe.train, record.recipe.train.budget.unit
    budget = ("Budget", f"{wording.amount(train.budget.amount, unit)}, batches of {train.batch_size:,}")
    if not recipe.in_phases:
        rate = wording.rates(train.lr, recipe.network.freeze, recipe)
        halves = [
            (f"Half {number}", f"{wording.amount(half.amount, unit)}: {half.regularizer}")
            for number, half in enumerate(record.phases, start=1)
        ]
        optimizer = ("Optimizer", f"{train.optimizer}, rate {rate}, schedule {train.schedule}")
        return [budget, *(halves if len(halves) > 1 else []), optimizer]
    phases = [(f"Phase {number}", wording.phase(phase, recipe)) for number, phase in enumerate(record.phases, start=1)]
    anew = ", both anew in each phase" if len(phases) > 1 else ""
    return [budget, *phases, ("Optimizer", f"{train.optimizer}, schedule {train.schedule}{anew}")]


def _compared(record: Record) -> list[tuple[str, str]]:
    """Return what a regularizer compares, where it does, and how large it is itself."""
    last, own = record.phases[-1], record.parameters.regularizer
    if last.hooked_layers is None:
        return []
    frozen = f"; frozen, so left out: {', '.join(last.idle_layers)}" if last.idle_layers else ""
    return [
        ("Maps compared with the source's", f"{', '.join(last.hooked_layers) or 'none'}{frozen}"),
        *([("Parameters of the regularizer, all parts", f"{own:,}")] if own else []),
    ]


def _peculiarities(recipe: TrainingSettings) -> list[tuple[str, str]]:
    """Return what a plain training has not."""
    data, train = recipe.data, recipe.train
    descriptions = {
        "Augmentation": wording.augmentation(data.augmentation),
        "Image sizes": wording.sizes(data.sizes, padding=data.crop_padding),
        "Batch norms": wording.BATCH_NORMS.get(train.freeze_bn_stats),
        "Sampling": wording.sampling(train.sampler),
        "Class weights": wording.class_weights(train.class_weights),
        **wording.ingredients(train),
    }
    return [(term, description) for term, description in descriptions.items() if description]


def _stopped(repeats: Sequence[Repeat]) -> list[tuple[str, str]]:
    """Return after which epochs the repeats stopped, and whose networks they are, where they may stop early."""
    if not repeats[0].record.recipe.train.early_stop:
        return []
    ends = ", ".join(f"{float(one.history[-1]['epoch']):.0f}" for one in repeats)
    best = ", ".join(f"{float(curves.tested_row(one)['epoch']):.0f}" for one in repeats)
    return [("Last and best epoch by repeat", f"{ends} and {best}")]


def _operations(flops: int) -> str:
    return (
        f"{tables.three_figures(flops / 1e9)} billion floating-point operations in the forward pass, "
        "a multiplication and an addition counted as two (convolutions and matrix products alone)"
    )


def cost(repeats: Sequence[Repeat]) -> str:
    """Return what the table of the cost of attention holds."""
    batch = repeats[0].record.recipe.train.batch_size
    speed = "median of the repeats with its range" if len(repeats) > 1 else "of a single repeat"
    return (
        f"What attention costs in the forward pass alone: operations, a multiplication and an addition counted as two, "
        f"and speed in batches of {batch:,}, {speed}"
    )


def _duration_spread(spread: Spread) -> str:
    mean = tables.duration(spread.mean)
    if spread.n == 1:
        return mean
    return f"{mean} ({tables.duration(spread.low)} to {tables.duration(spread.high)})"
