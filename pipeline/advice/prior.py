"""Strategies in the order in which they did elsewhere, on the image sets of the project's own table."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pipeline.datasets.collect.sets import SETS

FILE = Path(__file__).with_name("prior.json")
# By strategy: how far below the best of its set, 0 to 1.
Shortfalls = Mapping[str, float]


class Measured(NamedTuple):
    """The accuracy of a strategy on one cut of a source of images.

    Attributes:
        source: of the images; cuts of one source are no independent sets.
        cut: its name, unique within the source.
        strategy: by name.
        accuracy: on test images, the mean over seeds.
    """

    source: str
    cut: str
    strategy: str
    accuracy: float


def by_source(measured: Iterable[Measured]) -> dict[str, dict[str, float]]:
    """Return each source's shortfalls: a strategy's mean, over the cuts, of the best accuracy less its own.

    >>> by_source([Measured("a", "10", "3b", 0.9), Measured("a", "10", "1", 0.5)])
    {'a': {'3b': 0.0, '1': 0.4}}
    """
    cuts: dict[tuple[str, str], dict[str, float]] = {}
    for one in measured:
        cuts.setdefault((one.source, one.cut), {})[one.strategy] = one.accuracy
    below: dict[str, dict[str, list[float]]] = {}
    for (source, _), accuracies in cuts.items():
        for strategy, accuracy in accuracies.items():
            below.setdefault(source, {}).setdefault(strategy, []).append(max(accuracies.values()) - accuracy)
    return {
        source: {strategy: fmean(values) for strategy, values in strategies.items()}
        for source, strategies in below.items()
    }


def shortfalls(sources: Iterable[Shortfalls]) -> dict[str, float]:
    """Return the mean shortfall of each strategy over the sources that have it, the best strategy first.

    >>> shortfalls([{"1": 0.0, "3b": 0.25}, {"1": 0.75, "3b": 0.25}])
    {'3b': 0.25, '1': 0.375}
    """
    values: dict[str, list[float]] = {}
    for source in sources:
        for strategy, shortfall in source.items():
            values.setdefault(strategy, []).append(shortfall)
    means = {strategy: fmean(one) for strategy, one in values.items()}
    return dict(sorted(means.items(), key=lambda item: item[1]))


def known() -> dict[str, dict[str, float]]:
    """Return the shortfalls of each source as the project's table has them, which `make advice-proof` writes."""
    sources: dict[str, dict[str, float]] = json.loads(FILE.read_text(encoding="utf-8"))
    return sources


def elsewhere(data: str) -> dict[str, dict[str, float]]:
    """Return the shortfalls of all sources but one: advice on a set of the table does not start from its own results.

    Args:
        data: the name of a data set, as in params.yaml.
    """
    return {source: one for source, one in known().items() if source != data}


def ordered(strategies: Sequence[str], means: Shortfalls) -> list[str]:
    """Return strategies, the best elsewhere first; those that were not tried elsewhere come last, as they are given.

    >>> ordered(["lora", "1", "3b"], {"3b": 0.25, "1": 0.375})
    ['3b', '1', 'lora']
    """
    return sorted(strategies, key=lambda name: means.get(name, float("inf")))


def sentence(sources: Mapping[str, Shortfalls]) -> str:
    """Return what the table says in one line."""
    means = shortfalls(sources.values())
    said = ", ".join(f"{name} ({100 * value:.1f})" for name, value in means.items())
    titles = [SETS[source].title if source in SETS else source for source in sources]
    return f"On other images ({', '.join(titles)}), strategies by their points below the best, on average: {said}."
