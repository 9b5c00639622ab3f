"""How long a training is said to take before it begins, and that saying so changes nothing."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch

from pipeline.assembly import duration, networks
from pipeline.assembly.duration import Costs, PartSizes
from pipeline.assembly.machine import machine
from pipeline.core import paths
from pipeline.stages import train
from pipeline.training import loop

SIZES = PartSizes(100, 10)
LINE = "train: training takes about "


@pytest.fixture
def project(tmp_path, monkeypatch, unfollowed):
    tiny.narrow(monkeypatch)
    tiny.enter(tmp_path, monkeypatch)
    monkeypatch.setattr(duration, "SECONDS", 0.02)


def trained(monkeypatch, *, short):
    """Train the project's repeat; return the bytes of all that follows from its settings."""
    monkeypatch.setattr(duration, "SHORT", short)
    train.main(["--repeat", "1"])
    folders = (paths.trained(1), paths.training_metrics(1))
    return {file: file.read_bytes() for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "axes",
    [
        {"attention": "se", "head": "mlp1024", "augmentation": "csca", "freeze": "3b"},
        pytest.param({"regularizer": "spa_gca", "budget": 2, "freeze": "3b"}, marks=pytest.mark.slow),
    ],
    ids=["dropout", "regularizer"],
)
def test_to_measure_beforehand_changes_no_byte_of_a_training(axes, monkeypatch, capsys):
    tiny.write_params(**axes, repeats=[1, 2])
    tiny.chain(start="collect", end="source")
    capsys.readouterr()
    before = trained(monkeypatch, short=float("inf"))
    assert LINE not in capsys.readouterr().out
    assert trained(monkeypatch, short=0) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(LINE)
    assert " a repeat, " in lines[0]
    # The measurement's own epochs are not printed.
    epochs = axes.get("budget", 1)
    assert [line.partition(":")[0] for line in lines if line.startswith("epoch")] == [
        f"epoch {n}" for n in range(1, epochs + 1)
    ]
    assert Path(paths.runtime_file(1)).is_file()


@pytest.mark.usefixtures("project")
def test_network_and_random_state_stay_as_they_are():
    recipe = tiny.experiment({"train.budget.amount": 4}, freeze="3b", regularizer="l2_sp")
    on = machine(recipe)
    network = networks.build(networks.plan(recipe, classes=9), pretrained=None)
    values = {name: value.clone() for name, value in network.state_dict().items()}
    gradients, state = [p.requires_grad for p in network.parameters()], torch.get_rng_state()
    seconds = duration.seconds_a_repeat(recipe, network, PartSizes(40, 8), classes=9, on=on)
    assert 0 < seconds < 60
    assert all(torch.equal(value, values[name]) for name, value in network.state_dict().items())
    assert [p.requires_grad for p in network.parameters()] == gradients
    assert torch.equal(torch.get_rng_state(), state)


def test_a_measurement_that_fails_leaves_the_memory_of_a_gpu_to_others(monkeypatch):
    emptied = list[str]()
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: nullcontext())
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("cache"))
    with pytest.raises(torch.OutOfMemoryError), duration.gpu_as_before(torch.device("cuda", 0)):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert emptied == ["cache"]


def trial(*, changes=(), sizes=SIZES, **axes):
    recipe = tiny.experiment(
        {"train.batch_size": 32, "train.budget": {"unit": "epochs", "amount": 3}, **dict(changes)}, **axes
    )
    phase = SimpleNamespace(amount=recipe.train.budget.amount)
    settings = SimpleNamespace(batch_size=recipe.train.batch_size, budget=recipe.train.budget)
    return duration._Trial(recipe, None, SimpleNamespace(phases=(phase,)), settings, sizes, 9, torch.device("cpu"))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, 3 * 4 * 1000 + 3 * (100 * 10 + 10 * 2) + 110 * 3),
        ({"sizes": PartSizes(100, 0)}, 3 * 4 * 1000 + 3 * 100 * 10 + 100 * 3),
        # What varies is not cached but for the validation images.
        ({"augmentation": "flip"}, 3 * 4 * 1000 + 3 * (100 * 10 + 10 * 2) + 10 * 3),
        # Six steps are one epoch and a half.
        (
            {"changes": {"train.budget": {"unit": "iterations", "amount": 6}}},
            6 * 1000 + 1.5 * (100 * 10 + 10 * 2) + 110 * 3,
        ),
    ],
)
def test_the_seconds_are_those_of_steps_images_validations_and_caches(given, wanted, monkeypatch):
    monkeypatch.setattr(duration, "_costs", lambda *_: Costs(step=1000, image=10, cached=3, val=2))
    assert duration._seconds(trial(**given), 0) == pytest.approx(wanted)


@pytest.mark.parametrize("image", [1e-6, 0.01, 3.0])
def test_a_step_too_long_to_be_tried_whole_is_tried_in_part(image, monkeypatch):
    tried = []

    def steps(_trial, _number, batch, *, steps, epochs):
        tried.append((batch, batch * image * steps * epochs))
        done = SimpleNamespace(cache_seconds=0.5, seconds=0.5, epoch_seconds=[0.0], history=[{}])
        return 0.004 + image * batch, done

    monkeypatch.setattr(duration, "_steps", steps)
    costs = duration._costs(trial(sizes=PartSizes(100, 0)), 0)
    assert costs.step + 32 * costs.image == pytest.approx(0.004 + 32 * image)
    assert tried[-1][0] == (4 if image == 3.0 else 32)
    # Of an image that takes 3 s alone, no fewer than a batch norm needs.
    assert sum(seconds for _, seconds in tried) < (40 if image == 3.0 else 2 * duration.SECONDS)


def test_a_rate_of_zero_leaves_no_loss_that_is_not_finite(monkeypatch):
    plans = []
    monkeypatch.setattr(loop, "fit", lambda *_, plan, **__: plans.append(plan) or SimpleNamespace(epoch_seconds=[1, 1]))
    one = trial()
    phase = loop.PhasePlan(3, 1000.0)
    plan = loop.TrainingPlan(phases=(phase,))
    settings = duration.loop_settings(one.recipe)
    duration._steps(replace(one, plan=plan, settings=settings), 0, 2, steps=1, epochs=1)
    assert [phase.lr for phase in plans[0].phases] == [0.0]


def test_only_a_training_of_more_than_seconds_is_estimated():
    recipe = tiny.experiment({"train.batch_size": 32, "train.budget": {"unit": "epochs", "amount": 10}})
    images = int(duration.SHORT / 10 / 10**9)
    assert duration.is_short(recipe, 10**9, PartSizes(images - 1, 0))
    assert not duration.is_short(recipe, 10**9, PartSizes(images, 0))
    steps = tiny.experiment({"train.batch_size": 32, "train.budget": {"unit": "iterations", "amount": 10}})
    assert duration.is_short(steps, 10**8, PartSizes(10**6, 0))
