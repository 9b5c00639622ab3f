import copy
import dataclasses
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.networks import build as build_module
from pipeline.networks.backbones.table import BACKBONES, backbone, make
from pipeline.networks.build import Plan, backbone_weights, build, check_backbone, hidden_layers, load_backbone
from pipeline.networks.heads import modules
from pipeline.networks.heads.table import HEADS
from pipeline.networks.network import Network


def made(name: str = "resnet18", head: str = "linear", *, size: int = 64, **options: Any) -> Network:
    head_options = {"dropout": 0.0} if head in ("linear", "mlp1024") else {}
    plan = Plan(name, head, classes=options.pop("classes", 7), image_size=size, head_options=head_options)
    return build(plan, **{"pretrained": None, **options})


def of_any_scale(one: Tensor, other: Tensor) -> None:
    """Compare up to scale: random weights make scores large, and channels last sums in another order."""
    scale = other.abs().max().item()
    torch.testing.assert_close(one / scale, other / scale, rtol=0, atol=1e-5)


def filled(model: nn.Module) -> nn.Module:
    """Set every weight to values of about its initial size, also those of ViT's classifier, initially zero."""
    noise = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0))
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 or name.endswith("bias"):
            values = noise.repeat(parameter.numel() // len(noise) + 1)[: parameter.numel()].view_as(parameter)
            parameter.data = values / max(1, parameter[0].numel()) ** 0.5
    return model


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_running_the_steps_is_torchvisions_own_forward(name: str) -> None:
    own = filled(make(name, 64)).eval()
    row = backbone(name)
    network = made(name, "torchvision", classes=1000, pretrained=own.state_dict()).eval()
    network.model.get_submodule(row.classifier).load_state_dict(own.get_submodule(row.classifier).state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        of_any_scale(network(images), own(images))
        features = network.run(images, stop=3)
        torch.testing.assert_close(network.run(features, start=3), network(images), rtol=0, atol=0)


# Steps that are modules, and some that are functions.
@pytest.mark.parametrize(("name", "features"), [("resnet18", 512), ("mobilenet_v2", 1280)])
def test_a_copy_runs_its_own_modules_and_one_that_is_replaced_runs_from_the_next_mode_on(
    name: str, features: int
) -> None:
    network, images = made(name).eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        scores = network(images)
        other = copy.deepcopy(network)
        for parameter in other.parameters():
            parameter.zero_()
        assert not other(images).any()
        torch.testing.assert_close(network(images), scores, rtol=0, atol=0)
        network.model.set_submodule(network.steps[-1].name, nn.Flatten())
        assert network.eval()(images).shape == (2, features)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_parameter_belongs_to_exactly_one_step(name: str) -> None:
    with torch.device("meta"):
        network = made(name)
    owned = [parameter for step in network.steps for parameter, _ in network.parameters_of(step)]
    assert sorted(owned) == sorted(parameter for parameter, _ in network.model.named_parameters())


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_hooked_layers_are_modules_of_the_backbone_at_four_depths(name: str) -> None:
    with torch.device("meta"):
        model = backbone(name).build(64)
    names = [module for module, _ in model.named_modules()]
    positions = [names.index(layer) for layer in backbone(name).hooked_layers]
    assert len(positions) == 4
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("name", "hooked_layers", "channels"),
    [
        ("resnet50", ["layer1.2.conv3", "layer2.3.conv3", "layer3.5.conv3", "layer4.2.conv3"], [256, 512, 1024, 2048]),
        (
            "resnet101",
            ["layer1.2.conv3", "layer2.3.conv3", "layer3.22.conv3", "layer4.2.conv3"],
            [256, 512, 1024, 2048],
        ),
        (
            "mobilenet_v2",
            ["features.5.conv.2", "features.9.conv.2", "features.13.conv.2", "features.17.conv.2"],
            [32, 64, 96, 320],
        ),
    ],
)
def test_hooked_layers_are_those_of_spa_gca_table_3(name: str, hooked_layers: list[str], channels: list[int]) -> None:
    assert list(backbone(name).hooked_layers) == hooked_layers
    with torch.device("meta"):
        model = backbone(name).build(224)
    assert [model.get_submodule(layer).out_channels for layer in hooked_layers] == channels


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("resnet18", 11_689_512),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("vgg16", 138_357_544),
        ("googlenet", 6_624_904),
        ("efficientnet_b0", 5_288_548),
        ("vit_b_16", 86_567_656),
        ("mobilenet_v2", 3_504_872),
        ("efficientnet_lite0", 4_652_008),
    ],
)
def test_the_whole_networks_have_their_librarys_counts(name: str, total: int) -> None:
    with torch.device("meta"):
        network = made(name, "torchvision", size=224, classes=1000)
    assert sum(p.numel() for p in network.parameters()) == total


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_published_imagenet_weights_have_the_names_that_are_expected(name: str) -> None:
    with torch.device("meta"):
        own = backbone(name).build(224)
    # torchvision's file also holds GoogLeNet's auxiliary heads.
    values = own.state_dict() | {f"{part}conv.weight": torch.zeros(1) for part in backbone(name).unused}
    check_backbone(own, backbone(name), values, origin="x")
    imagenet = backbone(name).imagenet
    assert bool(imagenet) == BACKBONES[name].imagenet
    assert imagenet is None or imagenet.url.endswith(".pth")


