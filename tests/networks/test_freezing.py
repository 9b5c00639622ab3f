from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.networks.backbones.structure import Step
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.build import Plan, build
from pipeline.networks.freezing import count, freeze, plan
from pipeline.networks.network import Network
from pipeline.networks.strategies import OTHER_STRATEGIES, STRATEGIES, WHOLE, Rule, part_of

STAGES = ["stem", "block1", "block2", "block3", "block4", "pool", "head"]
TRAINED = {
    "1": {"head"},
    "2": set(STAGES),
    "3a": {"block2", "block3", "block4", "pool", "head"},
    "3b": {"block3", "block4", "pool", "head"},
    "3c": {"block4", "pool", "head"},
}
# Which stages train is tested without values for all strategies; so here two suffice, and all on one backbone.
TRAININGS = sorted(
    {(name, strategy) for name in BACKBONES for strategy in ("1", "3b")} | {("resnet18", s) for s in TRAINED}
)


def unfrozen(backbone: str = "resnet18", *, head: str = "linear", classes: int = 5, attention: str = "none") -> Network:
    options = {} if head == "torchvision" else {"dropout": 0.5 if head == "mlp1024" else 0.0}
    return build(Plan(backbone, head, classes, 64, head_options=options, attention=attention), pretrained=None)


def make(backbone: str = "resnet18", strategy: str = "2", **changes: Any) -> Network:
    network = unfrozen(backbone, **changes)
    freeze(network, strategy)
    return network


@cache
def unfrozen_on_meta(backbone: str, **changes: Any) -> Network:
    with torch.device("meta"):
        return unfrozen(backbone, **changes)


def on_meta(backbone: str = "resnet18", strategy: str = "2", **changes: Any) -> Network:
    """Copy a network without values from one that is built once: building takes ten times as long."""
    network = deepcopy(unfrozen_on_meta(backbone, **changes))
    freeze(network, strategy)
    return network


def state(network: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.model.state_dict().items()}


