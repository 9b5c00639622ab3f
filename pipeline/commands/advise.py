"""`orbweaver advise`: which way to adapt a network to these images, with evidence and its price."""

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pipeline.advice import answer as words
from pipeline.advice import candidates, halving, page, recommendation
from pipeline.advice.answer import Answer, Trial
from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round
from pipeline.advice.learning_curve import FRACTIONS, Point, gain
from pipeline.commands import cell_runs, pricing, trials
from pipeline.commands.overriding import read
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.reporting.tables import duration
from pipeline.studies.definition import override

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
    trials.check(given)
    own = read(given).recipe.network.backbone
    listed = candidates.candidates([name for name in backbones.split(",") if name], own=own)
    price = pricing.price(listed, given)
    listed = [one for one in listed if one.name in price.by_name]
    budget = float(trainings) if trainings else 3600 * (hours or 0.5) - price.last(SEEDS)
    costs = [1.0] * len(listed) if trainings else price.seconds
    rounds = halving.affordable(costs, budget)
    if not rounds:
        raise InputError(
            f"--hours: the last comparison and one training take {duration(price.last(SEEDS) + costs[0])}; give more"
        )
    say(price.lines(rounds, SEEDS))
    if only_price:
        return
    started = time.monotonic()
    with cell_runs.alone("advise", kind="advise"):
        answer = _answer(listed[: rounds[0].candidates], rounds, given, more, jobs=jobs)
    again = shlex.join(["orbweaver", "advise", *_options(data, sets, hours, trainings, backbones)])
    write(answer, again=again)
    if as_json:
        click.echo(json.dumps(words.as_data(answer), indent=2, ensure_ascii=False))
        return
    click.echo(words.sentence(answer))
    click.echo(f"  {answer.command}")
    click.echo(f"see {FOLDER / 'index.html'}; it took {duration(time.monotonic() - started)}")


def write(answer: Answer, *, again: str) -> None:
    """Write the page, the same as Markdown and the answer as data, in place of those of before."""
    content = page.content(answer, again=again)
    with paths.written_whole(FOLDER) as target:
        target.mkdir(parents=True)
        (target / "index.html").write_text(page.page(content), encoding="utf-8")
        (target / "summary.md").write_text(page.as_markdown(content), encoding="utf-8")
        (target / "advice.json").write_text(json.dumps(words.as_data(answer), indent=2) + "\n", encoding="utf-8")


def _options(
    data: str | None, sets: Sequence[str], hours: float | None, trainings: int | None, backbones: str
) -> list[str]:
    """Return the words that the command was given, but for those that change no result."""
    valued = {"--data": data, "--hours": hours, "--trainings": trainings, "--backbones": backbones}
    words = [
        word
        for name, value in valued.items()
        if value
        for word in (name, f"{value:g}" if isinstance(value, float) else str(value))
    ]
    return [*words, *(word for one in sets for word in ("-S", one))]


def say(lines: Sequence[str]) -> None:
    """Print what is going to be paid, apart from what the command is asked for."""
    for line in lines:
        click.echo(f"advise: {line}", err=True)


def _answer(
    listed: Sequence[Candidate], rounds: Sequence[Round], given: Sequence[str], more: int | None, *, jobs: int
) -> Answer:
    tried = _tried(listed, rounds, given, jobs=jobs)
    costs = {name: trial.result.seconds().mean for name, trial in tried.items()}
    advice = recommendation.recommend([trial.result.experiment() for trial in tried.values()], costs)
    chosen = next(one for one in listed if one.name == advice.name)
    tested = trials.run({chosen.name: {**chosen.settings, **candidates.outer(SEEDS)}}, given, jobs=jobs)[chosen.name]
    points = _points(chosen, given, jobs=jobs)
    images = tested.repeats[0].record.data.images
    return Answer(
        advice=advice,
        trials=tried,
        rounds=len(rounds),
        tested=tested,
        gain=gain(points, more or images) if _is_curve(points) else None,
        points=points,
        images=images,
        command=_command(chosen, given),
    )


def _tried(
    listed: Sequence[Candidate], rounds: Sequence[Round], given: Sequence[str], *, jobs: int
) -> dict[str, Trial]:
    """Run all rounds; what is left in one is decided by the inner divisions of the one before."""
    tried: dict[str, Trial] = {}
    names = [one.name for one in listed]
    for number, one in enumerate(rounds, start=1):
        if number > 1:
            means = {name: tried[name].result.summary().mean for name in names}
            names = halving.better(means, {n: tried[n].result.seconds().mean for n in names}, one.candidates)
        say([f"round {number} of {len(rounds)}: {', '.join(names)}, n = {one.repeats}"])
        settings = {c.name: {**c.settings, **candidates.inner(one.repeats)} for c in listed if c.name in names}
        results = trials.run(settings, given, jobs=jobs)
        names = [name for name in names if name in results]
        tried |= {name: Trial(results[name], number) for name in names}
    return tried


def _points(chosen: Candidate, given: Sequence[str], *, jobs: int) -> dict[int, list[Point]]:
    """Return the learning curve's points by repeat, measured on inner divisions."""
    say([f"learning curve of {chosen.name}"])
    settings = {
        f"{chosen.name}-{100 * fraction:.0f}": {**chosen.settings, **candidates.fewer(SEEDS, fraction)}
        for fraction in FRACTIONS
    }
    points: dict[int, list[Point]] = {}
    for result in trials.run(settings, given, jobs=jobs).values():
        for one in result.repeats:
            accuracy, tested = one.scores.by_name["accuracy"], one.scores.test_images
            points.setdefault(one.number, []).append(Point(one.record.parts.train, accuracy, tested))
    return points


def _is_curve(points: Mapping[int, Sequence[Point]]) -> bool:
    """Return whether there are two sizes: of classes of a few images the fractions may be the same ones."""
    return all(len({point.images for point in repeat}) > 1 for repeat in points.values())


def _command(chosen: Candidate, given: Sequence[str]) -> str:
    words = [*given, *(override(key, value) for key, value in chosen.settings.items())]
    return shlex.join(["dvc", "exp", "run", *(part for word in words for part in ("-S", word))])
