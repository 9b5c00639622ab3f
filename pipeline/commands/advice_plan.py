"""The start of an advice and its plan: the candidates, what they cost, and the rounds that its limit pays."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pipeline.advice import candidates, prior
from pipeline.advice.backbones import KEPT, best
from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round
from pipeline.commands import finished
from pipeline.commands.advising import SEEDS, say
from pipeline.config import Resolved
from pipeline.preview.overriding import read, say_remarks
from pipeline.reporting.tables import duration
from pipeline.running import cell_runs, trials
from pipeline.running.cells import Cell
from pipeline.running.executors.contract import Prepared

if TYPE_CHECKING:
    from pipeline.commands.pricing import Price
    from pipeline.commands.ranking import Ranking
    from pipeline.preview.frozen_backbones import Asked

# By default, for everything.
HOURS = 0.5
DIVISIONS: trials.Settings = {"test": candidates.outer(SEEDS), "inner": candidates.inner(1)}


class Begun(NamedTuple):
    """The settings of an advice, read and checked.

    Attributes:
        words: what all trials set, as after -S.
        prepared: what runs them.
        resolved: params.yaml with these words.
        planned: one cell of each division, by which an edit is seen.
        asked: the backbones of --backbones, by name.
    """

    words: Sequence[str]
    prepared: Prepared
    resolved: Resolved
    planned: Sequence[Cell]
    asked: Mapping[str, "Asked"]


def begin(overrides: Sequence[str], backbones: str, sides: str, *, on: str, jobs: int | None) -> Begun:
    """Read and check the settings, before anything is waited for, ranked or measured.

    Raises:
        InputError: for what cannot be advised.
    """
    prepared = cell_runs.prepare(trials.NAME, [read(overrides).recipe], overrides, on=on, jobs=jobs)
    words = [*overrides, *prepared.words]
    resolved = read(words)
    trials.check_images(resolved)
    # What wins over the divisions of an advice is refused here.
    planned = trials.plan(DIVISIONS, words)
    asked: Mapping[str, Asked] = {}
    # Here, since neither `--help` nor a refused setting waits for torch.
    if backbones:
        from pipeline.commands import frozen_bank

        asked = frozen_bank.asked(backbones, words)
    if sides:
        from pipeline.commands import ranking

        ranking.resolved_by_side(sides, words, list(asked))
    return Begun(words, prepared, resolved, planned, asked)


class Limits(NamedTuple):
    """The most that an advice may cost: hours, trainings, or neither for the default."""

    hours: float | None
    trainings: int | None


class Plan(NamedTuple):
    """The candidates of an advice, with the rounds that its limit pays."""

    listed: Sequence[Candidate]
    rounds: Sequence[Round]
    ranked: "Ranking"
    price: "Price"


def make(begun: Begun, limits: Limits, sides: str, *, only_price: bool) -> Plan:
    """Rank what there is to choose by frozen features, measure what the trials cost, and print it."""
    from pipeline.commands import affording, frozen_bank, pricing, ranking

    say_remarks(begun.resolved)
    say([prior.sentence(prior.elsewhere(begun.resolved.recipe.data.set))])
    trainings = limits.trainings
    limit = math.inf if trainings else 3600 * (limits.hours or HOURS)
    ranked = ranking.ranking(begun.asked, sides, begun.words, frozen_bank.Budget(say, only_price, limit))
    listed = _candidates(best(ranked.frozen) or list(begun.asked)[:KEPT], begun.asked, ranked.words)
    check = partial(affording.check_starts, limit=limit, spent=ranked.seconds)
    price = pricing.price(listed, ranked.words, trainings=trainings, anew=only_price, check=check)
    price, rounds = affording.affordable(price, limit=limit, trainings=trainings, spent=ranked.seconds, say=say)
    listed = [one for one in listed if one.name in price.by_name]
    say(price.lines(rounds, SEEDS))
    if only_price:
        whole = duration(ranked.seconds + price.total(rounds, SEEDS))
        say([f"in all about {whole}; nothing was trained, as --price stops here", *filter(None, [ranked.next_step])])
    else:
        say([*finished.lines(listed, rounds, ranked.words), *begun.prepared.lines])
    return Plan(listed, rounds, ranked, price)


def _candidates(backbones: Sequence[str], asked: Mapping[str, "Asked"], given: Sequence[str]) -> list[Candidate]:
    """Return all candidates, the best on other images first."""
    from pipeline.commands import frozen_bank

    resolved = read(given)
    more = {}
    # A recipe, which its user may have taken out of params.yaml.
    if section := resolved.settings.values["recipes"].get(candidates.MODERN):
        more[candidates.MODERN] = candidates.modern(
            section,
            resolved.origin,
            unit=resolved.recipe.train.budget.unit,
            given=[word.partition("=")[0] for word in given],
        )
    return candidates.candidates(
        backbones,
        own=resolved.recipe.network.backbone,
        weights=frozen_bank.weights(asked, resolved, given),
        more=more,
        known_elsewhere=prior.shortfalls(prior.elsewhere(resolved.recipe.data.set).values()),
    )
