"""The frozen probe of an experiment: fitted on its training part, tested by `evaluate`."""

import json
import shutil
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import tiny
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline.assembly import trained
from pipeline.assembly.machine import machine
from pipeline.bank import features, folds, probes, probing
from pipeline.core import paths
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
from pipeline.stages import evaluate, train
from pipeline.training import checkpoints

pytestmark = pytest.mark.usefixtures("project", "probe")


def parts(data: Packed) -> tuple[list[int], list[int]]:
    assigned = data.assigned(paths.split_file(1))
    return assigned["train"], assigned["test"]


def probed(data: Packed) -> probing.Probed:
    recipe = Recipe.read()
    return probing.probed(trained.model_record(recipe, data.classes), data, *parts(data), machine(recipe))


def test_other_labels_of_test_images_change_no_bit_and_those_of_training_images_do() -> None:
    data, (learned, test) = Packed.open(paths.PACKED), parts(Packed.open(paths.PACKED))
    first = probed(data)
    assert first.predicted.shape == (len(test),)
    for rows, same in ((test, True), (learned, False)):
        labels = data.labels.copy()
        labels[rows] = np.roll(labels[rows], 7)
        other = probed(replace(data, labels=labels))
        assert ((other.predicted == first.predicted).all() and other.strength == first.strength) == same


def test_it_is_fitted_once_for_the_same_images_labels_and_network() -> None:
    data = Packed.open(paths.PACKED)
    first = probed(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "fitted", None)
        patch.setattr(features, "features", None)
        again = probed(data)
    assert (again.strength, again.predicted.tolist()) == (first.strength, first.predicted.tolist())
    # As it is without the store.
    shutil.rmtree(paths.root() / paths.BANK)
    assert probed(data).predicted.tolist() == first.predicted.tolist()


def test_an_interruption_keeps_nothing_and_the_next_call_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Packed.open(paths.PACKED)
    with monkeypatch.context() as patch:
        patch.setattr(probes, "_accuracy", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            probed(data)
    assert probed(data).predicted.size


def test_a_long_choice_is_made_shorter_and_the_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MOST_WORK", 0)
    train.main(["1"])
    evaluate.main(["1"])
    written = json.loads((paths.evaluation(1) / paths.PROBE).read_text(encoding="utf-8"))
    assert written["remark"] == probes.SHORTENED
    assert written["strength"] in probes.PROBES[probes.LOGISTIC].few


def test_it_is_a_plain_logistic_regression_on_the_networks_features() -> None:
    data, recipe = Packed.open(paths.PACKED), Recipe.read()
    learned, test = parts(data)
    found = probed(data)
    frozen = features.Frozen(
        recipe.network, recipe.data.sizes, "", checkpoints.read(paths.SOURCE_WEIGHTS), machine(recipe)
    )
    x, y = features.compute(frozen, data, torch.arange(len(data.paths)))[0].astype(float), data.labels
    scale = StandardScaler().fit(x[learned])
    model = LogisticRegression(C=found.strength, max_iter=10_000).fit(scale.transform(x[learned]), y[learned])
    assert (model.predict(scale.transform(x[test])) == found.predicted).mean() > 0.9


def test_evaluate_writes_which_test_images_it_tells_right() -> None:
    train.main(["1"])
    evaluate.main(["1"])
    written = json.loads((paths.evaluation(1) / paths.PROBE).read_text(encoding="utf-8"))
    data = Packed.open(paths.PACKED)
    found, test = probed(data), parts(data)[1]
    assert (written["reason"], "remark" in written) == ("", False)
    assert written["strength"] == found.strength
    right = found.predicted == data.labels[test]
    assert written["right"] == dict(zip((data.paths[row] for row in test), right.tolist(), strict=True))


def test_a_network_from_random_values_has_none_and_says_why() -> None:
    tiny.write_params(freeze="scratch")
    assert probed(Packed.open(paths.PACKED)).reason == "the network starts from random values"


def test_too_few_images_give_none_and_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    data, recipe = Packed.open(paths.PACKED), Recipe.read()
    first = [int(np.flatnonzero(data.labels == label)[0]) for label in range(2)]
    model = trained.model_record(recipe, data.classes)
    found = probing.probed(model, data, first, first, machine(recipe))
    assert (found.reason, found.strength) == ("too few training images for a cross-validation", None)
    assert folds.LEAST == 2
