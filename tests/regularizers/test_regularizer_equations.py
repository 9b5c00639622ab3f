"""Every term against its equation, in slow loops over single numbers that carry their gradients."""

import math
from collections.abc import Callable, Sequence
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from pipeline.regularizers.contract import Regularizer
from pipeline.regularizers.table import METHODS, Method

N, H, W = 2, 4, 4
SHAPES = {"one.conv": (3, H, W), "two.conv": (5, 2, 3)}
CHANNELS = 8
ALPHA, BETA = 0.3, 0.7

FeatureMaps = dict[str, Tensor]
Parameters = dict[str, Tensor]
# By layer and image, the shares by channel or by (row, column).
Shares = dict[str, list[dict]]


def random_maps(seed: int) -> FeatureMaps:
    generator = torch.Generator().manual_seed(seed)
    return {
        layer: torch.randn(N, *size, generator=generator, dtype=torch.float64, requires_grad=True)
        for layer, size in SHAPES.items()
    }


CHANNEL_WEIGHTS = {
    layer: torch.arange(1, size[0] + 1, dtype=torch.float64) / sum(range(size[0] + 1)) for layer, size in SHAPES.items()
}


def classifier() -> nn.Module:
    torch.manual_seed(2)
    return nn.ModuleDict({"fc": nn.Linear(4, 3)}).double()


def made(name: str, **options: object) -> Regularizer:
    row = METHODS[name]
    assert isinstance(row, Method)
    known = {"shapes": SHAPES, "head": "fc", "channel_weights": CHANNEL_WEIGHTS}
    torch.manual_seed(1)
    regularizer = row.make(**{need: known[need] for need in row.needs}, alpha=ALPHA, beta=BETA, **options).double()
    for parameter in regularizer.parameters():
        nn.init.normal_(parameter, std=0.8)
    return regularizer


def mean(values: Sequence[Tensor]) -> Tensor:
    return sum(values[1:], values[0]) / len(values)


def softmax(logits: dict) -> dict:
    total = sum(logit.exp() for logit in logits.values())
    return {position: logit.exp() / total for position, logit in logits.items()}


def linear(weight: Tensor, inputs: Sequence[Tensor], bias: Tensor | None = None) -> list[Tensor]:
    rows = [sum(w * x for w, x in zip(row, inputs, strict=True)) for row in weight]
    return rows if bias is None else [value + b for value, b in zip(rows, bias, strict=True)]


def relu(values: Sequence[Tensor]) -> list[Tensor]:
    return [value if value > 0 else value * 0 for value in values]


def positions_of(layer: str) -> list[tuple[int, int]]:
    _, height, width = SHAPES[layer]
    return list(product(range(height), range(width)))


def positions(p: Parameters, layer: str, means: dict[tuple[int, int], Tensor]) -> dict:
    part = f"heads.{layer.replace('.', '/')}"
    hidden = relu(linear(p[f"{part}.squeeze.weight"], [means[position] for position in positions_of(layer)]))
    logits = linear(p[f"{part}.excite.weight"], hidden, p[f"{part}.excite.bias"])
    return softmax(dict(zip(positions_of(layer), logits, strict=True)))


def ast(p: Parameters, target: FeatureMaps, reference: FeatureMaps) -> Shares:
    def means(layer: str, n: int) -> dict:
        return {(i, j): mean([plane[i, j] for plane in reference[layer][n]]) for i, j in positions_of(layer)}

    return {layer: [positions(p, layer, means(layer, n)) for n in range(N)] for layer in SHAPES}


def spa(p: Parameters, target: FeatureMaps, reference: FeatureMaps) -> Shares:
    def means(layer: str, n: int) -> dict:
        both = [*reference[layer][n], *target[layer][n]]
        return {(i, j): mean([plane[i, j] for plane in both]) for i, j in positions_of(layer)}

    return {layer: [positions(p, layer, means(layer, n)) for n in range(N)] for layer in SHAPES}


