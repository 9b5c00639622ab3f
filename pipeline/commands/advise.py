"""`orbweaver advise`: which way to adapt a network to these images, with evidence and its price."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.advice import answer as words
from pipeline.advice import candidates, costs, page, plain, prior, tested_words
from pipeline.advice.answer import Answer
from pipeline.advice.backbones import KEPT, best
from pipeline.advice.candidates import Candidate
from pipeline.advice.image_sizes import OPTION
from pipeline.commands import advising, finished
from pipeline.commands.advising import SEEDS, say
from pipeline.commands.ranges import FiniteRange
from pipeline.core import paths, shell
from pipeline.core.errors import InputError
from pipeline.core.overrides import overridden_key, with_data_set
from pipeline.datasets.collect import sets as collected
from pipeline.preview import overriding
from pipeline.preview.overriding import read, say_remarks
from pipeline.reporting import text_tables
from pipeline.reporting.tables import duration
from pipeline.running import cell_runs, edits, trials

if TYPE_CHECKING:
    from pipeline.preview.frozen_backbones import Asked

FOLDER = Path("metrics/advice")
# By default, for everything.
HOURS = 0.5
# A year, and more trainings than it has room for.
MOST_HOURS, MOST_TRAININGS = 8760, 100_000


@click.command()
@click.option("--data", help="The data set; by default that of params.yaml.")
@overriding.option("Set a key of params.yaml for all trials; repeatable.")
@click.option(
    "--hours",
    type=FiniteRange(min=0, min_open=True, max=MOST_HOURS),
    help=f"Plan so that the estimated total fits; by default {HOURS}. The actual time may be longer.",
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
    prepared = cell_runs.prepare(trials.NAME, [read(overrides).recipe], overrides, on=on, jobs=jobs)
    overrides += prepared.words
    resolved = read(overrides)
    say_remarks(resolved)
    trials.check_images(resolved)
    # What wins over the divisions of an advice is refused before anything is ranked or measured.
    trials.plan({"test": candidates.outer(SEEDS), "inner": candidates.inner(1)}, overrides)
    if not only_price:
        check_writable()
    say([prior.sentence(prior.elsewhere(resolved.recipe.data.set))])
    # Here, since neither `--help` nor a refused setting waits for torch.
    from pipeline.commands import affording, frozen_bank, pricing, ranking

    asked = frozen_bank.asked(backbones, overrides) if backbones else {}
    limit = math.inf if trainings else 3600 * (hours or HOURS)
    ranked = ranking.ranking(asked, sides, overrides, frozen_bank.Budget(say, only_price, limit))
    listed = _candidates(best(ranked.frozen) or list(asked)[:KEPT], asked, ranked.words)
    check = partial(affording.check_starts, limit=limit, spent=ranked.seconds)
    price = pricing.price(listed, ranked.words, trainings=trainings, anew=only_price, check=check)
    price, rounds = affording.affordable(price, limit=limit, trainings=trainings, spent=ranked.seconds, say=say)
    listed = [one for one in listed if one.name in price.by_name]
    say(price.lines(rounds, SEEDS))
    if only_price:
        whole = duration(ranked.seconds + price.total(rounds, SEEDS))
        say([f"in all about {whole}; nothing was trained, as --price stops here", *filter(None, [ranked.next_step])])
        return
    say([*finished.lines(listed, rounds, ranked.words), *prepared.lines])
    with cell_runs.alone("advise", kind="advise"):
        run = trials.Runs(prepared.start).run
        answer = advising.answer(listed, rounds, ranked, run, timed=price.by_name, more=more)
    options = {"--data": data, "--hours": hours, "--trainings": trainings, "--backbones": backbones}
    options |= {OPTION: sides, "--more": more}
    # What an advice sets itself is refused after -S.
    edited = edits.words(resolved, [*map(overridden_key, overrides), *trials.OWN, trials.SPLIT], with_places=True)
    write(answer, again=shell.join(["orbweaver", "advise", *_words(options, [*edited, *sets, *prepared.words])]))
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


def _candidates(backbones: Sequence[str], asked: Mapping[str, "Asked"], given: Sequence[str]) -> list[Candidate]:
    """Return all candidates, the best on other images first."""
    from pipeline.commands import frozen_bank

    resolved = read(given)
    more = {}
    # A recipe, which its user may have taken out of params.yaml.
    if section := resolved.settings.values["recipes"].get(candidates.MODERN):
        more[candidates.MODERN] = candidates.modern(
            section,
            resolved.origin,
            unit=resolved.recipe.train.budget.unit,
            given=[word.partition("=")[0] for word in given],
        )
    return candidates.candidates(
        backbones,
        own=resolved.recipe.network.backbone,
        weights=frozen_bank.weights(asked, resolved, given),
        more=more,
        known_elsewhere=prior.shortfalls(prior.elsewhere(resolved.recipe.data.set).values()),
    )


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
