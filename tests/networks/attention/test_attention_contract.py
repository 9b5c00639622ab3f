"""Facts that hold for every row of the table."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from pipeline.networks.attention.contract import Attention, Series, weigh
from pipeline.networks.attention.hierarchical import HierarchicalAttention
from pipeline.networks.attention.table import ATTENTIONS

N, C, H, W = 2, 16, 7, 5
MECHANISMS = sorted(name for name, row in ATTENTIONS.items() if row.module)

# Every row, both modes of CSCA, and hierarchical's memory; reductions that leave several of the few channels.
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "se": ("se", {"reduction": 4}),
    "eca": ("eca", {}),
    "spatial": ("spatial", {}),
    "cbam": ("cbam", {"reduction": 4}),
    "self": ("self", {}),
    "ecsm": ("ecsm", {}),
    "ca": ("ca", {"reduction": 4}),
    "sa": ("sa", {}),
    "csca": ("csca", {"reduction": 4}),
    "csca-sequential": ("csca", {"reduction": 4, "mode": "sequential"}),
    "hierarchical": ("hierarchical", {"reduction": 4}),
    "hierarchical-memory": ("hierarchical", {"reduction": 4, "temporal_memory": True}),
}
GATED = sorted(set(CASES) - {"self"})

KINDS = {
    "se": {"channel"},
    "eca": {"channel"},
    "spatial": {"position"},
    "cbam": {"channel.channel", "spatial.position"},
    "self": {"position"},
    "ecsm": {"eca.channel", "spatial.position", "self.position"},
    "ca": {"channel"},
    "sa": {"position"},
    "csca": {"channel_position"},
    "csca-sequential": {"channel.channel", "spatial.position"},
    "hierarchical": {"position"},
    "hierarchical-memory": {"position"},
}
SHAPES = {"channel": (N, C), "position": (N, H, W), "channel_position": (N, C, H, W)}
ONE_GATE = sorted(case for case, kinds in KINDS.items() if kinds <= SHAPES.keys() and case != "self")


def made(case: str, **options: object) -> Attention:
    name, own = CASES[case]
    torch.manual_seed(0)
    return ATTENTIONS[name].make(C, **{**own, **options})


def randomized(case: str, **options: object) -> Attention:
    """Draw every parameter at random, also those that start at zero."""
    attention = made(case, **options)
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.5)
    return attention


def images(height: int = H, width: int = W) -> Tensor:
    return torch.randn(N, C, height, width, generator=torch.Generator().manual_seed(1))


def count(attention: nn.Module) -> int:
    return sum(parameter.numel() for parameter in attention.parameters())


def test_the_cases_cover_the_table() -> None:
    assert {name for name, _ in CASES.values()} == set(MECHANISMS)
    assert set(KINDS) == set(CASES)


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_mechanisms_errors_name_its_row(name: str) -> None:
    assert ATTENTIONS[name].make(C).name == name


def test_the_positions_are_the_papers() -> None:
    positions = {
        "se": "every_stage",
        **dict.fromkeys(("eca", "spatial", "self", "ecsm", "hierarchical"), "last_stage"),
        **dict.fromkeys(("cbam", "ca", "sa", "csca"), "residual_block"),
    }
    assert {name: ATTENTIONS[name].position for name in positions} == positions


def test_channel_mechanisms_alone_do_not_weigh_positions() -> None:
    assert {name for name in MECHANISMS if not ATTENTIONS[name].weighs_positions} == {"se", "eca", "ca"}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_mechanism_keeps_the_shape(case: str) -> None:
    assert made(case)(images()).shape == (N, C, H, W)


@pytest.mark.parametrize("name", [name for name in MECHANISMS if not ATTENTIONS[name].weighs_positions])
def test_a_mechanism_that_weighs_no_positions_takes_a_single_one(name: str) -> None:
    assert made(name)(images(1, 1)).shape == (N, C, 1, 1)


@pytest.mark.parametrize("case", sorted(CASES))
def test_memory_in_channels_last_gives_the_same(case: str) -> None:
    attention = randomized(case).eval()
    expected = attention(images())
    attention = attention.to(memory_format=torch.channels_last)
    actual = attention(images().contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


# A constant added to all keys does not change the softmax, nor one added to all values the deviation.
CANCELLED = ("key.bias", "change.bias")


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_parameter_has_a_finite_gradient_that_is_not_zero(case: str) -> None:
    attention = made(case)
    for name, parameter in attention.named_parameters():
        if name.endswith("gamma"):
            # At its initial 0, self-attention's queries, keys and values have no gradient.
            nn.init.constant_(parameter, 0.5)
    (attention(images()) * images().sin()).sum().backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if not name.endswith(CANCELLED):
            assert parameter.grad.abs().max() > 1e-5, name


@pytest.mark.parametrize("case", ["self", "ecsm", "hierarchical"])
def test_the_biases_that_cancel_have_no_effect(case: str) -> None:
    attention = randomized(case).double()
    before = attention(images().double())
    cancelled = [parameter for name, parameter in attention.named_parameters() if name.endswith(CANCELLED)]
    assert len(cancelled) == 1
    nn.init.constant_(cancelled[0], 3.0)
    torch.testing.assert_close(attention(images().double()), before, rtol=0, atol=1e-9)


def test_only_the_scalar_of_self_attention_has_a_gradient_at_first() -> None:
    attention = made("self")
    attention(images()).square().sum().backward()
    moved = {name for name, parameter in attention.named_parameters() if parameter.grad is None or parameter.grad.any()}
    assert moved == {"gamma"}


@pytest.mark.parametrize("level", [0.0, 0.1, 1000.1])
def test_a_map_without_any_change_has_a_finite_gradient(level: float) -> None:
    attention = HierarchicalAttention(C, reduction=4)
    nn.init.zeros_(attention.change.weight)
    # Of some levels the mean of squares is rounded to less than the square of the mean.
    nn.init.constant_(attention.change.bias, level)
    x = images().requires_grad_()
    attention(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attention.parameters())


def test_a_small_change_on_a_high_level_has_an_effect_under_autocast() -> None:
    torch.manual_seed(0)
    attention = HierarchicalAttention(C, reduction=4)
    nn.init.normal_(attention.change.weight, std=0.01)
    nn.init.constant_(attention.change.bias, 3.0)
    # The map is that of the deviation alone, spread out.
    attention.join.weight.data = torch.tensor([0.0, 0.0, 0.0, 20.0])[None, :, None, None]
    nn.init.constant_(attention.join.bias, -10.0)
    with torch.autocast("cpu", torch.bfloat16):
        position = attention.maps(images())["position"].float()
    torch.testing.assert_close(position, attention.maps(images())["position"], rtol=0, atol=0.04)


@pytest.mark.parametrize("case", GATED)
def test_an_identity_gate_changes_nothing_at_first(case: str) -> None:
    torch.testing.assert_close(made(case, gate_init="identity")(images()), images(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", GATED)
def test_the_papers_gate_changes_features_from_the_start(case: str) -> None:
    assert not torch.allclose(made(case, gate_init="paper")(images()), images(), rtol=0, atol=1e-2)


@pytest.mark.parametrize("case", GATED)
def test_both_gates_have_the_same_parameters(case: str) -> None:
    paper, identity = (made(case, gate_init=gate_init) for gate_init in ("paper", "identity"))
    assert count(paper) == count(identity)
    identity.load_state_dict(paper.state_dict())


@pytest.mark.parametrize("case", GATED)
def test_an_identity_gate_learns_from_the_first_step(case: str) -> None:
    attention = made(case, gate_init="identity")
    (attention(images()) * images().sin()).sum().backward()
    assert any(p.grad is not None and p.grad.any() for n, p in attention.named_parameters() if not n.endswith("gamma"))


def test_self_attention_changes_nothing_at_first() -> None:
    assert torch.equal(made("self")(images()), images())


@pytest.mark.parametrize("case", sorted(CASES))
def test_maps_have_the_promised_kinds_and_shapes(case: str) -> None:
    maps = made(case).maps(images())
    assert set(maps) == KINDS[case]
    for kind, weights in maps.items():
        assert weights.shape == SHAPES[kind.rpartition(".")[2]], kind


@pytest.mark.parametrize("case", ONE_GATE)
def test_the_maps_returned_are_the_maps_applied(case: str) -> None:
    attention = randomized(case)
    maps = attention.maps(images())
    assert torch.equal(attention(images()), weigh(images(), maps))


@pytest.mark.parametrize("case", ["cbam", "csca-sequential"])
def test_a_series_of_gates_applies_the_maps_that_it_returns(case: str) -> None:
    attention = randomized(case)
    x = images()
    for kind, weights in attention.maps(images()).items():
        x = weigh(x, {kind.rpartition(".")[2]: weights})
    assert torch.equal(attention(images()), x)


@pytest.mark.parametrize("case", ["cbam", "ecsm", "csca-sequential"])
def test_a_parts_maps_are_those_of_the_parts_own_input(case: str) -> None:
    attention = randomized(case)
    assert isinstance(attention, Series)
    inputs_of = {}
    for name, part in attention.named_children():
        part.register_forward_pre_hook(lambda part, inputs, name=name: inputs_of.__setitem__(name, inputs[0]))
    attention(images())
    maps = attention.maps(images())
    assert len(inputs_of) > 1
    for kind, weights in maps.items():
        part, _, own = kind.rpartition(".")
        assert torch.equal(weights, attention.get_submodule(part).maps(inputs_of[part])[own])
    assert not any(torch.equal(a, b) for a, b in pairwise(inputs_of.values()))


@pytest.mark.parametrize(("case", "kind"), [("self", "position"), ("ecsm", "self.position")])
def test_the_map_of_self_attention_sums_to_one(case: str, kind: str) -> None:
    torch.testing.assert_close(randomized(case).maps(images())[kind].sum((1, 2)), torch.ones(N))


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_copy_gives_the_same_and_shares_nothing(case: str) -> None:
    attention = randomized(case).eval()
    copy = deepcopy(attention)
    expected = attention(images())
    assert torch.equal(copy(images()), expected)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(1)
    assert torch.equal(attention(images()), expected)


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_mechanism_can_be_exported(case: str) -> None:
    attention = randomized(case).eval()
    exported = torch.export.export(attention, (images(),)).module()
    torch.testing.assert_close(exported(images()), attention(images()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", sorted(CASES))
def test_saved_values_give_the_same_network_again(case: str) -> None:
    attention, other = randomized(case).eval(), made(case).eval()
    other.load_state_dict(attention.state_dict())
    assert torch.equal(other(images()), attention(images()))


@pytest.mark.parametrize("case", sorted(CASES))
def test_no_two_saved_values_share_their_memory(case: str) -> None:
    addresses = [value.data_ptr() for value in made(case).state_dict().values()]
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize("case", sorted(CASES))
def test_half_precision_features_stay_so_under_autocast(case: str) -> None:
    attention = made(case)
    with torch.autocast("cpu", torch.bfloat16):
        assert attention(images().bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("case", sorted(CASES))
def test_autocast_costs_digits_and_nothing_else(case: str) -> None:
    attention = made(case).eval()
    with torch.autocast("cpu", torch.bfloat16):
        weighed = attention(images()).float()
    torch.testing.assert_close(weighed, attention(images()), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("se", {}, 524_288),
        ("eca", {}, 7),
        ("spatial", {}, 98),
        ("self", {}, 5_245_441),
        ("ecsm", {}, 5_245_546),
        ("cbam", {}, 1_048_674),
        ("ca", {}, 524_288),
        ("sa", {}, 98),
        ("csca", {}, 524_386),
        ("csca", {"mode": "sequential"}, 524_386),
    ],
)
def test_the_parameters_at_2048_channels_are_as_counted(name: str, options: dict[str, object], expected: int) -> None:
    with torch.device("meta"):
        assert count(ATTENTIONS[name].make(2048, **options)) == expected


@pytest.mark.parametrize(("memory", "more"), [(False, 0), (True, 1)])
def test_the_parameters_of_hierarchical_attention_at_512_channels_are_as_counted(memory: bool, more: int) -> None:
    scales = (512 * 9 + 1) * 32 + (32 * 9 + 1) * 32 + 2 * (32 + 1)
    with torch.device("meta"):
        attention = ATTENTIONS["hierarchical"].make(512, temporal_memory=memory)
    assert count(attention) == scales + 2 * (512 * 9 + 1) + (4 + 1) + more


def test_both_modes_of_csca_have_the_same_parameters_under_the_same_names() -> None:
    joint, sequential = made("csca"), made("csca-sequential")
    joint.load_state_dict(sequential.state_dict())
    assert count(joint) == count(sequential)
