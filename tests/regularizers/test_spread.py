"""Entropy, maximum and mass of weights."""

import math

import pytest
import torch

from pipeline.regularizers.diagnostics import spread


def test_entropy_is_that_of_each_images_shares_by_log_n() -> None:
    weights = torch.tensor([[1.0, 3.0, 4.0], [2.0, 2.0, 4.0]])
    one = -sum(p * math.log(p) for p in (1 / 8, 3 / 8, 4 / 8)) / math.log(3)
    other = -sum(p * math.log(p) for p in (1 / 4, 1 / 4, 1 / 2)) / math.log(3)
    assert spread({"layer": weights})["layer"].entropy == pytest.approx((one + other) / 2, abs=1e-6)


def test_the_maximum_is_the_mean_of_the_images_largest_shares() -> None:
    assert spread({"layer": torch.tensor([[1.0, 3.0], [2.0, 2.0]])})["layer"].maximum == pytest.approx((0.75 + 0.5) / 2)


def test_the_mass_is_each_layers_share_of_each_images_sum() -> None:
    result = spread({"a": torch.tensor([[1.0], [1.0]]), "b": torch.tensor([[1.0, 2.0], [0.0, 1.0]])})
    assert result["a"].mass == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert result["b"].mass == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_the_scale_of_the_weights_does_not_matter() -> None:
    weights = {"a": torch.rand(2, 3, 3), "b": torch.rand(2, 5)}
    scaled = spread({layer: 1000 * values for layer, values in weights.items()})
    for layer, result in spread(weights).items():
        assert list(map(float, result)) == pytest.approx(list(map(float, scaled[layer])), rel=1e-5)


@pytest.mark.parametrize("shape", [(2, 6), (2, 3, 4), (2, 1)])
def test_even_weights_have_entropy_one(shape: tuple[int, ...]) -> None:
    result = spread({"layer": torch.full(shape, 7.0)})["layer"]
    assert result.entropy == pytest.approx(1.0, abs=1e-6)
    assert result.maximum == pytest.approx(1 / math.prod(shape[1:]))


def test_a_layer_whose_weights_are_too_small_for_a_float_has_no_share_and_no_entropy() -> None:
    result = spread({"none": torch.zeros(1, 3), "all": torch.tensor([[1.0, 2.0]])})["none"]
    assert [float(value) for value in result] == [0, 0, 0]


def test_a_single_weight_has_entropy_zero() -> None:
    result = spread({"layer": torch.tensor([[0.0, 0.0, 9.0]])})["layer"]
    assert result.entropy == 0
    assert result.maximum == 1
