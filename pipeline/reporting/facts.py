"""What the page and the summary say of an experiment in words: facts as (term, description), and warnings."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.core.files import flat
from pipeline.core.recipe import NONE, PHASES
from pipeline.datasets.collect.sets import SETS
from pipeline.reporting import aggregate, confidence_intervals, tables, wording
from pipeline.reporting.aggregate import Repeat, Spread
from pipeline.reporting.figures import Shown

# The setting whose value is a word or a section.
WORD_OR_SECTION = "data.split.per_class"
PARTS = {"train": "Training images", "val": "Validation images", "test": "Test images"}


class Material(NamedTuple):
    """All that a report is made from.

    Attributes:
        repeats: one or more, of the same experiment.
        cite: the paper that the recipe is from, as params.yaml has it.
        dataset: dataset.json.
        class_images: each class's number of images in the whole set.
        rejected: (path, reason) of the files that were left out.
        right: typical right predictions with their images.
        wrong: confident wrong ones.
        health: what is worth knowing of the set before it is used, as `datasets.health.examine` gives it.
        augmented: a PNG of training images, a row each: as packed, then as training varied them; empty where it did
            not.
    """

    repeats: Sequence[Repeat]
    cite: str
    dataset: Mapping[str, Any]
    class_images: Mapping[str, int]
    rejected: Sequence[tuple[str, str]]
    right: Sequence[Shown]
    wrong: Sequence[Shown]
    health: Mapping[str, Any]
    augmented: bytes = b""


def title(repeats: Sequence[Repeat]) -> str:
    """The experiment in a few words."""
    network = repeats[0].record["recipe"]["network"]
    attention = "" if network["attention"] == wording.NO_ATTENTION else f" with {network['attention']} attention"
    strategy = "in phases" if network["freeze"] == PHASES else f"strategy {network['freeze']}"
    strategy = "from scratch" if wording.is_scratch(network) else strategy
    method = repeats[0].record["recipe"]["regularizer"]["method"]
    regularizer = "" if method == wording.NO_REGULARIZER else f", regularizer {method}"
    return f"{repeats[0].record['recipe_name']}: {network['backbone']}{attention}, {strategy}{regularizer}"


def experiment(material: Material) -> list[tuple[str, str]]:
    """What was tried, as (term, description)."""
    record = material.repeats[0].record
    network, classes = record["recipe"]["network"], record["data"]["classes"]
    return [
        ("Recipe", f"{record['recipe_name']} ({material.cite})"),
        ("Strategy", wording.strategy(network)),
        ("Backbone", network["backbone"]),
        ("Starting weights", _weights(network["weights"], record["weights"]["origin"])),
        ("Attention", wording.attention(record["recipe"])),
        ("Head", network["head"]),
        ("Regularizer", wording.regularizer(record["recipe"])),
        (
            "Data",
            f"{material.dataset['title']}: {record['data']['images']:,} images, {len(classes):,} classes",
        ),
    ]


def _weights(name: str, origin: str) -> str:
    return "none: random values" if origin == "none" else f"{name} ({origin})"


def notes(material: Material) -> list[str]:
    """What a reader must know before he trusts the number."""
    repeats, n = material.repeats, len(material.repeats)
    images = round(sum(one.scores["test_images"] for one in repeats) / n)
    told = [
        confidence_intervals.note(
            repeats, own_parts=bool(material.dataset["has_parts"]) and not _drawn_by_class(material)
        ),
        f"Each repeat tests {images:,} images: one image more or less is {tables.percent(1 / images, 2)}.",
        "The network of the last epoch is what is tested, once; no test image had a part in training or in "
        "choosing an epoch.",
    ]
    if material.dataset["set"] == "synthetic":
        told.append(
            "The images are drawn by a program: they show that the pipeline works, not how well it does on photographs."
        )
    overlap = (material.dataset.get("published") or {}).get("known_overlap")
    record = repeats[0].record
    if overlap and record["recipe"]["network"]["weights"] == "imagenet" and record["weights"]["origin"] != "none":
        told.append(
            f"The set and the pre-training data overlap: {overlap} So the accuracy here is higher than on new images."
        )
    if _is_balanced(repeats[0].record["recipe"]["train"]):
        told.append(
            "Training gave rare classes more weight than they have among the images, and accuracy favours frequent "
            "ones: macro-F1, told with it, counts every class the same."
        )
    if any(one.runtime["git_dirty"] for one in repeats):
        told.append(
            "Files differed from the recorded commit when this was trained: the commit alone does not give it back."
        )
    if collapses := aggregate.collapses(repeats):
        told.append(_collapsed(collapses))
    if empty := [one.name for one in aggregate.class_scores(repeats) if not one.support]:
        told.append(f"Without a test image, so not judged: {', '.join(empty)}.")
    return told


def _collapsed(found: Sequence[aggregate.Collapse]) -> str:
    """That a regularizer says little, with the worst case."""
    worst = max(found, key=lambda one: one.share)
    where = "the layer holds" if worst.alone else "one place of it holds"
    others = f", and in {len(found) - 1} more cases" if len(found) > 1 else ""
    return (
        f"The weights of {worst.method} have collapsed: at {worst.layer} {where} {tables.percent(worst.share, 0)} of the "
        f"weight in repeat {worst.repeat}{others}. It then keeps little of the network near the pre-trained one."
    )


def _is_balanced(train: Mapping[str, Any]) -> bool:
    return bool(wording.sampling(train) or wording.class_weights(train))


def _drawn_by_class(material: Material) -> bool:
    """Whether so many images of each class are drawn, anew in each repeat."""
    return bool(material.repeats[0].record["recipe"]["data"]["split"]["per_class"] != NONE)


def data(material: Material) -> list[tuple[str, str]]:
    """The images and their parts."""
    images, parts = material.repeats[0].record["data"], [one.record["parts"] for one in material.repeats]
    sizes = material.class_images.values()
    return [
        ("Set", f"{material.dataset['title']} ({images['set']})"),
        ("Classes", f"{len(images['classes']):,}"),
        ("Images", f"{images['images']:,}; {min(sizes):,} to {max(sizes):,} a class"),
        *((label, _range([one[part] for one in parts])) for part, label in PARTS.items()),
        ("Files left out", f"{len(material.rejected):,}"),
        *_published(material.dataset.get("published") or {}),
    ]


def health(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sizes, modes and evenness of the whole set."""
    ends = [" × ".join(f"{side:,}" for side in found["sizes"][end]) for end in ("smallest", "largest")]
    modes = ", ".join(f"{mode} {count:,}" for mode, count in found["modes"].items())
    return [
        ("Smallest and largest image", " and ".join(dict.fromkeys(ends)) + " pixels"),
        ("Modes", modes),
        ("Largest class to smallest", f"{found['imbalance']:g} to 1"),
    ]


