"""One self-contained HTML page, and a short Markdown summary, with the answer first."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.core.counting import counted
from pipeline.evaluation.compare.experiments import ACCURACY
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.scores import SCORES
from pipeline.reporting import (
    aggregate,
    confidence_intervals,
    curves,
    examples,
    explained,
    facts,
    figures,
    markup,
    notes,
    numbers,
    provenance,
    standing,
    tables,
    wording,
)
from pipeline.reporting.explained import Explanations
from pipeline.reporting.markup import TEMPLATES
from pipeline.reporting.material import Material
from pipeline.reporting.pictures import FeatureMaps, Picture

REJECTED_SHOWN = 20
CONFUSIONS_SHOWN = 8
F1 = (
    "the harmonic mean of its precision, the part of what is predicted as the class that is right, and its recall, the "
    "part of its images that is predicted as the class"
)


def page(
    material: Material, charts: Mapping[str, Picture], explanations: Explanations, maps: Sequence[FeatureMaps]
) -> str:
    """Return the whole page: no script, nothing loaded from elsewhere, every image inside."""
    template = markup.environment(TEMPLATES).get_template("page.html")
    sections = _sections(material) | {"inside": _inside(material.repeats[0], explanations, maps)} | _captions(material)
    return template.render(charts=charts, material=material, **_answer(material), **sections)


def _answer(material: Material) -> dict[str, Any]:
    repeats = material.repeats
    spreads = aggregate.score_spreads(repeats)
    listed = [(SCORES[name], spread) for name, spread in spreads.items() if name != ACCURACY and SCORES[name].on_page]
    return {
        "title": facts.title(repeats),
        "experiment": facts.experiment(material),
        "accuracy": spreads[ACCURACY],
        "others": [
            ("95 % interval", confidence_intervals.percents(confidence_intervals.intervals(repeats).get("accuracy"))),
            *((row.title, tables.score_spread(spread, row)) for row, spread in listed),
            *standing.row(material),
            ("always the most frequent class", tables.percent(aggregate.majority_accuracy(repeats))),
        ],
        "notes": notes.limits(material),
    }


def _sections(material: Material) -> dict[str, Any]:
    repeats, record, recipe = material.repeats, material.repeats[0].record, material.repeats[0].record.recipe
    names, matrix = repeats[0].classes, aggregate.pooled_confusion(repeats)
    return {
        "results": tables.results(repeats),
        "scores": score_words(repeats[0].scores.by_name),
        "data": facts.data(material),
        "health": facts.health(material.health),
        "findings": tables.findings(material.health["findings"]),
        "rejected": tables.rejected(material.rejected[:REJECTED_SHOWN]),
        "training": facts.training(repeats),
        "step": curves.unit(record),
        "stages_caption": _stages_caption(repeats),
        "varied": wording.varied(recipe.data, recipe.options_of("augmentation")),
        "cost": tables.cost(repeats),
        "cost_caption": facts.cost(repeats),
        "shown_as_packed": wording.shown_as_packed(recipe.data.sizes),
        "confusions": tables.confusions(aggregate.top_confusions(matrix, names, CONFUSIONS_SHOWN)),
        "classes": tables.classes(aggregate.class_scores(repeats), material.class_images),
        "settings": provenance.settings(recipe.model_dump(mode="json")),
        "runs": provenance.runs(repeats),
        "hashes": provenance.hashes(repeats),
        "further_confusions": further_confusions(matrix, CONFUSIONS_SHOWN),
        "wrong": len(examples.wrong_examples(repeats)),
        "right_of": right_of(material),
        "whose": examples.whose(repeats, (shown.example for shown in (*material.right, *material.wrong))),
        "calibration": numbers.reliability(repeats),
        "numbers": numbers.beside(material),
        "reproduce": provenance.reproduce(repeats, cite=material.cite),
    }


def score_words(names: Collection[str]) -> list[tuple[str, str]]:
    """Return the title of each of these scores with what it is, and F1, which others are made of.

    >>> score_words(["accuracy", "nll"])[1]
    ('NLL', 'mean negative log-likelihood of the actual class (lower is better)')
    """
    rows = [(row.title, row.in_words) for name, row in SCORES.items() if name in names]
    return [*rows, ("F1", f"of a class: {F1}")]


def right_of(material: Material) -> str:
    """Return of how many classes a right prediction is shown, and of which; empty where it is of all."""
    scores = aggregate.class_scores(material.repeats)
    shown, known = len(material.right), sum(one.recall.mean > 0 for one in scores)
    if shown == len(scores):
        return ""
    which = "the others have no right prediction"
    if shown < known:
        which = f"at equal distances in the list of the {known:,} with a right prediction"
    return f"{shown:,} of {len(scores):,} classes: {which}."


def further_confusions(matrix: aggregate.IntArray, shown: int) -> str:
    """Return how many confusions the table lacks, and how many of them are as frequent as its last; empty for none."""
    others, as_frequent = aggregate.further_confusions(matrix, shown)
    if not others:
        return ""
    alike = f", {as_frequent:,} of them as often as the last of these" if as_frequent else ""
    return f"and {counted(others, 'more pair')} of classes{alike}"


def _captions(material: Material) -> dict[str, str]:
    """Return the captions of charts by name, with how each combines the repeats."""
    n, classes = len(material.repeats), len(material.repeats[0].classes)
    bands = "Lines are means over the repeats, bands reach from the lowest to the highest. " if n > 1 else ""
    bars = "; bars are means, lines reach from the lowest repeat to the highest" if n > 1 else ""
    over = f" summed over {n} repeats" if n > 1 else ""
    written, of_counts = f"Counts{over}; the", f", of counts{over}" if n > 1 else ""
    colors = f"{written} color is the part of the row."
    if classes > figures.NUMBERED_CLASSES:
        colors = f"The color is the part of the row{of_counts}."
    some = figures.SHOWN_BARS
    lowest = f" Of {classes:,} classes the {some} with the lowest F1 are drawn." if classes > some else ""
    return {
        "curves_caption": f"{bands}Training values are means over the epoch, while the network changes.",
        "over": over,
        "confusion_caption": colors,
        "confused_caption": f"{written} color is the part of what is shown of the row.",
        "classes_caption": f"Best F1 first; n is the number of test images{over and ','}{over}{bars}.{lowest}",
    }


def _stages_caption(repeats: Sequence[Repeat]) -> str:
    last = " in the last phase" if repeats[0].record.recipe.in_phases else ""
    how = "is solved" if aggregate.is_probe(repeats) else f"trains{last}"
    return f"How much of each stage {how}, statistics of batch norms among the frozen numbers."


def _inside(one: Repeat, explanations: Explanations, maps: Sequence[FeatureMaps]) -> dict[str, Any]:
    """Return the content of the section on the network's inside."""
    places, sizes = explanations.described["layers"], explained.sizes(explanations)
    own, attention = "class_maps" in explanations.arrays, explanations.described["attention"]
    maps_are = explained.maps(places, explained.places(explanations), attention, own=own)
    return {
        "repeat": explanations.repeat,
        "rule": "its most confident wrong predictions, then right ones of median confidence.",
        "maps": maps_are + explained.sameness(explanations) + explained.darkness(explanations),
        "overlays": explained.overlays(explanations),
        "attention": attention,
        "features": maps,
        "stages": ", ".join(sizes),
        "unchanged": wording.first_layers(one.record.recipe.network.freeze, one.record.stages["stem"]),
    }


