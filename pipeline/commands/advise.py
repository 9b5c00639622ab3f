"""`orbweaver advise`: which way to adapt a network to these images, with evidence and its price."""

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from pipeline.advice import answer as words
from pipeline.advice import costs, page, plain, tested_words
from pipeline.advice.answer import Answer
from pipeline.advice.image_sizes import OPTION
from pipeline.commands import advice_plan, advising
from pipeline.commands.advising import say
from pipeline.commands.ranges import FiniteRange
from pipeline.core import paths, shell
from pipeline.core.errors import InputError
from pipeline.core.overrides import overridden_key, with_data_set
from pipeline.datasets.collect import sets as collected
from pipeline.preview import overriding
from pipeline.reporting import text_tables
from pipeline.reporting.tables import duration
from pipeline.running import cell_runs, cells, edits, trials

FOLDER = Path("metrics/advice")
EDITED = (
    f"{paths.PARAMS}, the code or your own files were edited after this command had read them; it runs them as they "
    "are now"
)
# A year, and more trainings than it has room for.
MOST_HOURS, MOST_TRAININGS = 8760, 100_000


@click.command()
@click.option("--data", help="The data set; by default that of params.yaml.")
@overriding.option("Set a key of params.yaml for all trials; repeatable.")
@click.option(
    "--hours",
    type=FiniteRange(min=0, min_open=True, max=MOST_HOURS),
    help=f"Plan so that the estimated total fits; by default {advice_plan.HOURS}. The actual time may be longer.",
)
@click.option(
    "--trainings",
    type=click.IntRange(min=1, max=MOST_TRAININGS),
    help="Limit the trials to this many training runs, in place of --hours and without a time limit; the final test "
    "and the learning curve add 12 to 14.",
)
@click.option("--backbones", metavar="NAME[=FILE],...", default="", help="Backbones to try; by default the recipe's.")
@click.option(
    OPTION,
    "sides",
    metavar="PIXELS,...",
    default="",
    help="Image sizes to choose from before the trials, by frozen features; by default the recipe's alone.",
)
@click.option(
    "--more",
    type=click.IntRange(min=1),
    help="Estimate the gain from this many more images; by default, as many as there are.",
)
@cell_runs.options
@click.option("--price", "only_price", is_flag=True, help="Measure and print the estimated cost, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(
    data: str | None,
    sets: tuple[str, ...],
    hours: float | None,
    trainings: int | None,
    backbones: str,
    sides: str,
    more: int | None,
    on: str,
    jobs: int | None,
    only_price: bool,
    as_json: bool,
) -> None:
    """Recommend how to fine-tune a network on your images.

    Strategies, regularizers and augmentation are compared by successive halving on inner splits of the training
    part. The recommendation is the cheapest candidate within one standard error of the best; it is tested once, on
    images that no trial has seen. With --sizes, an image size is chosen first. Every trial is a DVC experiment:
    Ctrl-C stops, and the same command resumes.
    """
    # Ranking and measuring count too, as they do for --hours.
    started = time.monotonic()
    if hours and trainings:
        raise InputError("--hours and --trainings: use only one of them")
    if only_price and as_json:
        raise InputError("--price and --json: --price stops before there is an answer; use only one of them")
    overrides = with_data_set(data, sets)
    trials.check(overrides)
    limits = advice_plan.Limits(hours, trainings)
    begin = partial(advice_plan.begin, overrides, backbones, sides, on=on, jobs=jobs)
    begun = begin()
    if only_price:
        advice_plan.make(begun, limits, sides, only_price=True)
        return
    check_writable()
    # Before anything is ranked or measured: what an advice waited for may take hours, and slows what is measured.
    with cell_runs.alone("advise", kind="advise"):
        if not cells.are_current(begun.planned):
            begun = begin()
            say([EDITED])
        plan = advice_plan.make(begun, limits, sides, only_price=False)
        trials.check_unedited(advice_plan.DIVISIONS, begun.words, begun.planned)
        run = trials.Runs(begun.prepared.start).run
        answer = advising.answer(plan.listed, plan.rounds, plan.ranked, run, timed=plan.price.by_name, more=more)
    options = {"--data": data, "--hours": hours, "--trainings": trainings, "--backbones": backbones}
    options |= {OPTION: sides, "--more": more}
    # What an advice sets itself is refused after -S.
    own = [*map(overridden_key, begun.words), *trials.OWN, trials.SPLIT]
    edited = edits.words(begun.resolved, own, with_places=True)
    words_again = _words(options, [*edited, *sets, *begun.prepared.words])
    write(answer, again=shell.join(["orbweaver", "advise", *words_again]))
    if as_json:
        click.echo(plain.as_json(answer))
    else:
        _print(answer, seconds=time.monotonic() - started)


def check_writable() -> None:
    """Refuse, before anything is trained for it, a page that could not be written.

    Raises:
        InputError: naming the folder that is in the way.
    """
    for place in (FOLDER, FOLDER.parent):
        if place.exists() and not os.access(place, os.W_OK | os.X_OK):
            raise InputError(
                f"{FOLDER}: the page could not be written, as {place} is not writable for you; `ls -ld {place}` says "
                "whose it is"
            )


def _print(answer: Answer, *, seconds: float) -> None:
    """Print the answer, its command and what else is worth a line."""
    click.echo(text_tables.wrapped(words.sentence(answer)))
    click.echo(f"  {answer.command}")
    if alternative := words.alternative(answer):
        click.echo(f"{text_tables.wrapped(alternative)}\n  {answer.best_command}")
    said = (
        tested_words.probe(answer),
        costs.sentence(answer.advice.compared.machines),
        tested_words.others(answer),
        answer.next_step,
    )
    for line in filter(None, said):
        click.echo(text_tables.wrapped(line))
    click.echo(f"see {FOLDER / 'index.html'}; it took {duration(seconds)}")


def write(answer: Answer, *, again: str) -> None:
    """Write the page, the same as Markdown and the answer as data, in place of those of before."""
    first = answer.tested.repeats[0]
    key, own = first.record.data.set, first.runtime.naming.data
    name = own if own and own != key else collected.known(key).title
    content = page.content(answer, name=name, again=again)
    with paths.written_whole(FOLDER) as target:
        target.mkdir(parents=True)
        (target / "index.html").write_text(page.page(content), encoding="utf-8")
        (target / "summary.md").write_text(page.as_markdown(content), encoding="utf-8")
        (target / "advice.json").write_text(plain.as_json(answer) + "\n", encoding="utf-8")


def _words(options: Mapping[str, object], sets: Sequence[str]) -> list[str]:
    """Return the words that the command was given, but for those that change no result."""
    valued = [
        word
        for name, value in options.items()
        if value
        for word in (name, f"{value:g}" if isinstance(value, float) else str(value))
    ]
    return [*valued, *(word for one in sets for word in ("-S", one))]
