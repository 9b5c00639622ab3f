"""Frozen backbones in words and numbers: how each did, and whether it is tried."""

from collections.abc import Sequence

from pipeline.advice.answer import ends
from pipeline.advice.backbones import Frozen, best, judged
from pipeline.core.percents import percent
from pipeline.reporting.signs import DASH
from pipeline.reporting.tables import Table, duration


def ranked(frozen: Sequence[Frozen]) -> list[str]:
    """Return a line for each frozen backbone, the best first: its accuracy, its seconds, and whether it is tried."""
    lines = []
    for one, tried in judged(frozen):
        interval = f" ({ends(one.interval)})" if one.interval else ""
        verdict = "tried" if tried else f"left out: not one of the best {len(best(frozen))}"
        lines.append(f"{one.name}: {percent(one.accuracy)}{interval} in {duration(one.seconds)}, {verdict}")
    return lines


def table(frozen: Sequence[Frozen]) -> Table:
    """Return the frozen backbones, those first that went on to the trials."""
    rows = [
        (
            one.name,
            "tried" if tried else "left out",
            f"{100 * one.accuracy:.1f}",
            ends(one.interval) if one.interval else DASH,
            duration(one.seconds),
        )
        for one, tried in judged(frozen)
    ]
    return Table(("backbone", "verdict", "accuracy (%)", "95 % interval", "time"), rows, numbers_from=2)
