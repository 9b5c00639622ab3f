"""Learning rates of whole recipes at each iteration, from the schedule alone."""

from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from torch import nn

from pipeline import config
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.training_plan import training_plan
from pipeline.core.recipe import Recipe
from pipeline.training import optim, phase_shares

# The training images of Stanford Dogs.
DOGS = 12_000


def experiment(name: str = "spa_gca", *, regularizer: str = "auto", train: Any = (), order: str = "") -> Recipe:
    changes = {f"train.{key}": value for key, value in dict(train).items()}
    changes |= {"options.regularizer.spa_gca.order": order} if order else {}
    return config.resolve(config.check(tiny.recipe(name, changes, regularizer=regularizer))).recipe


def rates(recipe: Recipe, *, images: int = DOGS) -> list[float]:
    """Return the rate of each iteration, as the loop combines phases and schedule."""
    train = loop_settings(recipe)
    phases = training_plan(recipe, SimpleNamespace()).phases  # type: ignore[arg-type]  # nothing is frozen here
    size, unit = train.batch_size, train.budget.unit
    steps = [optim.total_steps(unit=unit, amount=p.amount, images=images, batch_size=size) for p in phases]
    lrs = []
    for number, phase in enumerate(phases):
        parts, place = phase_shares.share(phases, steps, number)
        group = {"backbone": list(nn.Linear(1, 1).parameters())}
        optimizer = optim.make_optimizer(group, train, lr=phase.lr, factors={})
        schedule = optim.make_schedule(optimizer, train, parts, done=sum(parts[:place]))
        for _ in range(parts[place]):
            lrs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
    return lrs


@pytest.mark.parametrize("order", ["spa_gca", "gca_spa"])
def test_the_rate_of_both_halves_falls_at_3000_and_at_7500_of_9000(order: str) -> None:
    lrs = rates(experiment(order=order))
    assert lrs == pytest.approx([1e-2] * 3000 + [1e-3] * 4500 + [1e-4] * 1500)


def test_afa_has_the_same_rates() -> None:
    assert rates(experiment(regularizer="afa")) == rates(experiment())


@pytest.mark.parametrize("method", ["none", "l2", "l2_sp", "delta", "ast", "act", "spa", "gca"])
def test_the_rate_of_a_single_method_falls_at_6000_of_9000(method: str) -> None:
    assert rates(experiment(regularizer=method)) == pytest.approx([1e-2] * 6000 + [1e-3] * 3000)


def test_the_rate_of_l2_fe_falls_to_a_tenth_in_6_of_10_epochs() -> None:
    recipe = experiment(regularizer="l2_fe")
    an_epoch = 188
    assert recipe.train.budget.amount == 10
    expected = [1e-2 * 0.1 ** (step / (6 * an_epoch)) for step in range(10 * an_epoch)]
    lrs = rates(recipe)
    assert lrs == pytest.approx(expected)
    assert lrs[6 * an_epoch] == pytest.approx(1e-3)


@pytest.mark.parametrize("schedule", ["cosine", "exponential", "constant"])
def test_a_schedule_over_the_whole_budget_goes_on_through_the_halves_without_a_jump(schedule: str) -> None:
    halves = rates(experiment(train={"schedule": schedule}))
    assert halves == pytest.approx(rates(experiment(regularizer="gca", train={"schedule": schedule})))
    assert len(halves) == 9000


def test_halves_of_an_odd_budget_are_all_of_it_and_fall_at_two_thirds_of_their_own() -> None:
    lrs = rates(experiment(train={"budget": {"unit": "iterations", "amount": 7}}))
    assert lrs == pytest.approx([1e-2] * 2 + [1e-3] * 4 + [1e-4])


def test_halves_in_epochs_are_halves_of_the_iterations() -> None:
    lrs = rates(experiment(train={"budget": {"unit": "epochs", "amount": 6}}), images=64 * 10)
    assert lrs == pytest.approx([1e-2] * 20 + [1e-3] * 30 + [1e-4] * 10)


def test_phases_each_begin_the_schedule_anew() -> None:
    lrs = rates(experiment("animals", regularizer="spa", train={"schedule": "cosine"}), images=640)
    train = experiment("animals").train
    first = train.phases[0].amount * -(-640 // train.batch_size)
    assert lrs[0] == pytest.approx(train.phases[0].lr)
    assert lrs[first] == pytest.approx(train.phases[1].lr)
    assert lrs[first - 1] < 0.01 * train.phases[0].lr


def test_every_group_falls_alike_the_regularizers_own_too() -> None:
    train = loop_settings(experiment())
    names = ("backbone", "head", optim.REGULARIZER)
    groups = {name: list(nn.Linear(1, 1).parameters()) for name in names}
    optimizer = optim.make_optimizer(groups, train, lr=train.lr, factors={"backbone": 0.1, "head": 1.0})
    schedule = optim.make_schedule(optimizer, train, [4500, 4500], done=2999)
    lrs = []
    for _ in range(2):
        lrs.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert lrs[0] == pytest.approx([1e-3, 1e-2, 1e-2])
    assert lrs[1] == pytest.approx([1e-4, 1e-3, 1e-3])
