"""The model card of a bundle: README.md in the form of Hugging Face, with YAML metadata at its top."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from pipeline.bundles import certainty_text, identity
from pipeline.bundles.description import Description, Preprocessing, Score
from pipeline.bundles.identity import SHOWN
from pipeline.bundles.license import commercial_use
from pipeline.core import markdown, shortening
from pipeline.core.percents import percent
from pipeline.evaluation.scores import SCORES
from pipeline.networks.backbones.table import known

# Weights' licenses as SPDX writes them that Hugging Face knows in lower case.
KNOWN_LICENSES = ("Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC0-1.0", "MIT")
TASK = "image-classification"
# Characters of a value that is shown, such as of a list of phases.
LONGEST = 80
# Scores of probabilities, which calibration changes, and what `Assessment` calls the value after it.
AFTER = {"nll": "nll_after", "calibration_error": "calibration_error_after"}
USES = {
    "yes": "Commercial use of the pre-trained weights: **yes**, their license allows it.",
    "no": "Commercial use of the pre-trained weights: **no**, their license forbids it.",
    "unknown": "Commercial use of the pre-trained weights: **unknown**; ask their publisher.",
}


class Titled(NamedTuple):
    """A score with its key in `SCORES` and what it is called on the card."""

    key: str
    title: str
    score: Score


class ScoreRow(NamedTuple):
    """A score in words."""

    title: str
    value: str
    interval: str


class Figure(NamedTuple):
    """A figure of the card.

    Attributes:
        file: its name in the bundle's folder.
        alt: what it shows, with its numbers.
        caption: of which images it is drawn.
    """

    file: str
    alt: str
    caption: str


def text(said: Description, figures: Sequence[Figure] = ()) -> str:
    """Return the card.

    Args:
        said: what the bundle says of itself.
        figures: of how sure it is, which are in the bundle's folder.
    """
    import jinja2

    template = resources.files("pipeline.bundles").joinpath("templates/card.md").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(template).render(content(said), figures=figures)


def content(said: Description) -> dict[str, Any]:
    """Return the values of the template."""
    prepared = said.preprocessing
    return {
        "said": said,
        "metadata": metadata(said),
        "name": name(said),
        "kind": identity.kind(said),
        "changed": changed(said),
        "classes": [listed(one) for one in said.classes],
        "network": identity.network(said),
        "resize": resize(prepared),
        "crop": crop(prepared),
        "mean": ", ".join(map(str, prepared.mean)),
        "std": ", ".join(map(str, prepared.std)),
        "tested": said.scores["accuracy"].images if said.scores else 0,
        "own": list(rows(own_scores(said))),
        "experiment": list(rows(of_networks(said, said.experiment_scores))),
        "explained": explained([*said.scores, *said.experiment_scores]),
        "several": len(said.origin.repeats) > 1,
        "of_experiment": of_experiment(said),
        "why_none": identity.why_no_score(said),
        "sure": "\n\n".join(certainty_text.paragraphs(said)),
        "made_from": list(made_from(said)),
        "license": license_text(said),
    }


def changed(said: Description) -> str:
    """Return what the experiment changed of its recipe; empty where an older version did not write it."""
    if said.origin.changes is None:
        return ""
    words = [
        f"{escaped(key)} {_shown(one['value'])}"
        + ("" if one["recipe"] is None else f" (recipe {_shown(one['recipe'])})")
        for key, one in said.origin.changes.items()
    ]
    return f"Changed from the recipe: {', '.join(words)}." if words else "Nothing was changed from the recipe."


def _shown(value: object) -> str:
    return escaped(shortening.cut(shortening.value_text(value), LONGEST))


def name(said: Description) -> str:
    """Return the card's title."""
    return f"{known(said.network.backbone).title} for {escaped(said.origin.data_set)}"


def metadata(said: Description) -> str:
    """Return the YAML at the card's top."""
    import yaml

    values: dict[str, Any] = {
        "license": said.origin.weights_license.lower() if said.origin.weights_license in KNOWN_LICENSES else "unknown",
        "pipeline_tag": TASK,
        "library_name": "orbweaver",
        "tags": [TASK, "transfer-learning", said.network.backbone],
    }
    if said.scores:
        data_set = " ".join(said.origin.data_set.split())
        metrics = [{"type": one.key, "name": one.title, "value": round(one.score.value, 6)} for one in own_scores(said)]
        result = {
            "task": {"type": TASK},
            "dataset": {"type": data_set, "name": data_set, "split": "test"},
            "metrics": metrics,
        }
        values |= {"metrics": list(said.scores), "model-index": [{"name": name(said), "results": [result]}]}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def of_networks(said: Description, scores: Mapping[str, Score]) -> Iterator[Titled]:
    """Yield scores of networks as they were trained, in the order of their table."""
    for key, row in SCORES.items():
        if key in scores:
            before = ", before calibration" if said.calibration and key in AFTER else ""
            yield Titled(key, f"{row.title}{before}", scores[key])


