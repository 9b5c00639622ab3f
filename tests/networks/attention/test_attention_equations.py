"""Every mechanism against its equation, in slow loops over plain numbers."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from pipeline.networks.attention.contract import Attention
from pipeline.networks.attention.eca import kernel_size
from pipeline.networks.attention.hierarchical import HierarchicalAttention
from pipeline.networks.attention.table import ATTENTIONS

N, C, H, W = 2, 16, 5, 4

# features[c][h][w], vector[c], plane[h][w]: of one image.
Features = list[list[list[float]]]
Plane = list[list[float]]
Gate = Callable[[float], float]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def twice_sigmoid(z: float) -> float:
    return 2 / (1 + math.exp(-z))


GATES: dict[str, Gate] = {"paper": sigmoid, "identity": twice_sigmoid}


def made(name: str, **options: object) -> Attention:
    """A mechanism in float64 with all parameters random, also those with another initial value."""
    torch.manual_seed(0)
    attention = ATTENTIONS[name].make(C, **options).double().eval()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return attention


def weights(attention: Attention) -> dict[str, list]:
    return {name: value.tolist() for name, value in attention.state_dict().items()}


def images(height: int = H, width: int = W) -> Tensor:
    return torch.randn(N, C, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def assert_is(attention: Attention, equation: Callable[[Features], Features], x: Tensor | None = None) -> None:
    x = images() if x is None else x
    expected = torch.tensor([equation(image) for image in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(attention(x).detach(), expected, rtol=0, atol=1e-5)


def size(x: Features) -> tuple[range, range, range]:
    return range(len(x)), range(len(x[0])), range(len(x[0][0]))


def scaled(x: Features, weight: Callable[[int, int, int], float]) -> Features:
    channels, rows, columns = size(x)
    return [[[weight(c, i, j) * x[c][i][j] for j in columns] for i in rows] for c in channels]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def over_positions(x: Features, reduce: Callable[[Sequence[float]], float]) -> list[float]:
    return [reduce([value for row in plane for value in row]) for plane in x]


def over_channels(x: Features, reduce: Callable[[Sequence[float]], float]) -> Plane:
    channels, rows, columns = size(x)
    return [[reduce([x[c][i][j] for c in channels]) for j in columns] for i in rows]


def matrix_times(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    return [sum(w * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def mlp(w: dict[str, list], pooled: Sequence[float], prefix: str = "") -> list[float]:
    hidden = [max(0.0, z) for z in matrix_times(w[f"{prefix}squeeze.weight"], pooled)]
    return matrix_times(w[f"{prefix}excite.weight"], hidden)


def conv(x: Features, kernels: list, bias: Sequence[float] | None = None, stride: int = 1) -> Features:
    """A square convolution with the zero padding that keeps the size at stride 1."""
    channels, rows, columns = size(x)
    k = range(len(kernels[0][0]))
    pad = len(k) // 2

    def at(c: int, i: int, j: int) -> float:
        return x[c][i][j] if i in rows and j in columns else 0.0

    def sum_at(kernel: list, i: int, j: int) -> float:
        return sum(kernel[c][m][n] * at(c, i + m - pad, j + n - pad) for c in channels for m in k for n in k)

    return [
        [[sum_at(kernel, i, j) + (bias[o] if bias else 0.0) for j in columns[::stride]] for i in rows[::stride]]
        for o, kernel in enumerate(kernels)
    ]


def spatial_logits(w: dict[str, list], x: Features, prefix: str = "") -> Plane:
    return conv([over_channels(x, mean), over_channels(x, max)], w[f"{prefix}conv.weight"])[0]


def squeeze_excitation(w: dict[str, list], x: Features, gate: Gate = sigmoid, prefix: str = "") -> Features:
    logits = mlp(w, over_positions(x, mean), prefix)
    return scaled(x, lambda c, i, j: gate(logits[c]))


def efficient_channel(w: dict[str, list], x: Features, gate: Gate = sigmoid, prefix: str = "") -> Features:
    kernel = w[f"{prefix}conv.weight"][0][0]
    pooled = over_positions(x, mean)
    logits = [
        sum(v * pooled[c + m - len(kernel) // 2] for m, v in enumerate(kernel) if c + m - len(kernel) // 2 in range(C))
        for c in range(C)
    ]
    return scaled(x, lambda c, i, j: gate(logits[c]))


def spatial(w: dict[str, list], x: Features, gate: Gate = sigmoid, prefix: str = "") -> Features:
    logits = spatial_logits(w, x, prefix)
    return scaled(x, lambda c, i, j: gate(logits[i][j]))


def cbam(w: dict[str, list], x: Features, gate: Gate = sigmoid) -> Features:
    means = mlp(w, over_positions(x, mean), "channel.")
    maxima = mlp(w, over_positions(x, max), "channel.")
    return spatial(w, scaled(x, lambda c, i, j: gate(means[c] + maxima[c])), gate, "spatial.")


def projected(w: dict[str, list], x: Features, name: str) -> list[list[float]]:
    """One of q, k and v by position: [position][channel]."""
    mapped = conv(x, w[f"{name}.weight"], w[f"{name}.bias"])
    _, rows, columns = size(mapped)
    return [[plane[i][j] for plane in mapped] for i in rows for j in columns]


def softmax(scores: Sequence[float]) -> list[float]:
    total = sum(math.exp(s) for s in scores)
    return [math.exp(s) / total for s in scores]


def matches(w: dict[str, list], x: Features, prefix: str = "") -> list[list[float]]:
    """Weights of self-attention: [query][key]."""
    keys = projected(w, x, f"{prefix}key")
    return [softmax(matrix_times(keys, query)) for query in projected(w, x, f"{prefix}query")]


def self_attention(w: dict[str, list], x: Features, prefix: str = "") -> Features:
    values, taken = projected(w, x, f"{prefix}value"), matches(w, x, prefix)
    channels, rows, columns = size(x)

    def added(c: int, position: int) -> float:
        return sum(b * value[c] for b, value in zip(taken[position], values, strict=True))

    gamma = w[f"{prefix}gamma"]
    width = len(columns)
    return [[[x[c][i][j] + gamma * added(c, i * width + j) for j in columns] for i in rows] for c in channels]


def ecsm(w: dict[str, list], x: Features, gate: Gate = sigmoid) -> Features:
    return self_attention(w, spatial(w, efficient_channel(w, x, gate, "eca."), gate, "spatial."), "self.")


def csca_joint(w: dict[str, list], x: Features, gate: Gate = sigmoid) -> Features:
    channel, position = mlp(w, over_positions(x, mean), "channel."), spatial_logits(w, x, "spatial.")
    return scaled(x, lambda c, i, j: gate(channel[c] + position[i][j]))


def csca_sequential(w: dict[str, list], x: Features, gate: Gate = sigmoid) -> Features:
    return spatial(w, squeeze_excitation(w, x, gate, "channel."), gate, "spatial.")


def bilinear(plane: Plane, height: int, width: int) -> Plane:
    """Bilinear resizing, with the corners of the outer pixels aligned, not their centers."""

    def neighbors(target: int, source: int) -> list[tuple[int, int, float]]:
        centers = [max(0.0, (t + 0.5) * source / target - 0.5) for t in range(target)]
        return [(int(s), min(int(s) + 1, source - 1), s - int(s)) for s in centers]

    return [
        [
            (1 - p) * ((1 - q) * plane[i0][j0] + q * plane[i0][j1]) + p * ((1 - q) * plane[i1][j0] + q * plane[i1][j1])
            for j0, j1, q in neighbors(width, len(plane[0]))
        ]
        for i0, i1, p in neighbors(height, len(plane))
    ]


def mapped(plane: Plane, function: Callable[[float], float]) -> Plane:
    return [[function(value) for value in row] for row in plane]


def deviation(plane: Plane) -> Plane:
    rows, columns = range(len(plane)), range(len(plane[0]))

    def at(i: int, j: int) -> float:
        near = [plane[m][n] for m in (i - 1, i, i + 1) for n in (j - 1, j, j + 1) if m in rows and n in columns]
        return math.sqrt(mean([(v - mean(near)) ** 2 for v in near]) + 1e-6)

    return [[at(i, j) for j in columns] for i in rows]


def hierarchical(w: dict[str, list], x: Features, gate: Gate = sigmoid) -> Features:
    _, rows, columns = size(x)
    parts, features = [], x
    for s in ("0", "1"):
        halved = conv(features, w[f"down.{s}.weight"], w[f"down.{s}.bias"], stride=2)
        features = [mapped(plane, lambda z: max(0.0, z)) for plane in halved]
        scale = conv(features, w[f"scales.{s}.weight"], w[f"scales.{s}.bias"])[0]
        parts.append(bilinear(mapped(scale, sigmoid), len(rows), len(columns)))
    parts.append(mapped(conv(x, w["relevance.weight"], w["relevance.bias"])[0], sigmoid))
    parts.append(mapped(deviation(conv(x, w["change.weight"], w["change.bias"])[0]), sigmoid))
    if "memory" in w:
        parts.append(bilinear(w["memory"][0][0], len(rows), len(columns)))
    joined = conv(parts, w["join.weight"], w["join.bias"])[0]
    return scaled(x, lambda c, i, j: gate(joined[i][j]))


GATED: dict[str, tuple[Callable[..., Features], dict[str, object]]] = {
    "se": (squeeze_excitation, {"reduction": 4}),
    "ca": (squeeze_excitation, {"reduction": 4}),
    "eca": (efficient_channel, {}),
    "spatial": (spatial, {}),
    "sa": (spatial, {}),
    "cbam": (cbam, {"reduction": 4}),
    "ecsm": (ecsm, {}),
    "csca": (csca_joint, {"reduction": 4}),
    "hierarchical": (hierarchical, {"reduction": 4}),
}


@pytest.mark.parametrize("gate_init", sorted(GATES))
@pytest.mark.parametrize("name", sorted(GATED))
def test_a_gated_mechanism_is_its_equation(name: str, gate_init: str) -> None:
    equation, options = GATED[name]
    attention = made(name, gate_init=gate_init, **options)
    w = weights(attention)
    assert_is(attention, lambda x: equation(w, x, GATES[gate_init]))


def test_self_attention_is_its_equation() -> None:
    attention = made("self")
    w = weights(attention)
    assert_is(attention, lambda x: self_attention(w, x))


def test_every_mechanism_has_an_equation_here() -> None:
    assert {*GATED, "self"} <= set(ATTENTIONS)


def test_csca_in_sequence_is_its_equation() -> None:
    attention = made("csca", mode="sequential", reduction=4)
    w = weights(attention)
    assert_is(attention, lambda x: csca_sequential(w, x))


def test_another_kernel_size_is_used() -> None:
    attention = made("spatial", kernel_size=3)
    w = weights(attention)
    assert attention.state_dict()["conv.weight"].shape == (1, 2, 3, 3)
    assert_is(attention, lambda x: spatial(w, x))


def test_the_temporal_memory_is_one_more_map() -> None:
    attention = made("hierarchical", reduction=4, temporal_memory=True)
    assert isinstance(attention, HierarchicalAttention)
    attention.memory = torch.rand_like(attention.memory)
    w = weights(attention)
    assert_is(attention, lambda x: hierarchical(w, x))


def test_a_map_without_any_change_deviates_by_the_root_of_epsilon() -> None:
    attention = made("hierarchical", reduction=4)
    assert isinstance(attention, HierarchicalAttention)
    torch.nn.init.zeros_(attention.change.weight)
    torch.nn.init.constant_(attention.join.weight, 10.0)
    torch.nn.init.constant_(attention.join.bias, -20.0)
    w = weights(attention)
    assert_is(attention, lambda x: hierarchical(w, x))


@pytest.mark.parametrize(("channels", "size"), [(64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)])
def test_the_kernel_of_efficient_channel_attention_grows_with_the_channels(channels: int, size: int) -> None:
    assert kernel_size(channels) == size


def test_self_attentions_map_is_the_mean_weight_of_each_position_as_a_key() -> None:
    attention = made("self")
    w = weights(attention)
    received = [over_queries(matches(w, image)) for image in images().tolist()]
    expected = torch.tensor(received, dtype=torch.float64).reshape(N, H, W)
    torch.testing.assert_close(attention.maps(images())["position"].detach(), expected, rtol=0, atol=1e-5)


def over_queries(taken: list[list[float]]) -> list[float]:
    return [mean([row[key] for row in taken]) for key in range(len(taken[0]))]


def test_channel_attention_in_residual_units_is_squeeze_and_excitation() -> None:
    se, ca = made("se", reduction=4), made("ca", reduction=4)
    ca.load_state_dict(se.state_dict())
    assert torch.equal(se(images()), ca(images()))


def test_spatial_attention_in_residual_units_is_that_after_the_last_stage() -> None:
    last, unit = made("spatial"), made("sa")
    unit.load_state_dict(last.state_dict())
    assert torch.equal(last(images()), unit(images()))
