import inspect
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from pipeline.core import cpu_instructions
from pipeline.core.errors import InputError
from pipeline.training import optim, optimizers, schedules
from pipeline.training.table import OPTIMIZERS, SCHEDULES

OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {"beta1": 0.8, "beta2": 0.9},
    "adamw": {"beta1": 0.7, "beta2": 0.95},
    "sgd": {"momentum": 0.6, "nesterov": True},
    "step": {"at": (1 / 3, 5 / 6), "factor": 0.1},
    "cosine": {"final": 0.2},
}


def settings(optimizer: str = "sgd", schedule: str = "constant") -> SimpleNamespace:
    return SimpleNamespace(
        optimizer=optimizer,
        optimizer_options=OPTIONS[optimizer],
        weight_decay=0.01,
        schedule=schedule,
        schedule_options=OPTIONS.get(schedule, {}),
    )


def build(layer: nn.Module, options: SimpleNamespace, **factors: float) -> torch.optim.Optimizer:
    return optim.make_optimizer({"head": list(layer.parameters())}, options, lr=0.1, factors=factors)


def rates(schedule: str, steps: int) -> list[float]:
    optimizer = build(nn.Linear(1, 1), settings(schedule=schedule))
    scheduler = optim.make_schedule(optimizer, settings(schedule=schedule), [steps])
    lrs = []
    for _ in range(steps):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return lrs


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("adam", Adam, {"betas": (0.8, 0.9)}),
        ("adamw", AdamW, {"betas": (0.7, 0.95)}),
        ("sgd", SGD, {"momentum": 0.6, "nesterov": True}),
    ],
)
def test_each_optimizer_gets_its_own_options(name: str, kind: type, expected: dict[str, object]) -> None:
    optimizer = build(nn.Linear(2, 2), settings(name))
    assert kind in type(optimizer).__bases__
    group = optimizer.param_groups[0]
    assert group["lr"] == 0.1
    assert group["weight_decay"] == 0.01
    assert {key: group[key] for key in expected} == expected


def steps(make: type | None, name: str) -> list[torch.Tensor]:
    """Return a layer's weights after each of five steps, by an optimizer of torch's or by ours."""
    torch.manual_seed(0)
    layer, weights = nn.Linear(3, 2), []
    optimizer = build(layer, settings(name))
    if make:
        group = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
        optimizer = make([{"params": list(layer.parameters()), **group}])
    for _ in range(5):
        optimizer.zero_grad()
        layer(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
        weights.append(layer.weight.detach().clone())
    return weights


@pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("adamw", AdamW), ("sgd", SGD)])
def test_without_hooks_for_the_compiler_each_step_is_that_of_torch(name: str, kind: type) -> None:
    assert all(torch.equal(*pair) for pair in zip(steps(None, name), steps(kind, name), strict=True))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_with_portable_instructions_adam_steps_as_it_does_by_the_kernel_with_an_exact_root(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = steps(None, name)
    monkeypatch.setattr(cpu_instructions, "in_force", lambda: "portable")
    assert build(nn.Linear(1, 1), settings(name)).param_groups[0]["fused"]
    portable = steps(None, name)
    assert all(torch.allclose(*pair, rtol=1e-5) for pair in zip(own, portable, strict=True))
    assert not build(nn.Linear(1, 1, device="meta"), settings(name)).param_groups[0]["fused"]


def test_each_group_has_its_own_rate_and_empty_ones_are_left_out() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    groups = {"backbone": list(one.parameters()), "attention": [], "head": list(other.parameters())}
    factors = {"backbone": 0.1, "attention": 5.0, "head": 1.0}
    optimizer = optim.make_optimizer(groups, settings(schedule="cosine"), lr=0.1, factors=factors)
    scheduler = optim.make_schedule(optimizer, settings(schedule="cosine"), [10])
    for _ in range(10):
        backbone, head = (group["lr"] for group in optimizer.param_groups)
        assert backbone == pytest.approx(0.1 * head)
        assert optim.rate(optimizer, factors) == pytest.approx(head)
        optimizer.step()
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.002, 0.02])


def test_a_constant_rate_stays() -> None:
    assert set(rates("constant", 20)) == {0.1}


def test_a_step_falls_after_its_parts_of_the_budget() -> None:
    lrs = rates("step", 9000)
    assert lrs[2999] == pytest.approx(0.1)
    assert lrs[3000] == pytest.approx(0.01)
    assert lrs[7499] == pytest.approx(0.01)
    assert lrs[7500] == pytest.approx(0.001)
    assert len(set(lrs)) == 3


def test_a_cosine_is_half_a_wave_down_to_its_last_rate() -> None:
    lrs = rates("cosine", 100)
    for step, rate in enumerate(lrs):
        assert rate == pytest.approx(0.02 + (0.1 - 0.02) * (1 + math.cos(math.pi * step / 100)) / 2, rel=1e-6)


def test_gradients_are_recorded_after_a_step() -> None:
    steps(None, "sgd")
    assert torch.is_grad_enabled()


def test_a_row_without_its_function_is_refused_by_its_name() -> None:
    options = settings()
    options.optimizer = "rmspro"
    with pytest.raises(InputError, match=r"'rmspro' has a row in training/table\.py and no function of this"):
        build(nn.Linear(1, 1), options)


OF_EVERY_OPTIMIZER = {"lr", "weight_decay"}


@pytest.mark.parametrize(
    ("name", "row", "module", "common"),
    [(name, row, optimizers, OF_EVERY_OPTIMIZER) for name, row in OPTIMIZERS.items()]
    + [(name, row, schedules, set()) for name, row in SCHEDULES.items()],
)
def test_a_rows_function_has_its_name_and_takes_exactly_its_options(
    name: str, row: Any, module: Any, common: set[str]
) -> None:
    function = getattr(module, name)
    taken = {key for key, one in inspect.signature(function).parameters.items() if one.kind is one.KEYWORD_ONLY}
    assert taken == common | set(row.options_type.model_fields if row.options_type else ())
