"""A study's page: one HTML file that needs nothing beside it, and the same facts as Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.core.counting import counted
from pipeline.core.shortening import some
from pipeline.evaluation.compare import machines, pairs
from pipeline.reporting import markup
from pipeline.reporting.pictures import Picture
from pipeline.reporting.tables import Table, literal, markdown
from pipeline.studies import charts, results, tables
from pipeline.studies.definition import Study
from pipeline.studies.results import Differences, Group, Result

TEMPLATES = Path(__file__).parent / "templates"
PROBE = (
    "The frozen probe is a logistic regression on the features of the cell's own backbone before any training. An "
    "interval that contains 0 means no detectable difference, each cell by itself: without Holm's method."
)


class Compared(NamedTuple):
    """One group of cells on the page: its answer as a chart, its comparisons or why there are none, and its curves.

    Where it has more cells than can be shown, `of` says which these are.
    """

    group: Group
    answer: Picture
    table: Table | None
    readings: Sequence[str]
    note: str
    of: str
    charts: Mapping[str, Picture]


def content(
    name: str,
    study: Study,
    cells: Sequence[Result],
    *,
    commands: Sequence[str],
    shared: str = "",
    departures: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the content of the page and of the Markdown.

    Args:
        name: of the study.
        study: its file.
        cells: its cells in order.
        commands: what makes the page again.
        shared: a sentence on what params.yaml sets for all cells; empty where it sets nothing.
        departures: how cells differ from what was printed, a sentence each.
    """
    grouped = results.groups(cells, study.first())
    # Once for the answer and the table: the pairs of a thousand cells are half a million.
    differences = [results.differences(group) for group in grouped]
    listed = results.listed(cells)
    return {
        "name": name,
        "title": study.title,
        "source": study.source,
        "commands": list(commands),
        "answer": answer(cells, grouped, differences),
        "images": [_images(group) for group in grouped],
        "shared": shared,
        "departures": list(departures),
        "over": results.over(grouped),
        "missing": _missing(cells),
        "results": tables.results(listed),
        "probe": PROBE if any(one.standing() for one in cells) else "",
        "repeats": tables.repeats(listed),
        "groups": [_compared(*one) for one in zip(grouped, differences, strict=True)],
        "classes": {one.cell: tables.classes(one) for one in listed if one.printed and one.printed.classes},
        "unnamed": {one.cell: line for one in listed if (line := _unnamed(one, study))},
        "slips": study.slips,
    }


def answer(cells: Sequence[Result], grouped: Sequence[Group], differences: Sequence[Differences]) -> list[str]:
    """Return the first lines: how much is there, the best cell on each set of images with its certainty, and a warning.

    The warning is of cells that were trained on different devices or with different versions.
    """
    there = sum(bool(one.repeats) for one in cells)
    cached = [one.cell for one in cells if one.cached]
    finished = f"{there} of {len(cells)} cells are finished."
    if cached:
        names = some(cached, results.MOST_SHOWN)
        finished += f" {counted(len(cached), 'cell')} came from earlier runs, without training: {names}."
    trained_on = machines.differing({one.cell: [repeat.runtime.machine for repeat in one.repeats] for one in cells})
    warning = machines.sentence(trained_on, "cell")
    return [finished, *map(_best, grouped, differences), *([warning] if warning else [])]


def _missing(cells: Sequence[Result]) -> list[str]:
    """Return a line per missing cell, or, of many, a line per reason."""
    reasons: dict[str, list[str]] = {}
    for one in cells:
        if not one.repeats:
            reasons.setdefault(one.missing, []).append(one.cell)
    if sum(map(len, reasons.values())) > results.MOST_SHOWN:
        return [f"{some(names, results.MOST_SHOWN)}: {reason}" for reason, names in reasons.items()]
    return [f"{one.cell}: {one.missing}" for one in cells if not one.repeats]


def _unnamed(one: Result, study: Study) -> str:
    """Return that none of the printed classes is among a cell's own; empty where one is."""
    ours = {name for repeat in one.repeats for name in repeat.record.data.classes}
    if not one.printed or not one.printed.classes or not ours or ours & set(one.printed.classes):
        return ""
    data = study.source.data if study.source else ""
    way = f"; of a copy of the paper's own images, `--data {data}` reads the paper's class names" if data else ""
    return f"None of the printed classes is among the images of {one.cell}{way}."


def _images(group: Group) -> str:
    """Return which images a group of cells is on, and how many."""
    record = group.results[0].repeats[0].record
    of_set = "" if group.name == record.data.set else f" ({record.data.set})"
    return f"{group.name}{of_set}: {record.data.images:,} images in {len(record.data.classes):,} classes"


