"""How sure an experiment's scores are: intervals over its repeats, and in words what they are of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.core.files import flat
from pipeline.core.sections import EACH
from pipeline.datasets.prepared import dividing
from pipeline.evaluation.compare import comparison, power
from pipeline.evaluation.compare.experiments import ACCURACY, Experiment, Pair, Trial, draws_splits, part_sizes
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.compare.statistics import ALPHA, NO_SPREAD, Interval
from pipeline.evaluation.scores import SCORES
from pipeline.reporting import aggregate
from pipeline.reporting.signs import DASH, NO_BREAK

# Of a record, what two experiments are compared by besides settings, data, weights and code.
OF_THE_COMPUTATION = {"recipe_name", "device", "device_model", "cpu_instructions", "precision", "threads"}


def trial(one: Repeat) -> Trial:
    """Return a repeat as it is compared with others."""
    return Trial(
        right={row["path"]: row["correct"] == "1" for row in one.predictions},
        train=one.record.parts.train,
        scores={name: one.scores.by_name[name] for name in SCORES if name in one.scores.by_name},
        seconds=one.runtime.train_seconds,
        groups=groups(one.predictions),
        machine=one.runtime.machine,
    )


def groups(predictions: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the group of each test image that is in one that the user named, by path."""
    return {row["path"]: group for row in predictions if (group := row.get("group"))}


def experiment(name: str, repeats: Sequence[Repeat]) -> Experiment:
    """Return all repeats of one experiment as they are compared with another's; its settings are the first repeat's."""
    record = repeats[0].record
    settings = dict(flat(record.recipe.model_dump(mode="json")))
    if len(record.phases) == 1:
        # Of a single phase all values are settings of their own.
        del settings["train.phases"]
    others = record.model_dump(include=OF_THE_COMPUTATION)
    code = {"data": repeats[0].runtime.data_sha256, "weights": record.weights.sha256, "code": record.code}
    return Experiment(
        name,
        trials={one.number: trial(one) for one in repeats},
        parameters=record.parameters.trainable,
        settings=settings | others | {f"{key}, SHA-256": value for key, value in code.items()},
        redraws=dividing.redraws_training(record.recipe.data.split),
    )


def intervals(repeats: Sequence[Repeat]) -> dict[str, Interval]:
    """Return the 95 % interval of each score that has one: of the repeats' mean, or Wilson's of a single accuracy."""
    compared = experiment("", repeats)
    by_score = {
        name: comparison.summary(compared, name).interval for name in SCORES if name in repeats[0].scores.by_name
    }
    return {name: interval for name, interval in by_score.items() if interval}


def summary(repeats: Sequence[Repeat]) -> dict[str, Any]:
    """Return the content of summary.json: `aggregate.summary`, with the ends of the accuracy's interval."""
    values = aggregate.summary(repeats)
    ends = intervals(repeats).get("accuracy")
    return values | {"accuracy": values["accuracy"] | (ends._asdict() if ends else {})}


def note(repeats: Sequence[Repeat]) -> str:
    """Return the note on what the number's ± and its interval are of."""
    grouped = groups(repeats[0].predictions)
    return _note(repeats) + (comparison.grouping([experiment("", repeats)]) if grouped else "")


def _note(repeats: Sequence[Repeat]) -> str:
    ends = intervals(repeats).get("accuracy")
    if len(repeats) == 1:
        return (
            "A single repeat has no spread: how much of this value is chance is not known. Run more repeats to measure "
            f"it. Wilson's 95 % interval, {percents(ends)}, is of this one network, over other test images alone."
        )
    compared = experiment("", repeats)
    sd = f"± is the standard deviation (with n − 1) over {len(repeats)} repeats, each with {_varies(compared)}."
    if ends is None:
        [wilson] = intervals(repeats[:1]).values()
        return (
            f"{sd} It is 0, which gives no interval. What other images would change, Wilson's 95 % interval of repeat "
            f"{repeats[0].number} alone tells: {percents(wilson)}."
        )
    if draws_splits(compared):
        return (
            f"{sd} The 95 % interval of the mean, {percents(ends)}, is over such repeats, and corrected for training "
            "parts that overlap (Nadeau and Bengio 2003)."
        )
    return (
        f"{sd} The 95 % interval of the mean, {percents(ends)}, is over such repeats and other test images at once. "
        "The narrower intervals of other scores are over such repeats alone, on these very test images."
    )