def train_an_epoch(network: Network) -> None:
    """Train two batches by Adam, which changes every weight that gets a gradient."""
    optimizer = torch.optim.Adam([p for group in network.groups().values() for p in group], lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    network.train()
    for _ in range(2):
        images, labels = torch.randn(2, 3, 64, 64, generator=generator), torch.arange(2)
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()


def test_the_table_of_strategies_is_ecsm_table_2() -> None:
    assert {name for name in STRATEGIES if part_of(name) == WHOLE} == set(TRAINED)
    assert {name for name, row in STRATEGIES.items() if row.freezes} == set(STRATEGIES) - {"2"}


def test_other_values_of_freeze_are_no_strategies() -> None:
    assert set(OTHER_STRATEGIES) == {"scratch", "lp_ft", "probe", "phases"}
    for name in OTHER_STRATEGIES:
        with pytest.raises(InputError, match=f"^freeze: '{name}' is neither a strategy"):
            on_meta(strategy=name)


@pytest.mark.parametrize("strategy", sorted(TRAINED))
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_each_strategy_trains_exactly_its_stages_and_keeps_the_others_in_eval_mode(
    backbone: str, strategy: str
) -> None:
    network = on_meta(backbone, strategy, head="mlp1024")
    for step in network.steps:
        for name, parameter in network.parameters_of(step):
            assert parameter.requires_grad == (step.stage in TRAINED[strategy]), name
        modes = {module.training for name, module in network.model.named_modules() if step.holds(name)}
        assert modes <= {step.stage in TRAINED[strategy]}, step.name
    assert network.model.get_submodule(network.steps[-1].name).training


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(("backbone", "strategy"), TRAININGS)
def test_an_epoch_changes_exactly_the_planned_tensors_buffers_included(backbone: str, strategy: str) -> None:
    torch.manual_seed(0)
    network = make(backbone, strategy)
    before = state(network)
    train_an_epoch(network)
    after = state(network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    trained = [step for step in network.steps if step.stage in TRAINED[strategy]]
    assert changed == {name for name in before if any(step.holds(name) for step in trained)}
    assert changed


@pytest.mark.parametrize("attention", ["se", "cbam", "ecsm", "hierarchical"])
def test_attention_trains_also_where_all_layers_around_it_are_frozen(attention: str) -> None:
    torch.manual_seed(0)
    network = make(strategy="1", attention=attention)
    before = state(network)
    train_an_epoch(network)
    after = state(network)
    # These two cancel in a softmax and in a deviation, so that only rounding changes them.
    idle = ("key.bias", "change.bias")
    changed = {name for name in before if not torch.equal(before[name], after[name]) and not name.endswith(idle)}
    trains = {name for name in before if "attention" in name or name.startswith("fc.")}
    assert changed == {name for name in trains if not name.endswith(idle)}


@pytest.mark.usefixtures("narrow")
def test_attention_is_in_train_mode_inside_a_frozen_block() -> None:
    network = make(strategy="1", attention="cbam")
    assert all(module.training for module in network.inserted_modules())
    norm = network.model.get_submodule("layer1.0.bn2")
    assert not norm.training
    network.eval()
    assert not any(module.training for module in network.modules())


def test_the_groups_are_backbone_attention_and_head() -> None:
    network = make(strategy="3c", attention="se")
    groups = {name: sum(p.numel() for p in group) for name, group in network.groups().items()}
    assert groups["head"] == 512 * 5 + 5
    assert groups["attention"] == sum(2 * c * c // 16 for c in (64, 128, 256, 512))
    assert groups["backbone"] == sum(p.numel() for p in network.model.get_submodule("layer4").parameters())


@pytest.mark.parametrize(
    ("strategy", "trainable", "frozen"),
    [
        ("1", 2_149_426, 23_561_152),
        ("2", 25_657_458, 53_120),
        ("3a", 25_432_114, 278_464),
        ("3b", 24_212_530, 1_498_048),
        ("3c", 17_114_162, 8_596_416),
    ],
)
def test_counts_are_those_of_ecsm_table_5(strategy: str, trainable: int, frozen: int) -> None:
    network = on_meta("resnet50", strategy, head="mlp1024", classes=50)
    assert count(network) == {"trainable": trainable, "frozen": frozen}


@pytest.mark.usefixtures("narrow")
def test_frozen_batch_norms_stay_in_eval_mode_however_often_train_mode_is_set() -> None:
    network = make(strategy="3b")
    for _ in range(2):
        network.train()
    modes = {
        stage: {
            module.training for name, module in network.model.named_modules() if any(step.holds(name) for step in steps)
        }
        for stage, steps in network.stages()
    }
    assert modes["stem"] == modes["block1"] == modes["block2"] == {False}
    assert modes["block3"] == modes["block4"] == modes["head"] == {True}
    network.eval()
    assert not any(module.training for module in network.modules())


def modes_by_names(network: Network) -> dict[str, bool]:
    """Return the mode of each module of a network in train mode, by the names that steps hold."""
    frozen = [step for step in network.steps if step.name in network.frozen_steps]
    modes = {}
    for name, module in network.model.named_modules():
        rests = any(step.holds(name) for step in frozen)
        keeps_stats = network.freeze_bn_stats and isinstance(module, nn.modules.batchnorm._BatchNorm)
        inserted = any(f"{name}.".startswith(f"{one}.") for one in network.inserted)
        modes[name] = inserted or not (rests or keeps_stats)
    return modes


@pytest.mark.parametrize("freeze_bn_stats", [False, True])
@pytest.mark.parametrize(
    ("backbone", "strategy", "attention"),
    [
        *((backbone, strategy, "none") for backbone in sorted(BACKBONES) for strategy in ("1", "3b")),
        ("resnet18", "3b", "cbam"),
        ("resnet18", "1", "se"),
        ("resnet18", "bitfit", "none"),
    ],
)
def test_modes_are_those_of_the_steps_that_hold_a_modules_name(
    backbone: str, strategy: str, attention: str, freeze_bn_stats: bool
) -> None:
    network = on_meta(backbone, strategy, attention=attention)
    freeze(network, strategy, freeze_bn_stats=freeze_bn_stats)
    expected = modes_by_names(network)
    assert {*expected.values()} == {False, True}
    # Whatever the modes were before.
    for number, module in enumerate(network.modules()):
        module.training = bool(number % 3)
    assert network.train() is network
    assert {name: module.training for name, module in network.model.named_modules()} == expected
    assert network.training
    assert not any(module.training for module in network.eval().modules())


def test_an_epochs_modes_are_set_without_a_look_at_names(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every module's name against every frozen step's took up to half of a training on cached features.
    network, expected = on_meta(strategy="1"), modes_by_names(on_meta(strategy="1"))
    monkeypatch.setattr(Step, "holds", lambda *_: pytest.fail("a name was looked at"))
    network.eval()
    network.train()
    assert {name: module.training for name, module in network.model.named_modules()} == expected


@pytest.mark.parametrize("strategy", ["1", "2"])
def test_a_module_with_a_train_mode_of_its_own_hears_of_it(strategy: str) -> None:
    heard = []

    class Own(nn.ReLU):
        def train(self, mode: bool = True) -> "Own":
            heard.append(mode)
            return super().train(mode)

    network = on_meta(strategy=strategy)
    own = Own()
    network.model.set_submodule("layer1.0.relu", own)
    network.train()
    assert own.training == (strategy == "2")
    network.eval()
    assert (heard, own.training) == ([True, False], False)


@pytest.mark.usefixtures("narrow")
def test_all_batch_norms_keep_their_statistics_with_freeze_bn_stats() -> None:
    torch.manual_seed(0)
    network = make(strategy="2")
    freeze(network, "2", freeze_bn_stats=True)
    before = state(network)
    train_an_epoch(network)
    after = state(network)
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name)
    assert not torch.equal(before["bn1.weight"], after["bn1.weight"])


@pytest.mark.parametrize(
    ("strategy", "last"),
    [("1", "avgpool"), ("2", None), ("3a", "layer1.1"), ("3b", "layer2.1"), ("3c", "layer3.1")],
)
def test_the_frozen_prefix_is_the_steps_without_trainable_parameters(strategy: str, last: str | None) -> None:
    network = on_meta(strategy=strategy)
    prefix = network.steps[: network.frozen_prefix()]
    assert (prefix[-1].name if prefix else None) == last


def test_the_frozen_prefix_ends_where_attention_is_inserted() -> None:
    se, cbam = on_meta(strategy="1", attention="se"), on_meta(strategy="1", attention="cbam")
    assert se.steps[se.frozen_prefix()].name == "attention.block1"
    assert cbam.steps[cbam.frozen_prefix()].name == "layer1.0"


def test_dropout_before_a_trained_classifier_is_not_frozen_with_the_layers_before_it() -> None:
    network = on_meta("googlenet", "1", head="torchvision")
    assert network.steps[network.frozen_prefix()].name == "dropout"


@pytest.mark.parametrize(
    ("backbone", "layer", "first"),
    [
        ("mobilenet_v2", "features.12", "features.12"),
        ("mobilenet_v2", "features.1", "features.1"),
        ("resnet18", "layer3", "layer3.0"),
        ("resnet18", "layer3.1", "layer3.1"),
        ("vit_b_16", "encoder.layers.encoder_layer_1", "encoder.layers.encoder_layer_1"),
    ],
)
def test_a_layers_name_trains_it_and_all_later_layers(backbone: str, layer: str, first: str) -> None:
    network = on_meta(backbone, layer)
    names = [step.name for step in network.steps]
    assert network.frozen_steps == set(names[: names.index(first)])
    for step in network.steps:
        assert all(p.requires_grad == (step.name not in network.frozen_steps) for _, p in network.parameters_of(step))


def test_freezing_again_thaws_what_the_next_phase_trains() -> None:
    network = on_meta("mobilenet_v2", "1")
    freeze(network, "features.12")
    assert network.model.get_submodule("features.12").training
    assert not network.model.get_submodule("features.11").training
    assert all(p.requires_grad for p in network.model.get_submodule("features.18").parameters())


def test_a_stage_that_no_rule_decides_is_an_error() -> None:
    with pytest.raises(ValueError, match="no rule decides whether stage 'head' trains"):
        plan(["stem", "head"], [Rule("stem", False)])


def test_a_rule_that_decides_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"rules that decide nothing: block9"):
        plan(["stem"], [Rule("block9", False), Rule("*", True)])


def test_a_name_that_is_neither_strategy_nor_layer_is_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"freeze: '4' is neither a strategy \(1, 2, 3a, 3b, 3c, lora, bitfit\) nor a layer of this network, "
        r"such as conv1, layer1\.0, layer2\.0, layer3\.0, layer4\.0, avgpool, fc",
    ):
        on_meta(strategy="4")
