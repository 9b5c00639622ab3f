"""The numbers of charts as tables."""

import itertools

import pytest

from pipeline.core.records import Counted
from pipeline.reporting import numbers
from pipeline.reporting.curves import Curve
from pipeline.reporting.signs import NO_BREAK


def curve(epochs: int, *, repeats: int = 1, first: int = 1) -> Curve:
    """A curve from 0.1 upward whose repeats lie a hundredth to either side."""
    places = list(range(first, first + epochs))
    mean = [place / 10 for place in places]
    return Curve(
        epochs=places,
        iterations=[84.0 * place for place in places],
        mean=mean,
        low=[value - 0.01 for value in mean],
        high=[value + 0.01 for value in mean],
        repeats={number: dict(zip(places, mean, strict=True)) for number in range(1, repeats + 1)},
    )


def plain(table):
    return [tuple(cell.replace(NO_BREAK, " ") for cell in row) for row in table.rows]


def test_a_course_has_means_and_where_there_are_several_repeats_the_range():
    one, several = ({"train_accuracy": curve(2, repeats=n)} for n in (1, 3))
    assert plain(numbers.course(one, "accuracy", "epoch")) == [("1", "10.0"), ("2", "20.0")]
    assert plain(numbers.course(several, "accuracy", "epoch"))[1] == ("2", "20.0 (19.0 to 21.0)")
    assert numbers.course(one, "accuracy", "epoch").header == ("epoch", "training accuracy (%)")


def test_losses_are_no_percent_and_iterations_stand_where_the_budget_counts_them():
    table = numbers.course({"train_loss": curve(2)}, "loss", "iteration")
    assert table.header == ("iteration", "training loss")
    assert plain(table) == [("84", "0.1"), ("168", "0.2")]


def test_an_epoch_without_a_validation_value_has_a_dash():
    series = {"train_loss": curve(3), "val_loss": curve(2, first=2)}
    assert [row[2] for row in plain(numbers.course(series, "loss", "epoch"))] == ["–", "0.2", "0.3"]


@pytest.mark.parametrize("epochs", [1, 49, 50, 51, 100, 101, 9000])
def test_a_long_course_has_few_rows_at_equal_distances_and_the_last(epochs):
    steps = [
        int(row[0].replace(",", "")) for row in numbers.course({"train_loss": curve(epochs)}, "loss", "epoch").rows
    ]
    assert len(steps) <= numbers.STEPS
    assert len(steps) >= min(epochs, numbers.STEPS // 2)
    assert steps[-1] == epochs
    assert len({after - before for before, after in itertools.pairwise(steps)}) <= 1


def test_the_largest_class_stands_first():
    assert numbers.counts({"bee": 3, "ant": 3, "wasp": 1234}).rows == [("wasp", "1,234"), ("ant", "3"), ("bee", "3")]


def test_stages_have_what_trains_and_what_is_frozen():
    table = numbers.stages({"stem": Counted(trainable=0, frozen=1984), "head": Counted(trainable=10, frozen=0)})
    assert table.rows == [("stem", "0", "1,984"), ("head", "10", "0")]
