"""The steps of an advice once its price is known: the trials, the recommendation, its test and its learning curve."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.advice import candidates, costs, halving, recommendation
from pipeline.advice.answer import Answer, Trial
from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round, Tried
from pipeline.advice.learning_curve import FRACTIONS, Point, distinct, gain, is_perfect
from pipeline.core import shell
from pipeline.core.overrides import overridden_key, override
from pipeline.preview.overriding import read
from pipeline.running import cell_runs, edits, opened, trials
from pipeline.studies.results import Result

if TYPE_CHECKING:
    from pipeline.commands.ranking import Ranking

# Seeds of the last comparison, on the one test part.
SEEDS = 3
# What runs trials: settings by name, and what all set besides.
Run = Callable[[trials.Settings, Sequence[str]], Mapping[str, Result]]


def say(lines: Sequence[str]) -> None:
    """Print what is going to be paid, apart from what the command is asked for."""
    cell_runs.say("advise", lines)


def answer(
    listed: Sequence[Candidate],
    rounds: Sequence[Round],
    ranked: "Ranking",
    run: Run,
    *,
    timed: Mapping[str, float],
    more: int | None,
) -> Answer:
    """Return the whole answer; the test part is opened for the recommended candidate alone.

    Args:
        listed: the candidates, the most promising first.
        rounds: how many are tried how often.
        ranked: what was chosen before, with what all set besides.
        run: what runs trials.
        timed: seconds of a training of each candidate, timed on this machine.
        more: how many more images to judge; None for as many as there are.
    """
    given = ranked.words
    tried = _tried(listed, rounds, given, run, timed)
    cost = costs.of({name: trial.result for name, trial in tried.items()}, timed)
    advice = recommendation.recommend([trial.result.experiment for trial in tried.values()], cost)
    chosen = next(one for one in listed if one.name == advice.name)
    best = next(one for one in listed if one.name == advice.best)
    tested = run({chosen.name: {**chosen.settings, **candidates.outer(SEEDS)}}, given)[chosen.name]
    points = distinct(_points(chosen, given, run)) if _has_smaller_parts(tried[chosen.name].result) else {}
    parts, images = tested.repeats[0].record.parts, tested.repeats[0].record.data.images
    accuracy = tested.summary
    left = 1 - (accuracy.interval.low if accuracy.interval else accuracy.mean)
    return Answer(
        advice=advice,
        trials=tried,
        rounds=len(rounds),
        tested=tested,
        gain=gain(points, more or images, trained=parts.train, images=images, left=left) if _shows(points) else None,
        points=points,
        images=images,
        command=_command(chosen, given),
        best_command="" if best is chosen else _command(best, given),
        meaning=candidates.meaning(chosen.settings),
        costs=cost,
        frozen=ranked.frozen,
        sizes=ranked.sizes,
        next_step=ranked.next_step,
        others=opened.others(Path.cwd(), tested.repeats[0]),
    )


def _tried(
    listed: Sequence[Candidate], rounds: Sequence[Round], given: Sequence[str], run: Run, timed: Mapping[str, float]
) -> dict[str, Trial]:
    """Run all rounds; what is left in one is decided by the inner divisions of the one before."""
    settings = {one.name: one.settings for one in listed}
    results: dict[str, Result] = {}

    def attempt(names: Sequence[str], repeats: int) -> dict[str, Tried]:
        number = [one.repeats for one in rounds].index(repeats) + 1
        say([f"round {number} of {len(rounds)}: {', '.join(names)}, n = {repeats}"])
        ended = run({name: {**settings[name], **candidates.inner(repeats)} for name in names}, given)
        results.update(ended)
        cost = costs.of(ended, timed)
        return {name: Tried(one.summary.mean, cost[name]) for name, one in ended.items()}

    last = halving.run([one.name for one in listed], rounds, attempt)
    return {name: Trial(results[name], number) for name, number in last.items()}


def _points(chosen: Candidate, given: Sequence[str], run: Run) -> dict[int, list[Point]]:
    """Return the learning curve's points by repeat, measured on inner divisions."""
    say([f"learning curve of {chosen.name}"])
    fractions = {f"{chosen.name}-{100 * fraction:.0f}": fraction for fraction in FRACTIONS}
    settings = {name: {**chosen.settings, **candidates.fewer(SEEDS, fraction)} for name, fraction in fractions.items()}
    points: dict[int, list[Point]] = {}
    for name, result in run(settings, given).items():
        for one in result.repeats:
            accuracy, tested = one.scores.by_name["accuracy"], one.scores.test_images
            point = Point(one.record.parts.train, accuracy, tested, fractions[name])
            points.setdefault(one.number, []).append(point)
    return points


def _has_smaller_parts(result: Result) -> bool:
    """Return whether some class has two training images of an inner division, of which a fraction is less."""
    return all(one.record.parts.train > len(one.record.data.classes) for one in result.repeats)


def _shows(points: Mapping[int, Sequence[Point]]) -> bool:
    """Return whether a curve shows anything: it has two sizes, which copies of one photograph have not, and errors."""
    several = all(len({point.images for point in repeat}) > 1 for repeat in points.values())
    return bool(points) and several and not is_perfect(points)


def _command(chosen: Candidate, given: Sequence[str]) -> str:
    """Return what runs the recommendation, also once params.yaml is as committed again."""
    words = [*given, *(override(key, value) for key, value in chosen.settings.items())]
    words = [*edits.words(read(words), [*map(overridden_key, words)], with_places=True), *words]
    return shell.join(["dvc", "exp", "run", *(part for word in words for part in ("-S", word))])