def markdown(material: Material) -> str:
    """Return the same in short, for a terminal, a merge request or a README: it names no file of the user's."""
    repeats = [one._replace(record=one.record.public()) for one in material.repeats]
    material = material._replace(repeats=repeats)
    accuracy = tables.percent_spread(aggregate.score_spreads(repeats)["accuracy"])
    interval = confidence_intervals.percents(confidence_intervals.intervals(repeats).get("accuracy"))
    about = tables.Table(("", ""), facts.experiment(material), numbers_from=2)
    data = tables.Table(("", ""), facts.data(material), numbers_from=2)
    top = aggregate.top_confusions(aggregate.pooled_confusion(repeats), repeats[0].classes, CONFUSIONS_SHOWN)
    parts = [
        f"# {tables.literal(facts.title(repeats))}",
        f"Test accuracy **{accuracy}** (n = {len(repeats)}, 95 % interval {interval}).",
        tables.markdown(about),
        "\n".join(f"- {tables.literal(note)}" for note in notes.limits(material)),
        "## Repeats",
        tables.markdown(tables.results(repeats)),
        *_plan(repeats),
        *(["## Data", tables.markdown(data)] if material.dataset.get("published") else []),
        *_health(material),
        "## Classes",
        tables.markdown(tables.classes(aggregate.class_scores(repeats), material.class_images)),
        "## Most frequent confusions",
        tables.markdown(tables.confusions(top)) if top else "None: every test image was classified correctly.",
        *filter(None, [further_confusions(aggregate.pooled_confusion(repeats), CONFUSIONS_SHOWN)]),
        "## Settings",
        tables.markdown(provenance.settings(repeats[0].record.recipe.model_dump(mode="json"))),
        "## Provenance",
        "\n".join(["```sh", *provenance.reproduce(repeats, cite=material.cite), "```"]),
        tables.markdown(provenance.runs(repeats)),
        tables.markdown(tables.Table(("", ""), provenance.hashes(repeats), numbers_from=2)),
    ]
    return "\n\n".join(parts) + "\n"


def _health(material: Material) -> list[str]:
    """Return the section on findings in the images, if there are some."""
    table = tables.findings(material.health["findings"], first=False)
    return ["## Data health", tables.markdown(table)] if table.rows else []


def _plan(repeats: Sequence[Repeat]) -> list[str]:
    """Return the section on training, with the cost of attention if there is some."""
    table = tables.Table(("", ""), facts.training(repeats), numbers_from=2)
    cost = tables.cost(repeats)
    parts = ["## Training", tables.markdown(table)] if len(repeats[0].record.phases) > 1 else []
    return parts + (["## Cost of attention", f"{facts.cost(repeats)}.", tables.markdown(cost)] if cost.rows else [])