def detectable(repeats: Sequence[Repeat]) -> str | None:
    """Return the note on which differences a comparison of so many repeats would show; None without any spread.

    The other experiment is not known: its accuracy is taken to vary as much as this one's, and independently, so that
    their difference has twice the variance; on the same splits the two vary together, which gives less.
    """
    if len(repeats) < 2:
        return None
    compared = experiment("", repeats)
    trials, drawn = list(compared.trials.values()), draws_splits(compared)
    differences = [2**0.5 * one.score(ACCURACY) for one in trials]
    train, test = part_sizes(trials, drawn=drawn).values()

    def smallest(n: int) -> float | None:
        return power.smallest_detectable(differences, train=train, test=test, repeats=n)

    if (seen := smallest(len(repeats))) is None:
        return None
    needed = power.repeats_for(power.ASKED, smallest)
    points = f"{100 * power.ASKED:.0f} points"
    most = f"not even {power.MOST_REPEATS:,} repeats detect {points}"
    takes = f"{points} take about {needed:,} repeats" if needed else most
    detect = f"detect a difference of {100 * seen:.1f} points"
    if seen > 1:
        detect = "are too few to detect any difference, however large,"
    alone = "" if drawn else ", as far as the seeds go; the test images, which are the same in each, add to that"
    return (
        f"Compared with an experiment that varies as much, independently, {len(repeats)} repeats {detect} "
        f"with a probability of 80 %; {takes}{alone}. For two experiments, `orbweaver compare` computes this from both."
    )


def _varies(compared: Experiment) -> str:
    """Return what each repeat has of its own."""
    if draws_splits(compared):
        return "its own random split and seed"
    if compared.redraws:
        return "its own draw of the training images and its own seed, and the same test images"
    if (division := compared.settings.get("data.split.division", EACH)) != EACH:
        return f"the division of repeat {division} and its own seed"
    return "the set's own parts and its own seed"


def percents(ends: Interval | None) -> str:
    """Return an interval of a score from 0 to 1, in percent.

    >>> percents(Interval(0.841, 1.0)).replace(NO_BREAK, " ")
    '84.1 to 100.0 %'
    """
    return "none" if ends is None else f"{100 * ends.low:.1f} to {100 * ends.high:.1f}{NO_BREAK}%"


def of_difference(ends: Interval | None, metric: str = ACCURACY) -> Interval | None:
    """Return the interval of a difference as it is printed: within what scores can differ by, and None without a width.

    One of width 0, as where all answers are alike, would claim more than so few can.

    >>> of_difference(Interval(-1.2, 0.5)), of_difference(Interval(0.1, 0.1 + 1e-17))
    (Interval(low=-1.0, high=0.5), None)
    """
    # Of NaN the width is not above anything.
    if ends is None or not ends.high - ends.low > NO_SPREAD:
        return None
    highest = SCORES[metric].highest
    return Interval(max(ends.low, -highest), min(ends.high, highest))


def p_value(value: float) -> str:
    """Return the p value of a test; one that is rounded to 0 would say that the difference cannot be chance.

    Near 0.05 it has as many digits as say on which side of it the verdict is.

    >>> p_value(0.0312), p_value(1e-9), p_value(0.0496), p_value(0.05004)
    ('0.031', '< 0.001', '0.0496', '0.05004')
    """
    if value < 0.001:
        return "< 0.001"
    digits = next((number for number in range(3, 9) if float(f"{value:.{number}f}") != ALPHA), 3)
    return f"{value:.{digits}f}"


def p_values(pair: Pair) -> tuple[str, str]:
    """Return p and Holm's p of a pair; a dash where there is none."""
    p, holm = (DASH if value is None or pair.untested else p_value(value) for value in (pair.p, pair.holm))
    return p, holm


def repeats_needed(pair: Pair) -> str:
    """Return how many repeats would show a difference of two points, in words where no number does.

    A dash where the present ones do not tell: a single one, or equal differences.
    """
    if pair.repeats_needed:
        return f"{pair.repeats_needed:,}"
    if pair.test is None or pair.untested:
        return DASH
    return f"over {power.MOST_REPEATS:,}" if pair.repeats_suffice else "no number"


def smallest_detectable(pair: Pair, form: Callable[[float], str]) -> str:
    """Return the smallest detectable difference, in words where none is, however large.

    A dash where the present repeats do not tell: equal ones, or a single one of a score other than accuracy.
    """
    if pair.untested or not (pair.test or pair.mcnemar):
        return DASH
    if pair.smallest is None:
        return f"no difference: too few {'repeats' if pair.test else 'images'}"
    return form(pair.smallest)
