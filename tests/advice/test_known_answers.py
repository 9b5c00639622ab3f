"""Advice on simulated images of which the right answer is known, by the project's own divisions and trainings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import advice_trainings
import numpy as np
import pytest
import tiny
import torch
from numpy.typing import NDArray

from pipeline.advice import candidates, halving, recommendation
from pipeline.advice.halving import Tried
from pipeline.advice.recommendation import Recommendation
from pipeline.core import imagenet
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation.compare.experiments import ACCURACY, Experiment, Trial
from pipeline.networks.backbones.table import make
from pipeline.stages import source
from pipeline.training import checkpoints

SIDE, PER_CLASS, CLASSES = 32, 40, ("blue", "red")
# From the cheapest to the dearest, in a unit of their own: seconds of such small trainings are noise.
COSTS = {"probe": 1.0, "3b": 2.0, "2": 3.0}


def drawn(*, signal: float) -> tuple[Packed, list[Row]]:
    """Return images of gray noise that are redder or bluer by class, with the same sum of the three channels."""
    rng = np.random.default_rng(0)
    labels = np.arange(len(CLASSES) * PER_CLASS) % len(CLASSES)
    images = rng.normal(128, 25, (len(labels), 1, SIDE, SIDE)) + np.zeros((1, 3, 1, 1))
    shade = rng.normal(0, 6, len(labels)) + signal * (2 * labels - 1)
    images += shade[:, None, None, None] * np.array([1.0, 0.0, -1.0])[:, None, None]
    rows = [
        Row(f"{CLASSES[k]}/{n}", CLASSES[k], "", 1, f"{n:064d}", SIDE, SIDE, "RGB", "") for n, k in enumerate(labels)
    ]
    array = images.clip(0, 255).astype(np.uint8)
    names = [row.path for row in rows]
    return Packed(array, names, labels.astype(np.int64), list(CLASSES), imagenet.MEAN, imagenet.STD, "0" * 64), rows


def pre_trained(*, sees_color: bool) -> Path:
    """Write a network's values, and return their file: of random filters, which may all be blind to color."""
    torch.manual_seed(0)
    state = make("resnet18", SIDE).state_dict()
    if not sees_color:
        # Images are divided by the channels' deviations; so the filters see the sum of the three channels alone.
        gray = state["conv1.weight"].mean(1, keepdim=True)
        state["conv1.weight"] = gray * torch.tensor(imagenet.STD).view(1, 3, 1, 1)
    file = Path("pre-trained.safetensors").resolve()
    checkpoints.save(state, file)
    return file


def settings(freeze: str, file: Path) -> dict[str, Any]:
    budget = {"train.budget": {"unit": "epochs", "amount": 12}, "train.lr": 5e-3, "data.image_size": SIDE}
    inner = {name.removeprefix("defaults."): value for name, value in candidates.inner(1).items() if "." in name}
    return tiny.narrow_values({**budget, **inner, "train.batch_size": 10}, freeze=freeze, weights_file=str(file))


def trial(recipe: Recipe, data: Packed, rows: Sequence[Row], repeat: int) -> Trial:
    """Train on an inner division, and return which of its test images are right."""
    answers = advice_trainings.trained(recipe, data, rows, repeat)
    tested = zip(answers.places["test"], answers.right, strict=True)
    return Trial({data.paths[place]: bool(answer) for place, answer in tested}, len(answers.places["train"]))


def advised(data: Packed, rows: Sequence[Row], file: Path) -> Recommendation:
    """Return what an advice recommends: successive halving on inner divisions, then the comparison."""
    tiny.write(settings("3b", file))
    source.main()
    known: dict[tuple[str, int], Trial] = {}
    repeats: dict[str, int] = {}

    def attempt(names: Sequence[str], number: int) -> Mapping[str, Tried]:
        repeats.update(dict.fromkeys(names, number))
        for name in names:
            recipe = tiny.config.resolve(tiny.config.check(settings(name, file))).recipe
            for repeat in range(1, number + 1):
                if (name, repeat) not in known:
                    known[name, repeat] = trial(recipe, data, rows, repeat)
        means = {name: fmean(known[name, one].score(ACCURACY) for one in range(1, number + 1)) for name in names}
        return {name: Tried(mean, COSTS[name]) for name, mean in means.items()}

    halving.run(list(COSTS), halving.rounds(len(COSTS), scale=2), attempt)
    experiments = [
        Experiment(name, {one: known[name, one] for one in range(1, number + 1)}, redraws=True)
        for name, number in repeats.items()
    ]
    return recommendation.recommend(experiments, COSTS)


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("bare")]


def test_where_only_the_first_layers_are_blind_to_the_signal_everything_has_to_train() -> None:
    advice = advised(*drawn(signal=12.0), pre_trained(sees_color=False))
    assert advice.name == advice.best == "2"
    assert advice.close == ["2"]
    # The other finalist, of four repeats, is told from the best; two repeats of the one that was dropped do not tell.
    [finalist] = [one for one in advice.compared.pairs if "2" in (one.a, one.b) and len(one.repeats) == 4]
    assert finalist.better == "2"


def test_where_the_pre_trained_features_have_the_signal_the_solved_head_is_enough() -> None:
    advice = advised(*drawn(signal=12.0), pre_trained(sees_color=True))
    assert advice.name == "probe"
    assert {one.name: one.mean for one in advice.compared.summaries}["probe"] > 0.9


def test_where_there_is_no_signal_all_are_tied() -> None:
    advice = advised(*drawn(signal=0.0), pre_trained(sees_color=True))
    assert sorted(advice.tied) == sorted(COSTS)


def test_other_labels_of_the_test_part_change_nothing() -> None:
    data, rows = drawn(signal=4.0)
    # A set with parts of its own: a division that follows from the labels would change with them.
    rows = [row._replace(part="test" if place % 10 > 6 else "train") for place, row in enumerate(rows)]
    file = pre_trained(sees_color=True)
    assert advised(*relabeled(data, rows), file) == advised(data, rows, file)


def relabeled(data: Packed, rows: Sequence[Row]) -> tuple[Packed, list[Row]]:
    """Return the same images, those of the test part with the other class."""
    labels: NDArray[np.int64] = data.labels.copy()
    labels[[row.part == "test" for row in rows]] ^= 1
    other = [row._replace(label=data.classes[label]) for row, label in zip(rows, labels, strict=True)]
    return Packed(data.images, data.paths, labels, data.classes, data.mean, data.std, data.sha256), other
