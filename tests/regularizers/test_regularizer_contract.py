"""Facts that hold for every row of the table."""

from copy import deepcopy
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from pipeline.config.choices import TABLES
from pipeline.regularizers.contract import Regularizer
from pipeline.regularizers.feature_hooks import FeatureHooks, freeze_reference
from pipeline.regularizers.table import METHODS

SINGLE = sorted(name for name, row in METHODS.items() if row.module)
ALIGNED = ["act", "ast", "delta", "gca", "spa"]
LEARNING = sorted(set(ALIGNED) - {"delta"})
SHAPES = {"0": (4, 4, 4), "3": (6, 2, 2)}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    ).double()


def made(name: str, model: nn.Module, **options: object) -> Regularizer:
    row = METHODS[name]
    weights = {layer: torch.rand(size[0], dtype=torch.float64) + 0.1 for layer, size in SHAPES.items()}
    known: dict[str, Any] = {
        "shapes": SHAPES,
        "head": "7",
        "network": model,
        "inserted": (),
        "channel_weights": weights,
    }
    return row.make(**{need: known[need] for need in row.needs}, **options).double()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def moved(model: nn.Module) -> nn.Module:
    other = deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return other


def terms(regularizer: Regularizer, model: nn.Module, reference: nn.Module, x: Tensor) -> dict[str, Tensor]:
    with FeatureHooks(model, SHAPES) as target_maps, FeatureHooks(reference, SHAPES) as reference_maps:
        model(x)
        reference(x)
    return regularizer(target_maps, reference_maps, model)


def same_state(one: nn.Module, other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.state_dict().items())


def test_methods_and_those_of_two_halves_are_all_that_may_be_chosen() -> None:
    assert set(SINGLE) == {"l2", "l2_fe", "l2_sp", "delta", "ast", "act", "spa", "gca"}
    assert set(METHODS) == set(TABLES["regularizer.method"]) == {"none", *SINGLE, "afa", "spa_gca"}


def test_halves_are_single_methods_in_each_order() -> None:
    sequences = {name: row.sequences for name, row in METHODS.items() if row.sequences}
    assert sequences == {
        "afa": {"ast_act": ("ast", "act")},
        "spa_gca": {"spa_gca": ("spa", "gca"), "gca_spa": ("gca", "spa")},
    }
    for name, orders in sequences.items():
        assert set(get_args(METHODS[name].options_type.model_fields["order"].annotation)) == set(orders)


def test_weight_decay_alone_needs_nothing_pre_trained() -> None:
    assert {name for name, row in METHODS.items() if not row.needs_pretrained} == {"none", "l2"}


@pytest.mark.parametrize("name", SINGLE)
def test_scalars_are_the_methods_own_and_the_heads_penalty(name: str) -> None:
    model = network()
    regularizer = made(name, model)
    assert regularizer.name == name
    scalars = terms(regularizer, moved(model), freeze_reference(model), images())
    assert set(scalars) == (set() if name in ("l2", "l2_fe") else {name, "head_penalty"})
    assert all(value.shape == () and value > 0 for value in scalars.values())


@pytest.mark.parametrize("name", sorted(set(SINGLE) - {"l2", "l2_fe"}))
def test_only_the_heads_penalty_is_left_where_target_and_reference_are_equal(name: str) -> None:
    model = network().eval()
    scalars = terms(made(name, model), model, freeze_reference(model), images())
    assert scalars[name].item() == 0
    assert scalars["head_penalty"] > 0


