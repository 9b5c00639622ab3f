"""Trainings that ended before they were done: pure.

Underfitting shows while the loss still falls and either the training images are not yet learned, or the network is
less sure than it is right, as it is before its scores have grown. A falling loss alone says little: on images that are
learned it goes on falling for as long as training does.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from pipeline.core.records import Record
from pipeline.core.scores_record import Scores
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting.curves import unit

# The last part of the training, by the sum of its learning rates: near the end of a schedule the loss rests because the
# rate does.
LAST = 0.2
# The least fall of the loss in that part, of its value before: with one of the other two signs, and with both.
FALLS = {1: 0.05, 2: 0.01}
# Of the training images, to be called learned.
LEARNED = 0.95
# Standard errors that a difference has to exceed.
ERRORS = 2.0


class Unfinished(NamedTuple):
    """Signs that speak for a longer training; fractions.

    Attributes:
        fall: by which the training loss fell in the last part, the mean over the repeats.
        lowest: in the repeat where it fell least.
        accuracy: of the training images, in the last epoch.
        confidence: mean of the test images; None where it is not below their accuracy by more than chance.
        test_accuracy: of the same images.
    """

    fall: float
    lowest: float
    accuracy: float
    confidence: float | None
    test_accuracy: float


def unfinished(repeats: Sequence[Repeat]) -> Unfinished | None:
    """Return what speaks for a longer training; None where too little does.

    An early stop is no sign of it. The accuracy of mixed images is not that of the images, and mixing and smoothed
    labels make a network less sure by themselves.
    """
    train = repeats[0].record.recipe.train
    mixed = train.mixup > 0 or train.cutmix > 0
    if train.early_stop:
        return None
    falls = [fall(one) for one in repeats]
    if any(one is None for one in falls):
        return None
    known = [one for one in falls if one is not None]
    noise = ERRORS * stdev(known) / sqrt(len(known)) if len(known) > 1 else 0.0
    accuracy = fmean(float(one.history[-1]["train_accuracy"]) for one in repeats)
    unsure = [one for one in (underconfidence(repeat.scores) for repeat in repeats) if one is not None]
    softened = mixed or train.label_smoothing > 0
    confidence = fmean(unsure) if len(unsure) == len(repeats) and not softened else None
    signs = (accuracy < LEARNED and not mixed) + (confidence is not None)
    if not signs or fmean(known) < FALLS[signs] or fmean(known) <= noise:
        return None
    tested = fmean(one.scores.accuracy for one in repeats)
    return Unfinished(fmean(known), min(known), accuracy, confidence, tested)


def fall(one: Repeat) -> float | None:
    """Return by which fraction the loss fell in the last part of a repeat's last schedule; None for a single epoch."""
    rows = _last_schedule(one)
    rates = [float(row["lr"]) for row in reversed(rows)]
    # Whole epochs, at least one.
    last = max(1, sum(done <= LAST * sum(rates) for done in accumulate(rates)))
    if last >= len(rows):
        return None
    before, after = float(rows[-last - 1]["train_loss"]), float(rows[-1]["train_loss"])
    return (before - after) / before if before else 0.0


def _last_schedule(one: Repeat) -> list[dict[str, str]]:
    """Return the rows of the last phase, with those before that share its schedule."""
    record, phases = one.record, one.record.recipe.train.phases
    first = max(number for number, phase in enumerate(phases) if number == 0 or not phase.continues)
    begin = sum(phase.amount for phase in phases[:first])
    return [row for row in one.history if float(row[unit(record)]) > begin]


def underconfidence(scores: Scores) -> float | None:
    """Return the mean confidence if it is below the accuracy by more than two standard errors.

    The variance is that of a network as sure as it is right: of c (1 - c) an image of the confidence c. By its bins'
    accuracies it would be 0 where each bin has one image, or is all right, as chance has it on few test images.
    """
    n = sum(part.images for part in scores.reliability)
    if not n:
        return None
    gap = sum(part.images * (part.accuracy - part.confidence) for part in scores.reliability) / n
    variance = sum(part.images * part.confidence * (1 - part.confidence) for part in scores.reliability) / n**2
    return scores.accuracy - gap if gap > ERRORS * sqrt(variance) else None


def more(record: Record, own: int | None) -> int:
    """Return a longer budget to try: the recipe's own where that is longer, else twice this one."""
    amount = record.recipe.train.budget.amount
    return own if own and own > amount else 2 * amount