def test_pretrained_values_are_loaded_and_the_classifier_is_not() -> None:
    values = torchvision.models.resnet18(weights=None).state_dict()
    state = made(pretrained=values, classes=1000).model.state_dict()
    assert torch.equal(state["conv1.weight"], values["conv1.weight"])
    assert not torch.equal(state["fc.weight"], values["fc.weight"])


def test_half_precision_values_are_cast() -> None:
    values = {name: v.half() if v.is_floating_point() else v for name, v in made().model.state_dict().items()}
    network = made(pretrained=values)
    assert network.model.state_dict()["layer1.0.conv1.weight"].dtype == torch.float32


def test_missing_surplus_and_misshapen_values_are_listed() -> None:
    values = dict(made().model.state_dict())
    del values["layer1.0.conv1.weight"]
    values["layer9.weight"] = torch.zeros(1)
    values["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    with pytest.raises(InputError) as caught:
        load_backbone(made().model, backbone("resnet18"), values, image_size=64, origin="mine.pth")
    message = str(caught.value)
    assert message.startswith("mine.pth: not the values of this backbone")
    assert "1 missing: layer1.0.conv1.weight" in message
    assert "1 surplus: layer9.weight" in message
    assert "1 of another shape: conv1.weight (64, 1, 7, 7) for (64, 3, 7, 7)" in message


def test_a_row_whose_classifier_the_network_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    row = dataclasses.replace(backbone("resnet18"), classifier="classifier")
    monkeypatch.setattr(build_module, "backbone", lambda _: row)
    with pytest.raises(InputError, match=r"'resnet18' names its classifier 'classifier', which .* it has conv1, bn1,"):
        made()


def test_another_architecture_is_refused_and_long_lists_are_cut() -> None:
    values = torchvision.models.resnet50(weights=None).state_dict()
    with pytest.raises(InputError, match=r"^x: .*and \d+ more") as caught:
        check_backbone(made().model, backbone("resnet18"), values, origin="x")
    assert len(str(caught.value)) < 400


def test_values_may_lack_the_batch_counts_and_hold_any_classifier() -> None:
    values = {n: v for n, v in made().model.state_dict().items() if not n.endswith("num_batches_tracked")}
    values["fc.weight"] = torch.zeros(3, 3)
    check_backbone(made().model, backbone("resnet18"), values, origin="x")


@pytest.mark.usefixtures("undrawn")
def test_position_embeddings_of_another_image_size_are_interpolated() -> None:
    own = filled(make("vit_b_16", 96))
    network = made("vit_b_16", size=64, pretrained=backbone_weights(own.state_dict(), backbone("vit_b_16")))
    positions = network.model.get_parameter("encoder.pos_embedding")
    assert positions.shape == (1, 17, 768)
    torch.testing.assert_close(positions[:, 0], own.get_parameter("encoder.pos_embedding")[:, 0])
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_a_side_that_vit_cannot_take_is_refused() -> None:
    with pytest.raises(InputError, match=r"where it is auto\): 100 is not a multiple of 16, as vit_b_16 needs; 96 is"):
        made("vit_b_16", size=100)


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize("head", ["linear", "mlp1024", "torchvision"])
def test_every_head_goes_on_every_backbone(name: str, head: str) -> None:
    with torch.device("meta"):
        network = made(name, head).eval()
        assert network(torch.empty(2, 3, 64, 64)).shape == (2, 7)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", sorted(set(BACKBONES) - {"vit_b_16"}))
def test_the_conv1x1_head_and_a_linear_layer_after_global_average_pooling_agree(name: str) -> None:
    linear = made(name, "linear").eval()
    filled(linear.model)
    convolution = made(name, "conv1x1", pretrained=linear.model.state_dict()).eval()
    classifier = backbone(name).classifier
    flat, maps = linear.model.get_submodule(classifier), convolution.model.get_submodule(classifier)
    assert isinstance(maps, modules.ClassMaps)
    with torch.no_grad():
        maps.convolution.weight.copy_(flat.weight[:, :, None, None])
        maps.convolution.bias.copy_(flat.bias)
        images = torch.randn(2, 3, 64, 64)
        of_any_scale(convolution(images), linear(images))


def test_the_conv1x1_heads_maps_average_to_the_scores() -> None:
    head = modules.ClassMaps(8, classes=3)
    x = torch.randn(2, 8, 5, 4)
    assert head.maps(x).shape == (2, 3, 5, 4)
    torch.testing.assert_close(head.maps(x).mean(dim=(2, 3)), head(x))


def test_the_conv1x1_head_needs_maps() -> None:
    with (
        torch.device("meta"),
        pytest.raises(InputError, match=r"head: 'conv1x1' needs feature maps, but vit_b_16 returns tokens; use linear"),
    ):
        made("vit_b_16", "conv1x1")


def test_the_heads_are_as_described() -> None:
    mlp = HEADS["mlp1024"].make(2048, classes=9, dropout=0.5)
    assert [type(layer).__name__ for layer in mlp] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert sum(p.numel() for p in mlp.parameters()) == 2048 * 1024 + 1024 + 1024 * 9 + 9
    linear = HEADS["linear"].make(2048, classes=9, dropout=0.0)
    assert isinstance(linear, nn.Linear)
    assert linear.out_features == 9
    with_dropout = HEADS["linear"].make(2048, classes=9, dropout=0.2)
    assert [type(layer).__name__ for layer in with_dropout] == ["Dropout", "Linear"]


def test_the_torchvision_head_keeps_all_but_its_last_layer() -> None:
    own = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1000))
    head = HEADS["torchvision"].make(own, classes=9)
    assert torch.equal(head[0].weight, own[0].weight)
    assert head[2].out_features == 9
    assert own[2].out_features == 1000