def own_scores(said: Description) -> Iterator[Titled]:
    """Yield the bundle's scores: behind those of the network's own probabilities, those of the calibrated ones."""
    tested = said.on_test if said.on_test and said.calibration else {}
    for one in of_networks(said, said.scores):
        yield one
        # Earlier versions did not have all of them.
        if (value := tested.get(AFTER.get(one.key, ""))) is not None:
            score = Score(value=value, low=None, high=None, images=one.score.images)
            yield Titled(one.key, f"{SCORES[one.key].title}, after calibration", score)


def rows(scores: Iterable[Titled]) -> Iterator[ScoreRow]:
    """Yield scores in words."""
    for key, title, one in scores:
        row = SCORES[key]
        digits = row.decimals - 1 if row.percent else row.decimals
        value, low, high = (
            "" if each is None else percent(each, digits) if row.percent else f"{each:.{digits}f}"
            for each in (one.value, one.low, one.high)
        )
        yield ScoreRow(title, value, f"{low} to {high}" if low else "none")


def explained(names: Collection[str]) -> str:
    """Return what scores are, in a sentence."""
    each = [f"{row.title}: {row.in_words}" for name, row in SCORES.items() if name in names]
    return f"What they are: {'; '.join(each)}."


def resize(prepared: Preprocessing) -> str:
    """Return the first resizing in words."""
    side, way = prepared.image_size, f"{prepared.resampling}, antialiased"
    if prepared.resize == "crop":
        return f"the short side resized to {side} pixels ({way}) and the center of {side} x {side} cut out"
    return f"resized to {side} x {side} pixels ({way})"


def crop(prepared: Preprocessing) -> str:
    """Return the crop and the second resizing in words; empty where there are none."""
    cut = f", then the center of {prepared.crop_size} x {prepared.crop_size}"
    again = f", then {prepared.input_size} x {prepared.input_size}"
    return (cut if prepared.crop_size != prepared.image_size else "") + (
        again if prepared.input_size != prepared.crop_size else ""
    )


def of_experiment(said: Description) -> str:
    """Return in words whose scores those of the experiment are."""
    count = len(said.origin.repeats)
    each = f"{count} repeats, each with a network of its own" if count > 1 else "one repeat, with a network of its own"
    fewer = ", trained on fewer images than this one" if said.kind == "final" else ""
    scores = "the mean scores on their test images" if count > 1 else "the scores on its test images"
    return f"The experiment had {each}{fewer}; {scores}:"


def made_from(said: Description) -> Iterator[tuple[str, str]]:
    """Yield what the bundle was made from, in words."""
    origin = said.origin
    yield "experiment", f"`{origin.experiment[:SHOWN]}`"
    yield "recipe", f"`{origin.recipe}`"
    if origin.commit:
        yield "commit", f"`{origin.commit[:SHOWN]}`{' with changes' if origin.changed else ''}"
    yield "images", f"{origin.images}, `{origin.data_sha256[:SHOWN]}`"
    yield "pre-trained weights", escaped(origin.weights_origin)
    if origin.weights_sha256:
        yield "their SHA-256", f"`{origin.weights_sha256[:SHOWN]}`"
    if origin.run:
        yield "MLflow run", f"`{origin.run}`"


def license_text(said: Description) -> str:
    """Return the license of the pre-trained weights in words."""
    if not said.origin.weights_sha256:
        return "No pre-trained weights went into it."
    license = said.origin.weights_license
    stated = f"The pre-trained weights are under {license}." if license else "Their publisher states no license."
    return f"{stated} {USES[commercial_use(license)]} Images have terms of their own."


def listed(name: str) -> str:
    r"""Return a class's name as an item of a list, in which a number or a dash at its front begins no other list.

    >>> print(listed("1. a"), listed("- b"), listed("c 1."))
    1\. a \- b c 1.
    """
    return re.sub(r"^(\d*)([-+.)])", r"\1\\\2", escaped(name))


def escaped(word: str) -> str:
    """Return a name from outside, such as a class's, so that Markdown shows it as it is."""
    return markdown.escaped(" ".join(word.split()))
