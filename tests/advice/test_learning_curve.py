import numpy as np
import pytest

from pipeline.advice.learning_curve import Point, gain, power_law
from pipeline.core.errors import InputError


def curve(a: float, b: float, sizes: tuple[int, ...] = (50, 100, 150, 200)) -> list[Point]:
    return [Point(n, 1 - a * n**-b, tested=90, fraction=n / max(sizes)) for n in sizes]


@pytest.mark.parametrize(("a", "b"), [(2.0, 0.5), (0.9, 0.1), (5.0, 1.0)])
def test_a_power_law_is_found_again(a: float, b: float) -> None:
    assert power_law(curve(a, b)) == pytest.approx((a, b))


def test_more_images_are_worth_what_the_law_says() -> None:
    points = curve(2.0, 0.5)
    one = gain({1: points}, 200, trained=200, images=200)
    assert one.mean == pytest.approx(2.0 * (200**-0.5 - 400**-0.5))
    assert one.interval is None


def test_the_gain_begins_at_the_networks_own_training_images_which_are_a_part_of_all() -> None:
    one = gain({1: curve(2.0, 0.5)}, 1000, trained=700, images=1000)
    assert one.mean == pytest.approx(2.0 * (700**-0.5 - 1400**-0.5))
    assert (one.images, one.trained) == (1000, 700)


def test_numbers_of_errors_count_and_not_their_logarithms() -> None:
    """Poisson's likelihood is highest where expected numbers of errors, also times log(images), add up to the real."""
    points = [Point(50, 0.9, 100, 0.5), Point(75, 0.96, 50, 0.75), Point(100, 0.95, 80, 1.0), Point(60, 0.9, 40, 0.6)]
    a, b = power_law(points)
    for power in (0, 1):
        expected = sum(np.log(one.images) ** power * one.tested * a * one.images**-b for one in points)
        errors = sum(np.log(one.images) ** power * one.tested * (1 - one.accuracy) for one in points)
        assert expected == pytest.approx(errors, rel=1e-5)


def test_a_curve_without_any_error_gains_nothing() -> None:
    points = [Point(50, 1.0, 90, 0.5), Point(100, 1.0, 90, 1.0)]
    assert gain({1: points, 2: points}, 100, trained=100, images=100)[2:] == (0.0, None)


def test_no_more_is_gained_than_the_error_that_is_left() -> None:
    repeats = {number: curve(2.0 + number / 2, 0.5) for number in (1, 2, 3)}
    capped = gain(repeats, 200, trained=200, images=200, left=0.01)
    assert capped.interval is not None
    assert (capped.mean, capped.interval.high) == (0.01, 0.01)
    assert gain({1: curve(2.0, 0.5)}, 200, trained=200, images=200, left=0.01).mean == 0.01


@pytest.mark.parametrize(("a", "b"), [(0.9, 0.3), (0.5, 0.6)])
def test_on_few_images_the_gain_is_right_on_average(a: float, b: float) -> None:
    """Of 29 training and 13 test images; logarithms of such errors gave 3.0 in place of 5.5, and 0.0 of 1.8 points."""
    chance = np.random.default_rng(0)
    law = curve(a, b, sizes=(7, 14, 22, 29))
    noisy = (
        {
            n: [one._replace(accuracy=1 - chance.binomial(13, 1 - one.accuracy) / 13, tested=13) for one in law]
            for n in range(3)
        }
        for _ in range(300)
    )
    gains = [gain(each, 42, trained=42, images=42).mean for each in noisy]
    assert np.mean(gains) == pytest.approx(a * (42**-b - 84**-b), abs=0.005)


def test_where_more_images_made_it_worse_the_gain_is_a_loss() -> None:
    assert gain({1: [Point(50, 0.9, 90, 0.5), Point(100, 0.8, 90, 1.0)]}, 100, trained=100, images=100).mean < 0


def test_the_interval_covers_the_truth_of_noisy_curves() -> None:
    """Of independent repeats, so that the correction for training parts that overlap only widens it."""
    chance = np.random.default_rng(0)
    truth = 2.0 * (200**-0.5 - 400**-0.5)
    covered = 0
    for _ in range(100):
        repeats = {
            number: [one._replace(accuracy=chance.binomial(90, one.accuracy) / 90) for one in curve(2.0, 0.5)]
            for number in range(1, 6)
        }
        found = gain(repeats, 200, trained=200, images=200)
        assert found.interval is not None
        covered += found.interval.low <= truth <= found.interval.high
    assert covered >= 90


def test_one_number_of_images_makes_no_curve() -> None:
    with pytest.raises(InputError, match="two numbers of training images or more"):
        power_law([Point(50, 0.9, 90, 0.5), Point(50, 0.8, 90, 1.0)])
