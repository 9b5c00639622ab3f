"""Tables and numbers as text: one table serves the Markdown summary and the page."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from pipeline.core import percents
from pipeline.core.markdown import escaped
from pipeline.core.records import Operations
from pipeline.core.shell import IN_SENTENCE
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.scores import SCORES, Score
from pipeline.reporting import wording
from pipeline.reporting.aggregate import (
    ClassScore,
    Confusion,
    Middle,
    Passes,
    Spread,
    forward_passes,
    is_probe,
    score_spreads,
    speed_spreads,
)
from pipeline.reporting.confidence_intervals import intervals
from pipeline.reporting.signs import DASH, NO_BREAK


class Table(NamedTuple):
    """Cells as text; columns from `numbers_from` on hold numbers and are set to the right."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers_from: int


def markdown(table: Table) -> str:
    r"""Return the table as Markdown in which every cell reads as it is, whatever characters it has.

    >>> print(markdown(Table(("name", "n"), [("a|b", "1")], numbers_from=1)))
    | name | n |
    | --- | ---: |
    | a\|b | 1 |
    """
    rule = ["---" if column < table.numbers_from else "---:" for column in range(len(table.header))]
    rows = [[literal(cell) for cell in row] for row in (table.header, *table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def literal(text: str) -> str:
    r"""Return text on one line with Markdown's marks escaped, but for commands in backticks.

    >>> print(literal("a_b <i>: `dvc repro a_b`"))
    a\_b \<i\>: `dvc repro a_b`
    """
    texts_and_commands = enumerate(IN_SENTENCE.split(" ".join(text.splitlines())))
    return "".join(f"`{part}`" if place % 2 else escaped(part) for place, part in texts_and_commands)


def percent(part: float, digits: int = 1) -> str:
    """Return a fraction in percent, with its unit; what is not quite all, or none, is not called so.

    >>> [percent(part).replace(NO_BREAK, " ") for part in (0.9017, 0.9996, 1, 0.0004, 0)]
    ['90.2 %', '> 99.9 %', '100.0 %', '< 0.1 %', '0.0 %']
    """
    return f"{percents.number(part, digits)}{NO_BREAK}%"


def percent_spread(spread: Spread) -> str:
    """Return mean and standard deviation in percent; the mean alone if there is no deviation.

    >>> percent_spread(Spread(0.9, 0.012, low=0.8, high=1.0, n=3)).replace(NO_BREAK, " ")
    '90.0 % ± 1.2'
    """
    sd = "" if spread.sd is None else f" ± {100 * spread.sd:.1f}"
    return percent(spread.mean) + sd


def score_spread(spread: Spread, row: Score) -> str:
    """Return mean and standard deviation of a score, in percent if its row says so.

    >>> score_spread(Spread(0.345, 0.01, low=0.3, high=0.4, n=3), SCORES["nll"])
    '0.345 ± 0.010'
    """
    if row.percent:
        return percent_spread(spread)
    sd = "" if spread.sd is None else f" ± {spread.sd:.{row.decimals}f}"
    return f"{spread.mean:.{row.decimals}f}{sd}"


def speed_spread(spread: Spread) -> str:
    """Return mean and standard deviation of images a second.

    >>> speed_spread(Spread(1234.4, 5.06, low=1.0, high=2.0, n=3)).replace(NO_BREAK, " ")
    '1,234 ± 5.1 images/s'
    """
    sd = "" if spread.sd is None else f" ± {deviation(spread.sd)}"
    return f"{three_figures(spread.mean)}{sd}{NO_BREAK}images/s"


def three_figures(value: float) -> str:
    """Return three figures, or all those before the point, without an exponent.

    >>> [three_figures(value) for value in (0.00001, 0.01234, 5.0, 31.27, 86.66666, 250250.4)]
    ['0.00001', '0.0123', '5', '31.3', '86.7', '250,250']
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{Decimal(f'{value:.3g}'):f}"


def deviation(value: float) -> str:
    """Return a standard deviation to two significant digits, as more are never known.

    >>> [deviation(value) for value in (0.70711, 5.16, 1234.5)]
    ['0.71', '5.2', '1,234']
    """
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Return a duration as people say it.

    >>> [duration(value).replace(NO_BREAK, " ") for value in (8.21, 75, 3725)]
    ['8.2 s', '1 min 15 s', '1 h 2 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}{NO_BREAK}s"
    if whole < 3600:
        return f"{whole // 60}{NO_BREAK}min {whole % 60}{NO_BREAK}s"
    return f"{whole // 3600}{NO_BREAK}h {whole % 3600 // 60}{NO_BREAK}min"


def results(repeats: Sequence[Repeat]) -> Table:
    """Return scores and cost of each repeat, then their mean, deviation and the ends of the mean's 95 % interval."""
    headings = [f"{row.title}{row.unit}" for name, row in SCORES.items() if name in repeats[0].scores.by_name]
    speed = "images/s, cached features" if _is_cached(repeats) else "images/s"
    header = ("repeat", *headings, "test images", "training (s)", speed)
    rows = [_result(one) for one in repeats] + (_together(repeats) if len(repeats) > 1 else [])
    if is_probe(repeats):
        # Nothing trains, so that there is no speed of a training.
        header, rows = (*header[:-2], "time (s)"), [row[:-1] for row in rows]
    return Table(header, rows, numbers_from=1)


def speed_title(repeats: Sequence[Repeat]) -> str:
    """Return what the speed is of: from cached features the frozen layers, mostly the dearest, do not run."""
    return "Speed on cached features, not of the whole network" if _is_cached(repeats) else "Speed"


def _is_cached(repeats: Sequence[Repeat]) -> bool:
    """Return whether training read the frozen layers' output from a cache: images that vary are computed anew."""
    record = repeats[0].record
    first = next(iter(record.stages.values()))
    varied = wording.varied(record.recipe.data, record.recipe.options_of("augmentation"))
    return not first.trainable and not varied and any(one.runtime.cache_seconds for one in repeats)


def _result(one: Repeat) -> tuple[str, ...]:
    by_name = one.scores.by_name
    scores = [row.shown(by_name[name]) for name, row in SCORES.items() if name in by_name]
    cost = [three_figures(value) for value in (one.runtime.train_seconds, one.runtime.images_per_second)]
    return (str(one.number), *scores, f"{one.scores.test_images:,}", *cost)


def _together(repeats: Sequence[Repeat]) -> list[tuple[str, ...]]:
    scores, speeds = score_spreads(repeats), speed_spreads(repeats).values()
    means = [SCORES[name].shown(spread.mean) for name, spread in scores.items()]
    sds = [SCORES[name].shown(spread.sd or 0) for name, spread in scores.items()]
    ends = intervals(repeats)
    low, high = ([SCORES[name].shown(ends[name][end]) if name in ends else "none" for name in scores] for end in (0, 1))
    return [
        ("mean", *means, "", *(three_figures(spread.mean) for spread in speeds)),
        ("sd", *sds, "", *(deviation(spread.sd or 0) for spread in speeds)),
        ("95 % interval, from", *low, "", *("" for _ in speeds)),
        ("95 % interval, to", *high, "", *("" for _ in speeds)),
    ]


def cost(repeats: Sequence[Repeat]) -> Table:
    """Return operations and speed of the forward pass with and without attention; no row if there is no attention."""
    header = ("forward pass", "this network", "without attention", "ratio")
    measured = forward_passes(repeats)
    rows = [_operations(repeats[0].record.flops)] if measured else []
    return Table(header, rows + [_speed(one) for one in measured], numbers_from=1)


def _operations(flops: Operations) -> tuple[str, ...]:
    network, plain = flops.network, flops.without_attention or flops.network
    billions = (three_figures(value / 1e9) for value in (network, plain))
    return ("operations an image (billions)", *billions, f"{network / plain:.3f}")


def _speed(one: Passes) -> tuple[str, ...]:
    speeds = (_middle(middle, three_figures) for middle in (one.network, one.without_attention))
    return (f"images/s on {one.device}, n = {one.ratio.n}", *speeds, _middle(one.ratio, "{:.3f}".format))


def _middle(middle: Middle, form: Callable[[float], str]) -> str:
    median = form(middle.median)
    return median if middle.n == 1 else f"{median} ({form(middle.low)} to {form(middle.high)})"


def classes(scores: Sequence[ClassScore], images: Mapping[str, int]) -> Table:
    """Return precision, recall and F1 of each class; `images` are the class's images in the whole set."""
    tested = "test images" if all(one.f1.sd is None for one in scores) else "test images, all repeats"
    header = ("class", "precision (%)", "recall (%)", "F1 (%)", tested, "images in the set")
    rows = [
        (
            one.name,
            *(_bare(value) if one.support else DASH for value in (one.precision, one.recall, one.f1)),
            f"{one.support:,}",
            f"{images.get(one.name, 0):,}",
        )
        for one in scores
    ]
    return Table(header, rows, numbers_from=1)


def _bare(spread: Spread) -> str:
    sd = "" if spread.sd is None else f" ± {100 * spread.sd:.1f}"
    return f"{percents.number(spread.mean)}{sd}"


def confusions(pairs: Sequence[Confusion]) -> Table:
    """Return which class was taken for which, how often, and for what fraction of its test images."""
    header = ("actual", "predicted", "times", "of the class (%)")
    rows = [(one.actual, one.predicted, f"{one.times:,}", f"{100 * one.share:.1f}") for one in pairs]
    return Table(header, rows, numbers_from=2)


def findings(problems: Sequence[Mapping[str, Any]], *, first: bool = True) -> Table:
    """Return the findings in a set of images: how many, the first of them where asked for, and the advice."""
    header = ("found", "how many", *(["the first"] if first else []), "what to do")
    rows = [
        (one["what"], f"{one['count']:,}", *([one["files"][0]] if first else []), one["advice"]) for one in problems
    ]
    return Table(header, rows, numbers_from=len(header))


def rejected(files: Sequence[tuple[str, str]]) -> Table:
    """Return the files that were left out, with the reason."""
    return Table(("file", "reason"), files, numbers_from=2)