def _best(group: Group, compared: Differences) -> str:
    group = results.without(group, compared.left_out)
    best, *equal = results.all_best_of(group)
    mean = next(one for one in group.results if one.cell == best).summary.mean
    of_these = " of those that are compared" if compared.left_out else ""
    who = f"cells {some([best, *equal], results.MOST_SHOWN)} have" if equal else f"cell {best} has"
    sentence = f"On {group.name}, {who} the highest mean test accuracy{of_these}, {100 * mean:.2f} %"
    if len(group.results) == 1:
        return f"On {group.name}, cell {best} has a mean test accuracy of {100 * mean:.2f} %."
    if compared.note:
        return f"{sentence}; the cells cannot be compared."
    others = len(group.results) - 1
    it = best if equal else "it"
    rest = "the other" if others == 1 else f"any of the {others} others"
    untested = sum(best in (one.a, one.b) and one.verdict == pairs.EQUAL for one in compared.pairs)
    if untested == others:
        return f"{sentence}; {it} cannot be tested against {rest}: {pairs.EQUAL}."
    # Of cells that are not shown, the pairs with the best are not at hand.
    which = counted(untested, "other") + (" of those shown" if len(results.shown(group)) <= others else "")
    also = f"; {which} cannot be tested: {pairs.EQUAL}" if untested else ""
    if not compared.ahead:
        return f"{sentence}; {it} is not detectably better than {rest}{also}."
    return f"{sentence}; {it} is detectably better than {compared.ahead} of {counted(others, 'other')}{also}."


def _compared(group: Group, compared: Differences) -> Compared:
    table = tables.differences(compared.pairs) if compared.pairs else None
    readings = [line for line in map(pairs.reading, compared.pairs) if line]
    readings += [f"{cell} is left out: {reason}" for cell, reason in compared.left_out.items()]
    shown = results.shown(group)
    drawn = charts.answer(group._replace(results=shown))
    return Compared(group, drawn, table, readings, compared.note, _of(group, compared), charts.charts(shown))


def _of(group: Group, compared: Differences) -> str:
    """Return which cells of many are shown, and how all compare with the baseline; empty where all are shown."""
    shown, every = len(results.shown(group)), len(group.results)
    if shown == every:
        return ""
    fitting = every - len(compared.left_out)
    pairs = fitting * (fitting - 1) // 2
    sentence = (
        f"Of {every:,} cells on {group.name}, charts and differences show the {shown} with the highest mean test "
        f"accuracy, including the baseline {group.baseline}; the table of results has all."
    )
    if compared.note:
        return sentence
    return (
        f"{sentence} Of all {pairs:,} pairs, which Holm's correction counts, {len(compared.pairs)} are shown; "
        f"{compared.better:,} cells are detectably better than {group.baseline}, {compared.worse:,} worse."
    )


def page(values: Mapping[str, Any]) -> str:
    """Return the whole page: no script, nothing loaded from elsewhere, every image inside."""
    template = markup.environment(TEMPLATES, markup.TEMPLATES).get_template("study.html")
    return template.render(**values)


def as_markdown(values: Mapping[str, Any]) -> str:
    """Return the same facts in Markdown, for a terminal, a merge request or a README."""
    printed = values["source"]
    source = [f"Source: {literal(printed.paper)}, {literal(printed.table)}."] if printed else []
    parts = [
        f"# {literal(values['title'])}",
        *source,
        *map(literal, values["departures"]),
        *(f"Images: {literal(line)}." for line in values["images"]),
        *([literal(values["shared"])] if values["shared"] else []),
        " ".join(literal(line) for line in values["answer"]),
        *(["\n".join(f"- missing: {literal(line)}" for line in values["missing"])] if values["missing"] else []),
        "## Results",
        markdown(values["results"]),
        literal(values["over"]),
        *([literal(values["probe"])] if values["probe"] else []),
        *(
            ["## Errors in the printed table, and where ours differs", _listed(values["slips"])]
            if values["slips"]
            else []
        ),
        *[literal(one.of) for one in values["groups"] if one.of],
        *[part for one in values["groups"] for part in _comparison(one)],
        *[part for cell, table in values["classes"].items() for part in _classes(cell, table, values["unnamed"])],
        "## Repeats",
        markdown(values["repeats"]),
        *(f"    {command}" for command in values["commands"]),
    ]
    return "\n\n".join(parts) + "\n"


def _classes(cell: str, table: Table, unnamed: Mapping[str, str]) -> list[str]:
    note = [literal(unnamed[cell])] if cell in unnamed else []
    return [f"## Classes of {cell}", markdown(table), *note]


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {literal(line)}" for line in lines)


def _comparison(one: Compared) -> list[str]:
    if not one.table and not one.note:
        return []
    shown = [markdown(one.table), *map(literal, one.readings)] if one.table else [literal(one.note)]
    return [f"## Differences on {literal(one.group.name)}", *shown]
