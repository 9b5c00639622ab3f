import inspect
from copy import deepcopy
from typing import Any, get_args

import pytest
import tiny
import torch
import torchvision
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.core.precision import Precision
from pipeline.evaluation import cost
from pipeline.networks.attention.contract import Attention
from pipeline.networks.attention.table import ATTENTIONS, POSITIONS, Mechanism
from pipeline.networks.build import Plan, build
from pipeline.networks.insertion import insert, last_norms, shapes
from pipeline.networks.network import Network

MECHANISMS = sorted(name for name, row in ATTENTIONS.items() if row.module)
CONVOLUTIONAL = ["resnet18", "resnet50", "vgg16", "googlenet", "efficientnet_b0", "efficientnet_lite0", "mobilenet_v2"]
RESIDUAL = {
    "resnet18": 8,
    "resnet34": 16,
    "resnet50": 16,
    "resnet101": 33,
    "mobilenet_v2": 10,
    "efficientnet_b0": 9,
    "efficientnet_lite0": 9,
}


pytestmark = pytest.mark.usefixtures("narrow")


def made(backbone: str = "resnet18", attention: str = "none", *, size: int = 64, **changes: Any) -> Network:
    pretrained: dict[str, Tensor] | None = changes.pop("pretrained", None)
    plan = Plan(backbone, "linear", 5, size, head_options={"dropout": 0.0}, attention=attention, **changes)
    return build(plan, pretrained=pretrained)


@pytest.fixture(scope="module")
def pretrained() -> dict[str, Tensor]:
    """Values like those of a trained network, with batch norms that neither vanish nor explode."""
    torch.manual_seed(0)
    model = tiny.resnet(18)
    with torch.no_grad():
        for _ in range(10):
            model(torch.randn(8, 3, 64, 64))
    return model.state_dict()


def test_there_are_mechanisms_and_positions() -> None:
    assert set(MECHANISMS) >= {"se", "eca", "spatial", "cbam", "self", "ecsm", "ca", "sa", "csca", "hierarchical"}
    assert set(POSITIONS) == {"every_stage", "residual_block", "last_stage"}


