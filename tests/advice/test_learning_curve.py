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


def test_a_curve_without_an_error_counts_half_an_image() -> None:
    points = [Point(50, 0.9, tested=100, fraction=0.5), Point(100, 1.0, tested=100, fraction=1.0)]
    a, b = power_law(points)
    assert a * 100**-b == pytest.approx(0.005)


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
