"""`orbweaver score`: bundles on new labeled photographs, one beside the other."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from pipeline.bundles import contents
from pipeline.commands import devices
from pipeline.core import percents
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.datasets.collect import listing
from pipeline.evaluation.compare import comparison, pairs
from pipeline.evaluation.compare.experiments import ACCURACY, Comparison, Pair
from pipeline.evaluation.compare.statistics import Interval
from pipeline.evaluation.scores import SCORES
from pipeline.reporting import confidence_intervals
from pipeline.reporting.signs import DASH
from pipeline.reporting.tables import Table
from pipeline.reporting.text_tables import fitted, wrapped

if TYPE_CHECKING:
    from pipeline.assembly.new_photographs import Scored


@click.command(name="score")
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...", type=click.Path(path_type=Path))
@click.option(
    "--photographs",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder of new photographs, with a folder for each class, or with metadata.csv.",
)
@devices.option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(bundles: tuple[Path, ...], folder: Path, device: str, as_json: bool) -> None:
    """Score bundles on new labeled photographs, and compare them.

    The photographs are to be new to all bundles: of those that a network was trained on, the scores say nothing. Of a
    folder with the parts train and test, the test part is used. Intervals are over photographs; groups that
    metadata.csv names count as one.
    """
    from pipeline.assembly import new_photographs
    from pipeline.bundles import bundle

    if len(set(bundles)) < len(bundles):
        raise InputError(f"{' '.join(map(str, bundles))}: one bundle is given twice; give each once")
    photographs, left_out = new_photographs.labeled(folder)
    of_bundle = {
        place: new_photographs.spelled(photographs, contents.describe(place).classes, folder) for place in bundles
    }
    scored = []
    for place, labeled in of_bundle.items():
        with tqdm(total=len(labeled), desc=str(place), unit=" images", disable=None, leave=False) as progress:
            loaded = bundle.load(place, device=device)
            scored.append(new_photographs.score(str(place), loaded, labeled, progress.update))
    compared = comparison.compare([one.experiment for one in scored])
    for line in [*left_out, *remarks(scored)]:
        click.echo(wrapped(f"score: {line}", err=True), err=True)
    if as_json:
        click.echo(json.dumps(as_data(scored, compared), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(scored, compared))


def remarks(scored: "Sequence[Scored]") -> list[str]:
    """Return lines on files that cannot be used, classes without a photograph, and photographs that are not new."""
    lines = [f"{path}: {reason}" for path, reason in scored[0].unusable.items()]
    for one in scored:
        name = one.experiment.name
        predicted = _predicted(one)
        absent = [label for label, row in one.scores["classes"].items() if not row["support"] and predicted[label]]
        if absent:
            lines.append(
                f"{name}: no photograph is of {listing.names(absent)}, predicted for "
                f"{counted(sum(predicted[label] for label in absent), 'photograph')}: macro-F1 counts an F1 of 0 for "
                "each such class, as scikit-learn does"
            )
        if one.seen is None:
            lines.append(f"{name}: averages several networks, and has nothing to tell its training photographs by")
        elif one.seen:
            first = ", ".join(one.seen[:3])
            lines.append(
                f"{name}: {counted(len(one.seen), 'photograph')} not new to it, such as {first}: its network was "
                "trained on them, or on copies; leave them out"
            )
    return lines


def as_data(scored: "Sequence[Scored]", compared: Comparison) -> dict[str, Any]:
    """Return the scores and comparisons as plain data."""
    bundles = [
        {
            "bundle": one.experiment.name,
            "interval": _ends(summary.interval),
            "unusable": dict(one.unusable),
            "not_new": None if one.seen is None else list(one.seen),
            **one.scores,
            "classes": _classes_data(one),
        }
        for one, summary in zip(scored, compared.summaries, strict=True)
    ]
    return {"bundles": bundles, "pairs": [_pair_data(pair) for pair in compared.pairs]}


def _pair_data(pair: Pair) -> dict[str, Any]:
    [tested] = pair.mcnemar.values()
    return {
        "a": pair.a,
        "b": pair.b,
        "difference": pair.difference,
        "interval": _ends(confidence_intervals.of_difference(pair.over_units)),
        "only_a_right": tested.only_a,
        "only_b_right": tested.only_b,
        "p": pair.p,
        "holm": pair.holm,
        "better": pair.better,
        "verdict": pair.verdict,
    }


def _ends(interval: Interval | None) -> dict[str, float] | None:
    return interval and interval._asdict()


def _classes_data(one: "Scored") -> dict[str, dict[str, float | None]]:
    """Return the scores of each class, null where its table has a dash; and F1 of a class without a photograph."""
    predicted = _predicted(one)
    data: dict[str, dict[str, float | None]] = {name: dict(values) for name, values in one.scores["classes"].items()}
    for name, values in data.items():
        if not predicted[name]:
            values["precision"] = None
        if not values["support"]:
            values |= {"recall": None, "f1": None}
    return data


def as_text(scored: "Sequence[Scored]", compared: Comparison) -> str:
    """Return them as text: a row a bundle, the classes of each, and each pair."""
    names = [name for name in SCORES if all(name in one.scores for one in scored)]
    accuracy, *others = [f"{SCORES[name].title}{SCORES[name].unit}" for name in names]
    header = ("bundle", "photographs", accuracy, "its 95 % interval", *others)
    rows = [
        (
            one.experiment.name,
            f"{one.scores['test_images']:,}",
            _shown(one.scores[ACCURACY], ACCURACY),
            confidence_intervals.percents(summary.interval),
            *(_shown(one.scores[name], name) for name in names if name != ACCURACY),
        )
        for one, summary in zip(scored, compared.summaries, strict=True)
    ]
    tables = [Table(header, rows, numbers_from=1), *map(_classes, scored)]
    tables += [_pairs(compared.pairs)] if compared.pairs else []
    readings = [wrapped(line) for line in map(pairs.reading, compared.pairs) if line]
    return "\n\n".join([*map(fitted, tables), *readings])


def _shown(value: Any, name: str) -> str:
    if not math.isfinite(value):
        return DASH
    return percents.number(value, SCORES[name].decimals) if SCORES[name].percent else SCORES[name].shown(value)


def _predicted(one: "Scored") -> dict[str, int]:
    """Return how many photographs a bundle takes for each class."""
    columns = zip(*one.scores["confusion"], strict=True)
    return dict(zip(one.scores["classes"], map(sum, columns), strict=True))


def _classes(one: "Scored") -> Table:
    classes: Mapping[str, Mapping[str, float]] = one.scores["classes"]
    predicted = _predicted(one)
    rows = [
        (
            name,
            f"{values['support']:,}",
            percents.number(values["precision"]) if predicted[name] else DASH,
            percents.number(values["recall"]) if values["support"] else DASH,
        )
        for name, values in classes.items()
    ]
    header = (f"class, by {one.experiment.name}", "photographs", "precision (%)", "recall (%)")
    return Table(header, rows, numbers_from=1)


def _pairs(compared: Sequence[Pair]) -> Table:
    only = ("only the first right", "only the second")
    header = ("pair", "verdict", "difference (points)", "95 % interval", "p", "p (Holm)", *only)
    rows = []
    for pair in compared:
        [tested] = pair.mcnemar.values()
        ends = confidence_intervals.of_difference(pair.over_units)
        rows.append(
            (
                f"{pair.a} - {pair.b}",
                pair.verdict,
                f"{100 * pair.difference:+z.1f}",
                f"{100 * ends.low:z.1f} to {100 * ends.high:z.1f}" if ends else DASH,
                *confidence_intervals.p_values(pair),
                f"{tested.only_a:,}",
                f"{tested.only_b:,}",
            )
        )
    return Table(header, rows, numbers_from=2)
