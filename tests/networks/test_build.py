from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from pipeline.errors import InputError
from pipeline.networks import heads
from pipeline.networks.backbones import BACKBONES, backbone
from pipeline.networks.build import build, check_trunk, load_trunk

SETTINGS = SimpleNamespace(backbone="resnet18", freeze="3b", head="linear")


def made(**changes: str) -> nn.Module:
    settings = SimpleNamespace(**{**vars(SETTINGS), **changes})
    return build(settings, classes=7, head_options={"dropout": 0.0}, pretrained=None).model


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_running_the_stages_is_torchvisions_own_forward(name: str) -> None:
    torch.manual_seed(0)
    own = backbone(name).build(weights=None).eval()
    settings = SimpleNamespace(backbone=name, freeze="2", head="stock")
    network = build(settings, classes=1000, head_options={}, pretrained=own.state_dict()).eval()
    network.model.get_submodule("fc").load_state_dict(own.get_submodule("fc").state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        # Channels last sums in another order; random weights make these scores large.
        scale = own(images).abs().max().item()
        torch.testing.assert_close(network(images) / scale, own(images) / scale, rtol=0, atol=1e-5)
        features = network.run(images, stop=3)
        torch.testing.assert_close(network.run(features, start=3), network(images), rtol=0, atol=0)


def test_pretrained_values_are_loaded_under_every_strategy_but_scratch() -> None:
    values = torchvision.models.resnet18(weights=None).state_dict()
    for strategy, same in {"1": True, "2": True, "3b": True, "scratch": False}.items():
        settings = SimpleNamespace(backbone="resnet18", freeze=strategy, head="linear")
        network = build(settings, classes=3, head_options={"dropout": 0.0}, pretrained=values)
        assert torch.equal(network.model.state_dict()["conv1.weight"], values["conv1.weight"]) == same


def test_half_precision_values_are_cast() -> None:
    values = {name: v.half() if v.is_floating_point() else v for name, v in made().state_dict().items()}
    network = build(SETTINGS, classes=7, head_options={"dropout": 0.0}, pretrained=values)
    assert network.model.state_dict()["layer1.0.conv1.weight"].dtype == torch.float32


def test_missing_surplus_and_misshapen_values_are_listed() -> None:
    values = dict(made().state_dict())
    del values["layer1.0.conv1.weight"]
    values["layer9.weight"] = torch.zeros(1)
    values["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    with pytest.raises(InputError) as caught:
        load_trunk(made(), backbone("resnet18"), values, origin="mine.pth")
    told = str(caught.value)
    assert told.startswith("mine.pth: not the values of this backbone")
    assert "1 missing: layer1.0.conv1.weight" in told
    assert "1 surplus: layer9.weight" in told
    assert "1 of another shape: conv1.weight (64, 1, 7, 7) for (64, 3, 7, 7)" in told


def test_another_architecture_is_refused_and_long_lists_are_cut() -> None:
    values = torchvision.models.resnet50(weights=None).state_dict()
    with pytest.raises(InputError, match=r"and \d+ more"):
        check_trunk(made(), backbone("resnet18"), values, origin="x")


def test_values_may_lack_the_batch_counts_and_hold_any_classifier() -> None:
    values = {n: v for n, v in made().state_dict().items() if not n.endswith("num_batches_tracked")}
    values["fc.weight"] = torch.zeros(3, 3)
    check_trunk(made(), backbone("resnet18"), values, origin="x")


def test_the_heads_are_as_described() -> None:
    stock = nn.Linear(2048, 1000)
    mlp = heads.head("mlp1024", stock, classes=9, dropout=0.5)
    assert [type(layer).__name__ for layer in mlp] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert sum(p.numel() for p in mlp.parameters()) == 2048 * 1024 + 1024 + 1024 * 9 + 9
    linear = heads.head("linear", stock, classes=9, dropout=0.0)
    assert isinstance(linear, nn.Linear)
    assert linear.out_features == 9
    assert [type(layer).__name__ for layer in heads.head("linear", stock, classes=9, dropout=0.2)] == [
        "Dropout",
        "Linear",
    ]


def test_the_stock_head_keeps_all_but_its_last_layer() -> None:
    stock = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1000))
    head = heads.head("stock", stock, classes=9)
    assert torch.equal(head[0].weight, stock[0].weight)
    assert head[2].out_features == 9
    assert stock[2].out_features == 1000


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(InputError, match="backbone: 'alexnet' is not known; known: resnet18, resnet34"):
        backbone("alexnet")
    with pytest.raises(InputError, match="head: 'mlp' is not known; known: mlp1024, linear, stock"):
        heads.head("mlp", nn.Linear(1, 1), classes=2)
