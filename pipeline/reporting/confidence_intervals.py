"""How sure an experiment's scores are: intervals over its repeats, and in words what they are of."""

from collections.abc import Sequence
from typing import Any

from pipeline.core.files import flat
from pipeline.evaluation.compare import comparison
from pipeline.evaluation.compare.comparison import Experiment, Trial
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.compare.statistics import Interval
from pipeline.evaluation.scores import SCORES
from pipeline.reporting import aggregate

NO_BREAK = "\u00a0"


def trial(one: Repeat) -> Trial:
    """Return a repeat as it is compared with others."""
    return Trial(
        right={row["path"]: row["correct"] == "1" for row in one.predictions},
        train=one.record.parts.train,
        scores={name: one.scores.by_name[name] for name in SCORES if name in one.scores.by_name},
        seconds=one.runtime.train_seconds,
    )


def experiment(name: str, repeats: Sequence[Repeat]) -> Experiment:
    """Return all repeats of one experiment as they are compared with another's; its settings are the first repeat's."""
    record = repeats[0].record
    settings = dict(flat(record.recipe.model_dump(mode="json")))
    if len(record.phases) == 1:
        # Of a single phase all values are settings of their own.
        del settings["train.phases"]
    others = record.model_dump(include={"recipe_name", "device", "device_model", "precision", "threads"})
    code = {"data": repeats[0].runtime.data_sha256, "weights": record.weights.sha256, "code": record.code}
    return Experiment(
        name,
        trials={one.number: trial(one) for one in repeats},
        parameters=record.parameters.trainable,
        settings=settings | others | {f"{key}, SHA-256": value for key, value in code.items()},
    )


def intervals(repeats: Sequence[Repeat]) -> dict[str, Interval]:
    """The 95 % interval of each score that has one: of the mean over the repeats, or Wilson's of a single accuracy."""
    trials = {one.number: trial(one) for one in repeats}
    by_score = {
        name: comparison.summary(Experiment("", trials), name).interval
        for name in SCORES
        if name in repeats[0].scores.by_name
    }
    return {name: interval for name, interval in by_score.items() if interval}


def summary(repeats: Sequence[Repeat]) -> dict[str, Any]:
    """Return the content of summary.json: `aggregate.summary`, with the ends of the accuracy's interval."""
    values = aggregate.summary(repeats)
    ends = intervals(repeats).get("accuracy")
    return values | {"accuracy": values["accuracy"] | (ends._asdict() if ends else {})}


def note(repeats: Sequence[Repeat], *, own_parts: bool) -> str:
    """Return the note on what the number's ± and its interval are of.

    Args:
        repeats: one or more.
        own_parts: whether all repeats use the set's own parts.
    """
    ends = intervals(repeats).get("accuracy")
    if len(repeats) == 1:
        return (
            "A single repeat has no spread: how much of this value is chance is not known. More repeats in params.yaml "
            f"tell. Wilson's 95 % interval, {percents(ends)}, is of this one network, over other test images alone."
        )
    varies = "the set's own parts and its own seed" if own_parts else "its own random split and seed"
    sd = f"± is the standard deviation (with n − 1) over {len(repeats)} repeats, each with {varies}."
    if ends is None:
        return f"{sd} It is 0, which gives no interval. {_wilson(repeats[0])}"
    if comparison.draws_splits(Experiment("", {one.number: trial(one) for one in repeats})):
        return (
            f"{sd} The 95 % interval of the mean, {percents(ends)}, is over such repeats, and corrected for training "
            "parts that overlap (Nadeau and Bengio 2003)."
        )
    return (
        f"{sd} The 95 % interval of the mean, {percents(ends)}, is over such repeats on these very test images. "
        f"{_wilson(repeats[0])}"
    )


def _wilson(one: Repeat) -> str:
    ends = intervals([one])["accuracy"]
    return (
        f"What other images would change, Wilson's 95 % interval of repeat {one.number} alone tells: {percents(ends)}."
    )


def percents(ends: Interval | None) -> str:
    """Return an interval of a score from 0 to 1, in percent.

    >>> percents(Interval(0.841, 1.0)).replace(NO_BREAK, " ")
    '84.1 to 100.0 %'
    """
    return "none" if ends is None else f"{100 * ends.low:.1f} to {100 * ends.high:.1f}{NO_BREAK}%"
