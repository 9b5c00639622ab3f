"""The rounds of trials that the limit of an advice pays, and the candidates that it can pay at all."""

from collections.abc import Callable, Sequence

from pipeline.advice import costs, halving
from pipeline.advice.halving import Round
from pipeline.commands.advising import SEEDS
from pipeline.commands.pricing import MEASURED, Price
from pipeline.core.errors import InputError
from pipeline.reporting.tables import duration


def affordable(
    price: Price, *, limit: float, trainings: int | None, spent: float, say: Callable[[Sequence[str]], None]
) -> tuple[Price, list[Round]]:
    """Return the price of the candidates that the limit can pay, and the rounds of the first of these.

    Args:
        price: of the candidates.
        limit: seconds that all may take.
        trainings: how many there may be, in place of that.
        spent: seconds of the frozen features, also where they were kept: the plan stays the same.
        say: prints which candidates are left out.

    Raises:
        InputError: for hours that pay one training and the last comparison of no candidate.
    """
    if trainings:
        return price, halving.affordable([1.0] * len(price.by_name), trainings)
    left = limit - spent
    # The recommended one is trained for the last comparison: one for which this takes too long is not tried.
    paid = price.of([name for name in price.by_name if _rounds(price.of([name]), left)])
    if not paid.by_name:
        raise InputError(_refusal(price, spent))
    if dear := [name for name in price.by_name if name not in paid.by_name]:
        say([f"left out: {', '.join(dear)}: the last comparison and one training would take longer than --hours"])
    for count in range(len(paid.by_name), 1, -1):
        first = paid.of([*paid.by_name][:count])
        rounds = _rounds(first, left)
        if rounds and rounds[0].candidates == count:
            return paid, rounds
    return paid, [Round(1, 1)]


def check_starts(price: Price, *, limit: float, spent: float) -> None:
    """Refuse hours that the starts of programs alone exceed.

    Args:
        price: of a candidate whose training takes no time.
        limit: see `affordable`.
        spent: see `affordable`.

    Raises:
        InputError: with what the starts take.
    """
    if not _rounds(price, limit - spent):
        raise InputError(_refusal(price, spent, "more than "))


def _rounds(price: Price, left: float) -> list[Round]:
    """Return the rounds that so many seconds pay beside the last comparison; none where they pay no training."""
    rounds = halving.affordable(price.seconds, left - price.last(SEEDS, SEEDS))
    if rounds and rounds[-1].repeats >= SEEDS:
        return rounds
    # What trials of fewer repeats leave to the curve is paid too; at most all but the first.
    return halving.affordable(price.seconds, left - price.last(SEEDS, 1))


def _refusal(price: Price, spent: float, bound: str = "") -> str:
    alone = [price.of([name]) for name in price.by_name]
    least = spent + min(one.seconds[0] + one.last(SEEDS, 1) for one in alone)
    needed = f"the last comparison and one training {costs.WHOLE} take {bound}{duration(least)}"
    if spent:
        needed = f"the ranking takes {duration(spent)}, and with it {needed}"
    return f"--hours: {needed}; give more, or measure anew with --price where {MEASURED} is of a busy machine"