def act(p: Parameters, target: FeatureMaps, reference: FeatureMaps) -> Shares:
    def shares(layer: str, image: Tensor) -> dict:
        part = f"heads.{layer.replace('.', '/')}"
        logits = {}
        for c, plane in enumerate(image):
            hidden = relu(linear(p[f"{part}.squeeze.weight"], [plane[i, j] for i, j in positions_of(layer)]))
            logits[c] = linear(p[f"{part}.excite.weight"], hidden)[0] + p[f"{part}.bias"][c]
        return softmax(logits)

    return {layer: [shares(layer, image) for image in reference[layer]] for layer in SHAPES}


def gca(p: Parameters, target: FeatureMaps, reference: FeatureMaps) -> Shares:
    of_all = []
    for n in range(N):
        keys = [(layer, c) for layer, size in SHAPES.items() for c in range(size[0])]
        pooled = [mean([reference[layer][n, c, i, j] for i, j in positions_of(layer)]) for layer, c in keys]
        hidden = relu(linear(p["squeeze.weight"], pooled, p["squeeze.bias"]))
        logits = linear(p["excite.weight"], hidden, p["excite.bias"])
        of_all.append(softmax(dict(zip(keys, logits, strict=True))))
    return {layer: [{c: shares[layer, c] for c in range(SHAPES[layer][0])} for shares in of_all] for layer in SHAPES}


def delta(p: Parameters, target: FeatureMaps, reference: FeatureMaps) -> Shares:
    return {layer: [dict(enumerate(CHANNEL_WEIGHTS[layer])) for _ in range(N)] for layer in SHAPES}


EQUATIONS: dict[str, Callable[[Parameters, FeatureMaps, FeatureMaps], Shares]] = {
    "delta": delta,
    "ast": ast,
    "act": act,
    "spa": spa,
    "gca": gca,
}
SQUARED = {"ast", "spa"}


def scale(name: str, normalize: str, layer: str) -> float:
    channels, height, width = SHAPES[layer]
    if normalize == "mean_one":
        return CHANNELS if name == "gca" else height * width if name in SQUARED else channels
    return channels / (height * width) if normalize == "delta" else 1.0


def slow(name: str, normalize: str, p: Parameters, target: FeatureMaps, reference: FeatureMaps) -> Tensor:
    """Evaluate the equation for each image, and return the mean."""
    reference = {layer: values.detach() for layer, values in reference.items()}
    shares = EQUATIONS[name](p, target, reference)
    total = torch.zeros((), dtype=torch.float64)
    for layer, n in product(SHAPES, range(N)):
        for c, (i, j) in product(range(SHAPES[layer][0]), positions_of(layer)):
            weight = scale(name, normalize, layer) * shares[layer][n][(i, j) if name in SQUARED else c]
            d = target[layer][n, c, i, j] - reference[layer][n, c, i, j]
            total = total + ((weight * d) ** 2 if name in SQUARED else weight * d**2) / 2
    return ALPHA * total / N


CASES = [(name, normalize) for name in EQUATIONS for normalize in ("mean_one", "raw")]
CASES += [("delta", "delta"), ("act", "delta")]


