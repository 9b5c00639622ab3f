"""`orbweaver advise`: which way to adapt a network to these images, with evidence and its price."""

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.advice import candidates, halving, page, recommendation
from pipeline.advice import answer as words
from pipeline.advice.answer import Answer, Trial
from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round
from pipeline.advice.learning_curve import FRACTIONS, Gain, Point, gain
from pipeline.commands import cell_runs, pricing, trials
from pipeline.commands.pricing import Price
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.reporting.tables import duration
from pipeline.studies.definition import override
from pipeline.studies.results import Result

FOLDER = Path("metrics/advice")
# Seeds of the last comparison, on the one test part.
SEEDS = 3


@click.command()
@click.option("--data", help="The data set; by default that of params.yaml.")
@click.option("-S", "--set", "sets", multiple=True, metavar="KEY=VALUE", help="For all trials; may be repeated.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="How long all may take.")
@click.option("--trainings", type=click.IntRange(min=1), help="How many networks the trials may train.")
@click.option("--backbones", metavar="NAME,...", default="", help="Which to try; by default the recipe's.")
@click.option("--more", type=click.IntRange(min=1), help="How many more images to judge; by default as many again.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Cells at a time.")
@click.option("--price", "only_price", is_flag=True, help="Say what it costs, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(
    data: str | None,
    sets: tuple[str, ...],
    hours: float | None,
    trainings: int | None,
    backbones: str,
    more: int | None,
    jobs: int,
    only_price: bool,
    as_json: bool,
) -> None:
    """Try strategies, regularizers and augmentation on these images, and say which to use.

    All are tried by successive halving on divisions of the training part. What is recommended is the cheapest of those
    that cannot be told from the best; it is then tested once, on images that no trial has seen. Every trial is a DVC
    experiment: Ctrl-C stops, and the same command goes on. By default half an hour.
    """
    if hours and trainings:
        raise InputError("--hours and --trainings: give one of them")
    given = [*([f"data={data}"] if data else []), *sets]
    listed = candidates.candidates([name for name in backbones.split(",") if name])
    price = pricing.price(listed, given)
    budget = float(trainings) if trainings else 3600 * (hours or 0.5) - price.last(SEEDS)
    costs = [1.0] * len(listed) if trainings else price.seconds
    rounds = halving.affordable(costs, budget)
    if not rounds:
        raise InputError(f"--hours: the last comparison and one training take {duration(price.least(SEEDS))}; give more")
    say(price.lines(rounds, SEEDS), quiet=as_json)
    if only_price:
        return
    started = time.monotonic()
    with cell_runs.alone("advise", kind="advise"):
        answer = _answer(listed[: rounds[0].candidates], rounds, given, more, jobs=jobs, price=price)
    again = shlex.join(["orbweaver", "advise", *(["--data", data] if data else []), *(w for s in sets for w in ("-S", s))])
    content = page.content(answer, again=again)
    with paths.written_whole(FOLDER) as target:
        target.mkdir(parents=True)
        (target / "index.html").write_text(page.page(content), encoding="utf-8")
        (target / "summary.md").write_text(page.as_markdown(content), encoding="utf-8")
        (target / "advice.json").write_text(json.dumps(words.as_data(answer), indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(words.as_data(answer), indent=2, ensure_ascii=False))
        return
    click.echo(words.sentence(answer))
    click.echo(f"  {answer.command}")
    click.echo(f"see {FOLDER / 'index.html'}; it took {duration(time.monotonic() - started)}")


def say(lines: Sequence[str], *, quiet: bool) -> None:
    """Print what is going to be paid, also beside JSON, but then apart from it."""
    for line in lines:
        click.echo(f"advise: {line}", err=quiet)
