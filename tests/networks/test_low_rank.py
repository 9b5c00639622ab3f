"""LoRA and BitFit: what they train, and that merged updates are what was trained; random values."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.core import compiler
from pipeline.core.errors import InputError
from pipeline.evaluation import cost
from pipeline.networks import freezing, low_rank
from pipeline.networks.backbones.table import BACKBONES, known
from pipeline.networks.build import Plan, build
from pipeline.networks.network import Network
from pipeline.training import optimizers
from pipeline.training.averaging import WeightAverage

pytestmark = pytest.mark.usefixtures("narrow")
OPTIONS = {"rank": 2, "alpha": 8.0}
# A transformer of torch, and small members of families of timm's, which takes seconds to import, with a side.
NETWORKS = {
    "vit_b_16": 32,
    "timm/test_vit": 96,
    "timm/deit_tiny_patch16_224": 32,
    "timm/swin_tiny_patch4_window7_224": 64,
    "timm/eva02_tiny_patch14_224": 28,
    "timm/test_maxvit": 64,
}
EVERY = [pytest.param(name, marks=[pytest.mark.slow] if name.startswith("timm/") else []) for name in NETWORKS]
MATRICES = ("qkv.weight", "q_proj.weight", "v_proj.weight", "in_proj_weight")
# Of a key the softmax takes no notice, and a layer in front of a batch norm has no bias that counts.
WITHOUT_EFFECT = 1e-6


def make(name: str, strategy: str, **options: Any) -> Network:
    torch.manual_seed(0)
    added = (OPTIONS | options) if strategy == "lora" else None
    plan = Plan(name, "linear", 3, NETWORKS[name], head_options={"dropout": 0.0}, low_rank=added)
    network = build(plan, pretrained=None)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, parameter in network.model.named_parameters():
            # Such as scales of layers, so that each of them counts.
            if not low_rank.is_added(key) and (parameter == parameter.flatten()[0]).all():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    freezing.freeze(network, strategy)
    return network


def images(name: str) -> Tensor:
    side = NETWORKS[name]
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))


def scores(network: Network, name: str) -> Tensor:
    with torch.no_grad():
        return network.eval()(images(name))


def train(network: Network, name: str, *, steps: int = 2) -> None:
    """Train by Adam, whose first step moves every value that has a gradient by the rate."""
    parameters = [p for group in network.groups_by_stage().values() for p in group]
    optimizer = optimizers.adam([{"params": parameters}], lr=1e-2, weight_decay=0.0, beta1=0.9, beta2=0.999)
    for _ in range(steps):
        # From the first layer that trains, as the loop does.
        network.train()
        start = network.frozen_prefix()
        with torch.no_grad():
            x = network.run(images(name), stop=start)
        optimizer.zero_grad()
        F.cross_entropy(network.run(x, start=start), torch.arange(3)).backward()
        optimizer.step()


def state(network: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.model.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def of_head(network: Network) -> set[str]:
    head = network.steps[-1]
    return {name for name in network.model.state_dict() if head.holds(name)}


@pytest.mark.parametrize("name", EVERY)
def test_low_rank_updates_change_nothing_at_first_to_the_bit(name: str) -> None:
    assert torch.equal(scores(make(name, "lora"), name), scores(make(name, "2"), name))


@pytest.mark.parametrize("name", EVERY)
def test_lora_changes_the_updates_and_the_head_and_the_merged_matrices_are_what_was_trained(name: str) -> None:
    network = make(name, "lora")
    before = state(network)
    train(network, name)
    after = state(network)
    added = {key for key in before if low_rank.is_added(key)}
    assert changed(before, after) == added | of_head(network)
    trained = scores(network, name)
    low_rank.merge(network)
    assert torch.equal(scores(network, name), trained)
    # In the end it is a network as any other, of which matrices of attention and the head differ.
    plain = make(name, "2")
    moved = changed(state(plain), state(network))
    assert {key for key in moved - of_head(network) if not key.endswith(MATRICES)} == set()
    assert len(moved - of_head(network)) == len(added) / 2 == len(low_rank.sites(plain)) > 0
    plain.model.load_state_dict(network.model.state_dict())
    assert torch.equal(scores(plain, name), trained)


@pytest.mark.parametrize("name", EVERY)
def test_bitfit_changes_all_biases_and_the_head(name: str) -> None:
    network = make(name, "bitfit")
    before = state(network)
    train(network, name)
    biases = {key for key, _ in network.model.named_parameters() if key.endswith("bias")}
    moved = changed(before, state(network))
    assert moved <= biases | of_head(network)
    # A gradient that is zero but for rounding may be zero.
    idle = {key for key in biases - moved if network.model.get_parameter(key).grad.abs().max() > WITHOUT_EFFECT}
    assert idle == set()
    norms = {f"{key}.bias" for key, one in network.model.named_modules() if isinstance(one, nn.LayerNorm)}
    assert norms
    assert norms <= moved


@pytest.mark.parametrize("name", EVERY)
def test_the_frozen_prefix_ends_before_the_first_layer_that_trains(name: str) -> None:
    bitfit, lora = make(name, "bitfit"), make(name, "lora")
    assert bitfit.frozen_prefix() == 0
    stages = {step.stage for step in lora.steps[: lora.frozen_prefix()]}
    assert "stem" in stages
    assert not any(p.requires_grad for step in lora.steps[: lora.frozen_prefix()] for _, p in lora.parameters_of(step))
    first = lora.steps[lora.frozen_prefix()]
    assert any(low_rank.is_added(key) for key, _ in lora.parameters_of(first))


def test_counts_are_of_updates_and_biases_and_the_operations_those_of_the_merged_network() -> None:
    lora, plain = make("vit_b_16", "lora", rank=3), make("vit_b_16", "2")
    # Of 12 layers, a matrix (48, 16) each; the head has 3 classes.
    updates, head = 12 * 3 * (48 + 16), 3 * 16 + 3
    assert freezing.count_added(lora) == updates
    assert freezing.count(lora)["trainable"] == updates + head
    by_stage = freezing.count_by_stage(lora)
    assert [by_stage[f"block{number}"]["trainable"] for number in (1, 2, 3, 4)] == [updates / 4] * 4
    assert cost.flops(lora, 32) == cost.flops(plain, 32)
    assert torch.equal(scores(lora, "vit_b_16"), scores(plain, "vit_b_16"))
    # Two norms, and the biases of query, key and value, of the output and of two layers behind; patches; the last norm.
    assert freezing.count(make("vit_b_16", "bitfit"))["trainable"] == 12 * (2 * 16 + 48 + 16 + 32 + 16) + 2 * 16 + head


def test_the_updates_are_scaled_by_alpha_over_rank() -> None:
    update = low_rank.LowRank(torch.zeros(4, 6), rank=2, alpha=6.0)
    with torch.no_grad():
        update.b.normal_()
        assert torch.equal(update(torch.ones(4, 6)), torch.ones(4, 6) + 3.0 * (update.b @ update.a))


def test_in_bfloat16_the_merged_matrices_are_those_that_were_trained() -> None:
    network = make("vit_b_16", "lora")
    train(network, "vit_b_16")
    with torch.autocast("cpu", torch.bfloat16):
        trained = scores(network, "vit_b_16")
        low_rank.merge(network)
        assert torch.equal(scores(network, "vit_b_16"), trained)


def test_the_average_of_the_weights_is_of_the_updates() -> None:
    network = make("vit_b_16", "lora")
    average = WeightAverage(network, 0.5)
    train(network, "vit_b_16", steps=1)
    average.update(network)
    train(network, "vit_b_16", steps=1)
    average.update(network)
    own = dict(average.network.named_parameters())
    moved = {key for key, value in network.named_parameters() if not torch.equal(value, own[key])}
    assert moved == {key for key, value in network.named_parameters() if value.requires_grad}


def test_updates_rest_in_the_phases_of_other_strategies() -> None:
    network = make("vit_b_16", "lora")
    freezing.freeze(network, "2")
    before = state(network)
    train(network, "vit_b_16", steps=1)
    moved = changed(before, state(network))
    assert moved == {key for key in before if not low_rank.is_added(key)}


def test_batch_norms_keep_their_statistics_where_a_part_of_each_layer_trains() -> None:
    network = make("vit_b_16", "bitfit")
    assert network.freeze_bn_stats
    freezing.freeze(network, "2")
    assert not network.freeze_bn_stats


@pytest.mark.slow
def test_the_table_says_which_backbones_have_attention_layers() -> None:
    for name in BACKBONES:
        with compiler.meta_device():
            network = build(Plan(name, "linear", 3, 32, head_options={"dropout": 0.0}), pretrained=None)
        assert bool(low_rank.sites(network)) == known(name).attends, name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "attends"), [*((name, True) for name in NETWORKS), ("timm/test_convnext", False)])
def test_the_row_of_a_model_of_timms_says_whether_it_has_attention_layers(name: str, attends: bool) -> None:
    assert known(name).attends == attends


def test_a_network_without_attention_and_a_rank_beyond_a_matrix_are_refused_in_a_line() -> None:
    plan = Plan("resnet18", "linear", 3, 32, head_options={"dropout": 0.0}, low_rank=OPTIONS)
    with pytest.raises(InputError, match=r"^freeze: 'lora' updates attention's linear layers, .* none; use 3b$"):
        build(plan, pretrained=None)
    line = (
        r"^options.freeze.lora.rank: 17 is more than the side of encoder.layers.*self_attention, 16; give at most that$"
    )
    with pytest.raises(InputError, match=line):
        make("vit_b_16", "lora", rank=17)
