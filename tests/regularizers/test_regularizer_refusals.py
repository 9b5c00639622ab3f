"""Arguments that a method refuses."""

import re

import pytest
import torch
from torch import nn

from pipeline.core import choices
from pipeline.core.errors import InputError
from pipeline.regularizers.delta import Delta, channel_weights
from pipeline.regularizers.feature_hooks import FeatureHooks, submodule
from pipeline.regularizers.filter_importance import filter_importance
from pipeline.regularizers.gca import GCA
from pipeline.regularizers.l2_sp import L2SP
from pipeline.regularizers.penalties import head_penalty
from pipeline.regularizers.table import METHODS

SHAPES = {"conv": (4, 4, 4)}
EVEN = {"conv": torch.ones(4)}
ALIGNED = ["act", "ast", "delta", "gca", "spa"]


def make(name: str, shapes: dict = SHAPES, **options: object) -> nn.Module:
    weights = {"channel_weights": EVEN} if name == "delta" else {}
    return METHODS[name].make(shapes=shapes, head="fc", **weights, **options)


def refused(message: str) -> pytest.RaisesExc:
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def test_an_unknown_method_lists_the_known_ones() -> None:
    known = "none, l2, l2_fe, l2_sp, delta, ast, act, afa, spa, gca, spa_gca"
    with refused(f"regularizer: 'fm' is not known; known: {known}"):
        choices.row(METHODS, "fm", key="regularizer")


@pytest.mark.parametrize("name", ["ast", "spa", "gca"])
def test_deltas_scale_is_refused_where_weights_are_not_over_the_channels_of_one_layer(name: str) -> None:
    reason = "is for methods with a weight for each channel; give mean_one or raw"
    with refused(f"regularizer '{name}': normalize 'delta' {reason}"):
        make(name, normalize="delta")


@pytest.mark.parametrize("name", ALIGNED)
def test_an_unknown_scale_lists_the_known_ones(name: str) -> None:
    known = "mean_one, raw" + (", delta" if name in ("act", "delta") else "")
    with refused(f"regularizer '{name}': normalize 'afa' is not known; known: {known}"):
        make(name, normalize="afa")


@pytest.mark.parametrize("name", ALIGNED)
@pytest.mark.parametrize("option", ["alpha", "beta"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_weight_out_of_range_is_refused(name: str, option: str, value: float) -> None:
    with refused(f"regularizer '{name}': {option} {value} is out of range; give a finite number of 0 or more"):
        make(name, **{option: value})


@pytest.mark.parametrize("option", ["alpha", "beta"])
def test_l2_sp_refuses_a_weight_out_of_range(option: str) -> None:
    with refused(f"regularizer 'l2_sp': {option} -1.0 is out of range; give a finite number of 0 or more"):
        L2SP(network(), head="4", **{option: -1.0})


@pytest.mark.parametrize("name", ALIGNED)
def test_layers_that_give_no_maps_are_refused(name: str) -> None:
    with refused(f"regularizer '{name}' needs feature maps (C, H, W), and layer gives (197, 768); use l2 or l2_sp"):
        make(name, {"layer": (197, 768)})


@pytest.mark.parametrize("name", ALIGNED)
def test_an_empty_list_of_layers_is_refused(name: str) -> None:
    with refused(f"regularizer '{name}': no layer is named; name at least one module"):
        make(name, {})


@pytest.mark.parametrize("reduction", [0, -4, 5])
def test_gca_refuses_a_reduction_that_leaves_nothing(reduction: int) -> None:
    with refused(f"regularizer 'gca': reduction {reduction} is out of range for 4 channels; give 1 to 4"):
        GCA(SHAPES, head="fc", reduction=reduction)


def test_l2_sp_refuses_what_it_cannot_cover() -> None:
    with refused("regularizer 'l2_sp': covers 'bn' is not known; known: kernels, all"):
        L2SP(network(), head="4", covers="bn")
    with refused("regularizer 'l2_sp': covers 'kernels' matches no parameter outside '1'; use all"):
        L2SP(nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 2)), head="1")


@pytest.mark.parametrize("modules", [{"head": "fc"}, {"head": "4", "inserted": ["fc"]}])
def test_l2_sp_refuses_a_module_that_the_network_lacks(modules: dict) -> None:
    with pytest.raises(InputError, match=r"^module 'fc' is not in Sequential; similar: \d, \d, \d$"):
        L2SP(network(), **modules)


