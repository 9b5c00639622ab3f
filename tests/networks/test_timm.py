"""Backbones from timm: their groups, values and sizes, for small members of many families, with random values.

Importing timm takes seconds, so that nearly all of this is among the slow tests.
"""

import sys
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.core import compiler
from pipeline.core.errors import InputError
from pipeline.networks import backbones, freezing
from pipeline.networks.backbones.table import TIMM, backbone, check_weights, known, make
from pipeline.networks.build import Plan, build, load_backbone
from pipeline.networks.network import Network

# A small member of each family that the docs name.
FAMILIES = {
    "ConvNeXt": "test_convnext",
    "DenseNet": "densenet121",
    "EfficientNet": "test_efficientnet",
    "EfficientNet-Lite": "tf_efficientnet_lite0",
    "EVA": "eva02_tiny_patch14_224",
    "DINOv2": "vit_small_patch14_reg4_dinov2",
    "DINOv3": "vit_small_patch16_dinov3",
    "SigLIP": "vit_base_patch16_siglip_224",
    "MambaOut": "test_mambaout",
    "MaxViT": "test_maxvit",
    "Mixer": "mixer_s32_224",
    "MobileNetV3": "mobilenetv3_small_050",
    "MobileNetV4": "mobilenetv4_conv_small",
    "NFNet": "test_nfnet",
    "RegNet": "regnetx_002",
    "ResNet": "test_resnet",
    "Swin": "swin_tiny_patch4_window7_224",
    "VGG": "vgg11",
    "ViT": "test_vit",
}
# Of those, the ones that are quick to run.
SMALL = [name for name in FAMILIES.values() if name.startswith(("test_", "tf_", "mobile", "reg", "swin"))]
STAGES = ["stem", "block1", "block2", "block3", "block4", "pool", "head"]


def plan(name: str, size: int | None = None, head: str = "linear", **options: Any) -> Plan:
    side = size or known(name).side
    assert side is not None
    head_options = {"dropout": 0.0} if head == "linear" else {}
    return Plan(name, head, classes=3, image_size=side, head_options=head_options, **options)


def structure(name: str, size: int | None = None, head: str = "linear", **options: Any) -> Network:
    with compiler.meta_device():
        return build(plan(name, size, head, **options), pretrained=None)


