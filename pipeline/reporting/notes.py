"""Remarks that a reader must know before relying on an experiment's number: pure."""

from collections.abc import Iterator, Sequence

from pipeline.core.counting import counted
from pipeline.core.sections import EACH, Split, Train
from pipeline.core.shortening import some
from pipeline.datasets.collect import health
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.networks.attention import start
from pipeline.networks.weights import OF_IMAGENET
from pipeline.reporting import (
    aggregate,
    collapses,
    confidence_intervals,
    provenance,
    signs,
    standing,
    tables,
    unfinished,
    wording,
)
from pipeline.reporting.collapses import Collapse
from pipeline.reporting.material import Material

# Classes in a sentence at most.
NAMES = 10


def limits(material: Material) -> list[str]:
    """Return what limits the result, a sentence or two each."""
    repeats = material.repeats
    return [
        confidence_intervals.note(repeats),
        *filter(None, [standing.sentence(material), confidence_intervals.detectable(repeats)]),
        _one_image([one.scores.test_images for one in repeats]),
        _tested(repeats),
        *_of_images(material),
        *_of_training(repeats),
        *_of_gates(material),
        *_of_the_budget(material),
    ]


def _one_image(tested: Sequence[int]) -> str:
    low, high = min(tested), max(tested)
    images = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    share = tables.three_figures(100 / round(sum(tested) / len(tested)))
    points = f"{share}{signs.NO_BREAK}point{'' if share == '1' else 's'}"
    return f"Each repeat tests {images} images: one image more or less is {points}."


def _tested(repeats: Sequence[Repeat]) -> str:
    if aggregate.is_probe(repeats):
        return (
            "The frozen backbone with its solved head is what is tested, once; no test image had a part in solving it."
        )
    return (
        f"{wording.tested(repeats[0].record.recipe.train)} is what is tested, once; no test image had a part in "
        "training or in choosing an epoch."
    )


def _of_images(material: Material) -> Iterator[str]:
    if material.dataset["set"] == "synthetic":
        yield (
            "The images are drawn by a program: they show that the pipeline works, not how well it does on photographs."
        )
    yield from _of_the_split(material.repeats[0].record.recipe.data.split)
    yield from (
        f"{finding['files'][0]}." for finding in material.health["findings"] if finding["what"] == health.TESTED
    )
    overlap = (material.dataset.get("published") or {}).get("known_overlap")
    if overlap and material.repeats[0].record.recipe.network.weights in OF_IMAGENET:
        yield f"The set and the pre-training data overlap: {overlap} So the accuracy here is higher than on new images."


def _of_the_split(split: Split) -> Iterator[str]:
    if split.inner:
        whose = "its own" if split.division == EACH else f"repeat {split.division}'s"
        yield (
            f"What is tested here is a part of the training images of {whose} division, to choose settings by; the "
            "images of its test part had no part in this. The number is of networks that were trained on fewer images."
        )
    if split.train_fraction < 1:
        yield f"Of each class {tables.percent(split.train_fraction, 0)} of the training images were used."


def _of_training(repeats: Sequence[Repeat]) -> Iterator[str]:
    if _is_balanced(repeats[0].record.recipe.train):
        yield (
            "Training gave rare classes more weight than they have among the images, and accuracy favors frequent "
            "ones: macro-F1, beside it, counts every class the same."
        )
    if files := provenance.changed_code(repeats):
        yield (
            f"Source files differed from the recorded commit when this was trained: {files}. The commit alone does not "
            "give it back; `orbweaver reproduce` does where MLflow kept the changes."
        )
    if cases := collapses.collapses(repeats):
        yield collapsed(cases)
    yield from _of_classes(repeats)


def _of_classes(repeats: Sequence[Repeat]) -> Iterator[str]:
    scores = aggregate.class_scores(repeats)
    if empty := [one.name for one in scores if not one.support]:
        yield (
            f"Without a test image, so not judged: {some(empty, NAMES)}. Where such a class is predicted, macro-F1 "
            "counts it as 0."
        )
    if never := [f"{one.name} (n = {one.support:,})" for one in scores if one.support and not one.recall.mean]:
        yield (
            f"Without one right prediction: {len(never):,} of {counted(len(scores), 'class', 'classes')}, "
            f"{some(never, NAMES)}; n is the number of test images{' in all repeats' if len(repeats) > 1 else ''}."
        )


def _of_gates(material: Material) -> Iterator[str]:
    recipe = material.repeats[0].record.recipe
    if doubt := start.doubt(recipe, material.own):
        key = f"options.attention.{recipe.network.attention}.gate_init"
        yield f"{doubt[0].upper()}{doubt[1:]}. With -S {key}={start.IDENTITY} it starts from the network as it was."


def _of_the_budget(material: Material) -> Iterator[str]:
    found = unfinished.unfinished(material.repeats)
    if found is None:
        return
    record, own = material.repeats[0].record, material.own
    budget, least = record.recipe.train.budget, ""
    if len(material.repeats) > 1:
        least = f" (in every repeat by {tables.percent(found.lowest, 0)} or more)" if found.lowest > 0 else ""
    evidence = [
        f"in its last part the training loss still fell by {tables.percent(found.fall, 0)}{least}",
        f"{tables.percent(found.accuracy, 0)} of the training images are right at its end",
    ]
    if found.confidence is not None:
        evidence.append(
            f"on test images the mean confidence, {tables.percent(found.confidence)}, is below the accuracy, "
            f"{tables.percent(found.test_accuracy)}"
        )
    longer = unfinished.more(record, own.amount if own else None)
    yield (
        f"Training looks unfinished after {budget.amount:,} {budget.unit}: {', '.join(evidence)}. "
        f"A longer one, such as -S budget={longer}, may do better."
    )


def collapsed(cases: Sequence[Collapse]) -> str:
    """Return that a regularizer says little, with the worst case."""
    worst = max(cases, key=lambda one: one.share)
    where = "the layer holds" if worst.alone else "one place of it holds"
    others = f", and in {len(cases) - 1} more cases" if len(cases) > 1 else ""
    return (
        f"The weights of {worst.method} have collapsed: at {worst.layer} {where} {tables.percent(worst.share, 0)} of "
        f"the weight in repeat {worst.repeat}{others}. It then keeps little of the network near the pre-trained one."
    )


def _is_balanced(train: Train) -> bool:
    return bool(wording.sampling(train.sampler) or wording.class_weights(train.class_weights))
