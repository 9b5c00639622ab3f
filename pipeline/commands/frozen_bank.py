"""Frozen backbones side by side before an advice tries any, by the classifiers of `orbweaver bank`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.advice.backbones import Frozen
from pipeline.bank.probes import LOGISTIC
from pipeline.commands import bank
from pipeline.commands.bank import Asked
from pipeline.commands.overriding import read
from pipeline.commands.training_part import training_part
from pipeline.config import Resolved
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
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
        raise InputError(f"-S {of_all}: {bank.OPTION} has a file of weights for one backbone; give either")
    resolved, by_name = read(words), dict[str, Asked]()
    for one in bank.named(backbones, resolved):
        if one.backbone in by_name:
            raise InputError(
                f"{bank.OPTION}: {one.backbone} is listed twice; an advice tries it with one file of weights"
            )
        if of_all:
            by_name[one.backbone] = one._replace(weights=resolved.recipe.network.weights)
        elif one.weights == NONE:
            way_out = f"give a file of them, {bank.OPTION} {one.backbone}=/path/to/it"
            raise InputError(f"{bank.OPTION}: {one.backbone}: no pre-trained weights are published; {way_out}")
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


def compared(
    backbones: Iterable[Asked], words: Sequence[str], *, say: Callable[[Sequence[str]], None], only_price: bool = False
) -> list[Frozen]:
    """Return what a logistic regression gives on the features of each, inside the training part alone.

    Args:
        backbones: each with its weights.
        words: the experiment, as after -S.
        say: prints what it is going to take.
        only_price: end there, and return nothing.

    Raises:
        InputError: for one whose weights are not on this machine.
    """
    resolved, listed = read(words), list(backbones)
    for one in listed:
        bank.check_usable(one, resolved)
    with training_part(resolved) as part:
        say([priced({one.backbone: bank.seconds(one, resolved, part) for one in listed})])
        results = [] if only_price else [bank.measure(one, resolved, part) for one in listed]
    return [
        Frozen(
            one.backbone,
            one.probes[LOGISTIC]["mean"],
            one.probes[LOGISTIC]["low"],
            one.probes[LOGISTIC]["high"],
            one.feature_seconds + one.fit_seconds,
        )
        for one in results
    ]


def priced(seconds: Mapping[str, float]) -> str:
    """Return a line on what the features and fits of each backbone take, 0 seconds for what is kept.

    >>> priced({"resnet18": 9.0, "vgg16": 0.0}).replace("\N{NO-BREAK SPACE}", " ")
    'frozen backbones first, about 9.0 s: resnet18 9.0 s, vgg16 kept'
    """
    each = ", ".join(f"{name} {duration(one) if one else 'kept'}" for name, one in seconds.items())
    return f"frozen backbones first, about {duration(sum(seconds.values()))}: {each}"
