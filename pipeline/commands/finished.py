"""The part of an advice that is finished already, said with its price: the same command resumes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.advice import candidates
from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round
from pipeline.advice.learning_curve import FRACTIONS
from pipeline.commands.advising import SEEDS
from pipeline.running import cells, trials


def lines(listed: Sequence[Candidate], rounds: Sequence[Round], words: Sequence[str]) -> list[str]:
    """Return in a line how many of the trainings whose price was said are finished; none where no one is.

    Args:
        listed: the candidates, the most promising first.
        rounds: how many are tried how often.
        words: what all set besides, as after -S.
    """
    there = set(cells.finished(Path.cwd()))
    listed = listed[: rounds[0].candidates]
    counts, trained, last = list[int](), 0, list[Candidate]()
    for one in rounds:
        last = _finished(listed, candidates.inner(one.repeats), words, there)
        # Those that an earlier plan tried and this one drops are none of it.
        counts.append(min(len(last), one.candidates) * (one.repeats - trained))
        trained = one.repeats
    if not any(counts):
        return []
    # Which candidate will be recommended is not known: that of the most finished trainings counts.
    tested = {candidate.name: 0 for candidate in listed}
    for trainings, settings in _last(rounds):
        for candidate in _finished(last, settings, words, there):
            tested[candidate.name] += trainings
    return [f"of these, {sum(counts)} and {max(tested.values())} trainings are finished already"]


def _last(rounds: Sequence[Round]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the trainings of each cell of the last comparison and of the curve, and what it sets."""
    yield SEEDS, candidates.outer(SEEDS)
    for fraction in FRACTIONS:
        # The point of all images has the trials' own repeats.
        trainings = SEEDS if fraction < 1 else max(0, SEEDS - rounds[-1].repeats)
        yield trainings, candidates.fewer(SEEDS, fraction)


def _finished(
    listed: Sequence[Candidate], settings: Mapping[str, Any], words: Sequence[str], there: set[str]
) -> list[Candidate]:
    """Return the candidates whose cell with these settings is there."""
    if not listed:
        return []
    planned = trials.plan({one.name: {**one.settings, **settings} for one in listed}, words)
    return [one for one in listed if any(cell.key in there and cell.name == one.name for cell in planned)]
