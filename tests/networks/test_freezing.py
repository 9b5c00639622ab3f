from types import SimpleNamespace

import pytest
import torch

from pipeline.errors import InputError
from pipeline.networks.backbones import BACKBONES
from pipeline.networks.build import build
from pipeline.networks.freezing import STRATEGIES, Row, count, freeze, plan
from pipeline.networks.network import Network

STAGES = ["stem", "block1", "block2", "block3", "block4", "pool", "head"]
TRAINED = {
    "1": {"head"},
    "2": set(STAGES),
    "3a": {"block2", "block3", "block4", "pool", "head"},
    "3b": {"block3", "block4", "pool", "head"},
    "3c": {"block4", "pool", "head"},
    "scratch": set(STAGES),
}


def make(backbone: str = "resnet18", freeze: str = "2", head: str = "linear", classes: int = 5) -> Network:
    options = {"stock": {}}.get(head, {"dropout": 0.5 if head == "mlp1024" else 0.0})
    settings = SimpleNamespace(backbone=backbone, freeze=freeze, head=head)
    return build(settings, classes=classes, head_options=options, pretrained=None)


def test_the_table_of_strategies_is_ecsm_table_2_and_scratch() -> None:
    assert set(STRATEGIES) == set(TRAINED)


@pytest.mark.parametrize("strategy", sorted(TRAINED))
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_each_strategy_trains_exactly_its_stages(backbone: str, strategy: str) -> None:
    with torch.device("meta"):
        network = make(backbone, strategy)
    for stage in network.stages:
        for name, parameter in network.parameters_of(stage):
            assert parameter.requires_grad == (stage.name in TRAINED[strategy]), name


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_every_parameter_belongs_to_exactly_one_stage(backbone: str) -> None:
    with torch.device("meta"):
        network = make(backbone)
    owned = [name for stage in network.stages for name, _ in network.parameters_of(stage)]
    assert sorted(owned) == sorted(name for name, _ in network.model.named_parameters())


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
    with torch.device("meta"):
        network = make("resnet50", strategy, "mlp1024", classes=50)
    assert count(network) == {"trainable": trainable, "frozen": frozen}


def test_frozen_batch_norms_stay_in_eval_mode_however_often_train_mode_is_set() -> None:
    network = make(freeze="3b")
    for _ in range(2):
        network.train()
    modes = {
        stage.name: {m.training for top in network.modules_of(stage) for m in top.modules()} for stage in network.stages
    }
    assert modes["stem"] == modes["block1"] == modes["block2"] == {False}
    assert modes["block3"] == modes["block4"] == modes["head"] == {True}
    network.eval()
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(("strategy", "stages"), [("1", 6), ("2", 0), ("3a", 2), ("3b", 3), ("3c", 4), ("scratch", 0)])
def test_the_frozen_prefix_is_what_nothing_trains_in(strategy: str, stages: int) -> None:
    with torch.device("meta"):
        assert make(freeze=strategy).frozen_prefix() == stages


def test_a_stage_that_no_row_decides_is_an_error() -> None:
    with pytest.raises(ValueError, match="no row decides whether stage 'head' trains"):
        plan(["stem", "head"], [Row("stem", False)])


def test_a_row_that_decides_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"rows that decide nothing: block9"):
        plan(["stem"], [Row("block9", False), Row("*", True)])


def test_an_unknown_strategy_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"freeze: '4' is not known; known: 1, 2, 3a, 3b, 3c, scratch"):
        freeze(make(), "4")
