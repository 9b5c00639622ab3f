"""The choice of an image size by frozen features, and what is said of it."""

import math
import re

import numpy as np
import pytest

from pipeline.advice import image_sizes, size_words
from pipeline.advice.image_sizes import Sized
from pipeline.evaluation.compare.statistics import Interval

# Ten parts: two divisions into five.
PARTS = [0.70, 0.72, 0.74, 0.71, 0.73, 0.70, 0.72, 0.74, 0.71, 0.73]


def sized(side: int, gains: list[float]) -> Sized:
    """An image size whose parts are better than those of `PARTS` by so much, in turn."""
    parts = [part + gains[place % len(gains)] for place, part in enumerate(PARTS)]
    mean = math.fsum(parts) / len(parts)
    return Sized(side, side**2, mean, Interval(mean - 0.05, mean + 0.05), parts, 2.0)


def test_the_smallest_size_within_one_standard_error_of_the_best_is_taken() -> None:
    # 1 point below on average, differently in each part.
    sizes = [sized(96, [0.0]), sized(160, [0.10, 0.06]), sized(224, [0.07, 0.11])]
    assert image_sizes.best(sizes).side == 224
    assert image_sizes.chosen(sizes).side == 160
    assert image_sizes.chosen(sizes[::-1]).side == 160


def test_a_size_that_is_worse_in_every_part_by_the_same_is_not_taken() -> None:
    assert image_sizes.chosen([sized(96, [0.0]), sized(224, [0.001])]).side == 224


def test_of_equal_sizes_the_smallest_is_the_best_and_taken() -> None:
    sizes = [sized(224, [0.0]), sized(96, [0.0])]
    assert image_sizes.best(sizes).side == image_sizes.chosen(sizes).side == 96


def test_the_error_is_that_of_the_paired_differences_with_the_correction_for_overlapping_training_images() -> None:
    small, large = sized(96, [0.0]), sized(224, [0.07, 0.11])
    mean, error = image_sizes.gap([small, large], small)
    differences = np.array([0.07, 0.11] * 5)
    assert mean == pytest.approx(0.09)
    # Of five parts one tests and four train.
    assert error == pytest.approx(differences.std(ddof=1) * math.sqrt(1 / 10 + 1 / 4))


def test_a_line_says_of_each_size_what_it_gives_and_costs_and_the_last_which_is_taken() -> None:
    sizes = [sized(96, [0.0]), sized(160, [0.10, 0.06]), sized(224, [0.07, 0.11])]
    times = "times the smallest size's pixels"
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in size_words.lines(sizes)] == [
        f"image size 96: 72.0 % (67.0 to 77.0), 9.0 ± 1.2 points below the best, 1.0 {times}, in 2.0 s",
        f"image size 160: 80.0 % (75.0 to 85.0), 1.0 ± 2.5 points below the best, 2.8 {times}, in 2.0 s",
        f"image size 224: 81.0 % (76.0 to 86.0), the best, 5.4 {times}, in 2.0 s",
        "image size 160 is taken for all that follows: it is the smallest within one standard error of the best, 224",
    ]


@pytest.mark.parametrize(
    ("gains", "why"),
    [
        ([0.0, 0.05], "224 is taken .*: it is the best, and no smaller one is within one standard error of it"),
        ([0.0, -0.05], "96 is taken .*: it is the best and smallest"),
    ],
)
def test_the_last_line_says_why(gains: list[float], why: str) -> None:
    sizes = [sized(side, [gain]) for side, gain in zip((96, 224), gains, strict=True)]
    assert re.search(why, size_words.verdict(sizes))


def test_the_table_and_the_plain_data_have_the_same_choice() -> None:
    sizes = [sized(96, [0.0]), sized(160, [0.10, 0.06]), sized(224, [0.07, 0.11])]
    rows = size_words.table(sizes).rows
    assert [row[:3] for row in rows] == [
        ("96", "left out", "72.0"),
        ("160", "taken", "80.0"),
        ("224", "left out", "81.0"),
    ]
    plain = size_words.plain(sizes)
    assert [one["image_size"] for one in plain if one["taken"]] == [160]
    assert plain[1]["below_best"] == pytest.approx(0.01)
    assert plain[2]["standard_error"] == 0.0


@pytest.mark.parametrize(("side", "option"), [(96, "96,160,224"), (64, "64,96,160,224"), (128, "128,160,224")])
def test_the_next_step_names_the_own_size_first_and_then_larger_ones(side: int, option: str) -> None:
    line = image_sizes.next_step(side, 224)
    assert line.startswith(f"Image sizes were not tried: this is for {side} pixels")
    assert line.endswith(f"add `--sizes {option}`.")


@pytest.mark.parametrize(("side", "photographs"), [(224, 400), (96, 223), (96, None)])
def test_no_next_step_where_larger_images_hold_no_more(side: int, photographs: int | None) -> None:
    assert image_sizes.next_step(side, photographs) == ""
