"""Frozen backbones side by side before an advice tries any, by the classifiers of `orbweaver bank`."""

from collections.abc import Sequence

from pipeline.advice.backbones import Frozen
from pipeline.bank.probes import LOGISTIC
from pipeline.commands import bank
from pipeline.commands.overriding import read
from pipeline.commands.training_part import training_part


def compared(backbones: str, words: Sequence[str]) -> list[Frozen]:
    """Return what a logistic regression gives on the features of each, inside the training part alone.

    Args:
        backbones: as the option --backbones names them.
        words: the experiment, as after -S.

    Raises:
        InputError: for one whose weights are not on this machine.
    """
    resolved = read(words)
    asked = list(bank.named(backbones, resolved))
    for one in asked:
        bank.check_usable(one, resolved)
    with training_part(resolved) as part:
        results = [bank.measure(one, resolved, part) for one in asked]
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