def _published(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a published set's owners and its readers have to be told."""
    terms = {"Home": "home", "Terms": "terms", "Citation": "citation", "In the papers": "paper"}
    return [(term, told[key]) for term, key in terms.items() if told.get(key)]


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def training(repeats: Sequence[Repeat]) -> list[tuple[str, str]]:
    """Budget, phases, what differs from a plain training, parameters, operations, time and device."""
    record = repeats[0].record
    time, speed = aggregate.speed_spreads(repeats).values()
    cache = max(one.runtime["cache_seconds"] for one in repeats)
    last = " in the last phase" if record["recipe"]["network"]["freeze"] == PHASES else ""
    return [
        *_plan(record),
        *_peculiarities(record["recipe"]),
        (f"Parameters that train{last}", f"{record['parameters']['trainable']:,}"),
        (f"Frozen parameters{last}", f"{record['parameters']['frozen']:,}"),
        *_compared(record),
        ("Operations an image", _operations(record["flops"]["network"])),
        ("Time a repeat", _duration_spread(time)),
        *([("Frozen part, computed once", f"up to {tables.duration(cache)} of it")] if cache else []),
        ("Speed", tables.number_spread(speed, "images/s")),
        ("Device", _distinct(aggregate.device(one) for one in repeats)),
        ("CPU threads", _distinct(str(one.runtime["threads"]) for one in repeats)),
    ]


def _plan(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Budget, phases where the recipe has some, and optimizer, with the rate where no phase tells it."""
    recipe, train = record["recipe"], record["recipe"]["train"]
    length = wording.amount(train["budget"]["amount"], train["budget"]["unit"])
    budget = f"{length}, batches of {train['batch_size']:,}"
    if recipe["network"]["freeze"] != PHASES:
        rate = wording.rates(train["lr"], recipe["network"]["freeze"], recipe)
        unit = train["budget"]["unit"]
        halves = record["phases"] if len(record["phases"]) > 1 else []
        return [
            ("Budget", budget),
            *(
                (f"Half {n}", f"{wording.amount(p['amount'], unit)}: {p['regularizer']}")
                for n, p in enumerate(halves, 1)
            ),
            ("Optimizer", f"{train['optimizer']}, rate {rate}, schedule {train['schedule']}"),
        ]
    phases = [
        (f"Phase {number}", wording.phase(found, recipe)) for number, found in enumerate(record["phases"], start=1)
    ]
    anew = ", both anew in each phase" if len(phases) > 1 else ""
    return [("Budget", budget), *phases, ("Optimizer", f"{train['optimizer']}, schedule {train['schedule']}{anew}")]


def _compared(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a regularizer compares, where it does, and how large it is itself."""
    hooked_layers = record["phases"][-1].get("hooked_layers")
    if hooked_layers is None:
        return []
    idle = record["phases"][-1]["idle_layers"]
    frozen = f"; frozen, so left out: {', '.join(idle)}" if idle else ""
    own = record["parameters"]["regularizer"]
    return [
        ("Maps compared with the source's", f"{', '.join(hooked_layers) or 'none'}{frozen}"),
        *([("Parameters of the regularizer, all parts", f"{own:,}")] if own else []),
    ]


def _peculiarities(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a plain training has not."""
    data, train = recipe["data"], recipe["train"]
    told = {
        "Augmentation": wording.augmentation(data),
        "Image sizes": wording.sizes(data),
        "Batch norms": wording.BATCH_NORMS.get(train["freeze_bn_stats"]),
        "Sampling": wording.sampling(train),
        "Class weights": wording.class_weights(train),
    }
    return [(term, description) for term, description in told.items() if description]


def _operations(flops: int) -> str:
    return (
        f"{tables.three_figures(flops / 1e9)} billion floating-point operations in the forward pass, "
        "a multiplication and an addition counted as two (convolutions and matrix products alone)"
    )


def cost(repeats: Sequence[Repeat]) -> str:
    """What the table of the cost of attention holds."""
    batch = repeats[0].record["recipe"]["train"]["batch_size"]
    speed = "median of the repeats with its range" if len(repeats) > 1 else "of a single repeat"
    return (
        f"What attention costs in the forward pass alone: operations, a multiplication and an addition counted as two, "
        f"and speed in batches of {batch:,}, {speed}"
    )


def _duration_spread(found: Spread) -> str:
    told = tables.duration(found.mean)
    if found.n == 1:
        return told
    return f"{told} ({tables.duration(found.low)} to {tables.duration(found.high)})"


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def hashes(repeats: Sequence[Repeat]) -> list[tuple[str, str]]:
    """What identifies data, weights, code and the packages."""
    record = repeats[0].record
    names = dict.fromkeys(name for one in repeats for name in one.runtime["versions"])
    return [
        ("Data, SHA-256", record["data"]["sha256"]),
        ("Starting weights", record["weights"]["origin"]),
        ("Starting weights, SHA-256", record["weights"]["sha256"] or "none"),
        ("Training code, SHA-256", _distinct(one.record["code"] for one in repeats)),
        *((name, _distinct(one.runtime["versions"].get(name, "none") for one in repeats)) for name in names),
    ]


def reproduce(repeats: Sequence[Repeat]) -> list[str]:
    """The commands that give the result back, as far as the record says.

    With a clean commit `dvc repro` does; else params.yaml may have been other than the commit's, so every value
    of the recipe is spelled out. Places are the user's own and not in the record, so he puts them in.
    """
    newest = max(repeats, key=lambda one: str(one.runtime["started"]))
    commit = newest.runtime["git_commit"]
    checkout = [f"git checkout {commit}"] if commit else []
    if commit and not any(one.runtime["git_dirty"] for one in repeats):
        return [*checkout, "dvc repro"]
    recipe, name = newest.record["recipe"], newest.record["recipe_name"]
    # `++` sets what a recipe states and what it does not; nothing that differs for a data set is left to win over it.
    values: dict[str, Any] = {f"++recipes.{name}.per_data": {}}
    values |= {f"++recipes.{name}.{key}": value for key, value in _stated(recipe)}
    values |= {"repeats": [one.number for one in repeats], "threads": newest.record["threads"]}
    if key := SETS[recipe["data"]["set"]].needed_place:
        values[key] = f"YOUR_{key.upper()}"
    if recipe["network"]["weights"] == "file":
        values["weights_file"] = "YOUR_FILE"
    words = [f"-S {shlex.quote(f'{name}={_override(value)}')}" for name, value in values.items()]
    return [*checkout, " \\\n  ".join([f"dvc exp run -S recipe={name}", *words])]


def _stated(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values of a resolved recipe as a section of params.yaml states them.

    >>> train = {"lr": 0.1, "phases": [{"freeze": "1", "amount": 2, "lr": 0.1, "regularizer": "none"}]}
    >>> list(_stated({"network": {"freeze": "1"}, "train": train}))
    [('network.freeze', '1'), ('train.lr', 0.1), ('train.phases', [])]
    """
    in_phases = recipe["network"]["freeze"] == PHASES
    phases = [{key: phase[key] for key in ("freeze", "amount", "lr")} for phase in recipe["train"]["phases"]]
    for key, value in flat({**recipe, "train": recipe["train"] | {"phases": phases if in_phases else []}}):
        section, _, last = key.rpartition(".")
        if section == WORD_OR_SECTION:
            if last == "train":
                yield section, recipe["data"]["split"]["per_class"]
        else:
            yield key, value


def _override(value: Any) -> str:
    """As DVC reads it in -S: lists without blanks, keys without quotes, true and false in small letters.

    >>> _override([{"freeze": "1", "amount": 10}])
    '[{freeze:"1",amount:10}]'
    """
    if isinstance(value, list):
        return f"[{','.join(map(_inside, value))}]"
    if isinstance(value, Mapping):
        return _inside(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _inside(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_inside(part)}' for key, part in value.items())}}}"
    return json.dumps(value)
