"""Image sizes that were ranked, in words and numbers."""

from collections.abc import Sequence
from typing import Any

from pipeline.advice.answer import ends
from pipeline.advice.image_sizes import Gap, Sized, best, chosen, gap
from pipeline.core.percents import percent
from pipeline.reporting.signs import DASH
from pipeline.reporting.tables import Table, duration

# About what the numbers of the table are.
CAPTION = (
    "A logistic regression on frozen features at each size, by nested cross-validation inside the training part; below "
    "the best in points ± standard error"
)


def lines(sizes: Sequence[Sized]) -> list[str]:
    """Return a line for each image size, then one that says which is taken and why."""
    return [*(_line(sizes, one) for one in sizes), verdict(sizes)]


def _line(sizes: Sequence[Sized], one: Sized) -> str:
    interval = f" ({ends(one.interval)})" if one.interval else ""
    below = "the best" if one == best(sizes) else f"{_points(gap(sizes, one))} points below the best"
    return (
        f"image size {one.side}: {percent(one.accuracy)}{interval}, {below}, {_cost(sizes, one)} times the smallest "
        f"size's pixels, in {duration(one.seconds)}"
    )


def verdict(sizes: Sequence[Sized]) -> str:
    """Return which size is taken, and why."""
    taken, first = chosen(sizes), best(sizes)
    if taken == first:
        smaller = any(one.side < taken.side for one in sizes)
        why = "the best, and no smaller one is within one standard error of it" if smaller else "the best and smallest"
    else:
        why = f"the smallest within one standard error of the best, {first.side}"
    return f"image size {taken.side} is taken for all that follows: it is {why}"


def table(sizes: Sequence[Sized]) -> Table:
    """Return the image sizes, the smallest first."""
    rows = [
        (
            str(one.side),
            "taken" if one == chosen(sizes) else "left out",
            f"{100 * one.accuracy:.1f}",
            ends(one.interval) if one.interval else DASH,
            DASH if one == best(sizes) else _points(gap(sizes, one)),
            _cost(sizes, one),
            duration(one.seconds),
        )
        for one in sizes
    ]
    header = (
        "image size",
        "verdict",
        "accuracy (%)",
        "95 % interval",
        "below the best",
        "times the smallest's pixels",
        "time",
    )
    return Table(header, rows, numbers_from=2)


def plain(sizes: Sequence[Sized]) -> list[dict[str, Any]]:
    """Return the same as plain data, accuracies from 0 to 1."""
    return [
        {
            "image_size": one.side,
            "taken": one == chosen(sizes),
            "accuracy": one.accuracy,
            "interval": one.interval,
            "below_best": gap(sizes, one).mean,
            "standard_error": gap(sizes, one).error,
            "pixels": one.pixels,
            "seconds": one.seconds,
        }
        for one in sizes
    ]


def _points(below: Gap) -> str:
    return f"{100 * below.mean:.1f} ± {100 * below.error:.1f}"


def _cost(sizes: Sequence[Sized], one: Sized) -> str:
    """Return how many times the pixels of the smallest size a size has."""
    return f"{one.pixels / min(each.pixels for each in sizes):.1f}"
