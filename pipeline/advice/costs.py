"""The cost of a training of each candidate, in seconds that compare."""

from collections.abc import Mapping

from pipeline.evaluation.compare import machines
from pipeline.evaluation.compare.machines import Differing
from pipeline.studies.results import Result

# What a training's seconds are of on the page, and what a training has besides in the price.
ALONE = "training alone, without start and evaluation"
WHOLE = "with start and evaluation"
# What of a machine decides how long a training takes, in the words of `machines.differing`.
DECIDING = ("device", "CPU instructions", "threads")


def of(results: Mapping[str, Result], timed: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of a training of each candidate: its own, or where machines differ those timed on one.

    Args:
        results: the candidates' trials, some of which may have come from another machine or from DVC's cache.
        timed: seconds of a training of each candidate, all timed on one machine before the trials.
    """
    repeats = {name: [repeat.runtime.machine for repeat in one.repeats] for name, one in results.items()}
    if comparable(machines.differing(repeats)):
        return {name: one.seconds().mean for name, one in results.items()}
    return {name: timed[name] for name in results}


def comparable(differing: Differing) -> bool:
    """Return whether the seconds of trainings that differ in this compare."""
    return not any(what in differing for what in DECIDING)


def sentence(differing: Differing) -> str:
    """Return which machines and versions trained the candidates, and what is cheaper then; "" if all are alike."""
    said = machines.sentence(differing, "candidate")
    if comparable(differing):
        return said
    return (
        f"{said} Seconds of different machines do not compare, so the cheapest candidate here is that of the fewest "
        "seconds when all were timed on one machine before the trials."
    )