@pytest.mark.parametrize("name", SINGLE)
def test_a_doubled_batch_has_the_same_scalars(name: str) -> None:
    model = network().eval()
    regularizer, target, reference = made(name, model), moved(model), freeze_reference(model)
    once = terms(regularizer, target, reference, images())
    twice = terms(regularizer, target, reference, torch.cat([images(), images()]))
    torch.testing.assert_close(twice, once, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", sorted(set(SINGLE) - {"l2", "l2_fe"}))
def test_alpha_and_beta_are_factors(name: str) -> None:
    model = network().eval()
    target, reference = moved(model), freeze_reference(model)
    results = []
    for factor in (1.0, 3.0):
        torch.manual_seed(5)
        results.append(terms(made(name, model, alpha=factor, beta=2 * factor), target, reference, images()))
    torch.testing.assert_close(results[1], {key: 3 * value for key, value in results[0].items()})


@pytest.mark.parametrize("name", ALIGNED)
def test_weights_are_one_in_the_mean(name: str) -> None:
    model = network().eval()
    other = moved(model)
    with FeatureHooks(other, SHAPES) as target, FeatureHooks(model, SHAPES) as reference:
        other(images())
        model(images())
    weights = made(name, model).weights(target, reference)
    assert set(weights) == set(SHAPES)
    if name == "gca":
        weights = {"all": torch.cat([*weights.values()], dim=1)}
    for values in weights.values():
        torch.testing.assert_close(values.flatten(1).mean(dim=1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("name", ALIGNED)
def test_raw_weights_are_one_in_sum(name: str) -> None:
    model = network().eval()
    with FeatureHooks(model, SHAPES) as maps:
        model(images())
    weights = made(name, model, normalize="raw").weights(maps, maps)
    if name == "gca":
        weights = {"all": torch.cat([*weights.values()], dim=1)}
    for values in weights.values():
        torch.testing.assert_close(values.flatten(1).sum(dim=1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("name", sorted(set(SINGLE) - set(ALIGNED)))
def test_methods_on_parameters_weight_no_layer(name: str) -> None:
    model = network()
    assert made(name, model).weights({}, {}) == {}


@pytest.mark.parametrize("name", SINGLE)
def test_nothing_reaches_the_reference(name: str) -> None:
    model = network()
    reference = deepcopy(model).eval()  # its parameters could take gradients
    before = deepcopy(reference.state_dict())
    regularizer, target = made(name, model), moved(model)
    scalars = terms(regularizer, target, reference, images())
    (sum(scalars.values()) + target(images()).square().mean()).backward()
    with torch.no_grad():
        for parameter in (*target.parameters(), *regularizer.parameters()):
            parameter.sub_(parameter.grad)
    assert all(parameter.grad is None for parameter in reference.parameters())
    assert same_state(reference, before)


@pytest.mark.parametrize("name", LEARNING)
def test_every_own_parameter_has_a_finite_gradient_that_is_not_zero(name: str) -> None:
    model = network()
    regularizer = made(name, model)
    for parameter in regularizer.parameters():
        nn.init.normal_(parameter, std=0.5)
    terms(regularizer, moved(model), freeze_reference(model), images(6))[name].backward()
    own = dict(regularizer.named_parameters())
    assert own
    for key, parameter in own.items():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().max() > 1e-9, key


@pytest.mark.parametrize("name", sorted(set(SINGLE) - set(LEARNING)))
def test_other_methods_learn_nothing(name: str) -> None:
    assert not list(made(name, network()).parameters())


@pytest.mark.parametrize("name", SINGLE)
def test_a_method_comes_back_from_its_state(name: str) -> None:
    model = network()
    target, reference = moved(model), freeze_reference(model)
    regularizer = made(name, model)
    torch.manual_seed(9)
    other = made(name, moved(model))
    other.load_state_dict(regularizer.state_dict())
    expected = terms(regularizer, target, reference, images())
    torch.testing.assert_close(terms(other, target, reference, images()), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ALIGNED)
def test_differences_of_half_precision_are_summed_in_single(name: str) -> None:
    model = network()
    regularizer = made(name, model).float()
    far, near = (
        {layer: torch.full((2, *size), value, dtype=torch.float16) for layer, size in SHAPES.items()}
        for value in (600.0, 0.0)
    )
    term = regularizer(far, near, model.float())[name]
    assert term.dtype == torch.float32
    assert term.isfinite()
    assert term > 60_000


@pytest.mark.parametrize("name", ALIGNED)
def test_weights_under_autocast_are_single_precision_and_one_in_the_mean(name: str) -> None:
    model = network()
    regularizer = made(name, model).float()
    maps = {layer: torch.randn(2, *size).bfloat16() for layer, size in SHAPES.items()}
    with torch.autocast("cpu", torch.bfloat16):
        weights = regularizer.weights(maps, maps)
    if name == "gca":
        weights = {"all": torch.cat([*weights.values()], dim=1)}
    for values in weights.values():
        torch.testing.assert_close(values.flatten(1).mean(dim=1), torch.ones(2), rtol=0, atol=1e-5)