@pytest.mark.parametrize("attention", MECHANISMS)
@pytest.mark.parametrize("position", sorted(POSITIONS))
def test_every_mechanism_goes_to_every_position_and_leaves_pretrained_names_as_they_were(
    attention: str, position: str, pretrained: dict[str, Tensor]
) -> None:
    network = made(attention=attention, position=position, pretrained=pretrained).eval()
    state = network.model.state_dict()
    for name in pretrained:
        if not name.startswith("fc."):
            assert torch.equal(state[name], pretrained[name]), name
    surplus = {name for name in state if name not in pretrained}
    assert surplus
    assert all(any(name.startswith(f"{module}.") for module in network.inserted) for name in surplus)
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("attention", MECHANISMS)
def test_with_identity_gates_the_pretrained_network_is_as_it_was(attention: str, pretrained: dict[str, Tensor]) -> None:
    is_gated = "gate_init" in inspect.signature(ATTENTIONS[attention].make).parameters
    options = {"attention_options": {"gate_init": "identity"}} if is_gated else {}
    networks = []
    for plan in ({}, {"attention": attention, **options}):
        torch.manual_seed(1)
        networks.append(made(pretrained=pretrained, **plan).eval())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(networks[0](images), networks[1](images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("attention", MECHANISMS)
def test_every_weight_of_a_whole_network_gets_a_finite_gradient(attention: str) -> None:
    torch.manual_seed(0)
    network = made(attention=attention)
    network(torch.randn(4, 3, 64, 64)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


# One mechanism per position: test_attention_contract.py exports every mechanism by itself.
@pytest.mark.parametrize("attention", ["se", "csca", "ecsm"])
def test_a_network_with_attention_can_be_exported(attention: str) -> None:
    network = made(attention=attention).eval()
    images = torch.randn(2, 3, 64, 64)
    exported = torch.export.export(network, (images,)).module()
    torch.testing.assert_close(exported(images), network(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backbone", CONVOLUTIONAL)
@pytest.mark.parametrize("attention", ["se", "ecsm"])
def test_every_convolutional_backbone_takes_attention_after_its_stages(backbone: str, attention: str) -> None:
    with torch.device("meta"):
        network = made(backbone, attention).eval()
        assert network(torch.empty(2, 3, 64, 64)).shape == (2, 5)
    assert len(network.inserted) == {"se": 4, "ecsm": 1}[attention]


@pytest.mark.parametrize("backbone", sorted(RESIDUAL))
def test_every_residual_block_takes_attention(backbone: str) -> None:
    with torch.device("meta"):
        network = made(backbone, "csca").eval()
        assert network(torch.empty(2, 3, 64, 64)).shape == (2, 5)
    assert len(network.inserted) == RESIDUAL[backbone]


@pytest.mark.parametrize(("name", "blocks"), [("efficientnet_b1", 16), ("efficientnet_v2_s", 35), ("mobilenet_v2", 10)])
def test_each_residual_block_of_a_network_that_may_be_added_ends_with_its_last_batch_norm(
    name: str, blocks: int
) -> None:
    model = torchvision.models.get_model(name, weights=None)
    norms = last_norms(model)
    assert len(norms) == sum(getattr(module, "use_res_connect", False) for module in model.modules()) == blocks
    for norm in norms:
        assert isinstance(model.get_submodule(norm), nn.BatchNorm2d)
        block, _, inside = norm.partition(".block" if ".block." in norm else ".conv")
        last = [part for part in model.get_submodule(block).modules() if isinstance(part, nn.BatchNorm2d)][-1]
        assert model.get_submodule(norm) is last, inside


def test_attention_in_a_block_sees_the_last_norms_output_before_the_shortcut_is_added() -> None:
    torch.manual_seed(0)
    network = made(attention="se", position="residual_block").eval()
    block = network.model.get_submodule("layer1.0")
    x = torch.randn(2, block.conv1.in_channels, 16, 16)
    with torch.no_grad():
        y = torch.relu(nn.functional.batch_norm(block.conv1(x), block.bn1.running_mean, block.bn1.running_var))
        norm = block.bn2
        y = nn.functional.batch_norm(block.conv2(y), norm.running_mean, norm.running_var, norm.weight, norm.bias)
        torch.testing.assert_close(torch.relu(norm.attention(y) + x), block(x))


def test_attention_after_a_stage_runs_between_the_stages() -> None:
    network = made(attention="se")
    names = [step.name for step in network.steps]
    assert names[names.index("layer1.1") + 1] == "attention.block1"
    assert names[names.index("layer4.1") + 1 :] == ["attention.block4", "avgpool", "fc"]


@pytest.mark.parametrize(("attention", "modules"), [("se", 4), ("cbam", 8), ("ecsm", 1)])
def test_a_network_returns_the_maps_that_it_attends_with(attention: str, modules: int) -> None:
    network = made(attention=attention).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = network(images)
        maps = network.attention_maps(images)
        assert torch.equal(network(images), before)
    assert tuple(maps) == network.inserted
    assert len(maps) == modules
    for name, module in zip(network.inserted, network.inserted_modules(), strict=True):
        assert set(maps[name]) == set(module.maps(torch.randn(2, module.channels, 4, 4)))
        assert all(len(weights) == 2 for weights in maps[name].values())


def test_returning_maps_changes_nothing_also_in_train_mode() -> None:
    network = made(attention="hierarchical", attention_options={"temporal_memory": True})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.attention_maps(torch.randn(2, 3, 64, 64))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_map_returned_is_the_one_that_is_used() -> None:
    network = made(attention="spatial").eval()
    images = torch.randn(2, 3, 64, 64)
    index = [step.name for step in network.steps].index("attention.block4")
    with torch.no_grad():
        features = network.run(images, stop=index)
        weighed = network.run(features, start=index, stop=index + 1)
        weights = network.attention_maps(images)["attention.block4"]["position"]
    torch.testing.assert_close(features * weights[:, None], weighed)


def test_a_copy_of_a_network_attends_with_modules_of_its_own() -> None:
    network = made(attention="cbam").eval()
    other = deepcopy(network)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = other(images)
        for module in network.inserted_modules():
            for parameter in module.parameters():
                parameter.zero_()
        torch.testing.assert_close(other(images), before, rtol=0, atol=0)


def test_shapes_are_those_of_a_real_forward_pass() -> None:
    network = made().eval()
    norm_shapes: dict[str, tuple[int, ...]] = {}
    for name in last_norms(network.model):
        norm = network.model.get_submodule(name)
        norm.register_forward_hook(lambda _m, _x, y, name=name: norm_shapes.__setitem__(name, tuple(y.shape[1:])))
    x = torch.randn(1, 3, 80, 80)
    expected = {}
    for number, step in enumerate(network.steps):
        x = network.run(x, start=number, stop=number + 1)
        expected[step.name] = tuple(x.shape[1:])
    assert shapes(made(), 80) == expected | norm_shapes


@pytest.mark.parametrize(
    ("backbone", "attention", "size", "position", "message"),
    [
        ("vit_b_16", "se", 64, None, "attention: 'se' needs feature maps, but this backbone returns tokens; use atten"),
        ("vit_b_16", "cbam", 64, None, "attention: 'cbam' needs feature maps, but this backbone returns tokens"),
        (
            "vgg16",
            "cbam",
            64,
            None,
            "attention: this backbone has no residual blocks for 'cbam'; set its position, options",
        ),
        (
            "googlenet",
            "sa",
            64,
            None,
            "no residual blocks for 'sa'; set its position, options.attention.sa.position, to every_stage or last",
        ),
        ("resnet18", "ecsm", 32, None, "the map at layer4.1 is 1 x 1 for images of 32; it needs 2 x 2, so raise data"),
        (
            "resnet18",
            "cbam",
            32,
            None,
            "'cbam' weighs positions, and the map at layer4.0.bn2 is 1 x 1 for images of 32",
        ),
        ("resnet18", "se", 64, "head", "position: 'head' is not known; known: every_stage, residual_block, last_stage"),
        ("resnet18", "senet", 64, None, "attention: 'senet' is not known; known: none, se, "),
    ],
)
def test_attention_that_a_network_cannot_take_is_refused(
    backbone: str, attention: str, size: int, position: str | None, message: str
) -> None:
    with torch.device("meta"), pytest.raises(InputError) as caught:
        made(backbone, attention, size=size, position=position)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_channel_attention_works_on_a_single_position() -> None:
    assert made(attention="se", size=32).eval()(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_operations_grow_by_those_of_the_attention() -> None:
    plain, attended = cost.flops(made(), 64), cost.flops(made(attention="se"), 64)
    # Two matrix products a stage, C x C/16 each, a multiplication and an addition counted as two.
    assert attended - plain == sum(2 * 2 * c * (c // 16) for c in tiny.WIDTHS)


@pytest.mark.parametrize("precision", get_args(Precision))
def test_the_speed_of_a_forward_pass_leaves_the_networks_as_they_were(precision: Precision) -> None:
    networks = {"one": made(), "other": made(attention="se").eval()}
    before = deepcopy(networks)
    speeds = cost.images_per_second(networks, torch.randn(4, 3, 64, 64), seconds=0.01, precision=precision)
    assert set(speeds) == set(networks)
    assert min(speeds.values()) > 0
    for name, network in networks.items():
        assert network.training == before[name].training
        state = before[name].state_dict()
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_inserting_by_hand_is_what_build_does() -> None:
    network = insert(made(), "se", None, {"reduction": 8}, 64)
    assert network.inserted == tuple(f"attention.block{number}" for number in range(1, 5))


class Faulty(Attention):
    """Squeezes a map away, as a mistyped keepdim does."""

    name = "faulty"

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        return {"position": x.mean(1)}

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[..., ::2]


class OtherMap(Faulty):
    """Names a map as none is called."""

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        return {"channels": x.mean((2, 3))}


def inserted(monkeypatch: pytest.MonkeyPatch, mechanism: type[Attention]) -> None:
    monkeypatch.setattr(Mechanism, "make", property(lambda _: mechanism))
    made(attention="se", position="every_stage")


def test_a_mechanism_that_does_not_keep_the_shape_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"'se' returns features of shape \(2, 16, 8, 4\) for \(2, 16, 8, 8\)"):
        inserted(monkeypatch, Faulty)


def test_the_error_of_a_mechanism_has_its_name_as_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError, match="channels") as caught:
        inserted(monkeypatch, OtherMap)
    assert caught.value.__notes__ == ["attention 'se' fails for features of shape (2, 16, 8, 8)"]