@pytest.mark.parametrize("name", ALIGNED)
def test_a_head_that_the_network_lacks_is_refused(name: str) -> None:
    maps = {"conv": torch.zeros(2, 4, 4, 4)}
    with pytest.raises(InputError, match=r"^module 'fc' is not in Sequential; similar: "):
        make(name)(maps, maps, network())


def test_a_head_without_weights_is_refused() -> None:
    with refused("module '3' is not a classifier: it has no weights to penalize; name the last layer"):
        head_penalty(network(), "3", 0.01)


@pytest.mark.parametrize("name", ALIGNED)
def test_maps_of_another_size_than_at_construction_are_our_mistake(name: str) -> None:
    message = f"regularizer '{name}': expected (4, 4, 4) at conv, got (4, 4, 5)"
    right, wrong = {"conv": torch.zeros(2, 4, 4, 4)}, {"conv": torch.zeros(2, 4, 4, 5)}
    for target, reference in ((right, wrong), (wrong, right)):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(name)(target, reference, network())


def test_a_layer_without_a_map_is_our_mistake() -> None:
    with pytest.raises(ValueError, match=r"^regularizer 'ast': expected \(4, 4, 4\) at conv, got nothing$"):
        make("ast").weights({}, {})


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({}, "are missing; compute them with channel_weights(filter_importance(...))"),
        ({"conv": torch.ones(3)}, "have shape (3,) for 4 channels; give one per channel"),
        (
            {"conv": torch.tensor([1.0, -1.0, 2.0, 0.0])},
            "are negative, all zero or not finite; give weights of 0 or more",
        ),
        ({"conv": torch.zeros(4)}, "are negative, all zero or not finite; give weights of 0 or more"),
        (
            {"conv": torch.tensor([1.0, 1.0, 1.0, float("nan")])},
            "are negative, all zero or not finite; give weights of 0 or more",
        ),
    ],
)
def test_delta_refuses_weights_that_are_not_shares(weights: dict, reason: str) -> None:
    with refused(f"regularizer 'delta': channel_weights of conv {reason}"):
        Delta(SHAPES, head="fc", channel_weights=weights)


def test_filter_importance_that_is_not_finite_gives_no_weights() -> None:
    with refused("regularizer 'delta': the loss without a filter of conv is not finite; lower lr"):
        channel_weights({"conv": torch.tensor([0.0, float("inf")])})


BATCHES = [(torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.long))]
EACH = nn.CrossEntropyLoss(reduction="none")


def test_filter_importance_needs_a_convolution() -> None:
    with refused("regularizer 'delta': 1 is not a convolution but BatchNorm2d; use another method for this network"):
        filter_importance(network(), ["1"], BATCHES, EACH)


def test_filter_importance_needs_images() -> None:
    with refused("regularizer 'delta': no images to measure filter importance on; give at least one batch"):
        filter_importance(network(), ["0"], [], EACH)


def test_filter_importance_needs_a_filter_at_a_time() -> None:
    with refused("regularizer 'delta': filters_at_once 0 is under 1; give 1 or more"):
        filter_importance(network(), ["0"], BATCHES, EACH, filters_at_once=0)


def test_a_loss_that_is_a_mean_is_our_mistake() -> None:
    with pytest.raises(ValueError, match=r"^the loss has shape \(\) for 2 samples, not one value each$"):
        filter_importance(network(), ["0"], BATCHES, nn.CrossEntropyLoss())


def test_an_unknown_layer_lists_similar_ones() -> None:
    model = nn.ModuleDict({"layer1": nn.ModuleDict({"conv3": nn.Identity(), "conv2": nn.Identity()})})
    with pytest.raises(InputError, match=r"^module 'layer1.conv4' is not in ModuleDict; similar: layer1\.conv"):
        FeatureHooks(model, ["layer1.conv4"])
    with refused("module 'fc' is not in Linear; it has no modules"):
        submodule(nn.Linear(2, 2), "fc")


def test_a_row_whose_module_is_not_there_says_that_studies_run_in_copies_of_what_git_tracks() -> None:
    with refused(
        "pipeline.regularizers.direction:Direction: no module pipeline.regularizers.direction; write it, or "
        "`git add` it: experiments of a study run in copies of what git tracks"
    ):
        choices.load("pipeline.regularizers.direction:Direction")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        choices.load("no_such_package:Direction")
