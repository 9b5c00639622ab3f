"""`orbweaver compare`: experiments side by side, with what their differences are worth."""

import json
import math
from collections.abc import Iterator
from typing import Any

import click
from tqdm import tqdm

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import comparison, machines, mcnemar, pairs, power
from pipeline.evaluation.compare.crossed import CrossedTest
from pipeline.evaluation.compare.experiments import ACCURACY, Comparison, Pair, Summary
from pipeline.evaluation.compare.statistics import Interval
from pipeline.evaluation.scores import SCORES
from pipeline.experiments.reading import read
from pipeline.reporting import confidence_intervals, tables
from pipeline.reporting.tables import Table
from pipeline.reporting.text_tables import fitted, wrapped


@click.command(name="compare")
@click.argument("names", nargs=-1, required=True, metavar="REV...")
@click.option(
    "--metric", type=click.Choice(list(SCORES)), default="accuracy", show_default=True, help="The score to compare."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(names: tuple[str, ...], metric: str, as_json: bool) -> None:
    """Compare experiments on the same test images.

    REV is a DVC experiment, a git revision or `workspace`.
    """
    if len(set(names)) < len(names):
        raise InputError(f"{' '.join(names)}: one name is given twice; give each once")
    reading = tqdm(names, desc="reading", unit="experiment", leave=False, disable=None)
    result = comparison.compare([read(name) for name in reading], metric)
    click.echo(json.dumps(as_data(result), indent=2, ensure_ascii=False) if as_json else as_text(result))


def as_data(result: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data; what is not known, or not finite, is null."""
    return {
        "metric": result.metric,
        "over": result.over,
        "experiments": [_plain(one) for one in result.summaries],
        "pairs": [_pair_data(one) for one in result.pairs],
        "differing_settings": {
            name: dict(zip((one.name for one in result.summaries), values, strict=True))
            for name, values in result.differing.items()
        },
        "differing_machines": result.machines,
    }


def _pair_data(pair: Pair) -> dict[str, Any]:
    if pair.test and pair.untested:
        pair = pair._replace(p=None, holm=None, test=pair.test._replace(p=math.nan))
    data: dict[str, Any] = _plain(pair)
    return data


def _plain(value: Any) -> Any:
    """Return named tuples as mappings."""
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_text(result: Comparison) -> str:
    """Return the comparison as text: the experiments, each pair, and the settings that differ."""
    summary, *paired = map(fitted, (experiments(result), *pair_tables(result)))
    readings = "\n".join(wrapped(line) for line in map(pairs.reading, result.pairs) if line)
    differing = fitted(settings(result)) if result.pairs else ""
    trained_on = wrapped(machines.sentence(result.machines, "experiment"))
    return "\n\n".join(filter(None, [summary, wrapped(result.over), *paired, readings, trained_on, differing]))


def experiments(result: Comparison) -> Table:
    """Yield a row an experiment."""
    header = (
        "experiment",
        "n",
        f"{result.metric}{SCORES[result.metric].unit}",
        "95 % interval",
        "training (s)",
        "trainable",
    )
    return Table(header, [_row(one, result.metric) for one in result.summaries], numbers_from=1)


def _row(one: Summary, metric: str) -> tuple[str, ...]:
    sd = "" if one.sd is None else f" ± {SCORES[metric].shown(one.sd)}"
    seconds = "" if one.seconds is None else tables.three_figures(one.seconds)
    parameters = "" if one.parameters is None else f"{one.parameters:,}"
    return (one.name, str(one.n), SCORES[metric].shown(one.mean) + sd, _ends(one.interval, metric), seconds, parameters)


def pair_tables(result: Comparison) -> Iterator[Table]:
    """Return for each two experiments the difference, its tests, and the smallest detectable difference."""
    if not result.pairs:
        return
    header = (
        "pair",
        "verdict",
        f"difference{_points(result.metric)}",
        "95 % interval",
        "p",
        "p (Holm)",
        f"smallest detectable{_points(result.metric)}",
        *_price(result.metric),
    )
    rows = [_pair(pair, result.metric) for pair in result.pairs]
    yield Table(header, rows, numbers_from=2)
    if result.metric == ACCURACY:
        tested = [(pair, repeat, one) for pair in result.pairs for repeat, one in pair.mcnemar.items()]
        counts = [
            (_title(pair), str(repeat), f"{one.only_a:,}", f"{one.only_b:,}", confidence_intervals.p_value(one.p))
            for pair, repeat, one in tested
        ]
        groups = max(one.groups for _, _, one in tested)
        header = ("pair", "repeat", "only the first right", "only the second", mcnemar.p_name(groups))
        yield Table(header, counts, numbers_from=1)
        drawn = [(_title(pair), _over_units(pair), _over_repeats(pair)) for pair in result.pairs]
        units = "groups" if groups else "images"
        yield Table(("pair", f"over {units} alone (points)", "over repeats alone (points)"), drawn, numbers_from=1)


def _points(metric: str) -> str:
    """Return the unit of differences of a score, for a heading."""
    return " (points)" if SCORES[metric].percent else ""


def _pair(pair: Pair, metric: str) -> tuple[str, ...]:
    probabilities = confidence_intervals.p_values(pair)
    smallest = confidence_intervals.smallest_detectable(pair, SCORES[metric].shown)
    ends = _ends(pair.interval(), metric) if pair.test else _over_units(pair)
    needed = [confidence_intervals.repeats_needed(pair)] if _price(metric) else []
    return (_title(pair), pair.verdict, SCORES[metric].shown(pair.difference), ends, *probabilities, smallest, *needed)


def _price(metric: str) -> list[str]:
    """Return the heading of the number of repeats that would show two points, for a score that has points."""
    return [f"repeats to detect {100 * power.ASKED:.0f} points"] if SCORES[metric].percent else []


def _over_repeats(pair: Pair) -> str:
    """Return the interval of the difference for these very test images, where all repeats have the same."""
    if not isinstance(pair.test, CrossedTest):
        return "none" if pair.test is None else "as above"
    half = pair.test.over_repeats
    return _ends(Interval(pair.difference - half, pair.difference + half), ACCURACY)


def _title(pair: Pair) -> str:
    return f"{pair.a} - {pair.b}"


def settings(result: Comparison) -> Table:
    """Return the settings that differ, a column an experiment; hashes by their first digits."""
    rows = [(name, *(_short(name, value) for value in values)) for name, values in result.differing.items()]
    header = ("differs in", *(one.name for one in result.summaries))
    return Table(header, rows or [("nothing that was recorded", *("" for _ in header[1:]))], numbers_from=len(header))


def _short(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return str(value)[:12] if name.endswith("SHA-256") else str(value)


def _ends(interval: Interval | None, metric: str) -> str:
    if (ends := confidence_intervals.of_difference(interval, metric)) is None:
        return "none"
    return f"{SCORES[metric].shown(ends.low)} to {SCORES[metric].shown(ends.high)}"


def _over_units(pair: Pair) -> str:
    """Return the interval over images or groups alone: other draws of the bootstrap move its hundredths."""
    if (ends := confidence_intervals.of_difference(pair.over_units)) is None:
        return "none"
    return f"{100 * ends.low:z.1f} to {100 * ends.high:z.1f}"