@pytest.mark.parametrize("shape", [(7, 7), (2, 2), (9, 16), (1, 1)])
def test_averaging_to_regions_is_torchs_adaptive_average(shape: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *shape, dtype=torch.float64)
    torch.testing.assert_close(modules.AverageTo(7)(x), nn.AdaptiveAvgPool2d(7)(x))


@pytest.mark.usefixtures("undrawn")
def test_the_torchvision_head_of_vgg_keeps_its_pretrained_hidden_layers() -> None:
    shape = {"classifier.0.weight": (4096, 25088), "classifier.3.weight": (4096, 4096)}
    constants = {name: torch.full(size, 0.25) for name, size in shape.items()}
    own = make("vgg16", 64).state_dict()
    stored = backbone_weights(own, backbone("vgg16")) | hidden_layers(own | constants, backbone("vgg16"))
    assert {name for name in own if name not in stored} == {"classifier.6.weight", "classifier.6.bias"}
    state = made("vgg16", "torchvision", pretrained=stored).model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in constants.items())
    assert state["classifier.6.weight"].shape == (7, 4096)


@pytest.mark.parametrize("shape", [(1, 150, 768), (2, 197, 768), (197, 768)])
def test_wrong_position_embeddings_are_reported_in_one_line(shape: tuple[int, ...]) -> None:
    row = backbone("vit_b_16")
    with torch.device("meta"):
        own = make("vit_b_16", 224)
        values = own.state_dict() | {"encoder.pos_embedding": torch.empty(shape)}
    with pytest.raises(InputError, match=r"1 of another shape: encoder\.pos_embedding"):
        check_backbone(own, row, row.fit(backbone_weights(values, row), 224), origin="x")


def test_dropout_before_torchvisions_classifier_is_left_out_with_other_heads() -> None:
    with torch.device("meta"):
        assert [step.name for step in made("googlenet", "torchvision").steps][-2:] == ["dropout", "fc"]
        assert [step.name for step in made("googlenet", "linear").steps][-2:] == ["avgpool", "fc"]


def test_the_head_starts_the_same_with_and_without_attention() -> None:
    started = []
    for attention in ("none", "self"):
        torch.manual_seed(3)
        plan = Plan("resnet18", "linear", classes=5, image_size=64, attention=attention, head_options={"dropout": 0.0})
        started.append(build(plan, pretrained=None).model.get_parameter("fc.weight"))
    assert torch.equal(*started)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(InputError, match="backbone: 'alexnet' is not known; known: resnet18, resnet34"):
        backbone("alexnet")
    with pytest.raises(InputError, match=r"head: 'mlp' is not known; known: mlp1024, linear, conv1x1, torchvision$"):
        made(head="mlp")