@pytest.mark.parametrize(("name", "normalize"), CASES)
def test_a_term_and_its_gradients_are_its_equations(name: str, normalize: str) -> None:
    regularizer, target, reference = made(name, normalize=normalize), random_maps(3), random_maps(4)
    own = dict(regularizer.named_parameters())
    inputs = [*target.values(), *own.values()]
    term = regularizer(target, reference, classifier())[name]
    expected = slow(name, normalize, own, target, reference)
    torch.testing.assert_close(term, expected, rtol=0, atol=1e-8)
    gradients = zip(torch.autograd.grad(term, inputs), torch.autograd.grad(expected, inputs), strict=True)
    for actual_gradient, expected_gradient in gradients:
        torch.testing.assert_close(actual_gradient, expected_gradient, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", sorted(EQUATIONS))
def test_the_heads_penalty_is_half_of_beta_times_its_squares(name: str) -> None:
    network = classifier()
    expected = BETA / 2 * sum(value.item() ** 2 for p in network.parameters() for value in p.flatten())
    penalty = made(name)(random_maps(3), random_maps(4), network)["head_penalty"]
    assert penalty.item() == pytest.approx(expected, abs=1e-10)


def test_the_heads_penalty_pulls_weights_and_biases_to_zero() -> None:
    network = classifier()
    made("ast")(random_maps(3), random_maps(4), network)["head_penalty"].backward()
    for parameter in network.parameters():
        torch.testing.assert_close(parameter.grad, BETA * parameter.detach())


@pytest.mark.parametrize("name", ["act", "ast", "gca"])
def test_weights_from_the_reference_alone_have_no_gradient_from_the_target(name: str) -> None:
    target = random_maps(3)
    weights = made(name).weights(target, random_maps(4))
    gradients = torch.autograd.grad(
        sum(w.square().sum() for w in weights.values()), [*target.values()], allow_unused=True
    )
    assert gradients == (None, None)


def test_spas_weights_carry_gradient_into_the_target() -> None:
    target = random_maps(3)
    weights = made("spa").weights(target, random_maps(4))
    for gradient in torch.autograd.grad(sum(w.square().sum() for w in weights.values()), [*target.values()]):
        assert gradient.abs().max() > 1e-4


def test_spas_detached_input_changes_the_gradient_and_not_the_value() -> None:
    reference, results = random_maps(4), []
    for detach in (False, True):
        target = random_maps(3)
        term = made("spa", detach_attention_input=detach)(target, reference, classifier())["spa"]
        results.append((term.item(), torch.autograd.grad(term, [*target.values()])))
    assert results[0][0] == results[1][0]
    assert not torch.allclose(results[0][1][0], results[1][1][0])


def test_spas_detached_gradient_is_that_of_fixed_weights() -> None:
    regularizer, target, reference = made("spa", detach_attention_input=True), random_maps(3), random_maps(4)
    gradients = torch.autograd.grad(regularizer(target, reference, classifier())["spa"], [*target.values()])
    weights = regularizer.weights(target, reference)
    for gradient, layer in zip(gradients, SHAPES, strict=True):
        expected = ALPHA * weights[layer].detach()[:, None] ** 2 * (target[layer] - reference[layer]).detach() / N
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["act", "gca"])
def test_channels_that_differ_least_gain_weight(name: str) -> None:
    regularizer, target, reference = made(name), random_maps(3), random_maps(4)
    for parameter in regularizer.parameters():
        nn.init.normal_(parameter, std=0.1)  # every channel counts at first
    with torch.no_grad():
        target["one.conv"][:, 0] = reference["one.conv"][:, 0]
    own = [*regularizer.parameters()]
    before = regularizer.weights(target, reference)["one.conv"][:, 0].mean().item()
    for _ in range(20):
        gradients = torch.autograd.grad(regularizer(target, reference, classifier())[name], own)
        with torch.no_grad():
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.sub_(0.05 * gradient)
    assert regularizer.weights(target, reference)["one.conv"][:, 0].mean().item() > 1.2 * before


def counted(regularizer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in regularizer.parameters())


RESNET = {"1": (256, 56, 56), "2": (512, 28, 28), "3": (1024, 14, 14), "4": (2048, 7, 7)}


@pytest.mark.parametrize("name", ["ast", "spa"])
def test_the_position_heads_of_a_resnet_at_224_have_405475_parameters(name: str) -> None:
    with torch.device("meta"):
        assert counted(METHODS[name].make(RESNET, head="fc")) == 405_475


@pytest.mark.parametrize(("reduction", "count"), [(4, 7_377_600), (8, 3_690_720), (16, 1_847_280), (32, 925_560)])
def test_gcas_head_has_spa_gca_table_2s_size(reduction: int, count: int) -> None:
    with torch.device("meta"):
        assert counted(METHODS["gca"].make(RESNET, head="fc", reduction=reduction)) == count


def test_acts_heads_share_their_layers_over_the_channels() -> None:
    expected = sum(height * width * height + height + channels for channels, height, width in RESNET.values())
    with torch.device("meta"):
        assert counted(METHODS["act"].make(RESNET, head="fc")) == expected


def test_the_slow_softmax_is_one_in_sum() -> None:
    shares = softmax({k: torch.tensor(math.log(k)) for k in (1, 2, 5)})
    assert [round(share.item(), 6) for share in shares.values()] == [0.125, 0.25, 0.625]