def filled(model: nn.Module) -> nn.Module:
    """Set values that are initially zero or one, as scales of layers, to others, so that each of them counts."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(params=sorted(FAMILIES.values()))
def name(request: pytest.FixtureRequest) -> str:
    return f"{TIMM}{request.param}"


@pytest.mark.slow
def test_a_model_is_a_stem_and_four_blocks_in_timms_own_order(name: str) -> None:
    from timm.models import group_parameters

    network = structure(name)
    assert list(dict.fromkeys(step.stage for step in network.steps)) == STAGES
    # timm's layers by depth, as its layer-wise decay has them.
    layers = group_parameters(network.model, network.model.group_matcher(coarse=False), reverse=True)
    first = [
        min(depths)
        for step in network.steps
        if step.stage.startswith("block") and (depths := [layers[one] for one, _ in network.parameters_of(step)])
    ]
    assert all(one <= other for one, other in pairwise(first))


@pytest.mark.slow
def test_every_parameter_belongs_to_exactly_one_step(name: str) -> None:
    network = structure(name)
    owned = [parameter for step in network.steps for parameter, _ in network.parameters_of(step)]
    assert sorted(owned) == sorted(parameter for parameter, _ in network.model.named_parameters())
    counted = freezing.count_by_stage(network)
    assert set(STAGES) - {"pool"} <= set(counted)
    whole = freezing.count(network)
    assert sum(one["trainable"] + one["frozen"] for one in counted.values()) == whole["trainable"] + whole["frozen"]


@pytest.mark.slow
@pytest.mark.parametrize("small", SMALL)
def test_running_the_steps_is_timms_own_forward(small: str) -> None:
    import timm

    name = f"{TIMM}{small}"
    own = filled(timm.create_model(small)).eval()
    side = known(name).side
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    network = Network(own, backbone(name).steps).eval()
    with torch.no_grad():
        assert torch.equal(network(images), own(images))
        assert torch.equal(network.run(network.run(images, stop=3), start=3), own(images))


@pytest.mark.slow
@pytest.mark.parametrize("small", ["eva02_tiny_patch14_224", "vit_small_patch16_dinov3"])
def test_networks_of_tokens_run_as_in_timm(small: str) -> None:
    import timm

    own = filled(timm.create_model(small)).eval()
    side = known(f"{TIMM}{small}").side
    images = torch.randn(1, 3, side, side)
    with torch.no_grad():
        assert torch.equal(Network(own, backbone(f"{TIMM}{small}").steps).eval()(images), own(images))


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["1", "2", "3a", "3b", "3c"])
@pytest.mark.parametrize("small", ["test_vit", "test_convnext", "test_efficientnet", "test_mambaout", "test_resnet"])
def test_training_changes_exactly_what_a_strategy_says(small: str, freeze: str) -> None:
    torch.manual_seed(0)
    network = build(plan(f"{TIMM}{small}", 96), pretrained=None)
    filled(network.model)
    freezing.freeze(network, freeze)
    before = {key: value.clone() for key, value in network.model.state_dict().items()}
    # With decay: a batch norm's bias before another batch norm has a gradient of zero.
    trained = [one for one in network.parameters() if one.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1, weight_decay=0.01)
    for _ in range(3):
        nn.functional.cross_entropy(network(torch.randn(6, 3, 96, 96)), torch.arange(6) % 3).backward()
        assert all(one.grad is not None for one in trained)
        optimizer.step()
        optimizer.zero_grad()
    changed = {key for key, value in network.model.state_dict().items() if not torch.equal(value, before[key])}
    trains = {"1": ["head"], "2": STAGES, "3a": STAGES[2:], "3b": STAGES[3:], "3c": STAGES[4:]}[freeze]
    planned = {key for step in network.steps if step.stage in trains for key in before if step.holds(key)}
    assert changed == planned


@pytest.mark.slow
@pytest.mark.parametrize("small", ["test_vit", "swin_tiny_patch4_window7_224", "test_convnext"])
def test_weights_of_one_size_are_fitted_to_another(small: str) -> None:
    name = f"{TIMM}{small}"
    side = known(name).side
    assert side is not None
    source = make(name, side).state_dict()
    model = make(name, side + 64)
    load_backbone(model, backbone(name), source, image_size=side + 64, origin="weights")
    own = model.state_dict()
    same = [key for key in own if own[key].shape == source[key].shape and not key.startswith(backbone(name).classifier)]
    assert len(same) > len(own) / 2
    assert all(torch.equal(own[key], source[key]) for key in same if "pos_embed" not in key)
    assert all(bool(value.isfinite().all()) for value in own.values())


@pytest.mark.slow
@pytest.mark.parametrize("small", ["test_vit", "test_mambaout", "test_vit3"])
def test_class_activation_maps_lie_as_the_image_does(small: str) -> None:
    from pipeline.evaluation import explanations

    torch.manual_seed(0)
    network = build(plan(f"{TIMM}{small}", 128), pretrained=None).eval()
    filled(network.model)
    images = torch.randn(2, 3, 128, 128)
    for maps in explanations.class_activation(network, images, [0, 1]).values():
        assert maps.shape[0] == 2
        assert maps.shape[1] == maps.shape[2] >= 4
    assert set(explanations.features(network, images)) == set(STAGES[:5])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("small", "side", "prefix"),
    # Of these, 5 tokens before 4 patches are as many as 9 patches, and SigLIP has none before.
    [("vit_small_patch16_dinov3", 32, 5), ("test_vit", 96, 1), ("vit_base_patch16_siglip_224", 64, 0)],
)
def test_a_patch_lies_in_the_maps_where_it_lies_in_the_image(small: str, side: int, prefix: int) -> None:
    from pipeline.evaluation import explanations

    torch.manual_seed(0)
    network = build(plan(f"{TIMM}{small}", side), pretrained=None).eval()
    assert explanations.prefix_tokens(network) == prefix
    images = torch.randn(1, 3, side, side).repeat(2, 1, 1, 1)
    images[1, :, 16:32, :16] += 1
    with torch.no_grad():
        tokens = network.run(images, stop=1)
    moved = (tokens[0] - tokens[1]).abs().sum(1).nonzero().flatten().tolist()
    patches = side // 16
    assert moved == [prefix + patches]
    maps = explanations.as_grid(tokens, prefix)
    assert maps.shape[2:] == (patches, patches)
    assert (maps[0] - maps[1]).abs().sum(0).nonzero().tolist() == [[1, 0]]
    cams = explanations.class_activation(network, images, [0, 1])
    assert {one.shape for one in cams.values()} == {(2, patches, patches)}
    assert explanations.features(network, images)["stem"].shape[2:] == (patches, patches)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm/resnet18x", "near: timm/resnet18"),
        ("timm/resnet18.nothing", "near: timm/resnet18"),
        ("timm/beit_base_patch16_224", "cannot be divided into groups of blocks to freeze"),
        ("timm/deit_tiny_distilled_patch16_224", "several"),
        ("timm/caformer_s18", "several layers behind its pooling"),
        ("timm/repvit_m0_9", "several"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_in_a_line(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        known(name)
    assert str(caught.value).startswith(f"backbone: {name!r} ")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_what_a_shape_does_not_allow_is_refused_in_a_line() -> None:
    with pytest.raises(InputError, match=r"^head: 'conv1x1' needs feature maps, but timm/test_vit returns tokens"):
        structure("timm/test_vit", head="conv1x1")
    with pytest.raises(
        InputError, match=r"^head: 'conv1x1' takes the place of the pooling, and timm/test_convnext's has"
    ):
        structure("timm/test_convnext", head="conv1x1")
    with pytest.raises(InputError, match=r"^attention: 'eca' needs feature maps"):
        structure("timm/test_vit", attention="eca")
    with pytest.raises(InputError, match=r"100 is not a multiple of 16, as timm/test_vit needs; 96 is"):
        make("timm/test_vit", 100)
    with pytest.raises(InputError, match=r"timm/inception_v3 does not take images of 48 .*; its own size is 299"):
        make("timm/inception_v3", 48)
    with pytest.raises(InputError, match=r"there are no 'imagenet' weights for timm/test_vit; add -S weights=timm"):
        check_weights("timm/test_vit", "imagenet")
    with pytest.raises(InputError, match=r"there are no 'timm' weights for resnet18; .*timm/NAME"):
        check_weights("resnet18", "timm")


@pytest.mark.slow
@pytest.mark.parametrize("small", ["test_mambaout", "test_resnet"])
def test_attention_behind_a_stage_takes_maps_with_channels_first(small: str) -> None:
    name = f"{TIMM}{small}"
    network = structure(name, attention="se", position="every_stage", attention_options={"reduction": 2})
    widths = [one["num_chs"] for one in network.model.feature_info][-4:]
    assert [first_channels(module) for module in network.inserted_modules()] == widths


def first_channels(module: nn.Module) -> int:
    values: Tensor = next(iter(module.parameters()))
    return values.shape[1]


def test_a_missing_timm_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [one for one in sys.modules if one.startswith("pipeline.networks.backbones.timm_")]:
        monkeypatch.delitem(sys.modules, module)
        monkeypatch.delattr(backbones, module.rpartition(".")[2])
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"^backbone: 'timm/resnet18' needs the package timm, .*pip install timm"):
        backbone("timm/resnet18")
