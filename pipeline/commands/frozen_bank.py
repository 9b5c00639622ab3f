"""Frozen backbones and image sizes side by side before an advice tries any, by the classifiers of `orbweaver bank`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.advice.backbones import Frozen
from pipeline.bank.bank import Result
from pipeline.bank.probes import LOGISTIC
from pipeline.config import Resolved
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.evaluation.compare.statistics import Interval
from pipeline.preview import frozen_backbones
from pipeline.preview.frozen_backbones import OPTION, Asked
from pipeline.preview.overriding import read
from pipeline.preview.training_part import training_part
from pipeline.reporting.tables import duration

# With which the user says the weights of all trials.
WEIGHTS = ("weights", "weights_file")


def asked(backbones: str, words: Sequence[str]) -> dict[str, Asked]:
    """Return the backbones that are named, each with the weights that the bank and the trials take.

    Args:
        backbones: as the option --backbones names them.
        words: the experiment, as after -S.

    Raises:
        InputError: for one that is unknown, there twice or without weights, and for a file beside weights for all.
    """
    of_all = _of_all(words)
    if of_all and "=" in backbones:
        raise InputError(f"-S {of_all}: {OPTION} has a file of weights for one backbone; give either")
    resolved, by_name = read(words), dict[str, Asked]()
    for one in frozen_backbones.named(backbones, resolved):
        if one.backbone in by_name:
            raise InputError(f"{OPTION}: {one.backbone} is listed twice; an advice tries it with one file of weights")
        if of_all:
            by_name[one.backbone] = one._replace(weights=resolved.recipe.network.weights)
        elif one.weights == NONE:
            way_out = f"give a file of them, {OPTION} {one.backbone}=/path/to/it"
            raise InputError(f"{OPTION}: {one.backbone}: no pre-trained weights are published; {way_out}")
        else:
            by_name[one.backbone] = one
    return by_name


def _of_all(words: Iterable[str]) -> str:
    return next((word for word in words if word.partition("=")[0] in WEIGHTS), "")


def weights(by_name: Mapping[str, Asked], resolved: Resolved, words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what each backbone's trials set for its weights, where the recipe or the user's words do not say so.

    Args:
        by_name: the backbones, by their names.
        resolved: the experiment.
        words: of which it is made, as after -S.
    """
    if _of_all(words):
        return {}
    network = resolved.recipe.network
    settings: dict[str, dict[str, Any]] = {}
    for name, one in by_name.items():
        if one.file:
            # Trials run in copies of the clone.
            settings[name] = {"weights": one.weights, "weights_file": str(Path(one.file).resolve())}
        elif (name, one.weights) != (network.backbone, network.weights):
            settings[name] = {"weights": one.weights}
    return settings


class Budget(NamedTuple):
    """The limits of what is computed before any trial.

    Attributes:
        say: prints what it is going to take.
        only_price: whether nothing is spent at all.
        limit: seconds that all may take.
        spent: seconds of the rankings before, also where they were kept.
    """

    say: Callable[[Sequence[str]], None]
    only_price: bool = False
    limit: float = math.inf
    spent: float = 0.0


def compared(backbones: Iterable[Asked], words: Sequence[str], budget: Budget) -> tuple[list[Frozen], float]:
    """Return what a logistic regression gives on the features of each, inside the training part alone.

    Args:
        backbones: each with its weights.
        words: the experiment, as after -S.
        budget: what may be spent.

    Returns:
        The backbones, none where only the price is asked for; and about how many seconds were left to compute.

    Raises:
        InputError: for one whose weights are not on this machine.
    """
    resolved = read(words)
    results, seconds = measured("frozen backbones", {one.backbone: (one, resolved) for one in backbones}, budget)
    frozen = []
    for one in results:
        accuracy, interval, _, took = estimated(one)
        frozen.append(Frozen(one.backbone, accuracy, interval, took))
    return frozen, seconds


def measured(what: str, listed: Mapping[str, tuple[Asked, Resolved]], budget: Budget) -> tuple[list[Result], float]:
    """Return what the classifiers of `orbweaver bank` give on each, inside the training part alone.

    Args:
        what: they are, in words.
        listed: a backbone and the experiment that it is measured for, by a name; the images of all are the same.
        budget: what may be spent.

    Returns:
        The results, none where only the price is asked for and something is left to compute; and about how many seconds
        that was going to take.

    Raises:
        InputError: for one whose weights are not on this machine, and where the limit is too short.
    """
    for one, resolved in listed.values():
        frozen_backbones.check_usable(one, resolved)
    first = next(iter(listed.values()))[1]
    with training_part(first) as part:
        prices = {name: frozen_backbones.seconds(one, resolved, part) for name, (one, resolved) in listed.items()}
        seconds = sum(prices.values())
        budget.say([priced(what, prices)])
        if seconds > max(budget.limit - budget.spent, 0.0):
            before = f" after {duration(budget.spent)} for the ranking before" if budget.spent else ""
            raise InputError(
                f"--hours: ranking {what} takes about {duration(seconds)}{before}, and all may take "
                f"{duration(budget.limit)}; give more hours, or fewer to choose from"
            )
        if budget.only_price and seconds:
            return [], seconds
        return [frozen_backbones.measure(one, resolved, part) for one, resolved in listed.values()], seconds


def estimated(result: Result) -> tuple[float, Interval | None, Sequence[float], float]:
    """Return the logistic regression's accuracy with its interval, that of each part, and the seconds of it all."""
    probe = result.probes[LOGISTIC]
    interval = None if probe["low"] is None else Interval(probe["low"], probe["high"])
    return probe["mean"], interval, probe["parts"], result.feature_seconds + result.fit_seconds


def priced(what: str, seconds: Mapping[str, float]) -> str:
    """Return a line on what the features and fits of each take, 0 seconds for what is kept.

    >>> priced("frozen backbones", {"resnet18": 9.0, "vgg16": 0.0}).replace("\N{NO-BREAK SPACE}", " ")
    'frozen backbones first, about 9.0 s: resnet18 9.0 s, vgg16 kept'
    """
    each = ", ".join(f"{name} {duration(one) if one else 'kept'}" for name, one in seconds.items())
    return f"{what} first, about {duration(sum(seconds.values()))}: {each}"
